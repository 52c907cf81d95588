"""Claims about a real worker process: it serves from its snapshot alone, lightly, and ends in good order."""

from __future__ import annotations

import http.client
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import TOKEN, completion, key, release

from roadworthy.gateway import snapshot as snapshots
from roadworthy.gateway.snapshot import Endpoint, ServedWorkflow, Snapshot
from roadworthy.inference_log import segments
from roadworthy.wiring.data_folder import DataFolder, create_folder
from roadworthy.workflow.inference import Inference, Seal
from roadworthy.workflow.model import Policy, Price, Target

HEAVY = (
    "sqlalchemy", "apsw", "numpy", "scipy", "jinja2", "starlette", "pydantic", "rich", "click", "pyarrow",
    "opentelemetry", "sqlite3",
)  # fmt: skip

PROBE = """
import signal, sys
def tell(*_):
    print(",".join(sorted(name for name in sys.modules if "." not in name)), flush=True)
signal.signal(signal.SIGUSR1, tell)
from roadworthy.wiring.gateway import main
sys.exit(main(sys.argv[1:]))
"""


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    release_answer: threading.Event

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.set()  # type: ignore[attr-defined]
        self.server.go.wait(20)  # type: ignore[attr-defined]
        body = completion()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


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


class Running:
    """A worker process and how to talk to it."""

    def __init__(self, folder: DataFolder, provider: Any, *, key_bytes: bytes | None = None) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{provider.server_port}/v1"
        self.publish(seq=1)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROBE, "--data", str(folder.root), "--fd", str(listener.fileno())],
            pass_fds=[listener.fileno()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "UP": "sk-up"},
        )  # fmt: skip
        listener.close()
        self.until_ready()

    def publish(self, *, seq: int, **more: Any) -> None:
        import hmac

        digest = hmac.digest(self.folder.hmac_key(), TOKEN.encode(), "sha256").hex()
        _, api_key = key()
        made = release()
        target = Target("main", "openai", "main-model", self.url, "env:UP", allow_private=True)
        fields: dict[str, Any] = {
            "format": 1, "epoch": 1, "seq": seq, "made_at": 1.0,
            "workflows": {"support": ServedWorkflow("support", "default", "enforce", Policy(), made.digest)},
            "releases": {made.digest: made}, "targets": {"main": target}, "endpoints": {"main": Endpoint(self.url)},
            "prices": {"main": Price(0.001, 0.002)}, "keys": {digest: api_key},
        }  # fmt: skip
        self.write(snapshots.encode(Snapshot(**{**fields, **more})))

    def write(self, data: bytes) -> None:
        path = self.folder.snapshot
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(data)
        fresh.replace(path)

    def get(self, path: str) -> tuple[int, Any]:
        return self.request("GET", path)

    def post(self) -> tuple[int, Any]:
        body = msgspec.json.encode({"model": "support", "messages": [{"role": "user", "content": "Hi"}]})
        return self.request("POST", "/v1/chat/completions", body)

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, {"authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        found = answer.status, msgspec.json.decode(answer.read())
        connection.close()
        return found

    def until_ready(self) -> None:
        self.until(lambda: self.get("/readyz")[0] == 200)

    def until(self, good: Any) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(self.process.communicate())
            if good():
                return
            time.sleep(0.02)
        raise AssertionError("not in time")

    def lines(self) -> list[Any]:
        found: list[Any] = []
        for name in segments.segments(self.folder.journal):
            found += [line.value for line in segments.scan(name.path(self.folder.journal)).lines]
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def running(tmp_path: Path, provider: Any) -> Iterator[Running]:
    worker = Running(create_folder(tmp_path / "data"), provider)
    yield worker
    worker.end()


def test_a_worker_that_has_served_holds_no_heavy_library(running: Running) -> None:
    assert running.post()[0] == 200
    running.process.send_signal(signal.SIGUSR1)
    assert running.process.stdout is not None
    loaded = set(running.process.stdout.readline().strip().split(","))
    assert "msgspec" in loaded
    assert loaded.isdisjoint(HEAVY), loaded.intersection(HEAVY)


def test_a_new_snapshot_is_served_and_a_bad_one_is_not(running: Running) -> None:
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


def test_a_stop_lets_the_call_under_way_finish_and_seals_the_journal(running: Running, provider: Any) -> None:
    provider.go.clear()
    provider.asked.clear()
    answers: list[Any] = []
    calling = threading.Thread(target=lambda: answers.append(running.post()))
    calling.start()
    assert provider.asked.wait(10)
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    provider.go.set()
    calling.join(20)
    assert running.process.wait(20) == 0
    assert answers[0][0] == 200
    lines = running.lines()
    assert isinstance(lines[-1], Seal)
    assert [line.outcome for line in lines if isinstance(line, Inference)] == ["answered"]


def test_what_was_answered_survives_kill_9(running: Running) -> None:
    idents = [running.post()[1]["roadworthy"]["inference"] for _ in range(5)]
    running.process.kill()
    running.process.wait(10)
    assert [line.id for line in running.lines() if isinstance(line, Inference)] == idents


def test_counters_are_read_over_the_private_socket_only(running: Running) -> None:
    running.post()
    assert running.get("/internal/counters")[0] == 404
    with socket.socket(socket.AF_UNIX) as private:
        private.connect(str(running.folder.worker_socket(0)))
        private.sendall(b"GET /internal/counters HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := private.recv(65536):
            answer += piece
    report = msgspec.json.decode(answer.split(b"\r\n\r\n", 1)[1])
    assert report["inferences"][0]["count"] == 1
    assert report["inferences"][0]["outcome"] == "answered"
    assert report["journal"] == {
        "accepted": 1, "stored": 1, "dropped": 0, "bodies_dropped": 0, "segments": 1,
        "bytes": report["journal"]["bytes"],
    }  # fmt: skip
    assert report["in_flight"] == 0
