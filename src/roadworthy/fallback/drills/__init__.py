"""Drills: one file for each fault that a model API can commit, in the folder of its row."""
