"""The gateway's words, as types.  They are those of its own code (a test compares them); this package imports none."""

from __future__ import annotations

from typing import Literal

Outcome = Literal[
    "answered",  # by the first attempt
    "recovered",  # by a retry, repair, hedge, continuation or another target
    "cached",  # an answer of before
    "canned",  # a declared text
    "escalated",  # a person will answer; this is the holding answer
    "blocked",  # what a model wrote was dropped
    "limited",  # 429
    "bypassed",  # take the old path
    "abandoned",  # the caller left
    "error",
]
"""How a call ended."""

Failure = Literal[
    "unavailable",
    "slow",
    "truncated",
    "invalid",
    "refused",
    "unsafe",
    "overlimit",
    "throttled",
    "overspent",
    "context_length",
    "bad_request",
    "misconfigured",
    "gateway_lost",
]
"""Why the first attempt was not good enough, or why there is no answer."""

Route = Literal["release", "previous", "passthrough", "bypass", "off"]
"""Which side served."""

KillState = Literal["on", "guarded", "assist", "off"]

EscalationStatus = Literal["pending", "answered", "expired", "cancelled"]

FlagReason = Literal["STATIC", "SPLIT", "TARGETING_MATCH", "DISABLED", "ERROR"]
"""OpenFeature's words; ``ERROR``: nobody could say, so the flag is off."""

Thumb = Literal["up", "down"]
