"""Exporting spans: they arrive; and a collector that is slow, dead or refusing slows nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from otlp_collectors import Collector, collector, dead, hanging
from telemetry_records import KNOWN, recovered

from roadworthy.adapters.telemetry.otlp import OtlpExporter, parse_headers, traces_url
from roadworthy.engine.supervise import Engine
from roadworthy.engine.telemetry import CollectorDown, ExportCounts, Exporter, SpanQueue, module
from roadworthy.wiring.composed.tracing import Tracing
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Configuration, Settings


def exporter(url: str, timeout: float = 2.0) -> OtlpExporter:
    return OtlpExporter(
        url, headers={"x-token": "t0p"}, version="0.1.0", instance="here", known=lambda: KNOWN, timeout=timeout
    )


def exporting(to: Exporter, **options: Any) -> SpanQueue:
    return SpanQueue(lambda: to, **options)


def counted(queue: SpanQueue) -> ExportCounts:
    counts = queue.counts()
    assert counts is not None
    return counts


def several(count: int) -> list[Inference]:
    return [recovered(id=f"inf_{i:032x}", span=f"{i + 1:016x}") for i in range(count)]


class Fake:
    """An exporter under the test's control."""

    def __init__(self, takes: bool = True) -> None:
        self.takes = takes
        self.batches: list[Sequence[Inference]] = []

    def export(self, inferences: Sequence[Inference]) -> bool:
        self.batches.append(inferences)
        return self.takes

    def close(self) -> None:
        pass


@pytest.fixture
def there() -> Iterator[Collector]:
    with collector() as running:
        yield running


def test_spans_arrive_at_the_collector(there: Collector) -> None:
    queue = exporting(exporter(there.url))
    queue.offer(several(3))
    queue.round()
    assert there.paths == ["/v1/traces"]
    assert there.headers[0]["x-token"] == "t0p"
    assert len(there.spans) == 9
    own = there.spans[0]
    assert own.name == "invoke_workflow triage"
    assert own.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert {span.parent_span_id for span in there.spans[1:3]} == {own.span_id}
    resource = there.requests[0].resource_spans[0].resource
    assert {pair.key: pair.value.string_value for pair in resource.attributes}["service.name"] == "roadworthy"
    assert counted(queue).exported == 3


def test_no_text_of_a_user_travels(there: Collector) -> None:
    queue = exporting(exporter(there.url))
    queue.offer([recovered()])
    queue.round()
    for text in (b"secret", b"system prompt", b"4711", b"ada@example.org"):
        assert text not in b"".join(there.raw)


def test_texts_do_not_even_wait_in_the_queue() -> None:
    fake = Fake()
    queue = exporting(fake)
    queue.offer([recovered()])
    queue.round()
    (kept,) = fake.batches[0]
    assert (kept.request, kept.prompt, kept.response, kept.unit, kept.tags) == (None, None, None, None, {})


def test_what_does_not_fit_is_counted_as_dropped() -> None:
    queue = exporting(Fake(), capacity=10)
    queue.offer(several(25))
    counts = counted(queue)
    assert (counts.offered, counts.waiting, counts.dropped_full) == (25, 10, 15)


@pytest.mark.parametrize("kind", ["dead", "hanging", "refusing"])
def test_a_collector_that_does_not_take_a_batch_costs_at_most_the_time_limit(kind: str) -> None:
    with hanging() as hung, collector() as refusing:
        refusing.status = 400
        url = {"dead": dead(), "hanging": hung, "refusing": refusing.url}[kind]
        queue = exporting(exporter(url, timeout=0.3), batch=2)
        queue.offer(several(6))
        started = time.monotonic()
        with pytest.raises(CollectorDown, match="did not take 2 inferences"):
            queue.round()
        assert time.monotonic() - started < 5
        counts = counted(queue)
        assert (counts.exported, counts.dropped_refused, counts.waiting) == (0, 2, 4)


def test_offering_never_waits_for_a_collector_that_hangs() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Stuck(Fake):
        def export(self, inferences: Sequence[Inference]) -> bool:
            entered.set()
            return leave.wait(30)

    queue = exporting(Stuck(), capacity=100)
    queue.offer(several(1))
    thread = threading.Thread(target=queue.round)
    thread.start()
    assert entered.wait(10)
    for _ in range(50):
        queue.offer(several(10))  # returns although the exporter is stuck
    assert not leave.is_set()
    assert counted(queue).dropped_full == 400
    leave.set()
    thread.join(10)
    counts = counted(queue)
    assert counts.offered == counts.exported + counts.dropped_full + counts.dropped_refused + counts.waiting


