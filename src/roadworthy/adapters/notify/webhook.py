"""Webhooks out: one POST a try, on our own HTTP client, its address checked after resolution."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from roadworthy.http1.client import Client
from roadworthy.http1.errors import AddressForbidden, Http1Error
from roadworthy.http1.guard import AddressGuard, Resolve
from roadworthy.http1.messages import Clocks, Headers, head
from roadworthy.http1.origin import Origin
from roadworthy.people.outbox.model import Sent
from roadworthy.people.outbox.service import Place

CLOCKS = Clocks(connect=5.0, first_byte=15.0, idle=10.0, total=20.0)
LARGEST_ANSWER = 64 * 1024


class WebhookSender:
    """``people.outbox.service.Sender``.  Two clients, because an origin that may be private for one receiver may not
    be so for another."""

    def __init__(self, *, resolve: Resolve | None = None, proxy: str | None = None) -> None:
        self._public_guard = AddressGuard(resolve=resolve)
        self._private_guard = AddressGuard(resolve=resolve)
        self._public = Client(guard=self._public_guard, proxy=proxy)
        self._private = Client(guard=self._private_guard, proxy=proxy)
        self._allowed: set[Origin] = set()

    async def send(self, place: Place, headers: dict[str, str], body: bytes) -> Sent:
        """One try.  Redirects are not followed; whatever a network or a receiver does becomes a ``Sent``."""
        try:
            origin = Origin.from_url(place.url)
            made = head(b"POST", _path(place.url), origin, _encoded(headers))
        except ValueError as error:
            return Sent(error=str(error))
        client = self._public
        if place.allow_private:
            self._allowed.add(origin)
            self._private_guard.allow(self._allowed)
            client = self._private
        try:
            reply = await client.fetch(origin, made, body, CLOCKS, max_body=LARGEST_ANSWER)
        except AddressForbidden as error:
            return Sent(error=str(error).replace("on the target", "where the URL is declared"))
        except Http1Error as error:
            return Sent(error=f"{type(error).__name__}: {error}")
        if 200 <= reply.status < 300:
            return Sent(reply.status)
        return Sent(reply.status, f"it answered {reply.status}", _retry_after(reply.headers))

    async def close(self) -> None:
        await self._public.close()
        await self._private.close()


def _path(url: str) -> bytes:
    parts = urlsplit(url)
    return f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}".encode()


def _encoded(headers: dict[str, str]) -> Sequence[tuple[bytes, bytes]]:
    return [(b"user-agent", b"roadworthy"), *((name.encode(), value.encode()) for name, value in headers.items())]


def _retry_after(headers: Headers) -> float | None:
    """Seconds; an HTTP date counts from the answer's own ``date``."""
    given = dict(headers)
    text = given.get(b"retry-after", b"").decode("latin-1").strip()
    if text.isdigit():
        return float(text[:9])
    try:
        then, now = (parsedate_to_datetime(part) for part in (text, given.get(b"date", b"").decode("latin-1")))
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError):
        return None
