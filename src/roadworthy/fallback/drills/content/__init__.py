"""Faults in what an answer says."""
