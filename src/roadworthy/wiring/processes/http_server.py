"""uvicorn as a part of a process that has its own signals, sockets and logs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER = struct.Struct("3i")
"""Linux ``ucred``: pid, uid, gid."""
LARGEST_HEAD = 64 * 1024
"""Bytes of a request before its body, beyond what comes at first; the parser has no limit of its own."""
PATIENCE = 20.0
"""Seconds in which the head of a request must have come."""
MOST_CONNECTIONS = 500
"""Of a listener that strangers reach: others hear 503, and control keeps descriptors for its own work."""


class PeerProtocol(HttpToolsProtocol):
    """Tells the application who is at the other end of a Unix socket: ``scope["client"] = ("os:<uid>", pid)``.

    The kernel vouches for it (``SO_PEERCRED``); a client cannot claim another uid.  Whoever sends a head without end,
    slowly or never, is cut off.
    """

    _head: int | None = None
    """Bytes of the head that is coming; ``None``: none is."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_begins()
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            pid, uid, _ = PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
            self.client = (f"os:{uid}", pid)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_begins()

    def data_received(self, data: bytes) -> None:
        before = self._head
        super().data_received(data)
        if before is not None and self._head is not None:
            self._head = before + len(data)
            if self._head > LARGEST_HEAD:
                self.transport.close()

    def on_headers_complete(self) -> None:
        self._head_is_over()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_over()
        super().connection_lost(exc)

    def _head_begins(self) -> None:
        self._head = 0
        if self._deadline is None:
            self._deadline = self.loop.call_later(PATIENCE, self.transport.close)

    def _head_is_over(self) -> None:
        self._head = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """Leaves signals to the process.  ``should_exit = True`` ends ``serve``."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def server(app: Any, *, grace: float = 5.0, public: bool = False) -> Server:
    """``grace``: seconds that requests in flight have to end after ``should_exit``.

    ``public``: strangers may reach it.  Then a proxy on this machine, and nobody else, may say for whom it asks
    (``X-Forwarded-For``); elsewhere that header means nothing, whatever the environment says.
    """
    return Server(
        uvicorn.Config(
            app,
            http=PeerProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=public,
            forwarded_allow_ips="127.0.0.1,::1",
            limit_concurrency=MOST_CONNECTIONS if public else None,
            timeout_graceful_shutdown=int(grace),
        )
    )
