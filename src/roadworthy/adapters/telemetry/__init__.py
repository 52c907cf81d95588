"""Spans and metrics for those who collect them."""
