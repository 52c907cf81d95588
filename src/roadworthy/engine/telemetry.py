"""From shipped journal records to the collector, slowing nothing.

Rule: ``offer`` never waits and never fails.  Records wait in a bounded queue; when it is full the newest are dropped
and counted.  One batch at a time is exported in the engine's own thread; a batch that the collector does not take is
dropped and counted too, because the inference log has it anyway.  After a refusal the round ends, so a dead collector
costs one short attempt a round.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from roadworthy.engine.supervise import Module, blocking
from roadworthy.workflow.inference import Inference

CAPACITY = 20_000
"""Inferences that may wait: at 2 KB each about 40 MB."""
BATCH = 256
WATCHED = 100
"""Traces whose export is noted."""
ROUND_SECONDS = 20.0
"""After this long a round ends and the next one goes on."""


class Exporter(Protocol):
    """Where spans go (``adapters/telemetry/otlp.py``)."""

    def export(self, inferences: Sequence[Inference]) -> bool:
        """Send a batch; ``False`` when it was not taken.  Blocking, bounded in time."""

    def close(self) -> None:
        """Give up what is under way."""


class ExportCounts(msgspec.Struct):
    """Since the start of control.  ``offered = exported + dropped_full + dropped_refused + waiting + under way``."""

    offered: int = 0
    exported: int = 0
    dropped_full: int = 0
    """Came while the queue was full."""
    dropped_refused: int = 0
    """Were in a batch that the collector did not take in time."""
    waiting: int = 0


class CollectorDown(Exception):
    """The collector did not take a batch of spans; they are dropped and counted, nothing else is affected."""


class SpanQueue:
    """Holds records until the exporter takes them.  ``offer`` may be called from any thread."""

    def __init__(
        self,
        exporter: Callable[[], Exporter | None],
        *,
        capacity: int = CAPACITY,
        batch: int = BATCH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``exporter`` is asked once a round for the one of the configuration in force; ``None``: export nothing."""
        self._exporter = exporter
        self._wanted = True
        self._capacity = capacity
        self._batch = batch
        self._clock = clock
        self._waiting: deque[Inference] = deque()
        self._watched: dict[str, bool] = {}
        self._lock = threading.Lock()
        self._counts = ExportCounts()

    def offer(self, inferences: Sequence[Inference]) -> None:
        """Take what fits; count the rest as dropped.  Nothing is taken while nothing is exported."""
        with self._lock:
            if not self._wanted:
                return
            taken = inferences[: max(0, self._capacity - len(self._waiting))]
            self._waiting.extend(without_bodies(inference) for inference in taken)
            self._counts.offered += len(inferences)
            self._counts.dropped_full += len(inferences) - len(taken)

    def watch(self, trace: str) -> None:
        """Note whether this trace is taken.  Of the newest ``WATCHED`` only."""
        with self._lock:
            self._watched[trace] = False
            while len(self._watched) > WATCHED:
                self._watched.pop(next(iter(self._watched)))

    def exported(self, trace: str) -> bool | None:
        """Did the collector take a watched trace?  ``None`` while nothing is exported."""
        with self._lock:
            return self._watched.get(trace, False) if self._wanted else None

    def counts(self) -> ExportCounts | None:
        """A copy of the counters; ``None`` while nothing is exported."""
        with self._lock:
            if not self._wanted:
                return None
            return msgspec.structs.replace(self._counts, waiting=len(self._waiting))

    def round(self) -> None:
        """Export what waits, batch by batch.

        Raises ``CollectorDown`` at the first batch that is not taken, and what making the exporter raises.
        """
        exporter = self._exporter()
        with self._lock:
            self._wanted = exporter is not None
            if exporter is None:
                self._waiting.clear()
        if exporter is None:
            return
        give_up = self._clock() + ROUND_SECONDS
        while self._clock() < give_up:
            with self._lock:
                batch = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
            if not batch:
                return
            taken = exporter.export(batch)
            with self._lock:
                if taken:
                    self._counts.exported += len(batch)
                    self._watched.update((one.trace, True) for one in batch if one.trace in self._watched)
                else:
                    self._counts.dropped_refused += len(batch)
            if not taken:
                raise CollectorDown(f"the OTLP collector did not take {len(batch)} inferences; they are dropped")


def without_bodies(inference: Inference) -> Inference:
    """The record as spans need it: texts, tags and the person stay behind."""
    return msgspec.structs.replace(inference, request=None, prompt=None, response=None, unit=None, tags={})


def module(queue: SpanQueue) -> Module:
    """The engine module that empties the queue every second, and once more when control stops."""
    return Module(
        "telemetry", blocking(queue.round, name="telemetry", behind=True), interval=1.0, timeout=60.0, last_round=True
    )
