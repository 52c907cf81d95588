"""A ramp meets the log, the evidence and the people who are told."""
