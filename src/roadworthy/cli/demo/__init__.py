"""``roadworthy demo``: the main job on real input, told step by step, and able to check its own words."""
