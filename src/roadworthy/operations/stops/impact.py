"""What a stop would do to the customers of a workflow: said before anybody presses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Log
from roadworthy.kill_switch.model import State
from roadworthy.people.accounts.ports import KnowingTransaction
from roadworthy.people.directory import living, standing_of
from roadworthy.workflow import hours
from roadworthy.workflow.model import Person, Workflow

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
GOOD_FOR: Final = 30.0
"""Seconds for which what was counted is good."""

DOES: Final[dict[State, tuple[str, str]]] = {
    "off": ("Turn AI off", "No model is called any more, for anybody."),
    "assist": (
        "Let people answer",
        "Every call goes to a person, with the AI's draft; the customer reads the holding text. With the queue full it "
        "is the same as off.",
    ),
    "guarded": ("Use last good release", "New calls get the release before this one, if it passed its gate."),
}  # fmt: skip
"""State → (the words of its button, what it does)."""


class ImpactTransaction(KnowingTransaction, Protocol):
    def open_escalations(self) -> Mapping[str, int]: ...


class ImpactState(Protocol):
    def read(self) -> AbstractContextManager[ImpactTransaction]: ...


class Impact(msgspec.Struct, frozen=True):
    workflow: str
    calls: int
    """Live ones an hour."""
    customers: int | None
    """Different ones an hour, of the calls that name theirs; ``None``: no call does."""
    over: str
    """"in the last hour", or when it was quiet, "on average today"."""
    reads: dict[State, str]
    """State → what customers read then."""
    agents: list[str]
    """Names of people who may answer escalations and are at work now."""
    waiting: int
    """Calls that wait for a person already."""
    capacity: int

    @property
    def says(self) -> str:
        """The first line of the page."""
        if not self.calls:
            return "Nobody called in the last 24 hours."
        calls = f"{self.calls:,} {'call' if self.calls == 1 else 'calls'}"
        if self.customers is None:
            return f"About {calls} an hour are affected ({self.over}; calls do not say whose they are)."
        people = f"{self.customers:,} {'customer' if self.customers == 1 else 'customers'}"
        return f"About {people} an hour are affected ({calls} {self.over})."

    @property
    def people(self) -> str:
        """Who would answer, in words."""
        if not self.agents:
            return "Nobody who answers escalations is at work now."
        names = self.agents if len(self.agents) <= 4 else [*self.agents[:3], f"{len(self.agents) - 3} others"]
        said = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        return f"{said} {'is' if len(self.agents) == 1 else 'are'} at work to answer."


class Impacts:
    """Thread-safe; blocking.  What the log says is counted at most every ``GOOD_FOR`` seconds."""

    def __init__(
        self,
        state: ImpactState,
        log: Log,
        *,
        would_read: Callable[[str], Mapping[State, str]],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._log = log
        self._would_read = would_read
        self._zone = zone
        self._clock = clock
        self._counted: dict[str, tuple[float, int, int | None, str]] = {}

    def of(self, flow: Workflow) -> Impact:
        calls, customers, over = self._count(flow.name)
        now, zone = self._clock(), self._zone()
        with self._state.read() as tx:
            people = living(tx)
            agents = [
                each.name for name, each in people.items()
                if at_work(each, now, zone) and "answer" in standing_of(tx, name).of(flow.name)
            ]  # fmt: skip
            waiting = tx.open_escalations().get(flow.name, 0)
        return Impact(
            flow.name, calls, customers, over, dict(self._would_read(flow.name)), agents, waiting,
            flow.policy.escalation.capacity,
        )  # fmt: skip

    def _count(self, workflow: str) -> tuple[int, int | None, str]:
        now = self._clock()
        kept = self._counted.get(workflow)
        if kept is not None and 0 <= now - kept[0] < GOOD_FOR:
            return kept[1:]
        where = Filter(workflow=workflow, traffic="live", since=now - HOUR)
        calls, over, span = _sum(self._log, where), "in the last hour", HOUR
        if not calls:
            where = Filter(workflow=workflow, traffic="live", since=now - DAY)
            calls, over, span = _sum(self._log, where), "an hour on average today", DAY
        customers: int | None = self._log.customers(where) if calls else None
        if calls and not customers:
            customers = None
        share = span / HOUR
        calls = max(1, round(calls / share)) if calls else 0
        customers = None if customers is None else max(1, round(customers / share))
        self._counted[workflow] = (now, calls, customers, over)
        return calls, customers, over


def at_work(person: Person, now: float, zone: ZoneInfo) -> bool:
    """Within the working hours that they declare; always, without any."""
    spans = hours.parse(person.hours) if person.hours else []
    return hours.within(spans or [], now, ZoneInfo(person.zone) if person.zone else zone)


def _sum(log: Log, where: Filter) -> int:
    return sum(row.count for row in log.stats("workflow", where).rows)
