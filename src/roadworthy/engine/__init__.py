"""Background modules of control, one a file."""
