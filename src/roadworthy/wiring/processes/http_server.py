"""uvicorn as a part of a process that has its own signals, sockets and logs."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER = struct.Struct("3i")
"""Linux ``ucred``: pid, uid, gid."""


class PeerProtocol(HttpToolsProtocol):
    """Tells the application who is at the other end of a Unix socket: ``scope["client"] = ("os:<uid>", pid)``.

    The kernel vouches for it (``SO_PEERCRED``); a client cannot claim another uid.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            pid, uid, _ = PEER.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
            self.client = (f"os:{uid}", pid)


class Server(uvicorn.Server):
    """Leaves signals to the process.  ``should_exit = True`` ends ``serve``."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def server(app: Any, *, grace: float = 5.0) -> Server:
    """``grace``: seconds that requests in flight have to end after ``should_exit``."""
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
            timeout_graceful_shutdown=int(grace),
        )
    )
