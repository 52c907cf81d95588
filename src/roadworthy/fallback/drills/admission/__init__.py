"""Faults in which the provider says no before it begins."""
