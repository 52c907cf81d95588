"""Answers that no model wrote for this very call, and what becomes of those that one did."""
