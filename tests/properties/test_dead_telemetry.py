"""Telemetry that is down slows nothing: calls are served and logged, status says what is wrong, stopping is quick."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from callers import Ask, Callers, Heard, with_callers
from property_install import configuration, question, started

from support.up import Up, roadworthy
from support.waiting import until

CALLS = 300


@pytest.fixture(params=["nobody listens", "accepts and never answers"])
def collector(request: pytest.FixtureRequest) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if request.param == "nobody listens":
            listener.close()
        yield f"http://127.0.0.1:{port}/v1/traces"


def test_a_collector_that_is_down_slows_nothing_and_is_named_in_status(collector: str, tmp_path: Path) -> None:
    config = configuration(tmp_path, settings=f"telemetry: {{otlp: {{endpoint: '{collector}'}}}}\n")
    with Up(tmp_path, config=config) as up:
        started(up)
        token = up.key("app")

        async def load(callers: Callers) -> list[Heard]:
            asks = (Ask(token, f"u-{number}", question("Hello")) for number in range(CALLS))
            return await callers.all(asks, at_once=20)

        heard = with_callers(up.address, load)
        assert {(one.status, one.whole) for one in heard} == {(200, True)}

        def failing() -> bool:
            duties = {duty["name"]: duty for duty in up.admin("GET", "/v1/status")["control"]["engine"]}
            return bool(duties["telemetry"]["failures_in_a_row"])

        until(failing, "word about telemetry")
        status = roadworthy("status", "--data", str(up.data), code=1)
        assert "telemetry fails: CollectorDown" in status.stderr
        assert f"stored {CALLS}" in status.stdout
        assert sum(up.metric("spans_exported_total").values()) == 0
        assert sum(up.metric("spans_dropped_refused_total").values()) > 0
        assert sum(up.metric("log_stored_total").values()) == CALLS
        began = time.monotonic()
        assert up.stop() == 0
        assert time.monotonic() - began < 20.0  # the grace is thirty
    assert list((up.data / "journal").glob("*/*.jsonl")) == []
