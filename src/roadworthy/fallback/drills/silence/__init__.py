"""Faults in which nothing comes, or too slowly."""
