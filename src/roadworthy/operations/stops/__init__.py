"""The kill switch meets people, the audit chain and the log."""
