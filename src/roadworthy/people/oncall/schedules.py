"""Schedules that are kept elsewhere are read every quarter of an hour; the last good reading serves until the next.

A reading reaches two months ahead, so a vendor that is down for days takes nobody off call: only its age shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from roadworthy.people.oncall.model import Reading
from roadworthy.people.oncall.ports import OnCallState
from roadworthy.people.oncall.service import team_of
from roadworthy.workflow.calendars import Entry
from roadworthy.workflow.model import Configuration
from roadworthy.workflow.rotation import PagerDutySchedule, Rotation

EVERY: Final = 900.0
BEHIND: Final = 86_400.0
AHEAD: Final = 60 * 86_400.0
"""Seconds around now that are asked for; PagerDuty allows three months at once."""
KEPT: Final = 400 * 86_400.0
"""How long it is known who was on call."""
OLD: Final = 6 * 3600.0
"""Seconds after which a reading that was not renewed is worth telling somebody."""


class ScheduleUnreadable(Exception):
    """The message says which schedule and why."""


class ReadSchedule(Protocol):
    async def read(self, place: PagerDutySchedule, token: str, since: float, until: float) -> Sequence[Entry]:
        """Raises ``ScheduleUnreadable``."""
        ...


class Schedules:
    """Built once; ``round`` runs on the engine's loop."""

    def __init__(
        self,
        state: OnCallState,
        reader: Callable[[], ReadSchedule],
        *,
        secret: Callable[[str], str | None],
        clock: Callable[[], float],
    ) -> None:
        """``reader`` is made at the first schedule, on the loop that uses it."""
        self._state = state
        self._make = reader
        self._reader: ReadSchedule | None = None
        self._secret = secret
        self._clock = clock

    async def round(self) -> None:
        """Read what is due."""
        for rotation, team, known in await asyncio.to_thread(self._due):
            await asyncio.to_thread(self._keep, await self._read(rotation, team, known))

    async def refresh(self, name: str) -> Reading | None:
        """Read one now, whatever its age; ``None``: there is no such schedule."""
        for rotation, team, known in await asyncio.to_thread(self._every):
            if rotation.name == name:
                read = await self._read(rotation, team, known)
                await asyncio.to_thread(self._keep, read)
                return read
        return None

    def _due(self) -> list[tuple[Rotation, str, Reading | None]]:
        now = self._clock()
        return [
            each for each in self._every()
            if (known := each[2]) is None or now - known.tried_at >= EVERY or known.schedule != _id(each[0])
        ]  # fmt: skip

    def _every(self) -> list[tuple[Rotation, str, Reading | None]]:
        with self._state.read() as tx:
            applied = tx.applied()
            if applied is None:
                return []
            found: Configuration = applied.configuration
            kept = [each for each in found.on_call.values() if each.pagerduty is not None]
            return [(each, team_of(found, each.name), tx.on_call_reading(each.name)) for each in kept]

    async def _read(self, rotation: Rotation, team: str, known: Reading | None) -> Reading:
        place, now = rotation.pagerduty, self._clock()
        assert place is not None
        if known is None or known.schedule != place.schedule:
            known = Reading(rotation.name, team, place.schedule)
        token = self._secret(place.token)
        if token is None:
            return msgspec.structs.replace(known, tried_at=now, error=f"the secret {place.token} is not there or empty")
        if self._reader is None:
            self._reader = self._make()
        since, until = now - BEHIND, now + AHEAD
        try:
            entries = await self._reader.read(place, token, since, until)
        except ScheduleUnreadable as error:
            return msgspec.structs.replace(known, tried_at=now, error=str(error)[:300])
        return joined(known, entries, since, until, now)

    def _keep(self, reading: Reading) -> None:
        with self._state.write() as tx:
            tx.put_on_call_reading(reading)


def joined(known: Reading, entries: Sequence[Entry], since: float, until: float, now: float) -> Reading:
    """The new reading with what the old one knew of the time before.  Pure."""
    start, before = since, list[Entry]()
    if known.fetched_at is not None and known.end >= since:
        start = max(min(known.start, since), now - KEPT)
        past = (each for each in known.entries if each.start < since and each.end > start)
        before += [Entry(max(each.start, start), min(each.end, since), each.words, each.title) for each in past]
    return Reading(
        known.rotation, known.team, known.schedule, [*before, *entries], start, until, fetched_at=now, tried_at=now
    )


def _id(rotation: Rotation) -> str:
    return "" if rotation.pagerduty is None else rotation.pagerduty.schedule
