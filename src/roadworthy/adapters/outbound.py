"""HTTP to addresses that people name, on our own client, each checked after resolution; redirects are not followed."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from roadworthy.http1.client import Client
from roadworthy.http1.errors import AddressForbidden, Http1Error
from roadworthy.http1.guard import AddressGuard, Resolve
from roadworthy.http1.messages import Clocks, Reply, head
from roadworthy.http1.origin import Origin

CLOCKS = Clocks(connect=5.0, first_byte=15.0, idle=10.0, total=20.0)
LARGEST_ANSWER = 4 * 1024 * 1024


class OutboundFailed(Exception):
    """No answer came; the message says why, and never holds the address."""


class Outbound:
    """Two clients, because an origin that may be private for one purpose may not be so for another."""

    def __init__(self, *, resolve: Resolve | None = None, proxy: str | None = None, clocks: Clocks = CLOCKS) -> None:
        self._public_guard = AddressGuard(resolve=resolve)
        self._private_guard = AddressGuard(resolve=resolve)
        self._public = Client(guard=self._public_guard, proxy=proxy)
        self._private = Client(guard=self._private_guard, proxy=proxy)
        self._allowed: set[Origin] = set()
        self._clocks = clocks

    async def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, allow_private: bool = False,
        largest: int = LARGEST_ANSWER,
    ) -> Reply:  # fmt: skip
        """One try, whatever its status.  Raises ``OutboundFailed``."""
        try:
            origin = Origin.from_url(url)
            lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
            made = head(method.encode(), _path(url), origin, [(b"user-agent", b"roadworthy"), *lines])
        except ValueError as error:
            raise OutboundFailed("the address or a header cannot be sent") from error
        client = self._public
        if allow_private:
            self._allowed.add(origin)
            self._private_guard.allow(self._allowed)
            client = self._private
        try:
            return await client.fetch(origin, made, body, self._clocks, max_body=largest)
        except AddressForbidden as error:
            said = "its address is not public; set 'allow_private: true' where it is declared if you mean it"
            raise OutboundFailed(said) from error
        except Http1Error as error:
            raise OutboundFailed(_without(f"{type(error).__name__}: {error}", url)) from error

    async def close(self) -> None:
        await self._public.close()
        await self._private.close()


def _path(url: str) -> bytes:
    parts = urlsplit(url)
    return f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}".encode()


def _without(text: str, url: str) -> str:
    """The path of an address may be a secret; its host is not."""
    parts = urlsplit(url)
    for secret in (parts.query, parts.path.strip("/")):
        text = text.replace(secret, "…") if secret else text
    return text[:200]
