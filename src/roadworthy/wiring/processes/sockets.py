"""Listening sockets, made where the one who starts processes can hand them on."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import time
from pathlib import Path

LONGEST_UNIX_PATH = 107
"""Bytes of ``sun_path`` on Linux, less the closing NUL."""


class CannotListen(Exception):
    """An address or a socket path cannot be listened on; the message says why and how to mend it."""


def parse_address(text: str, option: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port`` → (host, port).  Raises ``CannotListen`` naming ``option``."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise CannotListen(f"{option}: found {text!r}, expected HOST:PORT such as 127.0.0.1:8400 or [::1]:8400")
    return host.removeprefix("[").removesuffix("]"), int(port)


def listen_tcp(address: str, option: str, *, backlog: int = 2048, patience: float = 0.0) -> socket.socket:
    """A listening socket, non-blocking.  Raises ``CannotListen``.

    ``patience``: seconds to wait for the processes of an earlier run to let go of the address.
    """
    until = time.monotonic() + patience
    while True:
        try:
            return _listen_tcp(address, option, backlog)
        except CannotListen:
            if time.monotonic() >= until:
                raise
        time.sleep(0.05)


def _listen_tcp(address: str, option: str, backlog: int) -> socket.socket:
    host, port = parse_address(address, option)
    try:
        (family, _, _, _, place), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except socket.gaierror as error:
        raise CannotListen(f"{option}: {host!r} is not an address of this machine ({error.strerror})") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.bind(place)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise CannotListen(f"{option}: cannot listen on {address}: {_why(error, port)}") from error
    return listener


def listen_unix(path: Path, *, backlog: int = 256) -> socket.socket:
    """A listening Unix socket (0600) that replaces what a dead process left.  Raises ``CannotListen``.

    The caller holds a lock that makes it the only owner of the path.
    """
    check_socket_path(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise CannotListen(f"{path}: cannot listen: {error.strerror}") from error
    finally:
        os.umask(before)
    return listener


def check_socket_path(path: Path) -> None:
    """Raises ``CannotListen`` for a path that no Unix socket can have."""
    if len(os.fsencode(path)) > LONGEST_UNIX_PATH:
        raise CannotListen(
            f"{path}: {len(os.fsencode(path))} bytes, and a socket path may have {LONGEST_UNIX_PATH}; "
            "choose a data folder with a shorter path (--data)"
        )


def on_loopback(listener: socket.socket) -> bool:
    """Can only this machine reach it?  Fails closed."""
    try:
        return ipaddress.ip_address(listener.getsockname()[0]).is_loopback
    except (ValueError, IndexError, OSError):
        return False


def bound(listener: socket.socket) -> str:
    """``host:port`` that a TCP listener really has (port 0 was replaced)."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process listens there; stop it, or choose another address"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights; choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    return error.strerror or str(error)
