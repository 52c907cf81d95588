"""Drills that are waiting for something.  Both lists end empty; both are strict: what is done must leave them."""

from __future__ import annotations

from roadworthy.fallback.drills.catalogue import CATALOGUE

WRITTEN = {
    "rate-limit-in-seconds", "persistent-503", "server-error-once", "connection-refused", "no-first-byte",
    "cut-in-mid-stream", "extra-unknown-fields", "prose-around-json", "refusal", "schema-violation",
    "all-targets-down",
}  # fmt: skip
NOT_YET: set[str] = {name for names in CATALOGUE.values() for name in names} - WRITTEN
"""Faults of the catalogue without a drill."""

AWAITS: dict[str, str] = {}
"""Drill → what the gateway does not do yet, so that it cannot pass."""
