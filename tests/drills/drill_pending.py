"""Drills that are waiting for something.  Both lists end empty; both are strict: what is done must leave them."""

from __future__ import annotations

from roadworthy.fallback.drills.catalogue import CATALOGUE

WRITTEN = {
    "rate-limit-in-seconds", "persistent-503", "server-error-once", "connection-refused", "no-first-byte",
    "cut-in-mid-stream", "extra-unknown-fields", "prose-around-json", "refusal", "schema-violation",
    "all-targets-down",
    "rate-limit-by-date", "rate-limit-absurdly-long", "rate-limit-without-retry-after",
    "rate-limit-persistent", "unauthorized-401", "payment-required-402", "forbidden-403", "unknown-model-404",
    "context-length-400", "content-filter-400", "persistent-500", "persistent-502", "persistent-504", "persistent-529",
    "html-page-with-200", "html-page-with-502", "flapping", "name-not-resolved", "connect-timeout", "tls-failure",
    "late-first-token", "stall-in-mid-stream", "one-token-a-second", "no-done-marker", "error-event-after-200",
    "malformed-chunk", "duplicated-chunk", "reordered-chunk", "utf8-split-over-chunks", "usage-chunk-missing",
    "usage-chunk-with-empty-delta", "very-long-line", "mixed-line-ends", "invalid-json", "truncated-json", "empty-body",
    "no-choices", "null-content", "finish-length", "finish-content-filter", "other-model-answered", "usage-missing",
    "usage-zero", "usage-negative", "unknown-tool-called", "tool-arguments-not-json",
    "reset-before-first-byte", "reset-after-headers", "stale-keep-alive", "slow-close",
    "wrong-language", "prompt-leaked", "personal-data", "forbidden-promise", "html-and-script", "one-megabyte",
    "garbage-unicode", "endless-repetition",
    "price-unknown", "usage-hundredfold", "user-spend-spikes", "budget-exhausted-in-mid-ladder",
    "fallback-throttled-too", "control-dead", "state-database-dead", "journal-disk-full", "clock-jumps",
    "stale-snapshot", "gateway-killed",
}  # fmt: skip
NOT_YET: set[str] = {name for names in CATALOGUE.values() for name in names} - WRITTEN
"""Faults of the catalogue without a drill."""

AWAITS: dict[str, str] = {}
"""Drill → what the gateway does not do yet, so that it cannot pass."""
