"""Where cost meets the log, the evals and the evidence: what was spent, what it was made of, what will be."""
