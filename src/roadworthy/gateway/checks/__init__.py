"""Is the answer fit for its reader?  Structure, declared checks, and the users' own."""
