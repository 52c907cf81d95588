"""The words of the search box, as tables: fields, what single words mean, which words say nothing, amounts."""

from __future__ import annotations

import re
from typing import Final

from roadworthy.workflow.inference import FAILURES, OUTCOMES, ROUTES, TRAFFIC_CLASSES

FIELDS: Final[dict[str, tuple[str, str, str]]] = {
    "user": ("unit", "user u-42", "user"),
    "unit": ("unit", "user u-42", "user"),
    "customer": ("unit", "user u-42", "user"),
    "workflow": ("workflow", "workflow support-triage", "workflow"),
    "team": ("team", "team default", "team"),
    "target": ("target", "target backup", "answered by"),
    "model": ("model", "model gpt-4o-mini", "model"),
    "key": ("key", "key key_1a2b", "key"),
    "session": ("session", "session s-1", "session"),
    "stage": ("stage", "stage 10 %", "stage"),
    "release": ("release", "release 3", "release"),
    "digest": ("release", "release 3", "release"),
    "tag": ("tag", "tag topic=return", "tag"),
    "outcome": ("outcome", "outcome error", "outcome"),
    "failure": ("failure", "failure unsafe", "failure"),
    "route": ("route", "route bypass", "route"),
    "class": ("traffic", "class tester", "class"),
    "traffic": ("traffic", "class tester", "class"),
    "kill": ("kill", "kill off", "kill switch"),
    "would": ("would", "would bypassed", "enforcement would have"),
    "text": ("text", 'text "refund"', "text"),
    "cost": ("min_cost", "cost > 0.01", "cost at least"),
    "slow": ("slower_than", "slow > 5s", "slower than"),
    "when": ("when", "when tuesday 2pm", "when"),
    "id": ("id", "inf_0199f3c2a1b0", "inference"),
    "inference": ("id", "inf_0199f3c2a1b0", "inference"),
}
"""Word before a value → field of ``Filter`` (or ``when``, ``id``), an example, how its chip begins."""

_AS_THEY_ARE: Final = [
    *(("outcome", word) for word in OUTCOMES),
    *(("failure", word) for word in FAILURES),
    *(("kill", word) for word in ("off", "guarded", "assist")),
    *(("route", word) for word in ROUTES),
    *(("traffic", word) for word in TRAFFIC_CLASSES),
]
_OTHERWISE: Final[dict[str, tuple[str, str]]] = {
    "errors": ("outcome", "error"),
    "failed": ("outcome", "error"),
    "fallback": ("outcome", "recovered,canned,escalated"),
    "fallbacks": ("outcome", "recovered,canned,escalated"),
    "escalations": ("outcome", "escalated"),
    "to human": ("outcome", "escalated"),
    "withheld": ("outcome", "blocked"),
    "bypasses": ("outcome", "bypassed"),
    "context length": ("failure", "context_length"),
    "too long": ("failure", "context_length"),
    "bad request": ("failure", "bad_request"),
    "gateway lost": ("failure", "gateway_lost"),
    "lost": ("failure", "gateway_lost"),
    "timeout": ("failure", "slow"),
    "timeouts": ("failure", "slow"),
    "time-out": ("failure", "slow"),
    "time-outs": ("failure", "slow"),
    "timed out": ("failure", "slow"),
    "429": ("failure", "overlimit"),
    "rate limited": ("failure", "overlimit"),
    "rate-limited": ("failure", "overlimit"),
    "refusal": ("failure", "refused"),
    "refusals": ("failure", "refused"),
    "over budget": ("failure", "overspent"),
    "testers": ("traffic", "tester"),
    "drills": ("traffic", "drill"),
    "evals": ("traffic", "eval"),
}


def _means() -> dict[str, tuple[tuple[str, str, str], ...]]:
    found: dict[str, tuple[tuple[str, str, str], ...]] = {}
    pairs = [(word, name, word) for name, word in _AS_THEY_ARE]
    pairs += [(word, name, value) for word, (name, value) in _OTHERWISE.items()]
    for word, name, value in pairs:
        found[word] = (*found.get(word, ()), (name, value, word))
    return found


