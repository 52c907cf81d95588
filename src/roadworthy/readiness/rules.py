"""Evidence → checklist → label and ceiling.  Pure.

- ``ceiling`` = the least that any item allows.  Ten fresh items → ``production`` and 100 %.
- An item that was never shown allows the pilot share; item 6 allows what its receipt says, without one testers only.
- What has lapsed keeps the share that was earned for the days of grace, without a rise; then the pilot share.  Only a
  FAIL, a revocation or a kill takes live traffic away altogether: never paperwork.
- A FAIL counts until a run of our own passes after it; neither a waiver nor anybody's word covers it.
- Later evidence that decides nothing takes nothing from earlier evidence that did.  So to remove evidence never raises
  the ceiling, but for what speaks against it: a FAIL, or a forecast or catalogue that outgrew the accepted one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from roadworthy.evidence.kinds import KINDS, Acceptance, Attestation, Verdict
from roadworthy.evidence.model import Age, Evidence, Waiver
from roadworthy.evidence.receipt.model import Receipt, Standing
from roadworthy.evidence.receipt.rules import newest, receipt_holds
from roadworthy.evidence.rules import age, bindings, lapses_soon, matches
from roadworthy.readiness.items import GATE, ITEMS
from roadworthy.readiness.judging import DRILLED, judge
from roadworthy.readiness.model import (
    MARK_OF_MODE,
    TESTERS,
    Item,
    ItemState,
    Judged,
    Label,
    Owed,
    Readiness,
    Subject,
)

PILOT_SHARE: Final = 0.01
"""Largest pilot share that policy may name; it may name less."""
PILOT_CALLS: Final = 25.0
"""Calls a day that a pilot gets whatever its share."""


class Weighed(NamedTuple):
    """One piece of evidence, judged."""

    evidence: Evidence
    judged: Judged

    @property
    def lapses_at(self) -> float:
        until = self.judged.until
        return self.evidence.lapses_at if until is None else min(until, self.evidence.lapses_at)


Judgements = Mapping[str, Sequence[Weighed]]
"""Kind → what there is of it, oldest first."""

_BY_AGE: Final[tuple[Age, ...]] = ("missing", "lapsed", "stale", "fresh")
_BY_VERDICT: Final = ("FAIL", "INSUFFICIENT", "PASS")


class _Part(NamedTuple):
    """What one requirement of an item came to."""

    verdict: Verdict
    age: Age
    cap: float
    figure: str
    evidence: Evidence | None = None
    lapses_at: float | None = None
    first_at: float | None = None


def readiness(evidence: Sequence[Evidence], waivers: Sequence[Waiver], subject: Subject, now: float) -> Readiness:
    """Everything that ``roadworthy ready`` shows.  ``evidence``: opened, of this workflow and of the install."""
    items = checklist(evidence, waivers, subject, now)
    observed = observing(waivers, subject, now)
    top = ceiling(items)
    return Readiness(
        workflow=subject.workflow,
        at=now,
        items=items,
        label=label(items, waivers, subject, now),
        ceiling=top,
        held_by=[state.item.number for state in items if state.cap == top and top < 1.0],
        enforced=subject.enforcement == "enforce",
        notice=_notice(items, observed, subject),
        minutes=sum(state.item.minutes for state in items),
    )


def checklist(evidence: Sequence[Evidence], waivers: Sequence[Waiver], subject: Subject, now: float) -> list[ItemState]:
    """The ten items, in order."""
    return states(weighed(evidence, subject), waivers, subject, now)


def weighed(evidence: Iterable[Evidence], subject: Subject) -> Judgements:
    """Everything that is about the subject, judged; no instant changes it."""
    known = bindings(subject.behaviour, subject.handling, subject.workflow)
    mine: dict[str, list[Evidence]] = {}
    for each in evidence:
        if each.workflow in ("", subject.workflow) and matches(each, known):
            mine.setdefault(each.kind, []).append(each)
    for history in mine.values():
        history.sort(key=lambda each: (each.made_at, each.id))
    return {kind: [Weighed(each, judge(each, subject, history)) for each in history] for kind, history in mine.items()}


def states(found: Judgements, waivers: Sequence[Waiver], subject: Subject, now: float) -> list[ItemState]:
    """What the items come to at an instant, in order."""
    out = []
    for item in ITEMS:
        rows = {kind: found.get(kind, ()) for kind in item.kinds}
        parts = _gate(rows["eval_gate"], subject, now) if item.number == GATE else _parts(item, rows, subject, now)
        out.append(_waived(_state(item, parts, now), waivers, subject, now))
    return out


def ceiling(states: Iterable[ItemState]) -> float:
    return min(state.cap for state in states)


def pilot_share(subject: Subject) -> float:
    """The larger of 1 % (policy may name less) and 25 calls a day; never more than everybody."""
    share = min(subject.policy.pilot_share, PILOT_SHARE)
    if not subject.calls_a_day:  # nothing is known of the traffic, so nothing is derived from it
        return share
    return min(1.0, max(share, PILOT_CALLS / subject.calls_a_day))


def observing(waivers: Iterable[Waiver], subject: Subject, now: float) -> Waiver | None:
    """The waiver under which enforcement rests; the one that ends last."""
    mine = [each for each in waivers if each.workflow == subject.workflow and each.item is None and each.holds(now)]
    return max(mine, key=lambda each: each.over, default=None)


def label(items: Sequence[ItemState], waivers: Iterable[Waiver], subject: Subject, now: float) -> Label:
    """``observe`` is never production, whatever was shown."""
    if subject.enforcement == "observe":
        return "pilot" if observing(waivers, subject, now) is not None else "lapsed pilot"
    return "production" if all(state.met for state in items) else "pilot"


def _notice(items: Sequence[ItemState], observed: Waiver | None, subject: Subject) -> str:
    parts = [extension(observed)] if subject.enforcement == "observe" else []
    parts += [
        f"Item {state.item.number} waived until {_day(state.waiver.over)}, {state.waiver.person}: {state.waiver.reason}"
        for state in items
        if state.waiver is not None
    ]
    return ". ".join(parts)


def extension(observed: Waiver | None) -> str:
    """What must show everywhere beside a workflow that is not enforced; ``None``: its waiver is over."""
    if observed is None:
        return "Lapsed pilot: its extension is over; served as before, no release change and no promotion"
    return f"Extended pilot, not enforced until {_day(observed.over)}, {observed.person}"


# --- one item


def _parts(item: Item, weighed: Judgements, subject: Subject, now: float) -> list[_Part]:
    if item.kinds == ("acceptance",):
        return [_role(weighed["acceptance"], owed, subject, now) for owed in owed_by(subject)]
    if len(weighed) == 1:
        return [_standing(rows, subject, now) for rows in weighed.values()]
    parts = {kind: _standing(rows, subject, now) for kind, rows in weighed.items()}
    return [part._replace(figure=f"{KINDS[kind].title}: {part.figure}") for kind, part in parts.items()]


def owed_by(subject: Subject) -> list[Owed]:
    """Every role that somebody must accept."""
    owners = subject.owners
    return [Owed("workflow", owners.workflow), Owed("prompt", owners.prompt), Owed("cost", owners.cost)]


def role_of(each: Weighed) -> str:
    """Empty, but for an acceptance."""
    figures = each.evidence.figures
    return figures.role if isinstance(figures, Acceptance) else ""


def _role(rows: Sequence[Weighed], owed: Owed, subject: Subject, now: float) -> _Part:
    mine = [each for each in rows if role_of(each) == owed.role]
    if not mine:
        said = "has left: name somebody else in owners" if owed.person in subject.gone else "has not accepted"
        return _Part("INSUFFICIENT", "missing", pilot_share(subject), f"{owed.role}: {owed.person} {said}")
    return _standing(mine, subject, now)


def _standing(rows: Sequence[Weighed], subject: Subject, now: float) -> _Part:
    """What a requirement comes to.  Removing a row never raises its cap, unless the row is a FAIL."""
    pilot = pilot_share(subject)
    failed = uncleared(rows)
    if failed is not None:
        return _Part("FAIL", "fresh", TESTERS, failed.judged.figure, failed.evidence)
    passed = [_aged(each, subject, now) for each in rows if each.judged.verdict == "PASS"]
    if passed:
        best = max(passed, key=lambda part: (part.cap, _BY_AGE.index(part.age), part.lapses_at or 0.0))
        return best._replace(first_at=_first(rows))
    if rows:
        last = rows[-1]
        return _Part(
            "INSUFFICIENT",
            age(last.lapses_at, now, subject.grace),
            pilot,
            last.judged.figure,
            last.evidence,
            last.lapses_at,
        )
    return _Part("INSUFFICIENT", "missing", pilot, "never shown")


def _first(rows: Iterable[Weighed]) -> float | None:
    return min((each.evidence.made_at for each in rows if each.judged.verdict == "PASS"), default=None)


def uncleared(rows: Sequence[Weighed]) -> Weighed | None:
    """The last FAIL that no run of our own, as real as the one that failed, has passed after."""
    failed: Weighed | None = None
    for each in rows:
        if each.judged.verdict == "FAIL":
            failed = each
        elif failed is not None and each.judged.verdict == "PASS" and not each.evidence.word_only:
            as_real = each.evidence.mode == "live" or failed.evidence.mode != "live"
            failed = None if as_real else failed
    return failed


def _aged(weighed: Weighed, subject: Subject, now: float) -> _Part:
    pilot, judged = pilot_share(subject), weighed.judged
    how_old = age(weighed.lapses_at, now, subject.grace)
    if how_old == "fresh":
        return _Part("PASS", how_old, max(pilot, judged.cap), judged.figure, weighed.evidence, weighed.lapses_at)
    if how_old == "stale":
        kept = max(pilot, min(judged.cap, subject.share))
        return _Part("PASS", how_old, kept, judged.figure, weighed.evidence, weighed.lapses_at)
    return _Part("INSUFFICIENT", how_old, pilot, judged.figure, weighed.evidence, weighed.lapses_at)


def _gate(rows: Sequence[Weighed], subject: Subject, now: float) -> list[_Part]:
    """Item 6: the receipt decides, and a gate that failed since it was issued."""
    receipt = newest(subject.receipts, subject.workflow, subject.behaviour)
    standing = receipt_holds(
        receipt,
        workflow=subject.workflow,
        behaviour=subject.behaviour,
        now=now,
        revocations=subject.revocations,
        outdated_at=None if receipt is None else _outdated_at(receipt, subject),
        grace=subject.grace,
    )
    since = receipt.issued if receipt is not None else 0.0
    failed = uncleared([each for each in rows if each.evidence.made_at > since])
    if failed is not None:
        return [_Part("FAIL", "fresh", TESTERS, failed.judged.figure, failed.evidence)]
    ran = next((each for each in rows if receipt is not None and each.evidence.id == receipt.evidence), None)
    if receipt is None:
        return [_Part("INSUFFICIENT", "missing", TESTERS, standing.why)]
    outdated = _outdated_at(receipt, subject)
    lapses_at = receipt.expires if outdated is None else min(receipt.expires, outdated)
    figure = standing.why if ran is None else f"{standing.why}; {ran.judged.figure}"
    verdict, cap = _granted(receipt, standing, subject)
    first = _first(rows) or (receipt.issued if verdict == "PASS" else None)
    return [_Part(verdict, standing.age, cap, figure, None if ran is None else ran.evidence, lapses_at, first)]


def _granted(receipt: Receipt, standing: Standing, subject: Subject) -> tuple[Verdict, float]:
    pilot = pilot_share(subject)
    if standing.grant == "testers":
        failed = standing.age != "missing" and receipt.verdict == "FAIL"
        return "FAIL" if failed else "INSUFFICIENT", TESTERS
    if standing.grant == "pilot":
        return "INSUFFICIENT", pilot
    return "PASS", 1.0 if standing.age == "fresh" else max(pilot, subject.share)


def _outdated_at(receipt: Receipt, subject: Subject) -> float | None:
    """When something was published that the gate did not know.  What was made by forgetting a user is exempt."""
    published = subject.published
    if published is None:
        return None
    same_set = receipt.set_version in (published.set_version, *published.forgotten_from)
    return None if same_set and receipt.scorers == published.scorers else published.at


def _state(item: Item, parts: Sequence[_Part], now: float) -> ItemState:
    """The worst of its parts decides; the words of all are shown."""
    worst = min(parts, key=lambda part: (_BY_VERDICT.index(part.verdict), _BY_AGE.index(part.age), part.cap))
    found = [part.evidence for part in parts if part.evidence is not None]
    lapses = [part.lapses_at for part in parts if part.lapses_at is not None]
    lapses_at = min(lapses) if len(lapses) == len(parts) else None
    first = [part.first_at for part in parts if part.first_at is not None]
    marks = [mark for each in found if (mark := _mark(each))]
    return ItemState(
        item=item,
        verdict=worst.verdict,
        age=worst.age,
        figure="; ".join(part.figure for part in parts),
        cap=min(part.cap for part in parts),
        first_at=max(first) if len(first) == len(parts) else None,
        made_at=min((each.made_at for each in found), default=None) if len(found) == len(parts) else None,
        lapses_at=lapses_at,
        evidence=[each.id for each in found],
        mark=marks[0] if marks else "",
        soon=lapses_at is not None and lapses_soon(lapses_at, now, item.life),
    )


def _mark(evidence: Evidence) -> Literal["", "imported", "attested", "mocked"]:
    if isinstance(evidence.figures, Attestation):
        return "attested"
    drilled = evidence.kind in DRILLED and evidence.mode == "mocked"
    return "" if drilled else MARK_OF_MODE[evidence.mode]


def _waived(state: ItemState, waivers: Iterable[Waiver], subject: Subject, now: float) -> ItemState:
    """A waiver lifts what is missing, never a FAIL and never what only a machine can show."""
    if not state.item.waivable or state.verdict == "FAIL" or state.met:
        return state
    number = state.item.number
    mine = [each for each in waivers if each.workflow == subject.workflow and each.item == number and each.holds(now)]
    if not mine:
        return state
    return replace(state, waiver=max(mine, key=lambda each: each.over), cap=1.0)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
