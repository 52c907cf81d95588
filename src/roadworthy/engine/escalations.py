"""Background duties around people: time passes for escalations, gateways are told, messages leave, old things go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from roadworthy.engine.supervise import Module, blocking
from roadworthy.operations.escalating.foreseeing import StampWatch
from roadworthy.operations.escalating.shapes import news_after
from roadworthy.people.escalation.service import Queue
from roadworthy.people.outbox.service import MailSender, Outbox, Pagers, Sender
from roadworthy.people.ports import PeopleState

Post = Callable[[Path, bytes], bool]
"""(worker's socket, news) → did it take them?  Blocking, bounded in time."""

RECENT = 3600.0
"""Seconds of the past that a worker which just started is told of; of older escalations it asks."""
RECEIVED_KEPT = 3600.0
"""Seconds for which messages that came in are remembered: beyond the tolerance of their time stamps."""


class Tidings:
    """Tells every worker what became of escalations.  Costs one look at an index while nothing happens."""

    def __init__(
        self,
        state: PeopleState,
        sockets: Callable[[], Sequence[Path]],
        post: Post,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._sockets = sockets
        self._post = post
        self._clock = clock
        self._told: dict[tuple[Path, int], int] = {}
        """(socket, its inode: a worker that started anew has another) → told up to this seq."""

    def round(self) -> None:
        with self._state.read() as tx:
            newest = tx.last_escalation_seq()
        found: dict[tuple[Path, int], int] = {}
        for sock in self._sockets():
            try:
                worker = (sock, os.stat(sock).st_ino)
            except FileNotFoundError:
                continue
            known = self._told.get(worker)
            reached = known if known is not None and newest <= known else self._tell(sock, known)
            if reached is not None:
                found[worker] = reached
            elif known is not None:
                found[worker] = known
        self._told = found

    def gone(self, ids: Sequence[str]) -> None:
        """Have every worker drop what it holds of forgotten escalations."""
        with self._state.read() as tx:
            news = msgspec.json.encode({"gone": list(ids), "open": tx.open_escalations()})
        for sock in self._sockets():
            self._post(sock, news)

    def _tell(self, sock: Path, known: int | None) -> int | None:
        """Tell a worker everything after what it knows; where that ended, or ``None`` when it does not answer."""
        seq = int((self._clock() - RECENT) * 1e6) if known is None else known
        while True:
            news, reached = news_after(self._state, seq)
            if not self._post(sock, news):
                return None
            if reached == seq:
                return seq
            seq = reached


def expiry(queue: Queue, *, interval: float = 1.0) -> Module:
    """``answer_by`` passes, leases lapse."""
    return Module("escalations", blocking(queue.pass_time, name="escalations"), interval, timeout=30.0)


def stamps(watch: StampWatch, *, interval: float = 3600.0) -> Module:
    """Are drafts still read before they are sent?"""
    return Module("stamps", blocking(watch.look, name="stamps", behind=True), interval, timeout=120.0)


def telling(tidings: Tidings, *, interval: float = 0.25) -> Module:
    return Module("tidings", blocking(tidings.round, name="tidings"), interval, timeout=30.0)


def deliveries(
    outbox: Outbox, sender: Callable[[], Sender], mails: MailSender | None = None,
    pagers: Callable[[], Pagers] | None = None, *, pages: bool | None = None, interval: float = 0.5,
) -> Module:  # fmt: skip
    """``sender`` and ``pagers`` are made at the first round, on the engine's own loop.  ``pages``: only those, or only
    other messages."""
    made: list[tuple[Sender, Pagers | None]] = []

    async def run() -> None:
        if not made:
            made.append((sender(), None if pagers is None else pagers()))
        async with asyncio.timeout(50.0):
            while await outbox.round(made[0][0], mails, made[0][1], pages=pages, patience=1.0 if pages else None):
                pass

    return Module("page deliveries" if pages else "deliveries", run, interval, timeout=60.0)


def keeping(
    state: PeopleState, keep: Callable[[], float], *, clock: Callable[[], float],
    also: Callable[[float], None] = lambda before: None, interval: float = 900.0,
) -> Module:  # fmt: skip
    """What is closed goes as bodies go; ``keep``: for how many seconds they stay; ``also``: what else ends then."""

    def work() -> None:
        before = clock() - keep()
        with state.write() as tx:
            tx.expire_escalations(before)
            tx.expire_deliveries(before)
            tx.expire_messages(clock() - RECEIVED_KEPT)
        also(before)

    return Module("people", blocking(work, name="people", behind=True), interval, timeout=300.0)
