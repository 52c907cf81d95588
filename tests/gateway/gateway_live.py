"""A gateway behind its real transport, on a thread of its own, for clients that block; its upstream plays cases.

A call names its case in its first user message; the upstream answers every call of that case from its script, in order
and then with the last for ever.  Nothing is shared between two cases, so they may run in any order.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from gateway_support import Bench, FakeUpstream, Sent

from roadworthy.gateway.transports.protocol import Server
from roadworthy.http1.messages import Clocks
from roadworthy.inference_log import segments
from roadworthy.workflow.inference import Inference

T = TypeVar("T")


class CaseUpstream(FakeUpstream):
    """Replies by case."""

    def __init__(self) -> None:
        super().__init__()
        self.cases: dict[str, list[Any]] = {}

    async def _next(self, origin: Any, head: bytes, body: bytes, clocks: Clocks) -> Any:
        asked = msgspec.json.decode(body)
        self.sent.append(Sent(origin, head, asked, clocks, body))
        case = next(message["content"] for message in asked["messages"] if message["role"] == "user")
        script = self.cases[case]
        reply = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(reply, dict):  # by how it was asked
            reply = reply["stream" if asked.get("stream") else "whole"]
        if isinstance(reply, BaseException):
            raise reply
        return reply


class Live:
    """The server and its bench; ``with`` ends it."""

    def __init__(self, folder: Path, **bench: Any) -> None:
        self.upstream = CaseUpstream()
        self._folder = folder
        self._read: dict[Path, int] = {}
        self._records: list[Inference] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.bench = self.on_loop(lambda: Bench(folder, upstream=self.upstream, **bench))
        self._server = Server(self.bench.gateway)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        asyncio.run_coroutine_threadsafe(self._server.start(listener), self._loop).result(10)

    def records(self) -> list[Inference]:
        """Every record in the journal so far; each line is read once."""
        for name in segments.segments(self._folder):
            path = name.path(self._folder)
            found = segments.scan(path, self._read.get(path, 0))
            self._read[path] = found.offset
            self._records += [line.value for line in found.lines if isinstance(line.value, Inference)]
        return list(self._records)

    def on_loop(self, act: Callable[[], T]) -> T:
        """Do something to the gateway where it lives."""

        async def acted() -> T:
            return act()

        return asyncio.run_coroutine_threadsafe(acted(), self._loop).result(10)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(1.0), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self.bench.journal.close()
