"""What can go wrong between us and an HTTP/1.1 server; nothing else leaves this package.

::

    Http1Error
    ├── NotConnected            nothing was sent: always safe to try elsewhere
    │   ├── NameNotResolved
    │   ├── AddressForbidden    the guard refused every address that the name resolved to
    │   ├── Refused             nobody listens there, or no route
    │   ├── ConnectTimeout      no usable connection within ``Clocks.connect``, waiting for a slot included
    │   ├── PoolFull            too many calls already wait for a slot of this origin
    │   ├── TlsFailure          handshake or certificate
    │   └── ProxyFailure        the proxy would not open the tunnel
    ├── Disconnected            the connection ended before the answer did
    ├── ReadTimeout             ``clock`` says which: first_byte, idle or total
    ├── ProtocolViolation       the server does not speak HTTP/1.1 as we understand it
    └── BodyTooLarge            longer than the caller's ``max_body``
"""

from __future__ import annotations

from typing import Literal

Phase = Literal["before_first_byte", "in_head", "in_body"]
Clock = Literal["first_byte", "idle", "total"]


NOTHING_SENT = "cancelled before anything was sent"
"""Note (PEP 678) on the ``CancelledError`` of a call that was cancelled while it had no connection yet."""


def nothing_sent(cancelled: BaseException) -> bool:
    """Was the call cancelled before a byte of it left?  The server then knows nothing of it."""
    return NOTHING_SENT in getattr(cancelled, "__notes__", ())


class Http1Error(Exception):
    """Anything that kept a call from ending with a whole answer."""


class NotConnected(Http1Error):
    """No connection was had, so not a byte of the request was sent."""


class NameNotResolved(NotConnected):
    """The host name has no address."""


class AddressForbidden(NotConnected):
    """The name resolved only to addresses that this origin may not reach."""


class Refused(NotConnected):
    """The server's host refused the connection or could not be reached."""


class ConnectTimeout(NotConnected):
    """No usable connection in time."""


class PoolFull(NotConnected):
    """Every slot of the origin is taken and its queue is full."""


class TlsFailure(NotConnected):
    """TLS handshake failed or the certificate is not trusted."""


class ProxyFailure(NotConnected):
    """The proxy could not be reached or refused the tunnel."""


class Disconnected(Http1Error):
    """The connection ended before the answer did."""

    def __init__(self, message: str, phase: Phase) -> None:
        super().__init__(message)
        self.phase: Phase = phase
        """How far the answer had come; the server may have acted on the request in any of them."""


class ReadTimeout(Http1Error):
    """The server was silent, or slow, for too long."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__(f"the {clock.replace('_', ' ')} clock of {seconds:g} s ran out")
        self.clock: Clock = clock


class ProtocolViolation(Http1Error):
    """The bytes received are not an HTTP/1.1 response, or exceed the limits on its head."""


class BodyTooLarge(Http1Error):
    """The body is longer than the caller allows."""
