"""Opening connections: resolution, guard, Unix sockets, TLS and the proxy, with every failure mapped."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

from roadworthy.http1.connection import Connection
from roadworthy.http1.errors import NotConnected, ProxyFailure, Refused, TlsFailure
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.origin import Origin, default_tls

T = TypeVar("T")
MAX_TUNNEL_HEAD = 16 * 1024
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Proxy:
    """An HTTP proxy: ``http://[user:password@]host:port``.  It is the operator's, so the guard does not apply."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"proxy {parts.hostname or url!r}: expected http://host:port")
        self.host = parts.hostname
        self.port = parts.port or 80
        self.authorization = b""
        """Header line for the proxy, or empty."""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self.authorization = b"Proxy-Authorization: Basic " + b64encode(pair) + b"\r\n"

    def absolute(self, head: bytes, origin: Origin) -> bytes:
        """``head`` as a proxy wants it for a plain-text origin: absolute form, with its credentials."""
        method, _, rest = head.partition(b" ")
        line, _, headers = rest.partition(b"\r\n")
        return b"%b http://%b%b\r\n%b%b" % (method, origin.authority, line, self.authorization, headers)


class Connector:
    def __init__(self, guard: AddressGuard, tls: ssl.SSLContext | None, proxy: str | None) -> None:
        self.guard = guard
        self._tls = tls
        self._proxy = Proxy(proxy) if proxy else None

    @property
    def proxied(self) -> bool:
        return self._proxy is not None

    def addressed(self, head: bytes, origin: Origin) -> bytes:
        """``head`` as the next hop wants it."""
        proxy = self.proxy_for(origin)
        return head if proxy is None or origin.scheme == "https" else proxy.absolute(head, origin)

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """The proxy is for the outside: Unix sockets, this host and allowed private origins are reached directly."""
        if self._proxy is None or origin.socket or origin.host in _LOOPBACK_NAMES:
            return None
        return None if self.guard.allows_private(origin) else self._proxy

    async def open(self, origin: Origin, make: Callable[[], Connection]) -> Connection:
        """A connection ready for calls.  Raises ``NotConnected`` or one of its kinds; the caller keeps the clock."""
        loop = asyncio.get_running_loop()
        if origin.socket is not None:
            _, connection = await _mapped(origin, loop.create_unix_connection(make, origin.socket))
            return connection
        proxy = self.proxy_for(origin)
        if proxy is not None:
            return await self._through(proxy, origin, make)
        addresses = await self.guard.addresses(origin)
        tls = self._context() if origin.scheme == "https" else None
        name = origin.host if tls else None
        error: NotConnected | None = None
        for address in addresses:
            try:
                _, connection = await _mapped(
                    origin, loop.create_connection(make, address, origin.port, ssl=tls, server_hostname=name)
                )
            except NotConnected as failed:
                error = error or failed
            else:
                return connection
        raise error or NotConnected(f"{origin}: no address")

    async def _through(self, proxy: Proxy, origin: Origin, make: Callable[[], Connection]) -> Connection:
        loop = asyncio.get_running_loop()
        # Names are the proxy's to resolve; an address written in the configuration is still ours to judge.
        self.guard.check_literal(origin)
        if origin.scheme == "http":
            try:
                _, connection = await loop.create_connection(make, proxy.host, proxy.port)
            except OSError as error:
                raise ProxyFailure(f"proxy {proxy.host}:{proxy.port}: {error}") from error
            return connection
        try:
            transport, tunnel = await loop.create_connection(_Tunnel, proxy.host, proxy.port)
        except OSError as error:
            raise ProxyFailure(f"proxy {proxy.host}:{proxy.port}: {error}") from error
        done = False
        try:
            await tunnel.establish(origin, proxy)
            connection = make()
            wrapped = await _mapped(
                origin, loop.start_tls(transport, connection, self._context(), server_hostname=origin.host)
            )
            if wrapped is None:
                raise TlsFailure(f"{origin}: the proxy closed the tunnel during the handshake")
            connection.connection_made(wrapped)
            done = True
        finally:
            if not done:
                transport.abort()
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = default_tls()
        return self._tls


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def establish(self, origin: Origin, proxy: Proxy) -> None:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        authority = b"%b:%d" % (host.encode("ascii"), origin.port)
        transport = cast(asyncio.Transport, self._transport)
        transport.write(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (authority, authority, proxy.authorization))
        head = await self._reply
        status = head.split(b"\r\n", 1)[0]
        if not (status.startswith(b"HTTP/1.") and status[8:10] == b" 2"):
            said = status[:80].decode("ascii", "replace")
            raise ProxyFailure(f"proxy {proxy.host}:{proxy.port} refused the tunnel to {authority.decode()}: {said}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._reply.done():
            return
        if b"\r\n\r\n" in self._buffer:
            self._reply.set_result(self._buffer)
        elif len(self._buffer) > MAX_TUNNEL_HEAD:
            self._reply.set_exception(ProxyFailure("the proxy's answer to CONNECT has no end"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._reply.done():
            self._reply.set_exception(ProxyFailure(f"the proxy closed the connection ({exc or 'end of file'})"))
            self._reply.exception()  # the asker may be gone already


async def _mapped(origin: Origin, work: Coroutine[Any, Any, T]) -> T:
    """Await ``work``; what the system says about connecting, in our words."""
    try:
        return await work
    except ssl.SSLError as error:
        raise TlsFailure(f"{origin}: {error.reason or error}: {_verify_message(error)}") from error
    except ConnectionRefusedError as error:
        raise Refused(f"{origin} refused the connection") from error
    except (ConnectionResetError, ConnectionAbortedError) as error:
        if origin.scheme == "https":
            raise TlsFailure(f"{origin}: closed during the TLS handshake: {error}") from error
        raise Refused(f"{origin}: {error}") from error
    except OSError as error:
        raise Refused(f"{origin} cannot be reached: {error}") from error


def _verify_message(error: ssl.SSLError) -> str:
    return str(getattr(error, "verify_message", "") or error.strerror or "handshake failed")
