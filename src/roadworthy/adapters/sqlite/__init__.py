"""State and inference log on SQLite."""
