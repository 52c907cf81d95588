"""The kill switch inside a worker: what it hears, what is in force, and what becomes of calls."""
