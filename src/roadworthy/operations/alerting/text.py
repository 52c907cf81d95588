"""What whoever is woken reads: made of counts and names, never of what a model, a caller or a provider wrote.  Pure.

The first line is all that a locked phone shows, so it says how many customers, what they got, whose fault, and who
waits; it is at most 160 characters whatever the names are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

import msgspec

from roadworthy.operations.alerting.fault import Change
from roadworthy.people.incident.model import LONGEST_LINE, Fault, PageText, Whose

CAUSES: Final[dict[Whose, str]] = {
    "provider": "the provider",
    "release": "our release",
    "traffic": "the traffic",
    "roadworthy": "Roadworthy itself",
    "unknown": "not clear yet",
}
KINDS: Final = {
    "unavailable": "provider down",
    "slow": "provider time-outs",
    "overlimit": "provider's rate limit",
    "misconfigured": "provider refuses our key, model or address",
    "truncated": "answers broken off",
    "invalid": "answers in a wrong form",
    "refused": "the model refuses",
    "unsafe": "unsafe answers",
    "bad_request": "requests that cannot be served",
    "context_length": "requests that are too long",
    "throttled": "our rate limit",
    "gateway_lost": "a worker of ours died",
}
"""Failure → a cause in a few words."""
GOT: Final = {"escalated": "the holding text", "canned": "a stand-in text", "blocked": "a refusal", "error": "an error"}
"""Outcome → what its customer got."""
MOST_CHANGES: Final = 8
LONGEST_NAME: Final = 40


class PageFacts(msgspec.Struct, frozen=True):
    """All that a page is made of."""

    workflow: str
    """Empty: every workflow."""
    alert: str
    happened: str
    """The sentence of the alert."""
    customers: int = 0
    """Distinct, in the window."""
    hit: int = 0
    """Of them, those that got no answer of a model."""
    calls: int = 0
    bad: int = 0
    window: float = 300.0
    """Seconds."""
    got: dict[str, int] = {}
    """Outcome → bad calls."""
    failures: dict[str, int] = {}
    """Failure → bad calls."""
    waiting: int = 0
    """Escalations that wait for a person."""
    since: str = ""
    """When it began, as the install's clock shows it: ``14:02 CET``."""
    minutes: float | None = None
    """For which it has gone on."""
    reads: str = ""
    """What its customers read meanwhile, from the release that is served."""
    fault: Fault = Fault()
    state: str = "on"
    """Of the kill switch."""
    stopped_by: str = ""
    share: float | None = None
    """Of the traffic that the release gets."""
    shut: tuple[str, ...] = ()
    """Targets whose breaker is open."""
    recovered: int = 0
    """Calls that a retry or another target saved in the window."""
    changes: tuple[Change, ...] = ()
    """Of the last 24 hours, newest first, with the hour in their words."""


def page_of(facts: PageFacts) -> PageText:
    return PageText(
        line=_line(facts),
        affected=_affected(facts),
        fault=f"{CAUSES[facts.fault.whose][0].upper()}{CAUSES[facts.fault.whose][1:]}: {clean(facts.fault.evidence)}.",
        done=_done(facts),
        otherwise=_otherwise(facts),
        changed=[clean(change.what) for change in facts.changes[:MOST_CHANGES]],
    )


