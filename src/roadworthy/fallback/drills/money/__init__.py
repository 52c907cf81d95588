"""Faults that cost money."""
