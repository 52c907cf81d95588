"""Providers behind the gateway: the rehearsal target started by hand, and one that keeps what it was sent."""

from __future__ import annotations

import http.server
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from support.waiting import until


class Rehearsal:
    """The simulated target as a provider of its own, with its ledger."""

    def __init__(self, root: Path, profile: dict[str, Any] | None = None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._ledger = root / "ledger.jsonl"
        self._port = root / "port"
        profile_file = root / "profile.json"
        profile_file.write_text(json.dumps(profile or {}))
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "roadworthy.adapters.providers.simulated", "--profile", str(profile_file),
                "--port-file", str(self._port), "--ledger", str(self._ledger), "--parent", str(os.getpid()),
            ]
        )  # fmt: skip

    @property
    def url(self) -> str:
        def port() -> str | None:
            assert self.process.poll() is None, "the rehearsal target ended"
            return self._port.read_text().strip() if self._port.exists() else None

        return f"http://127.0.0.1:{until(port, 'port of the rehearsal target')}/v1"

    def calls(self) -> list[dict[str, Any]]:
        """Its own account of what it sent, oldest first."""
        lines = self._ledger.read_bytes().splitlines() if self._ledger.exists() else []
        return [json.loads(line) for line in lines]

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(10)


Answer = Callable[["Sent", "Exchange"], None]


class Sent:
    """One request as it arrived, byte for byte."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path = path
        self.headers = headers
        """Names in lower case."""
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """How an answer goes out."""

    def __init__(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def whole(self, body: bytes, *, status: int = 200, kind: str = "application/json") -> None:
        self._handler.send_response(status)
        self._handler.send_header("content-type", kind)
        self._handler.send_header("content-length", str(len(body)))
        self._handler.end_headers()
        self._handler.wfile.write(body)

    def begin(self) -> None:
        """The head of a stream that lasts until the connection ends."""
        self._handler.send_response(200)
        self._handler.send_header("content-type", "text/event-stream")
        self._handler.send_header("connection", "close")
        self._handler.end_headers()

    def event(self, data: bytes) -> None:
        self._handler.wfile.write(b"data: " + data + b"\n\n")
        self._handler.wfile.flush()

    def hung_up(self, patience: float = 20.0) -> bool:
        """Wait for the caller to close the connection."""
        readable, _, _ = select.select([self._handler.connection], [], [], patience)
        try:
            return bool(readable) and self._handler.connection.recv(1) == b""
        except ConnectionResetError:
            return True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class Recorder:
    """A provider that keeps every request whole and answers as it is told."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.sent: list[Sent] = []
        self.open = 0
        """Connections at this moment."""
        self._lock = threading.Lock()
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                with recorder._lock:
                    recorder.open += 1
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def finish(self) -> None:
                super().finish()
                with recorder._lock:
                    recorder.open -= 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                sent = Sent(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                with recorder._lock:
                    recorder.sent.append(sent)
                recorder.answer(sent, Exchange(self))

            def log_message(self, *_: Any) -> None:
                return

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def completion(text: str = "Good.", model: str = "recorded", **more: Any) -> bytes:
    """A plain chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    body = {
        "id": "chatcmpl-r", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, **more,
    }  # fmt: skip
    return json.dumps(body).encode()
