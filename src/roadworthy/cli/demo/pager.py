"""The demo's phones and its alert desk: one HTTP server on loopback that keeps what Roadworthy sends.

``/PERSON`` is that person's phone, and nobody else's; ``/notify`` is where incidents and alerts are told.  What is not
signed with the demo's secret is not taken.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from roadworthy.people.webhooks import SignatureRefused, verify

PAGER = "127.0.0.1:8499"
"""What stands for its address in the sample's ``roadworthy.yaml``."""
VARIABLE = "ROADWORTHY_DEMO_SECRET"
LARGEST = 1024 * 1024


class Pager:
    def __init__(self) -> None:
        self._secret = secrets.token_hex(32)
        self._kept: list[tuple[str, dict[str, Any]]] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def secret(self) -> dict[str, str]:
        """For the environment of whoever sends."""
        return {VARIABLE: self._secret}

    @property
    def address(self) -> str:
        if self._server is None:
            raise RuntimeError("the demo's pager is not up")
        return f"127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, name="pager", daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def got(self, at: str) -> list[dict[str, Any]]:
        """Messages that came to ``at``, oldest first."""
        return [message for place, message in list(self._kept) if place == at]

    def page(self, person: str, incident: str, patience: float) -> dict[str, Any] | None:
        """What a person's phone shows of an incident, once it is there; ``None``: not within ``patience`` seconds."""
        deadline = time.monotonic() + patience
        while True:
            for message in self.got(person):
                if message["type"] == "page.trigger" and message["data"]["incident"] == incident:
                    found: dict[str, Any] = message["data"]
                    return found
            if time.monotonic() > deadline:
                return None
            time.sleep(0.05)

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status to answer with."""
        try:
            verify(self._secret, headers, body, time.time())
            message = json.loads(body)
        except SignatureRefused:
            return 401
        except ValueError:
            return 400
        self._kept.append((path.strip("/"), message))
        return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                size = int(length) if length.isdigit() else 0
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = take(self.path, headers, self.rfile.read(size)) if size <= LARGEST else 413
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the demo tells what came."""

        return Handler
