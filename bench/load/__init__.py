"""The load: wrk's script and the C program that load the gateways, and how accurate our own generator is."""
