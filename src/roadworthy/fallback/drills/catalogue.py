"""The fault catalogue: what a model API does to its callers, by row.  Each name has exactly one drill.

A name is that of its file: ``server/persistent_503.py`` drills ``persistent-503`` of the row ``server``.
"""

from __future__ import annotations

from typing import Literal

Row = Literal[
    "admission", "server", "transport", "silence", "stream", "shape", "content", "money", "correlated"
]  # fmt: skip

CATALOGUE: dict[Row, tuple[str, ...]] = {
    "admission": (
        "rate-limit-in-seconds",
        "rate-limit-by-date",
        "rate-limit-absurdly-long",
        "rate-limit-without-retry-after",
        "rate-limit-persistent",
        "unauthorized-401",
        "payment-required-402",
        "forbidden-403",
        "unknown-model-404",
        "context-length-400",
        "content-filter-400",
    ),
    "server": (
        "server-error-once",
        "persistent-500",
        "persistent-502",
        "persistent-503",
        "persistent-504",
        "persistent-529",
        "html-page-with-200",
        "html-page-with-502",
        "flapping",
    ),
    "transport": (
        "name-not-resolved",
        "connection-refused",
        "connect-timeout",
        "tls-failure",
        "reset-before-first-byte",
        "reset-after-headers",
        "stale-keep-alive",
        "slow-close",
    ),
    "silence": (
        "no-first-byte",
        "late-first-token",
        "stall-in-mid-stream",
        "one-token-a-second",
    ),
    "stream": (
        "cut-in-mid-stream",
        "no-done-marker",
        "error-event-after-200",
        "malformed-chunk",
        "duplicated-chunk",
        "reordered-chunk",
        "utf8-split-over-chunks",
        "usage-chunk-missing",
        "usage-chunk-with-empty-delta",
        "very-long-line",
        "mixed-line-ends",
    ),
    "shape": (
        "invalid-json",
        "truncated-json",
        "empty-body",
        "no-choices",
        "null-content",
        "finish-length",
        "finish-content-filter",
        "other-model-answered",
        "usage-missing",
        "usage-zero",
        "usage-negative",
        "unknown-tool-called",
        "tool-arguments-not-json",
        "extra-unknown-fields",
    ),
    "content": (
        "schema-violation",
        "prose-around-json",
        "refusal",
        "wrong-language",
        "prompt-leaked",
        "personal-data",
        "forbidden-promise",
        "html-and-script",
        "one-megabyte",
        "garbage-unicode",
        "endless-repetition",
    ),
    "money": (
        "price-unknown",
        "usage-hundredfold",
        "user-spend-spikes",
        "budget-exhausted-in-mid-ladder",
    ),
    "correlated": (
        "all-targets-down",
        "fallback-throttled-too",
        "control-dead",
        "state-database-dead",
        "journal-disk-full",
        "clock-jumps",
        "stale-snapshot",
        "gateway-killed",
    ),
}


_PLACES = {name: place for place, name in enumerate(name for names in CATALOGUE.values() for name in names)}


def place_of(name: str) -> int:
    """Where in the catalogue a fault stands; those that it does not know stand last."""
    return _PLACES.get(name, len(_PLACES))


def row_of(name: str) -> Row | None:
    """The row of a fault; ``None``: the catalogue does not know it."""
    return next((row for row, names in CATALOGUE.items() if name in names), None)
