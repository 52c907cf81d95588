"""Where each text of a release is shown, and which drills show it.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from roadworthy.fallback.drills.model import Drill, DrillRun
from roadworthy.fallback.drills.rules import expected, not_applicable, seconds
from roadworthy.fallback.foretell import foretell_all
from roadworthy.fallback.words import BLOCKED, FAILED, MEANS
from roadworthy.workflow.inference import Outcome
from roadworthy.workflow.model import Canned, Policy, Release
from roadworthy.workflow.wording import SLOTS, Slot, editable, words_of

TITLES: Final[dict[Slot, str]] = {
    "holding": "While a person looks at it",
    "canned": "When no model answered",
    "blocked": "When an answer was held back",
    "bypass": "Without the AI",
}
SLOT_OF: Final[dict[Outcome, Slot]] = {"escalated": "holding", "canned": "canned", "blocked": "blocked"}
TRIED: Final = 5
"""Failures that a draft is tried on."""


class Spoken(msgspec.Struct, frozen=True):
    """One text, and where customers meet it."""

    slot: Slot
    title: str
    said: Canned
    declared: bool
    """``False``: it is the built-in one."""
    shown: list[str]
    """Occasions, each a clause: "the model could not be reached"."""
    editable: bool


class Fixed(msgspec.Struct, frozen=True):
    """What a caller gets that is no text of the release."""

    title: str
    reads: str
    shown: list[str]


def spoken(release: Release) -> list[Spoken]:
    """Every text of a release that a customer may read, those that may change first."""
    declared, may = words_of(release.handling), editable(release.behaviour, release.handling)
    occasions = _occasions(release)
    found = []
    for slot in SLOTS:
        said = declared.get(slot, BLOCKED if slot == "blocked" else None)
        if said is not None:
            found.append(
                Spoken(slot, TITLES[slot], said, slot in declared, occasions.get(slot, []), editable=slot in may)
            )
    return found


def fixed(release: Release) -> list[Fixed]:
    """Errors and old paths: they are the app's to put into words."""
    errors: dict[str, list[str]] = {}
    for told in foretell_all(release.behaviour, release.handling):
        end = told.endings[-1]
        if end.outcome == "limited":
            errors.setdefault("HTTP 429 with Retry-After: the app says “try again in a moment”", []).append(
                MEANS[told.failure]
            )
        elif end.outcome == "error" and end.reads.status == 503:
            errors.setdefault("HTTP 503: the app says what it says when a service is away", []).append(
                FAILED[told.failure][0].lower() + FAILED[told.failure][1:]
            )
        elif end.outcome == "error":
            errors.setdefault("HTTP 400 with the provider's own words, meant for developers", []).append(
                MEANS[told.failure]
            )
    found = [Fixed("An error", reads, list(dict.fromkeys(shown))) for reads, shown in errors.items()]
    bypass = release.handling.bypass
    if bypass.kind == "app":
        reads = "HTTP 503 with the code ai_off or bypassed: the app takes its old path"
        found.append(Fixed(TITLES["bypass"], reads, ["the AI is off, or the customer is outside of the ramp"]))
    elif bypass.kind == "http":
        reads = f"what {bypass.url} answers"
        found.append(Fixed(TITLES["bypass"], reads, ["the AI is off, or the customer is outside of the ramp"]))
    return found


def trial(release: Release, policy: Policy, drills: Sequence[Drill], touched: Sequence[Slot]) -> list[str]:
    """Names of the drills that show most of a release's words soonest: one of each text, three of one that was
    ``touched``, then of other failures; ``TRIED`` at most."""
    shows: list[tuple[float, Slot, Drill]] = []  # a release that blocks shows it to no drill: to be blocked is no mend
    for drill in drills:
        plain = drill.scene is None and drill.before == 0 and drill.failure is not None
        if not plain or not_applicable(drill, release, policy, stream=False):
            continue
        (outcome, *more) = sorted(expected(drill, release, stream=False).outcomes)
        if not more and outcome in SLOT_OF:
            shows.append((seconds(drill, release, stream=False), SLOT_OF[outcome], drill))
    shows.sort(key=lambda each: (each[1] not in touched, each[2].row == "money", each[0], each[2].name))
    chosen: list[Drill] = []
    for slot in dict.fromkeys((*touched, *SLOT_OF.values())):
        chosen += [drill for _, shown, drill in shows if shown == slot][: 3 if slot in touched else 1]
    for once_each in (True, False):  # other failures first, then more of the same
        for _, _, drill in shows:
            known = {each.failure for each in chosen}
            if drill not in chosen and not (once_each and drill.failure in known):
                chosen.append(drill)
    return [drill.name for drill in chosen[:TRIED]]


class Tried(msgspec.Struct, frozen=True):
    """What the customer of one drilled call read."""

    says: str
    outcome: str
    reads: str
    stream: bool
    verdict: str
    misses: list[str]


def tried(run: DrillRun) -> list[Tried]:
    """By fault; a stream that read the same as the whole answer is not listed twice."""
    found: dict[tuple[str, str, str], Tried] = {}
    for result in run.results:
        if result.seen is not None:
            seen = result.seen
            each = Tried(
                result.says, seen.outcome or "none", seen.text, result.stream, result.verdict, list(result.misses)
            )
            found.setdefault((result.fault, each.reads, each.verdict), each)
    return list(found.values())


def _occasions(release: Release) -> dict[Slot, list[str]]:
    found: dict[Slot, dict[str, None]] = {}
    for told in foretell_all(release.behaviour, release.handling):
        room = False
        for end in told.endings:
            slot = SLOT_OF.get(end.outcome)
            if slot is None:
                room = room or end.when == "room"
                continue
            said = FAILED.get(told.failure, MEANS.get(told.failure, told.failure))
            clause = said[0].lower() + said[1:]
            if room:
                clause += ", and as many as may are waiting for a person already"
            room = room or end.when == "room"
            found.setdefault(slot, {})[clause] = None
    handling = release.handling
    if handling.bypass.kind == "canned":
        found.setdefault("bypass", {})["the AI is off, or the customer is outside of the ramp"] = None
    if handling.holding is not None:
        if handling.bypass.kind == "human":
            found.setdefault("holding", {})["the AI is off, and every call goes to a person"] = None
        found.setdefault("holding", {})["people answer everything (the kill switch is at assist)"] = None
    return {slot: list(clauses) for slot, clauses in found.items()}
