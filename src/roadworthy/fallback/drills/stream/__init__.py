"""Faults in a stream of events."""
