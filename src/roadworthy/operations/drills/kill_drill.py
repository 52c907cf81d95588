"""The kill drill: the reserved workflows are stopped under traffic, at every worker of every gateway, and restored.

Whoever holds this can stop and restore those two workflows and nothing else.  The press is the one of everybody
(``Kills.press``), it reaches gateways as every press does, and its calls take the way of every call, in lanes of their
own (``gateway/admission/permits.py``).  Restoring is the engine's: the reserved workflows have no owner.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

from roadworthy.evidence.permit.model import LONGEST_LIFE, Permit
from roadworthy.evidence.permit.rules import worker_of
from roadworthy.evidence.permit.tokens import sealed
from roadworthy.evidence.ports import Signer
from roadworthy.kill_switch.drill import rules
from roadworthy.kill_switch.drill.model import Lane, Press, Report
from roadworthy.kill_switch.model import Right
from roadworthy.kill_switch.rules import Refused, in_force
from roadworthy.kill_switch.service import Kills, NotKept
from roadworthy.operations.drills.drill_workflows import TARGET
from roadworthy.operations.stops.kill_desk import Reached
from roadworthy.workflow.model import Price
from roadworthy.workflow.reserved import DRILLED
from roadworthy.workflow.service import Actor

log = logging.getLogger("roadworthy.kill_drill")

LEAST_ATTEMPTS: Final = 3
"""Of each worker, before it is stopped."""
LOOK: Final = 0.05
"""Seconds between two looks at the traffic."""
PAUSE: Final = 0.05
"""Seconds between two calls of a caller while there are few."""
LANES_AT_EASE: Final = 4
"""With more lanes callers pause longer, so that the drill does not measure its own load."""
DOLLARS: Final = 1.0
"""Of a permit: nothing of the drill costs anything."""
ALL_RIGHTS: Final[frozenset[Right]] = frozenset({"stop", "on_call", "owner"})


class Place(msgspec.Struct, frozen=True):
    """A gateway that runs."""

    name: str
    url: str
    """For clients on this machine, with the version path."""
    workers: int


class Times(msgspec.Struct, frozen=True):
    """Seconds that are waited for things, at most."""

    traffic: float = 10.0
    """Until every worker has calls and a stream under way."""
    confirm: float = 10.0
    settle: float = 6.0
    """Until the streams under way have ended."""
    calm: float = 0.8
    """Then: until every retry that waited would have been made."""
    restore: float = 2.0
    """Until every gateway has confirmed that it is on again."""

    @property
    def press(self) -> float:
        """One press, about."""
        return 0.5 + 2.2 + self.calm


class Yard(Protocol):
    """The child with upstream and callers.  Every method raises ``OSError`` once it is gone."""

    async def listen(self) -> int:
        """Port of the upstream."""
        ...

    async def begin(self, lanes: Sequence[Lane], pause: float) -> None: ...

    async def look(self) -> Report: ...

    async def take(self, lanes: Sequence[Lane]) -> Report:
        """What was counted of these lanes since the last time, which begins anew."""
        ...


class Yards(Protocol):
    def open(self, ttl: float) -> AbstractAsyncContextManager[Yard]:
        """Start one that ends with the block, with us, and after ``ttl`` seconds.  Raises ``OSError``."""
        ...


class Ports(msgspec.Struct, frozen=True):
    """What wiring gives."""

    signer: Signer
    yards: Yards
    gateways: Callable[[], tuple[list[Place], list[str]]]
    """(gateways that run, names of those that should and do not)."""
    kills: Kills
    reached: Callable[[str, float], Reached | None]
    """(workflow, seconds) → who has confirmed the last order, after so long at most.  Blocks."""
    clock: Callable[[], float]
    times: Times = Times()


class Drill:
    """The presses of one run.  ``on_press`` is told of each as it is over."""

    def __init__(
        self, ports: Ports, run: str, actor: Actor, places: Sequence[Place], on_press: Callable[[Press, Report], None]
    ) -> None:
        self._ports = ports
        self._run = run
        self._actor = actor
        self._places = places
        self._on_press = on_press

    async def go(self, presses: int) -> None:
        """So many of each reserved workflow; ends early after one that somebody did not confirm.

        Cancelling leaves a workflow stopped: call ``recover``.  Raises ``OSError``, ``Refused``, ``NotKept``.
        """
        ttl = 60.0 + 2 * presses * len(DRILLED) * (self._ports.times.press + self._ports.times.traffic)
        async with self._ports.yards.open(ttl) as yard:
            lanes = self._lanes(await yard.listen(), ttl)
            await yard.begin(lanes, PAUSE * max(1.0, len(lanes) / LANES_AT_EASE))
            for workflow in list(DRILLED) * presses:
                pressed, report = await self._press(yard, lanes, workflow)
                self._on_press(pressed, report)
                if any(at.confirmed is None for at in pressed.gateways.values()):
                    break

    async def _press(self, yard: Yard, lanes: Sequence[Lane], workflow: str) -> tuple[Press, Report]:
        ports, times = self._ports, self._ports.times
        mine = [lane for lane in lanes if lane.workflow == workflow]
        without = await self._await_traffic(yard, mine)
        reason, actor = f"kill drill {self._run}", self._actor
        await asyncio.to_thread(
            lambda: ports.kills.press(workflow, "off", actor.id, reason, on_behalf_of=actor.on_behalf_of)
        )
        reached = await asyncio.to_thread(ports.reached, workflow, times.confirm)
        assert reached is not None
        await self._await_end(yard, mine)
        report = await yard.take(mine)
        await asyncio.to_thread(restore, ports.kills, workflow, f"{reason} is over")
        await asyncio.to_thread(ports.reached, workflow, times.restore)
        names = [place.name for place in self._places]
        pressed = rules.shown(
            workflow, DRILLED[workflow], reached.at, reached.took, names, mine, report.attempts, report.streams, without
        )
        return pressed, report

    async def _await_traffic(self, yard: Yard, lanes: Sequence[Lane]) -> list[str]:
        """Until every lane has calls and a stream under way.  Returns gateways with one that has not."""
        end = asyncio.get_running_loop().time() + self._ports.times.traffic
        while True:
            seen = await yard.look()
            idle = {
                lane.gateway
                for lane in lanes
                if seen.counts.get(lane.number, 0) < LEAST_ATTEMPTS or not seen.under_way.get(lane.number)
            }
            if not idle or asyncio.get_running_loop().time() > end:
                return sorted(idle)
            await asyncio.sleep(LOOK)

    async def _await_end(self, yard: Yard, lanes: Sequence[Lane]) -> None:
        """Until no stream is under way and no retry can be waiting any more."""
        end = asyncio.get_running_loop().time() + self._ports.times.settle
        while asyncio.get_running_loop().time() < end:
            seen = await yard.look()
            if not any(seen.under_way.get(lane.number) for lane in lanes):
                break
            await asyncio.sleep(LOOK)
        await asyncio.sleep(self._ports.times.calm)

    def _lanes(self, port: int, life: float) -> list[Lane]:
        """One for each worker and workflow, with a permit that this very worker counts."""
        made: list[Lane] = []
        for place in self._places:
            for worker in range(place.workers):
                for workflow in DRILLED:
                    number = len(made)
                    permit = self._permit(place, worker, workflow, f"http://127.0.0.1:{port}/{number}/v1", life)
                    token = sealed(permit, self._ports.signer)
                    made.append(Lane(number, place.name, workflow, place.url, token))
        return made

    def _permit(self, place: Place, worker: int, workflow: str, upstream: str, life: float) -> Permit:
        ident = f"prm_{secrets.token_hex(8)}"
        while worker_of(ident, place.workers) != worker:
            ident = f"prm_{secrets.token_hex(8)}"
        now = self._ports.clock()
        return Permit(
            id=ident,
            workflow=workflow,
            digest=None,
            traffic="drill",
            calls=1_000_000,
            usd=DOLLARS,
            issued=now,
            expires=now + min(LONGEST_LIFE, life),
            by=self._actor.id,
            fault="kill",
            substitutes={TARGET: upstream},
            price=Price(0.0, 0.0),
            gateway=place.name,
        )


def restore(kills: Kills, workflow: str, reason: str) -> None:
    """Switch a reserved workflow on again, as the engine.  Raises ``Refused`` and ``NotKept``."""
    if workflow not in DRILLED:
        raise ValueError(f"{workflow!r} is not the kill drill's to restore")
    if kills.switch(workflow).state != "on":
        kills.restore(workflow, "on", "engine", reason, ALL_RIGHTS)


def recover(kills: Kills) -> None:
    """Restore whatever a drill that broke off has left stopped."""
    for workflow in DRILLED:
        try:
            restore(kills, workflow, "a kill drill broke off")
        except (Refused, NotKept) as why:
            log.error("a drill workflow stays stopped", extra={"workflow": workflow, "error": str(why)})


def stopped_already(kills: Kills) -> str:
    """Why no drill can be made now; empty: nothing speaks against it."""
    for workflow in DRILLED:
        state = in_force(kills.switches(), workflow)
        if state != "on":
            every = kills.switch("*").state != "on"
            what, mend = ("everything", "restore it first") if every else (workflow, f"remove KILL.{workflow}")
            return f"{what} is {state}, so nothing of it can be stopped: {mend}"
    return ""
