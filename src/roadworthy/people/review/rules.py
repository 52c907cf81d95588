"""Which periods there are, what may become of a review, and when one is overdue.  Pure.

Periods are those of the calendar in the install's zone, so a week with a change of clocks has 167 or 169 hours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from roadworthy.people.review.model import KINDS, Review, ReviewKind, State

LATE: Final[dict[ReviewKind, float]] = {"weekly": 7 * 86_400.0, "monthly": 14 * 86_400.0, "quarterly": 30 * 86_400.0}
"""Seconds after the end of its period at which a review is overdue."""
CATCH_UP: Final[dict[ReviewKind, int]] = {"weekly": 4, "monthly": 2, "quarterly": 1}
"""Periods."""
MOST_DECISIONS: Final = 50
LONGEST_DECISION: Final = 2000
"""Characters."""

Event = Literal["decide", "sign"]
TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    ("drafted", "decide"): "drafted",
    ("drafted", "sign"): "signed",
}


class Refused(Exception):
    """It cannot be done; the message says why."""


class Period(msgspec.Struct, frozen=True):
    kind: ReviewKind
    name: str
    since: float
    until: float


def running(kind: ReviewKind, now: float, zone: ZoneInfo) -> Period:
    """The period that ``now`` lies in."""
    today = datetime.fromtimestamp(now, zone).date()
    match kind:
        case "weekly":
            first = today - timedelta(days=today.weekday())
            year, week, _ = first.isocalendar()
            return _period(kind, f"{year}-W{week:02}", first, first + timedelta(days=7), zone)
        case "monthly":
            first = today.replace(day=1)
            return _period(kind, f"{first:%Y-%m}", first, _months(first, 1), zone)
        case "quarterly":
            quarter = (today.month - 1) // 3
            first = date(today.year, 3 * quarter + 1, 1)
            return _period(kind, f"{first.year}-Q{quarter + 1}", first, _months(first, 3), zone)


def before(period: Period, zone: ZoneInfo) -> Period:
    """The one before it."""
    return running(period.kind, period.since - 1.0, zone)


def ended(now: float, zone: ZoneInfo) -> list[Period]:
    """The last periods of each kind that are over, oldest first: as many as a control that was down catches up on."""
    found: list[Period] = []
    for kind in KINDS:
        period = running(kind, now, zone)
        past: list[Period] = []
        for _ in range(CATCH_UP[kind]):
            period = before(period, zone)
            past.append(period)
        found += reversed(past)
    return found


def overdue_at(period: Period) -> float:
    return period.until + LATE[period.kind]


def ident(workflow: str, period: Period) -> str:
    return "rev_" + hashlib.sha256(f"{workflow}\n{period.kind}\n{period.name}".encode()).hexdigest()[:16]


def step(review: Review, event: Event, by: str, decisions: Sequence[str], now: float) -> Review:
    """``decisions``: all of them, in place of those before.  Raises ``Refused``."""
    state = TRANSITIONS.get((review.state, event))
    if state is None:
        raise Refused(f"{review.period} of {review.workflow} was signed by {review.signed_by}: what is signed stays")
    said = vet(decisions)
    if event == "decide":
        return replace(review, decisions=said)
    if review.facts.decide and not said:
        count = len(review.facts.decide)
        asked = "a question is" if count == 1 else f"{count} questions are"
        raise Refused(f"{asked} open: say what you decided (--decide TEXT), if only that nothing changes")
    return replace(review, state=state, decisions=said, signed_by=by, signed_at=now)


def vet(decisions: Sequence[str]) -> list[str]:
    """Raises ``Refused``."""
    found = [text for each in decisions if (text := each.strip())]
    if len(found) > MOST_DECISIONS:
        raise Refused(f"{len(found)} decisions: expected at most {MOST_DECISIONS}; say it in fewer")
    for each in found:
        if len(each) > LONGEST_DECISION:
            raise Refused(f"a decision has {len(each):,} characters: expected at most {LONGEST_DECISION:,}")
    return found


def overdue(reviews: Iterable[Review], now: float) -> list[Review]:
    """The most overdue first."""
    return sorted((each for each in reviews if each.overdue(now)), key=lambda each: each.overdue_at)


def line(review: Review, now: float) -> str:
    """Of an overdue one: what readiness and status say."""
    days = int((now - review.overdue_at) // 86_400)
    since = "since today" if days == 0 else "for a day" if days == 1 else f"for {days} days"
    command = f"roadworthy review {review.workflow} --kind {review.kind}"
    return f"{review.kind} review {review.period} is overdue {since}: {command}"


def _period(kind: ReviewKind, name: str, first: date, after: date, zone: ZoneInfo) -> Period:
    since, until = (datetime.combine(day, time(), zone).timestamp() for day in (first, after))
    return Period(kind, name, since, until)


def _months(first: date, count: int) -> date:
    months = first.year * 12 + first.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)
