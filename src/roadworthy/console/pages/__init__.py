"""One module a group of pages; each names its ``PAGES``."""
