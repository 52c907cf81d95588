"""What joins two properties."""
