"""Typed, dated facts about releases, and signed permissions to make them."""
