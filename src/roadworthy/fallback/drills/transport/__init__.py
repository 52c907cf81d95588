"""Faults between us and the provider: names, connections, TLS."""
