"""What people can carry, counted from the log and the escalations, and who only waves drafts through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from roadworthy.inference_log.model import Filter, Stats
from roadworthy.operations.escalating.words import origin
from roadworthy.people.directory import everybody, standing_of
from roadworthy.people.escalation.capacity import HOURS, AgentsFrom, Capacity, Seen, busy_hours, forecast
from roadworthy.people.escalation.model import Worked
from roadworthy.people.escalation.stamping import DAYS, Stamping, stamping
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import Incidents
from roadworthy.people.ports import PeopleState
from roadworthy.rollout.model import Room
from roadworthy.workflow.model import Workflow

DAY: Final = 86_400.0
LOOKS_BACK: Final = 7 * DAY
MOST: Final = 20_000
"""Escalations that are counted: the newest."""
GOOD_FOR: Final = 300.0
"""Seconds for which a count is good: it sums a week."""
AGENT: Final = "agent"


class LogReader(Protocol):
    def stats(self, by: Sequence[str], where: Filter, zone: ZoneInfo) -> Stats: ...


class Foreseeing:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: PeopleState,
        log: LogReader,
        *,
        flows: Callable[[], dict[str, Workflow]],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._log = log
        self._flows = flows
        self._zone = zone
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, Seen]] = {}
        self._lock = threading.Lock()

    def room(self, workflow: str, digest: str, share: float, now: float) -> Room:
        """``rollout.ports.Manned``.  A release that nobody called yet is held by nothing that is not known."""
        seen = self.seen(workflow, digest)
        if seen is None or not (seen.escalated or seen.other_escalated):
            return Room()
        found = forecast(seen, share)
        too_many = found.arrive.point > found.answer.point
        return Room(found.verdict if too_many else "PASS", found.text)

    def capacity(self, workflow: str, digest: str, share: float) -> Capacity | None:
        """``None``: the workflow is not configured."""
        seen = self.seen(workflow, digest)
        return None if seen is None else forecast(seen, share)

    def seen(self, workflow: str, digest: str) -> Seen | None:
        """Of the last seven days; counted at most every five minutes."""
        now = self._clock()
        with self._lock:
            known = self._known.get((workflow, digest))
        if known is not None and 0 <= now - known[0] < GOOD_FOR:
            return known[1]
        flow = self._flows().get(workflow)
        if flow is None:
            return None
        made = self._count(flow, digest, now)
        with self._lock:
            self._known[workflow, digest] = (now, made)
        return made

    def _count(self, flow: Workflow, digest: str, now: float) -> Seen:
        where = Filter(workflow=flow.name, traffic="live", since=now - LOOKS_BACK, until=now + 1)
        rows = self._log.stats(("hour", "release"), where, self._zone()).rows
        with self._state.read() as tx:
            worked = tx.worked_escalations(flow.name, now - LOOKS_BACK, MOST)
            agents, known_by = agents_of(tx, flow, worked)
        hours: dict[int, list[int]] = {hour: [] for hour in range(HOURS)}
        by_hour: dict[str, int] = {}
        calls = {"mine": 0, "rest": 0}
        for row in rows:
            at = row.group["hour"] or ""
            by_hour[at] = by_hour.get(at, 0) + row.count
            calls["mine" if row.group["release"] == digest else "rest"] += row.count
        for at, count in by_hour.items():
            hours[datetime.fromisoformat(at).hour].append(count)
        days = _days(by_hour, now)
        failed, meant = {"mine": 0, "rest": 0}, {"mine": 0, "rest": 0}
        for each in worked:
            if each.escalation.traffic == "live":
                side = "mine" if each.escalation.digest == digest else "rest"
                (failed if origin(each.escalation) in ("failure", "bypass") else meant)[side] += 1
        answered, spent = busy_hours(worked)
        return Seen(
            by_hour=tuple(sum(hours[hour]) / days for hour in range(HOURS)),
            calls=max(0, calls["mine"] - meant["mine"]), escalated=failed["mine"],
            other_calls=max(0, calls["rest"] - meant["rest"]), other_escalated=failed["rest"],
            answered=answered, hours=spent, agents=agents, agents_from=known_by,
            within=flow.policy.escalation.answer_within,
        )  # fmt: skip


def _days(by_hour: dict[str, int], now: float) -> float:
    """Over which the hours are spread; a workflow that was called for an hour is taken to have had a day."""
    if not by_hour:
        return 1.0
    first = min(datetime.fromisoformat(at).timestamp() for at in by_hour)
    return max(1.0, min(LOOKS_BACK, now - first) / DAY)


def agents_of(tx: Any, flow: Workflow, worked: Sequence[Worked]) -> tuple[int, AgentsFrom]:
    """How many people answer at the same time, and how that is known."""
    declared = flow.policy.escalation.agents
    if declared is not None:
        return declared, "declared"
    holders = [
        person for person, known in everybody(tx).items()
        if not known.left and AGENT in standing_of(tx, person).roles(flow.name)
    ]  # fmt: skip
    if holders:
        return len(holders), "roles"
    answers = [each.escalation.answer for each in worked]
    lately = {answer.agent or answer.by for answer in answers if answer is not None}
    return (len(lately), "answers") if lately else (1, "assumed")


# --- drafts that nobody judges


class StampWatch:
    """Tells the owner of agents who send drafts unread.  Blocking."""

    def __init__(self, state: PeopleState, incidents: Incidents, *, clock: Callable[[], float]) -> None:
        self._state = state
        self._incidents = incidents
        self._clock = clock

    def found(self, workflow: str | None = None, days: float = DAYS) -> list[Stamping]:
        """By workflow and agent."""
        with self._state.read() as tx:
            return stamping(tx.worked_escalations(workflow, self._clock() - days * DAY, MOST))

    def look(self) -> None:
        now = self._clock()
        with self._state.read() as tx:
            applied = tx.applied()
        flows = {} if applied is None else applied.configuration.workflows
        stamped = [each for each in self.found() if each.verdict == "FAIL" and each.workflow in flows]
        self._incidents.take([notice(each, flows[each.workflow].team, now) for each in stamped])


def notice(found: Stamping, team: str, now: float) -> Notice:
    return Notice(
        "alert", f"rubber_stamping/{found.workflow}/{found.agent}", team, found.workflow,
        f"{found.workflow}: drafts are sent without being read",
        f"{found.text}. To have answers judged again: policy.escalation.hide_draft shows the draft after the agent "
        "has written.",
        "workflow", now, alert="rubber_stamping",
    )  # fmt: skip
