"""Parts of control, each composed in one place."""
