"""Reviews drafted from data: what changed, why, and what is to be decided."""
