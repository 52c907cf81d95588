"""Claims about a real worker process: it serves from its snapshot alone, lightly, and ends in good order."""

from __future__ import annotations

import http.client
import http.server
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gateway_workers import Provider, Workers

from roadworthy.gateway.admission.body import MOST_NESTED, RECURSION
from roadworthy.wiring.folders.data_folder import create_folder
from roadworthy.workflow.inference import Inference, Seal

HEAVY = (
    "sqlalchemy", "apsw", "numpy", "scipy", "jinja2", "starlette", "pydantic", "rich", "click", "pyarrow", "botocore",
    "opentelemetry", "sqlite3",
)  # fmt: skip


@pytest.fixture
def provider() -> Iterator[Any]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.asked, server.go = threading.Event(), threading.Event()  # type: ignore[attr-defined]
    server.go.set()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def running(tmp_path: Path, provider: Any) -> Iterator[Workers]:
    worker = Workers(create_folder(tmp_path / "data"), f"http://127.0.0.1:{provider.server_port}/v1")
    yield worker
    worker.end()


def test_a_worker_takes_the_descriptors_that_the_system_grants(tmp_path: Path, provider: Any) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        worker = Workers(create_folder(tmp_path / "data"), f"http://127.0.0.1:{provider.server_port}/v1")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    soft, _ = resource.prlimit(worker.processes[0].pid, resource.RLIMIT_NOFILE)
    worker.end()
    assert soft == (65_536 if before[1] == resource.RLIM_INFINITY else min(65_536, before[1]))


def test_a_worker_that_has_served_holds_no_heavy_library(running: Workers) -> None:
    assert running.post()[0] == 200
    running.processes[0].send_signal(signal.SIGUSR1)
    assert running.processes[0].stdout is not None
    loaded = set(running.processes[0].stdout.readline().strip().split(","))
    assert "msgspec" in loaded
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)


def test_a_new_snapshot_is_served_and_a_bad_one_is_not(running: Workers) -> None:
    running.publish(seq=2, workflows={}, releases={})
    running.until(lambda: running.post()[0] == 404)
    running.publish(seq=3)
    running.until(lambda: running.post()[0] == 200)
    running.write(b"{not a snapshot")
    time.sleep(0.5)
    assert running.get("/readyz") == (200, {"status": "ready", "worker": "w0", "snapshot": 3})
    running.publish(seq=4, epoch=0)
    time.sleep(0.5)
    assert running.get("/readyz")[1]["snapshot"] == 3


def test_a_stop_lets_the_call_under_way_finish_and_seals_the_journal(running: Workers, provider: Any) -> None:
    provider.go.clear()
    provider.asked.clear()
    answers: list[Any] = []
    calling = threading.Thread(target=lambda: answers.append(running.post()))
    calling.start()
    assert provider.asked.wait(10)
    running.processes[0].send_signal(signal.SIGTERM)
    time.sleep(0.2)
    provider.go.set()
    calling.join(20)
    assert running.processes[0].wait(20) == 0
    assert answers[0][0] == 200
    lines = running.lines()
    assert isinstance(lines[-1], Seal)
    assert [line.outcome for line in lines if isinstance(line, Inference)] == ["answered"]


def test_what_was_answered_survives_kill_9(running: Workers) -> None:
    idents = [running.post()[1]["roadworthy"]["inference"] for _ in range(5)]
    running.processes[0].kill()
    running.processes[0].wait(10)
    assert [line.id for line in running.lines() if isinstance(line, Inference)] == idents


def test_however_deep_a_body_is_nested_its_record_can_be_read_or_it_is_refused(running: Workers) -> None:
    def post(levels: int) -> tuple[int, Any]:
        deep = b"[" * levels + b"]" * levels
        body = b'{"model":"support","messages":[{"role":"user","content":"Hi"}],"metadata":%b}' % deep
        return running.request("POST", "/v1/chat/completions", body)

    status, answer = post(MOST_NESTED - 1)
    assert status == 200, answer
    taken, refused = MOST_NESTED - 1, 2000
    while refused - taken > 1:
        middle = (taken + refused) // 2
        status, answer = post(middle)
        if status == 200:
            taken = middle
        else:
            refused = middle
            assert (status, answer["error"]["code"]) == (400, "invalid_json")
            assert f"{MOST_NESTED} levels" in answer["error"]["message"]
    status, answer = post(taken)
    assert status == 200
    [record] = [
        line for line in running.lines()
        if isinstance(line, Inference) and line.id == answer["roadworthy"]["inference"]
    ]  # fmt: skip
    assert record.request is not None
    assert taken < RECURSION <= sys.getrecursionlimit() - 300  # what is left is for the frames of its readers


def test_counters_are_read_over_the_private_socket_only(running: Workers) -> None:
    running.post()
    assert running.get("/internal/counters")[0] == 404
    report = running.counters()
    assert report["inferences"][0]["count"] == 1
    assert report["inferences"][0]["outcome"] == "answered"
    assert report["journal"] == {
        "accepted": 1, "stored": 1, "waiting": 0, "dropped": 0, "bodies_dropped": 0, "segments": 1,
        "escalations": 0, "escalations_refused": 0,
        "bytes": report["journal"]["bytes"],
    }  # fmt: skip
    assert report["in_flight"] == 0


def test_a_snapshot_that_could_not_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from roadworthy.wiring import gateway as wired

    path = tmp_path / "current.json"
    path.write_bytes(b"{}")
    tried: list[bytes] = []
    counted = SimpleNamespace(counters=SimpleNamespace(snapshots_refused=0))
    file = wired.SnapshotFile(path, counted, None, None)  # type: ignore[arg-type]
    monkeypatch.setattr(wired, "decode", tried.append)
    monkeypatch.setattr(file, "_serve", lambda snapshot: None)
    with monkeypatch.context() as starved:
        starved.setattr(Path, "read_bytes", _no_descriptors)
        file.load()
    assert (tried, counted.counters.snapshots_refused) == ([], 1)
    file.load()
    file.load()
    assert tried == [b"{}"]


def _no_descriptors(path: Path) -> bytes:
    raise OSError(24, "Too many open files")
