"""The weekly review: how the workflow did, what changed against last week and why, what is to be decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from roadworthy.operations.reviewing.comparing import (
    ANSWERED,
    Totals,
    daily,
    events,
    failing,
    moved,
    much,
    series,
    share_moved,
    totals,
    why_dearer,
    why_failing,
)
from roadworthy.operations.reviewing.sources import Sources
from roadworthy.people.escalation.model import Worked
from roadworthy.people.incident.model import Incident
from roadworthy.people.review.model import Change, Facts, Figure, Table
from roadworthy.people.review.rules import Period
from roadworthy.workflow import words
from roadworthy.workflow.model import Workflow

DAY: Final = 86_400.0
MONTH: Final = 30 * DAY
SOON: Final = 14 * DAY
"""What lapses until then is asked about now."""
NEAR: Final = 0.8
"""Part of what was foreseen from which on the cost is asked about."""
MOST_ROWS: Final = 10


def draft(sources: Sources, flow: Workflow, period: Period, before: Period) -> Facts:
    name = flow.name
    now, last = (totals(sources.log, name, each.since, each.until) for each in (period, before))
    handed = sources.worked(name, before.since)
    mine, theirs = (_opened(handed, each) for each in (period, before))
    incidents = [each for each in sources.incidents(name) if each.traffic != "drill"]
    fresh, older = (_within(incidents, each) for each in (period, before))
    days = daily(sources, name, period)
    objective = flow.policy.objective
    figures = [
        Figure("Calls", "count", now.calls, last.calls),
        Figure("Answered by the AI", "share", now.share(*ANSWERED), last.share(*ANSWERED), "more"),
        _limited("Ended in an error", now.share("error"), last.share("error"), objective.error_share, "share"),
        _limited("95 % are answered within", now.p95, last.p95, objective.latency_p95, "seconds"),
        _cost(sources, name, now, last, period),
        Figure("Handed to people", "share", now.share("escalated"), last.share("escalated"), "less"),
        Figure("Answered by people too late", "count", _late(mine), _late(theirs), "less"),
        Figure("Median time to a person's answer", "seconds", _median(mine), _median(theirs), "less"),
        Figure("Incidents and alerts", "count", len(fresh), len(older), "less"),
    ]
    happened = events(sources, name, period)
    changes = list(_changes(sources, flow, now, last, period, before, [text for _, text in happened]))
    share = words.share(now.share(*ANSWERED))
    bypassed = now.outcomes.get("bypassed", 0)
    besides = f", {bypassed:,} of them without the AI; of the others {share}" if bypassed else f", {share}"
    headline = f"{now.calls:,} calls{besides} answered by the AI"
    headline += f", {words.dollars(now.usd)}" if now.usd is not None else ""
    return Facts(
        headline=f"{headline}; {len(changes)} of the figures moved by more than chance" if changes else
        f"{headline}; nothing moved by more than chance",
        figures=figures, changes=changes,
        decide=list(_decide(sources, flow, figures, incidents, mine)),
        tables=list(_tables(sources, period, fresh, happened)),
        series=[
            series(days, "Calls", "count"),
            series(days, "95 % are answered within", "seconds", objective.latency_p95),
            series(days, "Ended in an error", "share", objective.error_share),
            series(days, "Cost", "usd"),
        ],
        gaps=list(_gaps(now, last)),
    )  # fmt: skip


# --- figures


def _limited(name: str, now: float | None, last: float | None, limit: float | None, unit: str) -> Figure:
    shown = words.share if unit == "share" else words.seconds
    against = "" if limit is None else f"objective {shown(limit)}"
    missed = limit is not None and now is not None and now > limit
    return Figure(name, "share" if unit == "share" else "seconds", now, last, "less", against, missed)


def _cost(sources: Sources, workflow: str, now: Totals, last: Totals, period: Period) -> Figure:
    foreseen = sources.expected(workflow)
    part = None if foreseen is None else foreseen * (period.until - period.since) / MONTH
    against = "" if part is None else f"foreseen {words.dollars(part)}"
    missed = part is not None and now.usd is not None and now.usd > part
    return Figure("Cost", "usd", now.usd, last.usd, "less", against, missed)


def _opened(rows: Sequence[Worked], period: Period) -> list[Worked]:
    return [each for each in rows if period.since <= each.escalation.opened_at < period.until]


def _within(incidents: Sequence[Incident], period: Period) -> list[Incident]:
    return [each for each in incidents if period.since <= each.opened_at < period.until]


def _late(rows: Sequence[Worked]) -> int:
    return sum(each.escalation.state == "expired" for each in rows)


def _median(rows: Sequence[Worked]) -> float | None:
    found = [
        each.escalation.closed_at - each.escalation.opened_at for each in rows
        if each.escalation.state == "answered" and each.escalation.closed_at is not None
    ]  # fmt: skip
    return median(found) if found else None


# --- what changed


def _changes(
    sources: Sources, flow: Workflow, now: Totals, last: Totals, period: Period, before: Period, happened: list[str]
) -> Iterator[Change]:
    since = f"; in this week {happened[0]}" if happened else ""
    if last.calls and much(last.calls, now.calls):
        yield Change(moved("Calls", f"{last.calls:,}", f"{now.calls:,}", now.calls > last.calls))
    fails = why_failing(
        *(failing(sources.log, flow.name, each.since, each.until, one.calls)
          for each, one in ((before, last), (period, now)))
    )  # fmt: skip
    for what, names, cause in (
        ("Failed calls", ("error",), fails),
        ("Calls handed to people", ("escalated",), fails),
        ("Fixed texts and withheld answers", ("canned", "blocked"), fails),
    ):
        one, other = (sum(each.outcomes.get(name, 0) for name in names) for each in (last, now))
        if share_moved((one, last.judged()), (other, now.judged())):
            a, b = words.share(last.share(*names)), words.share(now.share(*names))
            yield Change(moved(what, a, b, (now.share(*names) or 0) > (last.share(*names) or 0)), cause + since)
    if much(last.p95, now.p95) and last.p95 is not None and now.p95 is not None:
        line = moved("What 95 % wait", words.seconds(last.p95), words.seconds(now.p95), now.p95 > last.p95)
        yield Change(line, (fails + since).removeprefix("; "))
    yield from why_dearer(sources, flow.name, before, period)


# --- what to decide


def _decide(
    sources: Sources, flow: Workflow, figures: Sequence[Figure], incidents: Sequence[Incident], mine: Sequence[Worked]
) -> Iterator[str]:
    shown = {"share": words.share, "seconds": words.seconds, "usd": words.dollars}
    for each in figures:
        if each.missed:
            found = shown[each.unit](each.now) if each.unit in shown else f"{each.now:,.0f}"
            yield f"{each.name}: {found}, {each.against}. Who mends it by when, or was it the wrong figure?"
    open_ones = [each for each in incidents if not each.over]
    if open_ones:
        count = words.plural(len(open_ones), "incident is", "incidents are")
        yield f"{count} open, the oldest: {open_ones[-1].title}. Who closes {'it' if len(open_ones) == 1 else 'them'}?"
    late = _late(mine)
    if late:
        yield f"{words.plural(late, 'customer')} got no answer in time from a person. More people, or a longer promise?"
    capacity = sources.capacity(flow.name)
    if capacity is not None and capacity.arrive.point > capacity.answer.point:
        yield f"People cannot carry the next stage: {capacity.text}. More people, or fewer calls handed to them?"
    for stamped in sources.stamping(flow.name):
        if stamped.verdict == "FAIL":
            yield f"{stamped.text}. Hide drafts until something is written (policy.escalation.hide_draft)?"
    checklist = sources.ready(flow.name)
    lapsing = [
        item for item in checklist.items
        if not item.auto and item.lapses_at is not None and item.lapses_at < sources.clock() + SOON
    ]  # fmt: skip
    for item in lapsing:
        yield f"Item {item.number}, {item.name}, lapses within two weeks. Who renews it ({item.command})?"


# --- tables


def _tables(
    sources: Sources, period: Period, fresh: Sequence[Incident], happened: Sequence[tuple[float, str]]
) -> Iterator[Table]:
    zone = sources.zone()
    if happened:
        rows = [[words.moment(at, zone), text] for at, text in happened[-MOST_ROWS:]]
        yield Table("What was done", ["when", "what"], rows)
    if fresh:
        rows = [
            [words.moment(each.opened_at, zone), each.title, str(each.count), each.state] for each in fresh[:MOST_ROWS]
        ]
        yield Table("Incidents and alerts", ["since", "what", "times", "state"], rows)


def _gaps(now: Totals, last: Totals) -> Iterator[str]:
    if not now.calls:
        yield "there was no live call, so nothing can be said of answers"
    if not last.calls:
        yield "there was no live call the week before, so nothing can be compared"
    if now.unpriced:
        yield f"the cost of {now.unpriced:,} calls is unknown, so the cost is more than is shown"
