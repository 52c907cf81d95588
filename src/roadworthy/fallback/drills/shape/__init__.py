"""Faults in the shape of an answer."""
