"""From what is served to incidents: what burns, what is down, whose fault it is, and what a page says."""
