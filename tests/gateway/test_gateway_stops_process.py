"""Claims about real workers that are told to stop, or find it out themselves with control dead."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_workers import Provider, Workers

from roadworthy.gateway.snapshot import Stopped
from roadworthy.gateway.stopping.model import KillNews, KillSeen
from roadworthy.wiring.folders.data_folder import create_folder
from roadworthy.workflow.inference import Inference


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


def started(tmp_path: Path, provider: Any, workers: int = 1) -> Workers:
    folder = create_folder(tmp_path / "data")
    return Workers(folder, f"http://127.0.0.1:{provider.server_port}/v1", workers=workers)


def push(workers: Workers, number: int, **states: Stopped) -> KillSeen:
    body = msgspec.json.encode(KillNews(1, 0.0, states))
    head = b"POST /internal/kill HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.socket(socket.AF_UNIX) as private:
        private.connect(str(workers.folder.worker_socket(number)))
        private.sendall(head + body)
        answer = b""
        while piece := private.recv(65536):
            answer += piece
    return msgspec.json.decode(answer.split(b"\r\n\r\n", 1)[1], type=KillSeen)


def code(workers: Workers) -> str:
    status, answer = workers.post()
    return "answered" if status == 200 else str(answer["error"]["code"])


def test_with_control_dead_a_kill_file_stops_every_worker_and_its_removal_lifts_it(
    tmp_path: Path, provider: Any
) -> None:
    workers = started(tmp_path, provider, 2)
    try:
        assert code(workers) == "answered"
        (workers.folder.root / "KILL").touch()
        workers.until(lambda: [workers.counters(number)["kill"] for number in (0, 1)] == [{"support": "off"}] * 2)
        provider.asked.clear()
        assert {code(workers) for _ in range(20)} == {"ai_off"}
        assert not provider.asked.is_set()
        assert workers.get("/readyz")[0] == 200
        (workers.folder.root / "KILL").unlink()
        workers.until(lambda: code(workers) == "answered")
        stopped = [line for line in workers.lines() if isinstance(line, Inference) and line.code == "ai_off"]
        assert {(line.outcome, line.route, line.kill) for line in stopped} == {("bypassed", "off", "off")}
    finally:
        workers.end()


def test_two_workers_stop_when_they_answer_and_still_are_after_a_restart_without_control(
    tmp_path: Path, provider: Any
) -> None:
    workers = started(tmp_path, provider, 2)
    try:
        for number in (0, 1):
            seen = push(workers, number, support=Stopped("off", 7, 1.0))
            assert (seen.worker, seen.states["support"].state, seen.states["support"].seq) == (f"w{number}", "off", 7)
        provider.asked.clear()
        assert {code(workers) for _ in range(20)} == {"ai_off"}
        assert not provider.asked.is_set()
    finally:
        workers.end()
    again = started(tmp_path, provider)
    try:
        assert code(again) == "ai_off"
        assert push(again, 0, support=Stopped("on", 6)).states["support"].state == "off"
        assert push(again, 0, support=Stopped("on", 8)).states["support"].state == "on"
        assert code(again) == "answered"
    finally:
        again.end()


def test_a_snapshot_that_says_off_is_off_from_the_first_call(tmp_path: Path, provider: Any) -> None:
    folder = create_folder(tmp_path / "data")

    class Off(Workers):
        def publish(self, *, seq: int, **more: Any) -> None:
            super().publish(seq=seq, kill={"support": Stopped("off", 3)}, **more)

    workers = Off(folder, f"http://127.0.0.1:{provider.server_port}/v1")
    try:
        assert code(workers) == "ai_off"
        assert not provider.asked.is_set()
    finally:
        workers.end()


def test_the_environment_is_read_at_start(tmp_path: Path, provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADWORTHY_KILL", "support=off")
    workers = started(tmp_path, provider)
    try:
        assert code(workers) == "ai_off"
        assert push(workers, 0).environment == {"support": "off"}
    finally:
        workers.end()
