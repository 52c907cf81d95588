"""Links that are mailed: each for one person and one action, once, until it expires."""
