"""Ports meeting the world."""
