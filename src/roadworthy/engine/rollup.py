"""Background duty: sum the buckets that closed or got late rows."""

from __future__ import annotations

import time
from collections.abc import Callable

from roadworthy.engine.supervise import Module, blocking
from roadworthy.inference_log.ports import LogStore


def module(store: LogStore, *, interval: float = 15.0, now: Callable[[], float] = time.time) -> Module:
    return Module(
        name="rollup",
        run=blocking(lambda: store.rollup(now()), name="rollup", behind=True),
        interval=interval,
        timeout=300.0,
    )
