"""Who is on call: rotations, calendars and schedules, overrides, gaps."""
