"""Real gateway workers for tests: processes that share one listening socket, fed with a snapshot by hand."""

from __future__ import annotations

import hmac
import http.client
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import msgspec
from gateway_support import TOKEN, completion, key, release

from roadworthy.gateway import snapshot as snapshots
from roadworthy.gateway.snapshot import Endpoint, ServedWorkflow, Snapshot
from roadworthy.inference_log import segments
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.workflow.model import Breaker, Capabilities, Policy, Price, Release, Target
from support.earning import earned

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


class Workers:
    """Worker processes and how to talk to them."""

    def __init__(
        self, folder: DataFolder, url: str, *, workers: int = 1, served: dict[str, Release] | None = None
    ) -> None:
        self.folder = folder
        self.url = url
        self.served = served or {"support": release()}
        self.publish(seq=1)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.processes = [self._start(number, workers, listener.fileno()) for number in range(workers)]
        listener.close()
        sockets = [folder.worker_socket(number) for number in range(workers)]
        self.until(lambda: all(sock.exists() for sock in sockets))
        self.until(lambda: self.get("/readyz")[0] == 200)

    def _start(self, number: int, workers: int, fd: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROBE, "--data", str(self.folder.root), "--fd", str(fd)]
        command += ["--worker", str(number), "--workers", str(workers)]
        return subprocess.Popen(
            command, pass_fds=[fd], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "UP": "sk-up"},
        )  # fmt: skip

    def publish(self, *, seq: int, **more: Any) -> None:
        digest = hmac.digest(self.folder.hmac_key(), TOKEN.encode(), "sha256").hex()
        target = Target(
            "main", "openai", "main-model", self.url, "env:UP", allow_private=True,
            capabilities=Capabilities(prefill="native"), breaker=Breaker(calls=100_000),  # faults are ordered here
        )  # fmt: skip
        fields: dict[str, Any] = {
            "format": 1, "epoch": 1, "seq": seq, "made_at": 1.0,
            "workflows": {
                name: ServedWorkflow(name, "default", "enforce", Policy(), made.digest)
                for name, made in self.served.items()
            },
            "releases": {made.digest: made for made in self.served.values()},
            "targets": {"main": target}, "endpoints": {"main": Endpoint(self.url)},
            "prices": {"main": Price(0.001, 0.002)}, "keys": {digest: key()[1]},
        }  # fmt: skip
        self.write(snapshots.encode(earned(Snapshot(**{**fields, **more}), time.time())))

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

    def until(self, good: Any) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for process in self.processes:
                if process.poll() is not None:
                    raise AssertionError(process.communicate())
            if good():
                return
            time.sleep(0.02)
        raise AssertionError("not in time")

    def lines(self) -> list[Any]:
        found: list[Any] = []
        for name in segments.segments(self.folder.journal):
            found += [line.value for line in segments.scan(name.path(self.folder.journal)).lines]
        return found

    def counters(self, number: int = 0) -> dict[str, Any]:
        """The report that the supervisor reads."""
        with socket.socket(socket.AF_UNIX) as private:
            private.connect(str(self.folder.worker_socket(number)))
            private.sendall(b"GET /internal/counters HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := private.recv(65536):
                answer += piece
        found: dict[str, Any] = msgspec.json.decode(answer.split(b"\r\n\r\n", 1)[1])
        return found

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
