"""Stopping a bench, as control does: over the worker's private socket."""

from __future__ import annotations

from typing import Any

import msgspec
from gateway_support import Bench

from roadworthy.gateway.messages import Request, Response
from roadworthy.gateway.snapshot import Stopped
from roadworthy.gateway.stopping.model import PATH, KillNews, KillSeen


async def tell(bench: Bench, *, epoch: int = 1, **states: Stopped) -> KillSeen:
    """News of control; ``every`` stands for ``*``."""
    named = {"*" if name == "every" else name: stopped for name, stopped in states.items()}
    body = msgspec.json.encode(KillNews(epoch, bench.clock.now(), named))
    answer = await bench.gateway.handle(Request("POST", PATH, "", [], body, "127.0.0.1", internal=True))
    assert isinstance(answer, Response)
    assert answer.status == 200, answer.body
    return msgspec.json.decode(answer.body, type=KillSeen)


async def stop(bench: Bench, state: Any = "off", seq: int = 1, **more: Any) -> KillSeen:
    """Control puts ``support`` into ``state``."""
    return await tell(bench, support=Stopped(state, seq, bench.clock.now(), **more))
