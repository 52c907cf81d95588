"""Background duty: teach the log to pack bodies from what was released, never from what was said to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from roadworthy.engine.supervise import Module, blocking
from roadworthy.inference_log.ports import LogStore
from roadworthy.workflow.model import FrozenRelease, Release


class Training:
    """Trains when the texts of the served releases are others than last time."""

    def __init__(self, store: LogStore, served: Callable[[], Mapping[str, FrozenRelease]]) -> None:
        self._store = store
        self._served = served
        self._known: list[bytes] = []

    def round(self) -> None:
        samples = sorted({text for frozen in self._served().values() for text in texts(frozen.release)})
        if samples and samples != self._known:
            self._store.train(samples)
            self._known = samples


def texts(release: Release) -> list[bytes]:
    """What a release says in every body: prompt, schema and tools."""
    behaviour = release.behaviour
    found = [] if behaviour.prompt is None else [behaviour.prompt.system.encode()]
    found += [msgspec.json.encode(part) for part in (behaviour.schema, behaviour.tools) if part]
    return [text for text in found if text]


def module(training: Training, *, interval: float = 60.0) -> Module:
    return Module("train", blocking(training.round, name="train"), interval, timeout=120.0)
