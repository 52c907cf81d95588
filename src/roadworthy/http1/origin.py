"""Where a call goes: scheme, host and port, or a Unix socket; and the TLS rules for getting there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """A server as HTTP knows it.  Equal origins share connections."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """ASCII name or address literal, lower-case, without brackets."""
    port: int
    socket: str | None = None
    """Path of a Unix socket; then host and port mean nothing."""
    key: str = field(init=False, compare=False)
    """One string per origin: a cheap dictionary key."""
    authority: bytes = field(init=False, compare=False)
    """Value of the ``Host`` header."""

    def __post_init__(self) -> None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        named = host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"
        object.__setattr__(self, "key", f"unix:{self.socket}" if self.socket else f"{self.scheme}://{host}:{self.port}")
        object.__setattr__(self, "authority", named.encode("ascii"))

    @classmethod
    def from_url(cls, url: str) -> Origin:
        """The origin of an ``http`` or ``https`` URL; its path is ignored.

        Raises ``ValueError`` saying what is wrong with the URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError(f"{url!r} is not a URL that can be called: expected http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError(f"the URL for {parts.hostname!r} carries a user or password: give them as a key instead")
        if not parts.hostname:
            raise ValueError(f"{url!r} names no host")
        try:
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{url!r}: {error}") from None
        if port == 0:
            raise ValueError(f"{url!r}: port 0 cannot be called")
        return cls(parts.scheme, _ascii_host(parts.hostname, url), port or _DEFAULT_PORTS[parts.scheme])

    @classmethod
    def unix(cls, path: str) -> Origin:
        """The server that listens on the Unix socket ``path``."""
        return cls("http", "localhost", 80, path)

    def __str__(self) -> str:
        return self.key


def _ascii_host(host: str, url: str) -> str:
    host = host.partition("%")[0].rstrip(".").lower()
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"{url!r}: {host!r} is not a host name: {error}") from None
    if not ascii_host or any(not (c.isalnum() or c in ".-_:") for c in ascii_host):
        raise ValueError(f"{url!r}: {host!r} is not a host name")
    return ascii_host


def default_tls() -> ssl.SSLContext:
    """The system's trust store, host names checked, TLS 1.2 or newer, HTTP/1.1 only."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
