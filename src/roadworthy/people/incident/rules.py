"""The life of an incident, as a table: (state, event) → state.  Pure.

Notices with one key are one incident while it is open: seen again, it counts; seen again a day after somebody was told
last, they are told again.  Seen after it was resolved, it is a new incident.  What a drill caused is told, marked, and
closed at once: nobody has to look into it.
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from roadworthy.people.incident.model import MOST_REMEMBERED, Incident, IncidentState, Notice

REMIND = 86_400.0
"""Seconds after which whoever was told of an incident that goes on is told again."""

EventKind = Literal["seen", "resolve"]
TRANSITIONS: dict[tuple[IncidentState, EventKind], IncidentState] = {
    ("open", "seen"): "open",
    ("open", "resolve"): "resolved",
}
"""``("resolved", "seen")`` is not there: it opens another incident."""


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


def resolve(now_is: Incident, by: str, reason: str, now: float) -> Incident:
    """Raises ``Refused`` when it is resolved already."""
    state = TRANSITIONS.get((now_is.state, "resolve"))
    if state is None:
        raise Refused(f"{now_is.id} is resolved already, by {now_is.resolved_by}")
    return replace(now_is, state=state, resolved_at=now, resolved_by=by, reason=reason)


def _new(notice: Notice, ident: str) -> Incident:
    made = Incident(
        id=ident, kind=notice.kind, key=notice.key, team=notice.team, workflow=notice.workflow, title=notice.title,
        summary=notice.summary, role=notice.role, opened_at=notice.at, seen_at=notice.at, notified_at=notice.at,
        inferences=_named(notice), traffic=notice.traffic, drill=notice.drill,
    )  # fmt: skip
    return resolve(made, "drill", "a drill caused it", notice.at) if notice.traffic == "drill" else made


def _named(notice: Notice) -> list[str]:
    return [notice.inference] if notice.inference else []
