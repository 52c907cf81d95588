"""Users' own check functions, in warm subprocesses of the worker: one a team.

What one team's functions are shown or keep in memory is never in the process of another's.  A process is started with
an empty environment, so no key is in it, and knows nothing of the gateway: it is sent source text, a text to judge and
a context, as JSON lines over pipes, and answers one line each.  One call at a time.  A call that is late, dies or talks
nonsense costs its process its life; the next call starts another one, later and later while they go on dying.  Whether
such a call passes is declared with the check (``on_error``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from roadworthy.gateway.checks.results import CannotTell, late
from roadworthy.gateway.ports import Clock

LOADING = 20.0
"""Seconds that the sources may take to be imported."""
FIRST_REST, LONGEST_REST = 0.1, 10.0
"""Seconds between two starts while processes die; doubled each time."""

SLACK = 0.05
"""Seconds."""
NOT_SERVED = "its code is not in the snapshot: freeze and apply the workflow again"

_encode = msgspec.json.encode


class Worker(Protocol):
    """A process that runs checks: lines in, lines out."""

    async def send(self, line: bytes) -> None:
        """Raises ``OSError`` when it is gone."""
        ...

    async def receive(self) -> bytes:
        """The next line; empty when it is gone.  Raises ``ValueError`` for one that is far too long."""
        ...

    def kill(self) -> None:
        """It and all that it started; harmless when it is gone."""
        ...


class Launch(Protocol):
    """Starts a process for checks; ``wiring`` fills it."""

    async def __call__(self) -> Worker:
        """Raises ``OSError``."""
        ...


class _Reply(msgspec.Struct):
    id: int
    result: Any = None
    error: str = ""


_reply = msgspec.json.Decoder(_Reply)


class UserChecks:
    """Runs the functions of every release that this worker serves (see ``asked.Python``)."""

    def __init__(self, launch: Launch, clock: Clock) -> None:
        self._launch = launch
        self._clock = clock
        self._teams: dict[str, TeamChecks] = {}

    def follow(self, sources: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
        """These are the sources to serve from now on (team → hash → path → text)."""
        for team in self._teams.keys() - sources.keys():
            self._teams.pop(team).close()
        for team, codes in sources.items():
            if team not in self._teams:
                self._teams[team] = TeamChecks(self._launch, self._clock)
            self._teams[team].follow(codes)

    def close(self) -> None:
        self.follow({})

    async def run(self, team: str, code: str, path: str, text: str, context: Mapping[str, Any], seconds: float) -> Any:
        """See ``TeamChecks.run``."""
        found = self._teams.get(team)
        if found is None:
            raise CannotTell(NOT_SERVED)
        return await found.run(code, path, text, context, seconds)


class TeamChecks:
    """Runs one team's functions, in one process."""

    def __init__(self, launch: Launch, clock: Clock) -> None:
        self._launch = launch
        self._now = clock.monotonic
        self._sources: dict[str, Mapping[str, str]] = {}
        """Hash of sources → path → text."""
        self._loaded: dict[str, str] = {}
        """Hash → why it could not be imported (empty: it was), in the process that runs now."""
        self._process: Worker | None = None
        self._turn = asyncio.Lock()
        self._count = 0
        self._deaths = 0
        self._rested = 0.0
        self._limit: asyncio.Timeout | None = None
        """Of whoever has the turn."""
        self._warming: asyncio.Task[None] | None = None

    def follow(self, sources: Mapping[str, Mapping[str, str]]) -> None:
        """These are the sources to serve from now on (hash → path → text); they are imported in the background."""
        self._sources = dict(sources)
        if self._warming is None or self._warming.done():
            self._warming = asyncio.get_running_loop().create_task(self._warm(), name="import users' checks")

    async def warmed(self) -> None:
        """Wait until what is followed was imported, or could not be."""
        if self._warming is not None:
            await asyncio.shield(self._warming)

    def close(self) -> None:
        if self._warming is not None:
            self._warming.cancel()
        self._sources = {}
        if self._process is not None:
            self._process.kill()
            self._process = None

    async def run(self, code: str, path: str, text: str, context: Mapping[str, Any], seconds: float) -> Any:
        """What the function at ``path`` (``checks.tone:check``) of the sources ``code`` returned.

        Raises ``CannotTell`` when it raised, was not done in ``seconds`` (its turn included) or cannot be called.
        """
        try:
            async with asyncio.timeout(seconds) as limit, self._turn:
                self._limit = limit
                await self._ready(code)
                return await self._call({"code": code, "path": path, "text": text, "context": context})
        except TimeoutError:
            raise CannotTell(late(seconds)) from None

    async def _warm(self) -> None:
        for code in list(self._sources):
            try:
                async with asyncio.timeout(LOADING) as limit, self._turn:
                    self._limit = limit
                    await self._ready(code)
            except (CannotTell, TimeoutError):
                continue  # said again to the call that needs it

    async def _ready(self, code: str) -> None:
        """A process that has imported ``code``."""
        sources = self._sources.get(code)
        if sources is None:
            raise CannotTell(NOT_SERVED)
        if self._process is None:
            await self._start()
        if code not in self._loaded:
            try:
                await self._call({"load": code, "sources": sources})
                self._loaded[code] = ""
            except CannotTell as broken:
                if self._process is None:
                    raise
                self._loaded[code] = broken.why  # it raised: importing it again would raise again
        if self._loaded[code]:
            raise CannotTell(self._loaded[code])

    async def _start(self) -> None:
        now = self._now()
        if now < self._rested:
            raise CannotTell("its process died and is not started again yet")
        rest = min(LONGEST_REST, FIRST_REST * 2 ** min(self._deaths, 10))
        self._rested = now + rest
        try:
            self._process = await self._launch()
        except OSError as error:
            raise CannotTell(f"its process cannot be started: {error}") from error
        self._loaded = {}

    async def _call(self, message: Mapping[str, Any]) -> Any:
        process = self._process
        assert process is not None
        self._count += 1
        ident, done = self._count, False
        try:
            await process.send(_encode({"id": ident, **message}) + b"\n")
            line = await process.receive()
            if not line:
                raise CannotTell("its process ended")
            reply = _reply.decode(line)
            if reply.id != ident:
                raise CannotTell("its process answered another question")
            done = True
        except asyncio.CancelledError:
            if not self._late():
                self._given_up(process)
            raise
        except OSError as error:
            raise CannotTell("its process ended") from error
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise CannotTell("its process answered with what cannot be read") from error
        finally:
            if not done and self._process is process:
                self._died(process)  # late, dead or confused: what it would say next belongs to nobody
        if reply.error:
            raise CannotTell(reply.error)
        self._deaths = 0
        return reply.result

    def _late(self) -> bool:
        """Is the time of this turn over?  Whoever asks keeps the same time and may have begun a moment earlier."""
        until = None if self._limit is None else self._limit.when()
        return until is not None and asyncio.get_running_loop().time() > until - SLACK

    def _given_up(self, process: Worker) -> None:
        """Whoever asked is gone (a client left, a hedge was overtaken): the process ends, and is not to blame."""
        process.kill()
        self._process = None
        self._rested = 0.0

    def _died(self, process: Worker) -> None:
        self._deaths += 1
        process.kill()
        self._process = None
