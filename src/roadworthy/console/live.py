"""Live pages: one stream of server-sent events a page, telling which topics moved; the page then fetches its parts.

A topic is a name and a cheap mark of what it is about; all streams share one look a second.  Nothing that a model or a
caller said ever travels here.  A stream ends after an hour, with its session, or with control; browsers come back by
themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from roadworthy.operations.services import Services
from roadworthy.people.ports import PeopleState
from roadworthy.workflow.model import Person

LOOK = 1.0
"""Seconds between two looks."""
REST = 15.0
"""Seconds after which a silent stream says that it is alive."""
LONGEST = 3600.0
MOST = 200
"""Streams at once."""

Mark = Callable[[Services], Hashable]


def _escalations(services: Services) -> Hashable:
    state: PeopleState = services.state  # type: ignore[assignment]
    with state.read() as tx:
        return tx.last_escalation_seq()


def _incidents(services: Services) -> Hashable:
    return [(each.id, each.state, each.count) for each in services.incidents.list(limit=20)].__repr__()


def _runs(services: Services) -> Hashable:
    """What load tests, drills and kill drills under way have come to; evals keep theirs in state."""
    load, kill = services.loads.going(), services.kill_drills.newest()
    return (
        None if load is None else (load.id, load.progress, len(load.steps)),
        None if kill is None else (kill.id, kill.state, len(kill.presses)),
        services.drills.under_way(),
    )


TOPICS: dict[str, Mark] = {
    "state": lambda services: services.writes(),
    "log": lambda services: services.log.lag().stored,
    "escalations": _escalations,
    "incidents": _incidents,
    "runs": _runs,
    "clock": lambda services: int(services.clock() / 5.0),
}
"""Topic → its mark: ``state`` moves with every change in the state store, ``log`` with every shipment, ``runs`` with
load tests and drills under way, ``clock`` every five seconds (for what only time changes)."""


class Live:
    def __init__(self, services: Services, topics: dict[str, Mark] = TOPICS) -> None:
        self._services = services
        self._topics = topics
        self._marks: dict[str, Hashable] = {}
        self._streams: set[asyncio.Queue[str]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    def close(self) -> None:
        """End every stream, so that stopping need not wait for open pages.  In the loop that serves."""
        self._closed = True
        for stream in self._streams:
            if stream.full():  # nobody reads it: the end goes first
                stream.get_nowait()
            stream.put_nowait("")
        if self._looking is not None:
            self._looking.cancel()

    def endpoint(self, visitor: Callable[[HTTPConnection], Person | None]) -> Callable[[Request], Awaitable[Response]]:
        async def live(request: Request) -> Response:
            if await run_in_threadpool(visitor, request) is None:
                return PlainTextResponse("sign in first\n", 401)
            if self._closed or len(self._streams) >= MOST:
                return PlainTextResponse("too many pages are open\n", 503)
            headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
            return StreamingResponse(self._events(request, visitor), media_type="text/event-stream", headers=headers)

        return live

    async def _events(self, request: Request, visitor: Callable[[HTTPConnection], Person | None]) -> AsyncIterator[str]:
        mine: asyncio.Queue[str] = asyncio.Queue(maxsize=64)
        self._streams.add(mine)
        if self._looking is None or self._looking.done():
            self._marks = await run_in_threadpool(self._look)
            self._looking = asyncio.get_running_loop().create_task(self._watch())
        end = asyncio.get_running_loop().time() + LONGEST
        try:
            yield "retry: 2000\n\n"
            while asyncio.get_running_loop().time() < end:
                topic: str | None = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(REST):
                        topic = await mine.get()
                if topic == "" or await run_in_threadpool(visitor, request) is None:
                    return
                yield ": alive\n\n" if topic is None else f"event: {topic}\ndata: {topic}\n\n"
        finally:
            self._streams.discard(mine)

    async def _watch(self) -> None:
        """Look for as long as somebody listens."""
        while self._streams:
            await asyncio.sleep(LOOK)
            seen = await run_in_threadpool(self._look)
            moved = [topic for topic, mark in seen.items() if self._marks.get(topic) != mark]
            self._marks = seen
            for stream in self._streams:
                for topic in moved:
                    if not stream.full():
                        stream.put_nowait(topic)

    def _look(self) -> dict[str, Hashable]:
        return {topic: mark(self._services) for topic, mark in self._topics.items()}
