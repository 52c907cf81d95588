"""Telling every worker of every gateway about the kill switch, and hearing that they act on it.

It runs on an event loop and a thread of its own, so that a stop does not wait behind what else control does: at once
when something changes, every second besides (the contact by which a gateway knows that control lives, and by which its
``KILL`` files are heard of), and twenty times a second where a worker has not confirmed.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from roadworthy.gateway.stopping.model import PATH, KillNews, KillSeen
from roadworthy.kill_switch import confirming
from roadworthy.kill_switch.confirming import Confirmations, Gateway, Order, Report
from roadworthy.kill_switch.model import Switch, severity
from roadworthy.wiring.processes.internal import Internal

BEAT = 1.0
"""Seconds between two words to a worker when nothing changes."""
RETRY = 0.05
PATIENCE = 1.0
"""Seconds that a worker has to answer."""
URGENT = 30.0
"""Seconds for which a worker that answers and has not stopped is asked again at once."""
LOOK = 0.25
"""Seconds between two looks at who is there."""

_seen = msgspec.json.Decoder(KillSeen)


class Place(Protocol):
    """A gateway, as ``Fleet`` knows it."""

    @property
    def name(self) -> str: ...

    @property
    def folder(self) -> str: ...

    @property
    def workers(self) -> int: ...

    @property
    def seen_at(self) -> float: ...

    def sockets(self) -> Mapping[int, Path]: ...

    def running(self) -> bool: ...


class Told(NamedTuple):
    """What became of a change so far."""

    report: Report
    gateways: int
    """That have confirmed."""
    workers: int
    """Of these."""


class _Worker:
    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.seen: KillSeen | None = None
        """Its answer to what was told last."""
        self.refuses = False
        """Nobody listens on its socket."""


class Pusher:
    """``push``, ``told`` and ``wait`` are thread-safe."""

    def __init__(
        self,
        *,
        gateways: Callable[[], Sequence[Place]],
        news: Callable[[], KillNews],
        heard: Callable[[str, Sequence[KillSeen]], None] = lambda gateway, seen: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``heard`` is given what the workers of a gateway say, from a thread that may block, one call at a time."""
        self._gateways = gateways
        self._news = news
        self._heard_by = heard
        self._clock = clock
        self._changed = threading.Condition()
        self._books: dict[str, Confirmations] = {}
        self._places: dict[str, Gateway] = {}
        self._expected: dict[str, int] = {}
        self._workers: dict[str, dict[int, _Worker]] = {}
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bell = asyncio.Event()
        self._hearing: set[str] = set()

    # --- from any thread

    def start(self) -> None:
        """Begin to tell.  Does nothing when it has begun; returns once everybody who is there is known."""
        if self._thread is not None:
            return
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), name="kill", daemon=True)
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()
            self._thread = None

    def push(self, switch: Switch) -> None:
        """A switch has changed, or its word is to be repeated.  Returns at once."""
        order = Order(switch.workflow, switch.state, switch.seq, self._clock())
        with self._changed:
            self._books = {**self._books, switch.workflow: confirming.begin(order, self._places)}
            for workers in self._workers.values():
                for worker in workers.values():
                    worker.seen = None
        self.ring()

    def ring(self) -> None:
        """Tell everybody now, and look who is there."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ring)

    def told(self, workflow: str) -> Told | None:
        """``None``: nothing was ordered since the start."""
        with self._changed:
            book = self._books.get(workflow)
            if book is None:
                return None
            confirmed = book.confirmed.keys() & book.gateways.keys()
            workers = sum(len(self._workers.get(name, {})) for name in confirmed)
            return Told(confirming.report(book, self._clock()), len(confirmed), workers)

    def wait(self, workflow: str, seconds: float) -> Told | None:
        """What became of the last order, once everybody has confirmed it or after so long."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                told = self.told(workflow)
                left = end - time.monotonic()
                if told is None or told.report.reached or left <= 0 or not self._places:
                    return told
                self._changed.wait(left)

    def seen(self) -> dict[str, list[KillSeen]]:
        """Gateway → what its workers said last."""
        with self._changed:
            return {
                name: [worker.seen for worker in workers.values() if worker.seen is not None]
                for name, workers in self._workers.items()
                if name in self._places
            }

    def silent(self) -> dict[str, float]:
        """Gateways that should be there → seconds since they were heard of."""
        now = self._clock()
        with self._changed:
            return {name: max(0.0, now - place.seen_at) for name, place in self._places.items()}

    # --- on the loop

    async def _run(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._internal = Internal()
        self._reports = asyncio.Lock()
        over = self._loop.create_task(self._over.wait())
        try:
            self._look()
            ready.set()
            while not over.done():
                bell = self._bell
                waiting = self._loop.create_task(bell.wait())
                await asyncio.wait({over, waiting}, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                self._look()
        finally:
            ready.set()
            tasks = [worker.task for workers in self._workers.values() for worker in workers.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._internal.close()

    def _ring(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def _look(self) -> None:
        """Take up who is new, let go of who is gone."""
        assert self._loop is not None
        there = [(place, place.sockets(), place.running()) for place in self._gateways()]
        with self._changed:
            for place, sockets, running in there:
                workers = self._workers.setdefault(place.name, {})
                for number in workers.keys() - sockets.keys():
                    workers.pop(number).task.cancel()
                for number in sockets.keys() - workers.keys():
                    workers[number] = _Worker(self._loop.create_task(self._attend(place.name, number, sockets[number])))
                self._expected[place.name] = place.workers
                # a supervisor that is gone may leave workers that finish their calls
                if running or any(not worker.refuses for worker in workers.values()):
                    known = self._places.get(place.name)
                    at = place.seen_at if known is None else known.seen_at  # from here on, its workers' own word
                    self._known(Gateway(place.name, place.folder, at))
                else:
                    self._gone(place.name)
            for name in self._workers.keys() - {place.name for place, *_ in there}:
                for worker in self._workers.pop(name).values():
                    worker.task.cancel()
                self._gone(name)
            self._changed.notify_all()

    def _known(self, place: Gateway) -> None:
        self._places = {**self._places, place.name: place}
        self._books = {workflow: confirming.seen(book, place) for workflow, book in self._books.items()}

    def _gone(self, name: str) -> None:
        if name in self._places:
            self._places = {known: place for known, place in self._places.items() if known != name}
            self._books = {workflow: confirming.ended(book, name) for workflow, book in self._books.items()}

    async def _attend(self, gateway: str, number: int, sock: Path) -> None:
        """Tell one worker, again and again."""
        while True:
            bell = self._bell
            answer = await self._internal.post(sock, PATH, msgspec.json.encode(self._news()), timeout=PATIENCE)
            good = answer is not None and answer[0] == 200 and self._take(gateway, number, answer[1])
            if not good:
                self._lost(gateway, number, sock)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT if good and not self._owes(gateway) else RETRY):
                    await bell.wait()

    def _take(self, gateway: str, number: int, answer: bytes) -> bool:
        try:
            seen = _seen.decode(answer)
        except msgspec.MsgspecError:
            return False
        with self._changed:
            worker = self._workers.get(gateway, {}).get(number)
            if worker is None:
                return True
            worker.seen, worker.refuses = seen, False
            now = self._clock()
            if gateway in self._places:
                self._known(msgspec.structs.replace(self._places[gateway], seen_at=now))
            self._book(gateway, now)
            self._changed.notify_all()
        self._hear(gateway)
        return True

    def _lost(self, gateway: str, number: int, sock: Path) -> None:
        with self._changed:
            worker = self._workers.get(gateway, {}).get(number)
            if worker is not None:
                worker.seen = None
                worker.refuses = not _listens(sock)

    def _book(self, gateway: str, now: float) -> None:
        """A gateway has confirmed an order once each of its workers has."""
        seen = [worker.seen for worker in self._workers[gateway].values()]
        if len(seen) < self._expected[gateway]:
            return
        for workflow, book in self._books.items():
            said = [one.states.get(workflow) for one in seen if one is not None]
            if len(said) < len(seen) or any(one is None for one in said):
                continue
            states = [one for one in said if one is not None]
            self._books[workflow] = confirming.confirm(
                book, gateway, min(one.seq for one in states), min((one.state for one in states), key=severity), now
            )

    def _owes(self, gateway: str) -> bool:
        """Has it an order to confirm that is not old?"""
        recent = self._clock() - URGENT
        with self._changed:
            return any(
                gateway in book.gateways and gateway not in book.confirmed and book.order.at > recent
                for book in self._books.values()
            )

    def _hear(self, gateway: str) -> None:
        """Pass on what a gateway said, off this loop: it may wait for a disk."""
        assert self._loop is not None
        if gateway in self._hearing:
            return
        self._hearing.add(gateway)
        self._listening = self._loop.create_task(self._pass_on(gateway))

    async def _pass_on(self, gateway: str) -> None:
        try:
            async with self._reports:
                with self._changed:
                    workers = list(self._workers.get(gateway, {}).values())
                    seen = [worker.seen for worker in workers if worker.seen is not None]
                if seen and len(seen) == len(workers):
                    await asyncio.to_thread(self._heard_by, gateway, seen)
        finally:
            self._hearing.discard(gateway)


def _listens(sock: Path) -> bool:
    """Does anybody listen there?  Asked only of a worker that did not answer."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(sock))
        except BlockingIOError:  # its backlog is full
            return True
        except OSError:
            return False
    return True
