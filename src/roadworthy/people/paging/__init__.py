"""Reaching whoever is on call: one page a person an incident, handed up until somebody has it."""
