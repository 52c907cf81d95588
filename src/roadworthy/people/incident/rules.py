"""The life of an incident, as a table: (state, event) → state.  Pure.

Two kinds of notices come in.  *Seen*: something happened once (an unsafe answer, a refused key).  Notices with one key
are one incident while it is not over: seen again, it counts; seen again a day after somebody was told last, they are
told again; seen after it was resolved, it is a new incident.  What a drill caused is told, marked, and closed at once:
nobody has to look into it.

*Firing*: something is so, round after round (the objective burns, no target answers).  Alerts of one group and workflow
join one incident.  It is over once all of them have been good for ``CLEAR_FOR``, and opens again, not anew, when one
comes back within ``REOPENS``.  Whoever resolves one that still fires is left alone for that long, unless it was good
in between.  It pages while one of its alerts does: once those are good again, what is left only notifies, and the next
that pages *grows* it and wakes somebody anew, whoever has it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from msgspec.structs import replace

from roadworthy.people.alerts.registry import alert_of
from roadworthy.people.incident.model import (
    MOST_LINES,
    MOST_REMEMBERED,
    How,
    Incident,
    IncidentState,
    Joined,
    Line,
    Notice,
)

REMIND = 86_400.0
"""Seconds after which whoever was told of an incident that goes on is told again."""
CLEAR_FOR = 60.0
"""Seconds for which an alert must have been good before it is over: a few rounds, so that nothing flaps."""
REOPENS = 1800.0
"""Seconds after the end of an incident in which the same trouble opens it again."""
QUIET_FOR = 180.0
"""Seconds without a round in which it fires, after which what a person resolved counts as having been good: some more
than two writes of a time line (``service.REFRESH``) are apart."""
ENGINE = "engine"

EventKind = Literal["seen", "fires", "grows", "acknowledge", "resolve", "clears", "recurs"]
TRANSITIONS: dict[tuple[IncidentState, EventKind], IncidentState] = {
    ("open", "seen"): "open",
    ("open", "fires"): "open",
    ("open", "grows"): "open",
    ("open", "acknowledge"): "acknowledged",
    ("open", "resolve"): "resolved",
    ("open", "clears"): "resolved",
    ("acknowledged", "seen"): "acknowledged",
    ("acknowledged", "fires"): "acknowledged",
    ("acknowledged", "grows"): "open",
    ("acknowledged", "acknowledge"): "acknowledged",
    ("acknowledged", "resolve"): "resolved",
    ("acknowledged", "clears"): "resolved",
    ("resolved", "recurs"): "open",
}
"""``("resolved", "seen")`` is not there: it opens another incident."""

Told = Literal["", "tell", "page"]
"""Nobody need be told; whoever must know; whoever is on call, at any hour."""
Key = tuple[str, str]
"""Alert and part of a ``Joined``."""


class Refused(Exception):
    """The event cannot happen now."""


def seen(now_is: Incident | None, notice: Notice, ident: str) -> tuple[Incident, bool]:
    """The incident after a notice, and whether somebody must be told.

    ``now_is``: the newest incident with the notice's key; ``ident``: for a new one.  Idempotent for an inference that
    it remembers: a shipment that is repeated after a crash counts nothing twice.
    """
    if now_is is not None and notice.inference and notice.inference in now_is.inferences:
        return now_is, False
    if now_is is None or (now_is.state, "seen") not in TRANSITIONS:
        return _new(notice, ident), True
    remind = notice.at - now_is.notified_at >= REMIND
    return replace(
        now_is,
        state=TRANSITIONS[now_is.state, "seen"],
        count=now_is.count + 1,
        seen_at=max(now_is.seen_at, notice.at),
        notified_at=notice.at if remind else now_is.notified_at,
        inferences=[*now_is.inferences, *_named(notice)][-MOST_REMEMBERED:],
    ), remind


def fires(now_is: Incident | None, notice: Notice, ident: str) -> tuple[Incident, Told]:
    """The incident after a round in which an alert fires, and who must be told of it now."""
    pages = alert_of(notice.name).pages
    if now_is is not None and now_is.over and notice.at - (now_is.resolved_at or 0.0) < REOPENS:
        return _again(now_is, notice)
    if now_is is None or (now_is.state, "fires") not in TRANSITIONS:
        return _joined(_new(notice, ident), notice), "page" if pages else "tell"
    known = {(one.alert, one.part): one for one in now_is.joined}.get((notice.name, notice.part))
    after = _joined(replace(now_is, state=TRANSITIONS[now_is.state, "fires"]), notice)
    if known is not None and not known.over:
        remind = notice.at - now_is.notified_at >= REMIND
        return (replace(after, notified_at=notice.at) if remind else after), "tell" if remind else ""
    after = said(replace(after, count=now_is.count + 1), notice.at, _came(notice, joined=True))
    if pages and now_is.cls != "page":  # whoever had it has what only notified
        grown = replace(
            after, cls="page", title=notice.title, notified_at=notice.at, state=TRANSITIONS[now_is.state, "grows"],
            acknowledged_at=None, acknowledged_by="", acknowledged_how="",
        )  # fmt: skip
        return grown, "page"
    return after, ""


def clears(now_is: Incident, fires: Collection[Key], watched: Collection[Key], now: float) -> Incident:
    """After a round in which of its ``watched`` alerts only these fire; over once none has fired for long enough."""
    joined = []
    for one in now_is.joined:
        key = (one.alert, one.part)
        if one.over or key in fires or key not in watched:
            joined.append(one)
        elif one.clear_since is None:
            joined.append(replace(one, clear_since=now))
        else:
            joined.append(replace(one, over=now - one.clear_since >= CLEAR_FOR))
    after = replace(now_is, joined=joined)
    for before, one in zip(now_is.joined, joined, strict=True):
        if one.over and not before.over:
            after = said(after, now, f"{one.alert}{_of(one.part)} is good again")
    if not joined or not all(one.over for one in joined):
        return _calmer(after, now)
    state = TRANSITIONS[now_is.state, "clears"]
    ended = replace(after, state=state, resolved_at=now, resolved_by=ENGINE, reason="it is good again")
    return said(ended, now, "Resolved by itself: it is good again")


def _calmer(now_is: Incident, now: float) -> Incident:
    """Of class ``notify`` once no alert that pages is left in it."""
    left = [one for one in now_is.joined if not one.over]
    if now_is.cls != "page" or not left or any(alert_of(one.alert).pages for one in left):
        return now_is
    names = " and ".join(f"{one.alert}{_of(one.part)}" for one in left)
    return said(replace(now_is, cls="notify"), now, f"What woke somebody is good again; {names} is left, and can wait")


def acknowledge(now_is: Incident, by: str, how: How, now: float) -> Incident:
    """Somebody is on it; somebody else may take it over.  Raises ``Refused`` when it is over."""
    state = TRANSITIONS.get((now_is.state, "acknowledge"))
    if state is None:
        raise Refused(f"{now_is.id} is resolved already, by {now_is.resolved_by}")
    if now_is.acknowledged_by == by and now_is.state == state:
        return now_is
    after = replace(now_is, state=state, acknowledged_at=now, acknowledged_by=by, acknowledged_how=how)
    return said(after, now, "Is on it" + (f", by {how}" if how not in ("console", "cli", "stop") else ""), by)


def resolve(now_is: Incident, by: str, reason: str, now: float) -> Incident:
    """Raises ``Refused`` when it is resolved already."""
    state = TRANSITIONS.get((now_is.state, "resolve"))
    if state is None:
        raise Refused(f"{now_is.id} is resolved already, by {now_is.resolved_by}")
    after = replace(now_is, state=state, resolved_at=now, resolved_by=by, reason=reason)
    return said(after, now, "Resolved" + (f": {reason}" if reason else ""), by)


def said(now_is: Incident, at: float, what: str, by: str = "") -> Incident:
    """With one more line; what is said by Roadworthy is said once."""
    if not by and any(line.what == what and not line.by for line in now_is.lines[-20:]):
        return now_is
    lines = [*now_is.lines, Line(at, what, by)]
    return replace(now_is, lines=lines if len(lines) <= MOST_LINES else [lines[0], *lines[-MOST_LINES + 1 :]])


def _new(notice: Notice, ident: str) -> Incident:
    made = Incident(
        id=ident, kind=notice.kind, key=notice.key, team=notice.team, workflow=notice.workflow, title=notice.title,
        summary=notice.summary, role=notice.role, opened_at=notice.at, seen_at=notice.at, notified_at=notice.at,
        inferences=_named(notice), traffic=notice.traffic, drill=notice.drill, alert=notice.name,
        cls=alert_of(notice.name).cls, fault=notice.fault, page=notice.page,
        lines=[Line(notice.at, _came(notice, joined=False))],
    )  # fmt: skip
    return resolve(made, "drill", "a drill caused it", notice.at) if notice.traffic == "drill" else made


def _joined(now_is: Incident, notice: Notice) -> Incident:
    """The alert among those that it holds, firing; with the newest words of whoever looked."""
    held = {(one.alert, one.part): one for one in now_is.joined}
    known = held.get((notice.name, notice.part))
    since = notice.at if known is None or known.over else known.since
    held[notice.name, notice.part] = Joined(notice.name, notice.part, since, notice.summary)
    return replace(
        now_is,
        joined=list(held.values()),
        seen_at=max(now_is.seen_at, notice.at),
        inferences=list(dict.fromkeys([*now_is.inferences, *_named(notice)]))[-MOST_REMEMBERED:],
        fault=notice.fault or now_is.fault,
        page=notice.page or now_is.page,
    )


def _again(now_is: Incident, notice: Notice) -> tuple[Incident, Told]:
    """It is back, soon after its end.  Who had acknowledged it is asked again: being woken once more beats nobody."""
    held = {(one.alert, one.part): one for one in now_is.joined}.get((notice.name, notice.part))
    goes_on = notice.at - max(now_is.seen_at, now_is.resolved_at or 0.0) < QUIET_FOR
    if now_is.resolved_by != ENGINE and held is not None and not held.over and goes_on:
        return replace(now_is, seen_at=max(now_is.seen_at, notice.at)), ""  # whoever resolved it knows
    pages = alert_of(notice.name).pages
    back = replace(
        now_is, state=TRANSITIONS["resolved", "recurs"], resolved_at=None, resolved_by="", reason="",
        acknowledged_at=None, acknowledged_by="", acknowledged_how="", count=now_is.count + 1,
        notified_at=notice.at, cls=alert_of(notice.name).cls,
        joined=[replace(one, over=True) for one in now_is.joined],  # what still fires joins again, and may page
    )  # fmt: skip
    lines = [*back.lines, Line(notice.at, f"Open again: {notice.summary}")][-MOST_LINES:]
    return _joined(replace(back, lines=lines), notice), "page" if pages else "tell"


def _came(notice: Notice, *, joined: bool) -> str:
    if not joined:
        return f"Opened by {notice.name}: {notice.summary}"
    return f"{notice.name}{_of(notice.part)} joined: {notice.summary}"


def _of(part: str) -> str:
    return f" ({part})" if part else ""


def _named(notice: Notice) -> list[str]:
    return [notice.inference] if notice.inference else []
