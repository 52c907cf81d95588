"""Background duty: the journal into the log, a few times a second."""

from __future__ import annotations

from collections.abc import Callable

from roadworthy.engine.supervise import Module, blocking
from roadworthy.inference_log.model import Shipped
from roadworthy.inference_log.service import Shipper

ROUND = 20
"""Most transactions of one round, so that a backlog is shipped in rounds that end in time."""


def module(shipper: Shipper, *, interval: float = 0.25, shipped: Callable[[Shipped], None] | None = None) -> Module:
    """``shipped`` is told what each round did (metrics, spans)."""

    def work() -> None:
        done = shipper.ship(max_batches=ROUND)
        if shipped is not None:
            shipped(done)

    return Module(
        name="ship", run=blocking(work, name="ship", behind=True), interval=interval, timeout=60.0, last_round=True
    )
