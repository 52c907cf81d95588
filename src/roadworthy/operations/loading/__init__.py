"""Load tests: what one would do and cost, leading it, a rehearsal of it, what it came to."""
