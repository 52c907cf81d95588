"""Typed, dated facts about releases; what control signs on their ground: permits, receipts, waivers."""
