"""Telling people and other systems."""
