"""A self-hosted production layer for AI features."""
