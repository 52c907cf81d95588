"""Claims about what is known of one trace that is exported: a canary asks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from telemetry_records import recovered as inference

from roadworthy.engine.telemetry import WATCHED, CollectorDown, SpanQueue
from roadworthy.workflow.inference import Inference


class Collector:
    def __init__(self, takes: bool = True) -> None:
        self.takes = takes

    def export(self, inferences: Sequence[Inference]) -> bool:
        return self.takes

    def close(self) -> None:
        pass


def test_a_watched_trace_was_exported_once_the_collector_took_it() -> None:
    queue = SpanQueue(Collector)
    queue.watch("t1")
    queue.offer([inference(trace="t1"), inference(trace="t2")])
    assert queue.exported("t1") is False
    queue.round()
    assert queue.exported("t1") is True
    assert queue.exported("t2") is False  # nobody watched it


def test_what_the_collector_refused_was_not_exported() -> None:
    queue = SpanQueue(lambda: Collector(takes=False))
    queue.watch("t1")
    queue.offer([inference(trace="t1")])
    with pytest.raises(CollectorDown):
        queue.round()
    assert queue.exported("t1") is False


def test_nothing_is_known_where_nothing_is_exported() -> None:
    queue = SpanQueue(lambda: None)
    queue.watch("t1")
    queue.round()
    assert queue.exported("t1") is None


def test_only_so_many_traces_are_watched() -> None:
    queue = SpanQueue(Collector)
    for number in range(WATCHED + 1):
        queue.watch(f"t{number}")
    queue.offer([inference(trace="t0"), inference(trace="t1")])
    queue.round()
    assert (queue.exported("t0"), queue.exported("t1")) == (False, True)
