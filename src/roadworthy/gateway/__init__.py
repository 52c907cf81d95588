"""The hot path: one inference from the caller's bytes to the caller's answer."""
