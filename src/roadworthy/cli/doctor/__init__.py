"""``roadworthy doctor``: what keeps an install from working, each with its mend."""