def clean(text: str) -> str:
    """On one line, without control characters, and without those that turn the direction of the text around."""
    spaced = " ".join(text.split())
    return "".join(char for char in spaced if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn"))


def shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _line(facts: PageFacts) -> str:
    """What is said first stays; what does not fit is left out from the end."""
    name = shorten(clean(facts.workflow), LONGEST_NAME) or "all workflows"
    parts = [f"{name}: {_head(facts)}"]
    cause = _cause(facts)
    if cause:
        parts.append(f"Cause: {cause}.")
    if facts.waiting:
        parts.append(f"{facts.waiting} {'waits' if facts.waiting == 1 else 'wait'} for a person.")
    said = ""
    for part in parts:
        longer = f"{said} {part}".strip()
        if len(longer) <= LONGEST_LINE:
            said = longer
    return said or shorten(parts[0], LONGEST_LINE)


def _head(facts: PageFacts) -> str:
    if facts.alert in ("error_burn_fast", "error_burn", "targets_down") and facts.bad:
        if facts.hit:
            return f"{facts.hit} of {facts.customers} customers in {_span(facts.window)} got {_most_got(facts.got)}."
        return f"{facts.bad} of {facts.calls} calls in {_span(facts.window)} got {_most_got(facts.got)}."
    if facts.alert == "targets_down":
        return "no target answers."
    return shorten(_plain(facts), 110)


def _plain(facts: PageFacts) -> str:
    """The alert's own sentence, without the arithmetic in brackets."""
    said = clean(facts.happened)
    head, bracket, _ = said.partition(" (")
    return f"{head.rstrip('.')}." if bracket and len(said) > 110 else said


def _cause(facts: PageFacts) -> str:
    if not facts.failures and facts.fault.whose == "unknown":
        return ""
    if facts.alert in ("hard_limit", "kill_unconfirmed", "journal_disk_full", "unsafe_share"):
        return ""
    most = max(facts.failures, key=lambda name: facts.failures[name], default="")
    if facts.fault.whose in ("traffic", "roadworthy"):
        return CAUSES[facts.fault.whose]
    if facts.fault.whose == "release":
        return f"our release, {KINDS[most]}" if most in KINDS else "our release"
    return KINDS.get(most, "") or (CAUSES[facts.fault.whose] if facts.fault.whose != "unknown" else "")


def _affected(facts: PageFacts) -> str:
    if not facts.bad:
        return clean(facts.happened)
    people = (
        f"{facts.hit} of {facts.customers} customers ({_percent(facts.hit, facts.customers)})"
        if facts.hit
        else f"callers that name no user, {facts.bad} of {facts.calls} calls ({_percent(facts.bad, facts.calls)})"
    )
    since = f", since {facts.since}" if facts.since else ""
    got = ", ".join(
        f"{count}× {GOT[name]}" for name, count in sorted(facts.got.items(), key=lambda item: -item[1]) if name in GOT
    )
    said = f"{people} in the last {_span(facts.window)}{since}. They got: {got}."
    return f"{said} {facts.reads}".rstrip()


def _done(facts: PageFacts) -> list[str]:
    found = []
    stands_in = sum(facts.got.get(name, 0) for name in ("canned", "escalated", "blocked"))
    if facts.recovered:
        found.append(f"The ladder saved {facts.recovered} calls by a retry or another target.")
    if stands_in:
        found.append(f"The ladder gave {stands_in} callers a stand-in text instead of an error.")
    if facts.waiting:
        found.append(f"{facts.waiting} calls wait for a person.")
    if facts.shut:
        found.append(f"The breaker of {_and(facts.shut)} is open: nobody waits for it, probes go through.")
    if facts.state != "on":
        by = f" by {clean(facts.stopped_by)}" if facts.stopped_by else ""
        found.append(f"The kill switch is {facts.state}{by}.")
    return found or ["Nothing yet: no limit, breaker or trigger has acted."]


def _otherwise(facts: PageFacts) -> str:
    if facts.alert == "hard_limit":
        return "Callers go without a model until the budget is raised or its period ends."
    if facts.alert == "kill_unconfirmed":
        return "That gateway may go on serving the model that was stopped."
    if facts.alert == "journal_disk_full":
        return (
            "Callers of that gateway go without a model, or leave no record where disk_full is serve_unlogged; what "
            "waits in its memory is lost with a restart."
        )
    if facts.state in ("off", "assist"):
        return f"Customers stay on the bypass: the AI is {facts.state} until somebody restores it."
    rate = facts.hit or facts.bad
    if not rate:
        return "It goes on as it is; nothing else acts by itself."
    hourly = rate * 3600.0 / max(1.0, facts.window)
    whom = "customers" if facts.hit else "calls"
    until = (
        "until the provider is well again" if facts.fault.whose == "provider" else "until somebody changes something"
    )
    return f"About {_about(hourly)} {whom} an hour go on like this {until}."


def _most_got(got: dict[str, int]) -> str:
    most = max(got, key=lambda name: got[name], default="error")
    return GOT.get(most, "an error")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def _about(number: float) -> str:
    """Two digits: nobody knows more."""
    if number < 10:
        return f"{max(1, round(number))}"
    digits = len(str(int(number))) - 2
    return f"{round(number / 10**digits) * 10**digits:,}"


def _and(names: Sequence[str]) -> str:
    cleaned = [clean(name) for name in names]
    return cleaned[0] if len(cleaned) == 1 else f"{', '.join(cleaned[:-1])} and {cleaned[-1]}"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
