"""Background duty: evidence is renewed at a quiet hour before it lapses, and whoever must act is told in time.

One night a day, in the hour with the fewest live calls of the last week; each kind of evidence once a night, under a
cost cap.  What fails is tried again the next night and said two days before it matters.  Producers are registered by
wiring: a kind without one is only warned about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Protocol

import msgspec

from roadworthy.engine.supervise import Module, blocking
from roadworthy.people.incident.model import Notice
from roadworthy.readiness import renewing
from roadworthy.readiness.model import Readiness
from roadworthy.readiness.renewing import Due, Warned

log = logging.getLogger("roadworthy.renew")

NIGHT_DOLLARS = 2.0
"""Most that the renewals of one night may cost by their estimates."""
ROUND = 300.0
"""Seconds between two looks."""
LONGEST = 2 * 3600.0
"""Seconds that the renewals of a night may take."""


class RenewalFailed(Exception):
    """The producer could not run; the message says why.  It is tried again the next night."""


class Producer(msgspec.Struct, frozen=True):
    """How a machine makes evidence.  Several kinds may come from one run."""

    name: str
    run: Callable[[str], None]
    """Workflow (empty: of the install) → it has run.  Blocks.  Raises ``RenewalFailed``."""
    usd: Callable[[str], float] = lambda workflow: 0.0
    """Estimate of what that costs."""


class Tell(Protocol):
    def __call__(self, notices: Sequence[Notice]) -> object: ...


class Renewals:
    """Built once; ``round`` is called by one thread."""

    def __init__(
        self,
        readings: Callable[[], Sequence[Readiness]],
        hours: Callable[[], Mapping[int, float]],
        tell: Tell,
        *,
        team_of: Callable[[str], str],
        told: Callable[[str], bool],
        zone: Callable[[], tzinfo],
        clock: Callable[[], float],
    ) -> None:
        """``readings``: of every workflow; ``hours``: hour of the day → live calls of a week; ``told``: was a notice of
        this key given before?"""
        self._readings = readings
        self._hours = hours
        self._tell = tell
        self._team_of = team_of
        self._told = told
        self._zone = zone
        self._clock = clock
        self._producers: dict[str, Producer] = {}
        self._nightly: list[str] = []
        """Kinds that are no evidence: they run every night."""
        self._night: set[tuple[str, str]] = set()
        self._day = ""

    def register(self, kind: str, producer: Producer) -> None:
        """From now on a machine renews this kind."""
        self._producers[kind] = producer

    def every_night(self, kind: str, producer: Producer) -> None:
        """From now on this is run for every workflow, each night, after what lapses and under the same cap."""
        self._producers[kind] = producer
        self._nightly.append(kind)

    def quiet_hour(self) -> int:
        """Of the day, in the install's time zone."""
        return renewing.quiet_hour(self._hours())

    def round(self) -> None:
        """Warn of what is about to lapse; at the quiet hour, renew what a machine can."""
        now = self._clock()
        readings = self._readings()
        if renewing.hour_of(now, self._zone()) == self.quiet_hour():
            nightly = [Due(0, kind, each.workflow) for kind in self._nightly for each in readings]
            self.renew([*renewing.due(readings, self._producers), *nightly])
            readings = self._readings()
        self.warn([each for found in readings for each in renewing.warned(found, self._producers, now)])

    def renew(self, due: Sequence[Due]) -> None:
        """Each once a night, as far as the cost cap goes."""
        self._begin_night()
        left = NIGHT_DOLLARS
        for each in due:
            producer = self._producers[each.kind]
            if (producer.name, each.workflow) in self._night:
                continue
            self._night.add((producer.name, each.workflow))
            costs = producer.usd(each.workflow)
            facts = {"reason": each.kind, "workflow": each.workflow}
            if costs > left:
                log.warning("renewal left out: it costs too much", extra=facts)
                continue
            left -= costs
            try:
                producer.run(each.workflow)
            except RenewalFailed as failed:
                log.error("renewal failed", extra={**facts, "error": str(failed)[:300]})

    def warn(self, found: Sequence[Warned]) -> None:
        """Each once for the same evidence, also after a restart."""
        now = self._clock()
        self._tell([self._notice(each, now) for each in found if not self._told(each.key)])

    def _begin_night(self) -> None:
        """A new one after a day; within it nothing is run twice."""
        today = datetime.fromtimestamp(self._clock(), self._zone()).date().isoformat()
        if today != self._day:
            self._day, self._night = today, set()

    def _notice(self, warned: Warned, now: float) -> Notice:
        days = max(0.0, warned.lapses_at - now) / 86_400.0
        item = warned.item
        return Notice(
            kind="alert", alert="lapses", key=warned.key, team=self._team_of(warned.workflow), workflow=warned.workflow,
            title=f"{warned.workflow}: evidence lapses in {days:.0f} days (item {item.number}: {item.name})",
            summary=f"Without it no share rises, and after the days of grace it falls to a pilot's: {warned.command}",
            role="cost" if warned.role == "cost" else "workflow", at=now,
        )  # fmt: skip


def module(renewals: Renewals) -> Module:
    return Module("renew", blocking(renewals.round, name="renew", behind=True), ROUND, timeout=LONGEST)
