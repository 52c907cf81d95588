"""The admin API of control."""
