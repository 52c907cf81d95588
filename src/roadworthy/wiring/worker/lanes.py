"""What a worker needs to take permits: a verifier, and an HTTP client that cannot leave this machine."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Coroutine, Iterable
from ipaddress import ip_address
from typing import Any

from roadworthy.adapters.providers.registry import wire_for
from roadworthy.adapters.signatures import Ed25519Verifier
from roadworthy.gateway.admission.permits import PermitPorts
from roadworthy.gateway.ports import Upstream
from roadworthy.http1.client import Client, Ready
from roadworthy.http1.errors import AddressForbidden
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, Reply
from roadworthy.http1.origin import Origin, default_tls
from roadworthy.http1.pool import PoolLimits
from roadworthy.http1.stream import StreamReply
from roadworthy.wiring.secrets import find_secret

_POOL = PoolLimits(per_origin=256, waiting=256)


def permit_ports(upstream: Upstream) -> PermitPorts:
    """``upstream``: for permits whose calls reach the real targets."""
    return PermitPorts(Ed25519Verifier(), wire_for, find_secret, upstream, Loopback())


class Loopback:
    """Makes the clients of lanes.  They share the trust store: loading one takes long enough to be felt."""

    def __init__(self) -> None:
        self._tls: ssl.SSLContext | None = None

    def __call__(self, origins: Iterable[Origin]) -> LoopbackClient:
        allowed = frozenset(origins)
        if self._tls is None and any(origin.scheme == "https" for origin in allowed):
            self._tls = default_tls()
        return LoopbackClient(allowed, self._tls)


class LoopbackClient:
    """The gateway's own HTTP client, bound to the servers of one drill: no proxy, no other origin, no other machine."""

    def __init__(self, allowed: frozenset[Origin], tls: ssl.SSLContext | None = None) -> None:
        self._allowed = allowed
        self._client = Client(guard=AddressGuard(allowed=allowed, resolve=_resolve), limits=_POOL, tls=tls)

    def fetch(
        self, origin: Origin, head: bytes, body: bytes, clocks: Clocks, *, max_body: int, ready: Ready | None = None
    ) -> Coroutine[Any, Any, Reply]:
        self._check(origin)
        return self._client.fetch(origin, head, body, clocks, max_body=max_body, ready=ready)

    def open(
        self, origin: Origin, head: bytes, body: bytes, clocks: Clocks, *, ready: Ready | None = None
    ) -> Coroutine[Any, Any, StreamReply]:
        self._check(origin)
        return self._client.open(origin, head, body, clocks, ready=ready)

    async def close(self) -> None:
        await self._client.close()

    def _check(self, origin: Origin) -> None:
        if origin not in self._allowed:
            raise AddressForbidden(f"{origin}: a drill calls nothing but its own servers on this machine")


async def _resolve(host: str, port: int) -> list[str]:
    """The system's answer, as far as it is this machine: nobody's catch-all for unknown names is called."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found if ip_address(str(entry[4][0]).partition("%")[0]).is_loopback]
