"""Streams: relayed, held back, continued and told."""
