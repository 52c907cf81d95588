"""The wire formats that callers speak."""
