"""A call handed to a human: queue, claim, answer."""
