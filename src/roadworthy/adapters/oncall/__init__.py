"""On-call schedules that are kept elsewhere."""
