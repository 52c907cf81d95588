"""The callers of the kill drill: they call as any client does, and keep an account of the streams that they read."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.http1.pool import PoolLimits
from roadworthy.kill_switch.drill.model import MARK, Kind, Lane, Streamed

MIX: Final[tuple[Kind, ...]] = ("whole", "whole", "stream", "stream", "flaky", "late")
"""One caller each, for every lane."""
CLOCKS: Final = Clocks(connect=5.0, first_byte=20.0, idle=20.0, total=30.0)
WHOLE_BODY: Final = 1 << 20


class _Error(msgspec.Struct):
    code: str | None = None


class _Failed(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


_failed = msgspec.json.Decoder(_Failed)


class Callers:
    """Every lane's callers."""

    def __init__(self, lanes: Sequence[Lane], pause: float) -> None:
        self._pause = pause
        self._lanes = lanes
        origins = [Origin.from_url(lane.url) for lane in lanes]
        limits = PoolLimits(per_origin=len(lanes) * len(MIX) + 8, waiting=10_000)
        self._client = Client(guard=AddressGuard(allowed=origins), limits=limits)
        self._tasks: list[asyncio.Task[None]] = []
        self.ended: list[Streamed] = []
        self.open: Counter[int] = Counter()
        """Lane → streams whose first content has come."""
        self.said: Counter[str] = Counter()
        """``local: 503 ai_off`` → calls."""

    def start(self) -> None:
        for lane in self._lanes:
            for number, kind in enumerate(MIX):
                self._tasks.append(asyncio.ensure_future(self._calls(lane, kind, number)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    async def _calls(self, lane: Lane, kind: Kind, number: int) -> None:
        """One after the other, until cancelled."""
        await asyncio.sleep(self._pause * number / len(MIX))
        origin = Origin.from_url(lane.url)
        headers = [(b"authorization", b"Bearer " + lane.token.encode()), (b"content-type", b"application/json")]
        path = "/" + lane.url.split("://", 1)[1].partition("/")[2].rstrip("/") + "/chat/completions"
        made = head(b"POST", path.encode(), origin, headers)
        body = msgspec.json.encode({
            "model": lane.workflow, "stream": kind == "stream", "user": f"kill-drill-{lane.number}-{number}",
            "messages": [{"role": "user", "content": f"{MARK}{kind}"}],
        })  # fmt: skip
        while True:
            try:
                if kind == "stream":
                    await self._stream(origin, made, body, lane)
                else:
                    whole = await self._client.fetch(origin, made, body, CLOCKS, max_body=WHOLE_BODY)
                    self._heard(lane, whole.status, whole.body)
            except Http1Error as error:
                self._hears(lane, type(error).__name__)
            await asyncio.sleep(self._pause)

    async def _stream(self, origin: Origin, made: bytes, body: bytes, lane: Lane) -> None:
        reply = await self._client.open(origin, made, body, CLOCKS)
        if reply.status != 200:
            self._heard(lane, reply.status, await reply.read(WHOLE_BODY))
            return
        began = 0.0
        how: Literal["finished", "error event", "broken"] = "broken"
        try:
            async for data in reply.chunks:
                if not began and b'"content"' in data:
                    began = time.time()
                    self.open[lane.number] += 1
                if b'"error":{' in data:
                    how = "error event"
                elif b"data: [DONE]" in data and how == "broken":
                    how = "finished"
        except Http1Error:
            how = "broken" if how == "finished" else how
        finally:
            if began:
                self.open[lane.number] -= 1
        if began:
            self.ended.append(Streamed(lane.number, began, time.time(), how))
        self._hears(lane, f"stream {how}")

    def _hears(self, lane: Lane, what: str) -> None:
        self.said[f"{lane.gateway}: {what}"] += 1

    def _heard(self, lane: Lane, status: int, body: bytes) -> None:
        if status == 200:
            self._hears(lane, "200")
            return
        try:
            code = _failed.decode(body).error.code
        except msgspec.MsgspecError:
            code = None
        self._hears(lane, f"{status} {code or ''}".strip())
