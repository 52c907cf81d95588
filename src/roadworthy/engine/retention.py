"""Background duty: expire bodies and facts, move old days to Parquet."""

from __future__ import annotations

import time
from collections.abc import Callable

from roadworthy.engine.supervise import Module, blocking
from roadworthy.inference_log.ports import LogStore
from roadworthy.workflow.model import Retention


def module(
    store: LogStore,
    retention: Callable[[], Retention],
    *,
    interval: float = 900.0,
    now: Callable[[], float] = time.time,
) -> Module:
    """``retention`` is asked before every round: it may change while control runs."""
    return Module(
        name="retention",
        run=blocking(lambda: store.expire(now(), retention()), name="retention", behind=True),
        interval=interval,
        timeout=3600.0,
    )
