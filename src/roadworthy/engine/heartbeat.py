"""Outbound heartbeat: a dead-man's switch outside is called while Roadworthy works, and raises the alarm when it stops.

It is called only while the duties behind a page are alive: a process that still runs but ships, publishes or pages no
more must fall silent.  What it calls is a secret, because whoever knows the address can keep the alarm quiet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from roadworthy.engine.supervise import Module, ModuleHealth
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import Incidents
from roadworthy.workflow.model import DEFAULT_TEAM, Heartbeat

log = logging.getLogger("roadworthy.heartbeat")

VITAL: Final = ("ship", "publish", "page deliveries", "alerts", "paging", "kill switch")
"""Engine modules without which nobody would be woken."""
SILENT: Final = 180.0
"""Seconds since its last good round after which such a module counts as dead."""
LOOK: Final = 5.0
FAILURES: Final = 3
"""Calls in a row that must fail before somebody is told: two may be the network's."""
KEY: Final = "heartbeat"


class BeatCounts(msgspec.Struct, frozen=True):
    """Since control started."""

    sent: int
    failed: int
    withheld: int
    """Due while a vital duty was dead."""
    last_good: float
    """0: never."""


class Beat(Protocol):
    async def beat(self, method: str, url: str, allow_private: bool) -> str:
        """Call it once.  Returns why it failed, without the address; empty: it answered 2xx."""
        ...


def ailing(health: Sequence[ModuleHealth], now: float, started: float) -> list[str]:
    """Names of vital modules that had no good round lately.  Pure.  ``started``: they had no time yet before then."""
    return [
        each.name
        for each in health
        if each.name in VITAL and now - max(each.last_good or 0.0, started) > SILENT
    ]  # fmt: skip


class HeartbeatDuty:
    """Built once; ``round`` runs on the engine's loop."""

    def __init__(
        self,
        settings: Callable[[], Heartbeat | None],
        health: Callable[[], Sequence[ModuleHealth]],
        beat: Callable[[], Beat],
        incidents: Incidents,
        *,
        secret: Callable[[str], str | None],
        clock: Callable[[], float],
    ) -> None:
        """``beat`` is made at the first call, on the loop that uses it."""
        self._settings = settings
        self._health = health
        self._make = beat
        self._beat: Beat | None = None
        self._incidents = incidents
        self._secret = secret
        self._clock = clock
        self._started = clock()
        self._tried_at: float | None = None
        self._failures = 0
        self.sent = 0
        self.failed = 0
        self.withheld = 0
        """Calls since the start; withheld ones were due while a vital module was dead."""
        self.last_good: float | None = None

    async def round(self) -> None:
        """Call it when it is due.  Whatever goes wrong is told, and never raised."""
        wanted, now = await asyncio.to_thread(self._settings), self._clock()
        if wanted is None or (self._tried_at is not None and now - self._tried_at < wanted.every):
            return
        self._tried_at = now
        dead = ailing(self._health(), now, self._started)
        if dead:
            self.withheld += 1
            log.error("heartbeat withheld", extra={"module_name": ", ".join(dead)})
            return
        why = await self._call(wanted)
        if why:
            self.failed += 1
            self._failures += 1
            log.warning("heartbeat failed", extra={"error": why[:300], "failures_in_a_row": self._failures})
            if self._failures == FAILURES:
                await asyncio.to_thread(self._tell, why)
            return
        self.sent += 1
        self.last_good = now
        if self._failures or self.sent == 1:
            self._failures = 0
            await asyncio.to_thread(self._good_again)

    def counts(self) -> BeatCounts | None:
        """Numbers for ``/metrics``; ``None``: no heartbeat is configured."""
        if self._settings() is None:
            return None
        return BeatCounts(self.sent, self.failed, self.withheld, self.last_good or 0.0)

    async def _call(self, wanted: Heartbeat) -> str:
        url = self._secret(wanted.url)
        if url is None:
            return f"the secret {wanted.url} is not there or empty"
        if self._beat is None:
            self._beat = self._make()
        return await self._beat.beat(wanted.method, url, wanted.allow_private)

    def _tell(self, why: str) -> None:
        known = self._incidents.newest(KEY)
        if known is not None and not known.over:
            return
        self._incidents.take([
            Notice(
                kind="alert", alert=KEY, key=KEY, team=DEFAULT_TEAM, workflow="",
                title="The heartbeat does not arrive",
                summary=f"{FAILURES} calls in a row failed: {why}. Whoever watches it will think that Roadworthy is "
                "down, or already does.",
                role="workflow", at=self._clock(),
            )
        ])  # fmt: skip

    def _good_again(self) -> None:
        known = self._incidents.newest(KEY)
        if known is not None and not known.over:
            self._incidents.close(known.id, "the heartbeat arrives again")


def module(duty: HeartbeatDuty) -> Module:
    return Module("heartbeat", duty.round, LOOK, timeout=60.0)