MEANS: Final = _means()
"""One or two words → (field, value, word), the likeliest field first (``off`` is a state of the kill switch, and a
route)."""

ANSWERED_BY: Final = frozenset({"by", "the", "answered", "via", "its"})
SECOND: Final = frozenset({"second", "2nd", "other", "fallback", "backup"})

DOES: Final = frozenset({"answer", "answered", "did", "do", "does", "reply", "said", "say"})
"""After ``model``: what is asked is what it did."""

SAYS_NOTHING: Final = frozenset(
    {
        "a", "all", "an", "and", "any", "at", "calls", "call", "did", "do", "during", "every", "find", "for", "from",
        "give", "in", "inferences", "is", "me", "model", "of", "on", "or", "requests", "show", "that", "the", "to",
        "was", "were", "what", "which", "with", "ones", "answers", "by", "who",
        *DOES,
    }
)  # fmt: skip

_MONTHS = (
    "jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?"
    "|dec(ember)?"
)
_DAYS = "mon(day)?|tues?(day)?|wed(nesday)?|thu(rs?)?(day)?|fri(day)?|sat(urday)?|sun(day)?"
_UNITS = "s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|months?|y|years?"
_CLOCK = r"\d{1,2}(:\d{2}){0,2}(am|pm)|\d{1,2}(:\d{2}){1,2}"
_SURE = re.compile(
    rf"{_DAYS}|{_MONTHS}|today|yesterday|tomorrow|now|noon|midnight|last|past|this|since|between|morning|afternoon"
    rf"|evening|night|{_CLOCK}|\d{{4}}-\d{{2}}.*|\d+({_UNITS})|\d{{1,2}}(st|nd|rd|th)"
    rf"|(\d{{1,2}}|{_CLOCK})[-–]({_CLOCK})|[^.\s]+\.\.\S*"
)
_MAYBE = re.compile(r"an?|one|two|three|four|five|six|ten|twelve|\d{1,4}")
_GOES_ON = re.compile(
    rf"at|on|to|until|till|through|and|the|in|ago|am|pm|utc|gmt|z|[-–—]|\.\.+|…|[a-z]+/[a-z_/+-]+|{_UNITS}|[ap]\.m\."
)


CLOCK: Final = re.compile(rf"noon|midnight|morning|afternoon|evening|night|{_CLOCK}|(\d{{1,2}}|{_CLOCK})[-–]({_CLOCK})")
"""A time of day."""


def timelike(word: str, *, begun: bool = False, sure: bool = False) -> bool:
    """May a word (lower case) begin a time, or, once ``begun``, go on with one?  ``sure``: is it of a time anyway?"""
    if _SURE.fullmatch(word):
        return True
    return not sure and bool(_MAYBE.fullmatch(word) or (begun and _GOES_ON.fullmatch(word)))


def duration(text: str, *, bare: bool = False) -> float | None:
    """Seconds of ``800ms``, ``2s``, ``2m``; ``bare``: a number without a unit is seconds."""
    found = re.fullmatch(
        r"(\d+(?:\.\d+)?|\.\d+)(ms|msec|s|secs?|seconds?|m|mins?|minutes?)?", text.strip().lower().rstrip(",;")
    )
    if found is None or (found[2] is None and not bare):
        return None
    unit = found[2] or "s"
    return float(found[1]) * (0.001 if unit.startswith("ms") else 60.0 if unit.startswith("m") else 1.0)


def amount(text: str, *, bare: bool = False) -> float | None:
    """US dollars of ``$0.01``, ``5c``, ``5 cents``; ``bare``: a number alone is dollars."""
    found = re.fullmatch(r"(\$)?(\d+(?:\.\d+)?|\.\d+)(usd|dollars?|c|cents?)?", text.strip().lower().rstrip(",;"))
    if found is None or not (bare or found[1] or found[3]):
        return None
    return float(found[2]) * (0.01 if (found[3] or "").startswith("c") else 1.0)
