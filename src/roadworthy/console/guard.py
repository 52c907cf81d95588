"""In front of every page: who may talk to us at all, and what a browser may do with what we say.

``Host`` must be ours (a name that an attacker points at this machine is not), a write must come from our own pages
(``Origin``, else ``Sec-Fetch-Site``; a write without either is refused), and every answer forbids scripts, styles,
frames and requests that are not ours.  OWASP ASVS 5.0, chapters 3.4 and 3.5.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    def __init__(self, app: ASGIApp, address: Callable[[], str], foreign: Sequence[str]) -> None:
        """``foreign``: paths that machines elsewhere post to."""
        self._app = app
        self._address = address
        self._foreign = frozenset(foreign)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope, Headers(scope=scope))
        if refusal:
            await PlainTextResponse(refusal, 421 if "host" in refusal else 403)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> str:
        """Why this request is turned away; empty: it is not."""
        ours = urlsplit(self._address())
        host, *others = headers.getlist("host") or [""]
        if others or not is_ours(host, ours.netloc, scope.get("server")):
            return f"This host is not ours; use {self._address()} (or set console_url in roadworthy.yaml).\n"
        if scope["method"] in SAFE or scope["path"] in self._foreign:
            return ""
        origin = headers.get("origin")
        if origin is not None:
            fine = urlsplit(origin).netloc == host and origin != "null"
        else:
            fine = headers.get("sec-fetch-site") == "same-origin"
        return "" if fine else "This did not come from a page of this console.\n"


def is_ours(host: str, ours: str, server: tuple[str, int | None] | None) -> bool:
    """Is ``Host`` the configured one, or a literal address (which nobody can point elsewhere) or ``localhost`` with
    our port?  Fails closed."""
    if host and host == ours:
        return True
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return False
    if name is None or server is None or (port or 80) != server[1]:
        return False
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