def test_a_collector_that_comes_back_gets_what_comes_after(there: Collector) -> None:
    fake = Fake(takes=False)
    queue = exporting(fake)
    queue.offer(several(1))
    with pytest.raises(CollectorDown):
        queue.round()
    fake.takes = True
    queue.offer(several(2))
    queue.round()
    assert (counted(queue).dropped_refused, counted(queue).exported) == (1, 2)


def test_nothing_waits_and_nothing_is_counted_while_no_collector_is_configured() -> None:
    fake, configured = Fake(), False
    queue = SpanQueue(lambda: fake if configured else None)
    queue.offer(several(5))  # before the first round it is not known yet
    queue.round()
    queue.offer(several(5))
    assert queue.counts() is None
    configured = True
    queue.round()
    queue.offer(several(2))
    queue.round()
    assert [len(batch) for batch in fake.batches] == [2]


def test_a_collector_that_is_configured_while_control_runs_gets_what_comes_then() -> None:
    first, second = Fake(), Fake()
    current = first
    queue = SpanQueue(lambda: current)
    queue.offer(several(1))
    queue.round()
    current = second
    queue.offer(several(2))
    queue.round()
    assert ([len(b) for b in first.batches], [len(b) for b in second.batches]) == ([1], [2])


def test_an_exporter_that_cannot_be_made_loses_nothing_yet() -> None:
    def broken() -> Exporter:
        raise ValueError("telemetry.otlp.headers: entry 1 is not of the form name=value")

    queue = SpanQueue(broken)
    queue.offer(several(3))
    with pytest.raises(ValueError, match="entry 1"):
        queue.round()
    assert counted(queue).waiting == 3


def test_a_long_round_gives_way_to_the_next() -> None:
    ticks = iter(range(0, 1000, 8))
    queue = exporting(Fake(), batch=1, clock=lambda: float(next(ticks)))
    queue.offer(several(10))
    queue.round()
    assert 0 < counted(queue).waiting < 10


async def _engine(queue: SpanQueue) -> Engine:
    engine = Engine([module(queue)])
    await engine.round("telemetry")
    return engine


def test_the_engine_shows_a_dead_collector_and_lives_on() -> None:
    queue = exporting(exporter(dead(), timeout=0.3))
    queue.offer(several(1))
    (health,) = asyncio.run(_engine(queue)).health()
    assert health.state == "failing"
    assert "OTLP collector" in health.last_error


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/", "http://c:4318/v1/traces"),
        ("https://c/otlp", "https://c/otlp/v1/traces"),
        ("https://c/v1/traces", "https://c/v1/traces"),
    ],
)
def test_a_base_url_gets_the_path_of_traces(given: str, expected: str) -> None:
    assert traces_url(given) == expected


@pytest.mark.parametrize("wrong", ["c:4318", "grpc://c:4317", "", "http://"])
def test_an_endpoint_that_is_no_url_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="expected http"):
        traces_url(wrong)


def test_headers_read_like_the_standard_variable_and_errors_never_quote_them() -> None:
    assert parse_headers("authorization=Basic abc==, x=y,") == {"authorization": "Basic abc==", "x": "y"}
    with pytest.raises(ValueError, match="entry 2") as caught:
        parse_headers("a=b,s3cret")
    assert "s3cret" not in str(caught.value)


def configured(headers: str | None) -> Configuration:
    return Configuration(Settings(otlp_endpoint="http://127.0.0.1:9", otlp_headers=headers), {}, {}, {})


def test_the_exporter_follows_the_configuration() -> None:
    current: Configuration | None = None
    tracing = Tracing(lambda: current)
    assert tracing.exporter() is None
    current = configured(None)
    made = tracing.exporter()
    assert made is not None
    assert tracing.exporter() is made
    current = Configuration(Settings(), {}, {}, {})
    assert tracing.exporter() is None


def test_a_missing_secret_is_named_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tracing = Tracing(lambda: configured("env:OTLP_TEST_HEADERS"))
    monkeypatch.delenv("OTLP_TEST_HEADERS", raising=False)
    with pytest.raises(ValueError, match="env:OTLP_TEST_HEADERS is missing or empty"):
        tracing.exporter()
    monkeypatch.setenv("OTLP_TEST_HEADERS", "x-token=abc")
    assert tracing.exporter() is not None
    tracing.close()
