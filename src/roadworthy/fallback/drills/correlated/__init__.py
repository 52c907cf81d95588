"""Faults in which several things break at once; drilled in a disposable copy only."""
