"""Real processes for tests: the whole of ``roadworthy up``, its command line, and the providers behind it."""
