"""Metrics and spans of a real install: every process, a real socket, a collector that works and one that hangs."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from otlp_collectors import collector, hanging

PROGRAM = Path(sys.executable).parent / "roadworthy"
ANSWER = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "model": "m-2026",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "a secret answer"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 30, "completion_tokens": 9, "total_tokens": 39},
    }
).encode()
QUESTION = json.dumps({"model": "triage", "messages": [{"role": "user", "content": "a secret prompt"}], "user": "ada"})


class Provider(BaseHTTPRequestHandler):
    """Answers every POST at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *args: object) -> None:
        pass


@dataclass(frozen=True)
class Prepared:
    """A data folder with one workflow, frozen, and its key."""

    data: Path
    files: dict[str, Any]
    token: str


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        place = tmp_path_factory.mktemp("prepared")
        upstream = f"http://127.0.0.1:{server.server_address[1]}/v1"
        target = {"provider": "openai", "model": "m", "endpoint": upstream, "allow_private": True}
        workflow = {
            "owners": {"workflow": "ada", "prompt": "ada", "cost": "ada"},
            "enforcement": "observe",
            "target": "mini",
            "bypass": "app",
            "prompt": {"mode": "managed", "system": "prompt.md"},
        }
        files: dict[str, Any] = {
            "roadworthy.yaml": {"version": 1, "targets": {"mini": {**target, "price": {"input": 1, "output": 2}}}},
            "people.yaml": {"people": {"ada": {"name": "Ada", "email": "ada@example.org"}}},
            "workflows/triage/workflow.yaml": workflow,
        }
        write(place / "configuration", files)
        command("apply", str(place / "configuration"), data=place / "data")
        command("freeze", "triage", data=place / "data")
        key = json.loads(command("keys", "create", "app", "--json", data=place / "data"))
        yield Prepared(place / "data", files, key["token"])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def write(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    (folder / "workflows/triage/prompt.md").write_text("Sort what customers write.")


def command(*words: str, data: Path) -> str:
    done = subprocess.run([PROGRAM, *words, "--data", data], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Install:
    """One ``roadworthy up`` with one workflow; stop it."""

    def __init__(self, place: Path, prepared: Prepared, otlp: str) -> None:
        self.data, self.token, self.log = place / "data", prepared.token, place / "log.txt"
        shutil.copytree(prepared.data, self.data)
        folder = place / "configuration"
        settings = {**prepared.files["roadworthy.yaml"], "telemetry": {"otlp": {"endpoint": otlp}}}
        write(folder, {**prepared.files, "roadworthy.yaml": settings})
        where = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--console", "off", "--grace", "1"]
        with self.log.open("wb") as log:
            line = [PROGRAM, "up", folder, "--data", self.data, *where]
            self._process = subprocess.Popen(line, stdout=log, stderr=log, cwd=place)
        self.metrics_address = self._wait(lambda: self._facts()["metrics"])
        self.address = self._wait(lambda: self._facts()["listen"])
        self._wait(lambda: self.samples()["roadworthy_log_stored_total"] == 0 or None)

    def call(self, traceparent: str = "") -> int:
        connection = http.client.HTTPConnection(self.address, timeout=20)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if traceparent:
            headers["traceparent"] = traceparent
        connection.request("POST", "/v1/chat/completions", QUESTION, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def page(self) -> str:
        connection = http.client.HTTPConnection(self.metrics_address, timeout=20)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def samples(self) -> dict[str, float]:
        pairs = (line.rpartition(" ") for line in self.page().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def until(self, name: str, value: float) -> dict[str, float]:
        """The samples once ``name`` has reached ``value``."""

        def reached() -> dict[str, float] | None:
            found = self.samples()
            return found if found.get(name, 0.0) >= value else None

        return self._wait(reached)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.data / "run" / "processes.json").read_text())
        return facts

    def _wait(self, look: Callable[[], Any]) -> Any:
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            assert self._process.poll() is None, self.log.read_text()
            try:
                found = look()
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                found = None
            if found is not None:
                return found
            time.sleep(0.02)
        raise AssertionError(f"waited 30 s in vain; {self.log.read_text()[-2000:]}")


@contextmanager
def install(place: Path, prepared: Prepared, otlp: str) -> Iterator[Install]:
    running = Install(place, prepared, otlp)
    try:
        yield running
    finally:
        running.stop()


def test_metrics_are_true_and_spans_continue_the_callers_trace(tmp_path: Path, prepared: Prepared) -> None:
    with collector() as there, install(tmp_path, prepared, there.url) as running:
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        assert [running.call(f"00-{trace}-00f067aa0ba902b7-01"), running.call(), running.call()] == [200, 200, 200]
        found = running.until("roadworthy_spans_exported_total", 3)
        labels = 'workflow="triage",outcome="answered",route="release",class="live"'
        assert found[f"roadworthy_inferences_total{{{labels}}}"] == 3
        assert found['roadworthy_tokens_total{workflow="triage",kind="output"}'] == 27
        assert found['roadworthy_cost_usd_total{workflow="triage"}'] == pytest.approx(3 * 48e-6)
        assert found["roadworthy_journal_stored_total"] == found["roadworthy_log_stored_total"] == 3
        assert found['roadworthy_worker_up{worker="w0"}'] == 1
        page = running.page()
        own, attempt = (span for span in there.spans if span.trace_id.hex() == trace)
        assert own.parent_span_id.hex() == "00f067aa0ba902b7"
        assert attempt.parent_span_id == own.span_id
        told = b"".join(there.raw) + page.encode() + running.log.read_bytes()
    assert b"secret" not in told
    assert running.token.encode() not in told
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True, timeout=30)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_collector_that_hangs_keeps_no_call_and_no_record_waiting(tmp_path: Path, prepared: Prepared) -> None:
    with hanging() as url, install(tmp_path, prepared, url) as running:
        assert [running.call() for _ in range(20)] == [200] * 20
        found = running.until("roadworthy_log_stored_total", 20)
        assert found["roadworthy_spans_exported_total"] == 0
        assert found["roadworthy_journal_stored_total"] == 20
