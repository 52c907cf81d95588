"""Processes: started, kept running, talked to, measured."""
