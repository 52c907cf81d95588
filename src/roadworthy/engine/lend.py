"""Background duty: lend slices of budgets and limits among the workers, four times a second.

Rule: no call waits for it.  Each round talks to every worker at once and goes on while there is something to say, so a
worker that runs short has more a few milliseconds after the round began.  What it decides is in ``cost/lending.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from roadworthy.cost.lending import Lender, Word
from roadworthy.engine.supervise import Module
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.workflow.model import Budgets

EVERY = 0.25
MOST_TURNS = 6
"""Exchanges of one round: ask, hear all, shrink, grow, and two to spare."""

Exchange = Callable[[int, bytes], Awaitable[bytes | None]]
"""(worker, orders as JSON) → its word as JSON, or that of who stands in for it; ``None``: there is none in time."""

NONE = Budgets()

_word = msgspec.json.Decoder(Word)


class Lending:
    """Rounds of exchanges with the workers."""

    def __init__(
        self,
        epoch: int,
        exchange: Exchange,
        workers: Callable[[], Sequence[int]],
        snapshot: Callable[[], Snapshot | None],
    ) -> None:
        """``workers``: numbers of all, of every gateway, dead or alive."""
        self._lender = Lender(epoch)
        self._exchange = exchange
        self._workers = workers
        self._snapshot = snapshot

    async def round(self) -> None:
        """Raises ``msgspec.ValidationError`` for a word that is none."""
        snapshot, workers = self._snapshot(), self._workers()
        if snapshot is None or len(workers) < 2 or not limits_anything(snapshot):
            return
        for _ in range(MOST_TURNS):
            await asyncio.gather(*(self._talk(worker) for worker in workers))
            if not self._lender.decide(workers):
                break
        self._lender.forget()

    async def _talk(self, worker: int) -> None:
        answer = await self._exchange(worker, msgspec.json.encode(self._lender.orders(worker)))
        if answer is None:
            self._lender.lost(worker)
        else:
            self._lender.heard(_word.decode(answer))


def limits_anything(snapshot: Snapshot) -> bool:
    """Is there a budget or a limit that workers share?"""
    return (
        bool(snapshot.team_budgets)
        or any(key.requests_per_minute is not None or key.kind == "tester" for key in snapshot.keys.values())
        or any(
            target.limits.requests_per_minute is not None or target.limits.tokens_per_minute is not None
            for target in snapshot.targets.values()
        )
        or any(
            flow.policy.requests_per_minute_per_key is not None
            or msgspec.structs.replace(flow.policy.budgets, alert_at=NONE.alert_at, spike_at=NONE.spike_at) != NONE
            for flow in snapshot.workflows.values()
        )
    )


def module(lending: Lending) -> Module:
    return Module("lend", lending.round, EVERY, timeout=10.0)
