"""Scorers: one file each; ``registry.py`` lists them.  A score is in [0, 1] and is recorded with what made it."""
