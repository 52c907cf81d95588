"""Terms in plain words, with the exact term for the tooltip.  One table, so that no page calls a thing otherwise."""

from __future__ import annotations

TERMS: dict[str, tuple[str, str]] = {
    "PASS": ("Good", "PASS: what was measured meets what was declared"),
    "FAIL": ("Not good", "FAIL: what was measured does not meet what was declared"),
    "INSUFFICIENT": ("Not enough data yet", "INSUFFICIENT: what there is neither proves nor disproves it"),
    "ceiling": ("Most traffic allowed", "Ceiling: the largest share of traffic that the fresh evidence allows"),
    "share": ("Share of traffic", "Share: of the customers, by a stable draw, whom the release serves"),
    "p50": ("Usual time", "p50: half of the answers were there by then"),
    "p95": ("Slow", "p95: 95 of 100 answers were there by then"),
    "p99": ("Slowest", "p99: 99 of 100 answers were there by then"),
    "bypass": ("Without the AI", "Bypass: what a customer gets instead of the AI"),
    "evidence": ("Proof", "Evidence: a dated fact about a release, with the time when it lapses"),
    "receipt": ("Proof of the eval gate", "Receipt: the signed result of an eval gate for this behaviour"),
    "release": ("Release", "A frozen, content-addressed bundle of prompt, model, ladder and texts"),
    "escalation": ("Waits for a person", "Escalation: a call handed to a human"),
    "objective": ("Promise", "Objective: the latency and error share that the owner declared"),
    "burn": (
        "Errors against the promise",
        "Burn: how many times faster than allowed a month's errors are used up",
    ),
    "guarded": ("Last good release", "Guarded: new calls get the release that passed before, or no AI"),
    "assist": ("People answer", "Assist: every call waits for a person, who sees the AI's draft"),
    "off": ("AI off", "Off: every call goes without the AI"),
    "on": ("AI on", "On: the release serves its share"),
    "answered": ("Answered", "answered: by the model, at the first attempt"),
    "recovered": ("Answered after trouble", "recovered: by a retry, a repair, a hedge or another target"),
    "cached": ("Answered from memory", "cached: with an answer given before"),
    "canned": ("Fixed text", "canned: with a text that was declared for this"),
    "escalated": ("Handed to a person", "escalated: a person answers; the customer read the holding text"),
    "blocked": ("Held back", "blocked: the answer was not fit to be shown"),
    "limited": ("Asked to wait", "limited: a budget or a rate was used up"),
    "bypassed": ("Without the AI", "bypassed: the app took its own way, as configured"),
    "abandoned": ("Customer left", "abandoned: the client went away before the end"),
    "error": ("Failed", "error: nothing could be given"),
    "page": ("Wakes somebody", "Page: whoever is on call is woken for it, at any hour"),
    "notify": ("In working hours", "Notify: its owner is told in their working hours"),
    "ask": ("Waits for approval", "INSUFFICIENT: its owner has not said yes yet"),
    "live": ("Real traffic", "live: calls of customers"),
}
"""Term → (plain label, tooltip)."""


def label(term: str) -> str:
    return TERMS[term][0] if term in TERMS else term


def tip(term: str) -> str:
    return TERMS[term][1] if term in TERMS else ""
