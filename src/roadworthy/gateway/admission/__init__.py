"""From the caller's bytes to a call that may be attempted: who calls, for what, with which prompt."""
