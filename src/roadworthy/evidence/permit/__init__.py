"""Signed, short-lived permissions for calls that are no live traffic."""
