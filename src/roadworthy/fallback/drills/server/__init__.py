"""Faults in which the provider's servers break."""
