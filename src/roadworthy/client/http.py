"""What the blocking and the asynchronous client share of HTTP."""

from __future__ import annotations

import threading
from collections import OrderedDict

import httpx2

from roadworthy.client.errors import TimedOut, Unreachable
from roadworthy.client.protocol import Flags, Heard, read_flags

DEFAULT_TIMEOUT = httpx2.Timeout(10.0, connect=1.0)
"""Seconds.  A gateway stands near its apps: one that does not take a connection in a second is down."""
MOST_ETAGS = 1000
"""Users whose flags are remembered."""


def headers_of(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", "user-agent": "roadworthy-client"}


def heard(response: httpx2.Response) -> Heard:
    return Heard(response.status_code, response.headers, response.content)


def lost(error: httpx2.RequestError, root: str) -> Unreachable:
    """What went wrong below HTTP, as ours."""
    if isinstance(error, httpx2.ReadTimeout | httpx2.WriteTimeout):
        return TimedOut(f"{root} took the connection and did not answer in time")
    return Unreachable(f"{root} cannot be reached: {error or type(error).__name__}")


class Etags:
    """The newest flags of each of the last ``MOST_ETAGS`` users, and the mark by which the gateway knows them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str | None, tuple[Flags, str]] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, user: str | None) -> tuple[Flags | None, str | None]:
        with self._lock:
            return self._kept.get(user, (None, None))

    def keep(self, user: str | None, answer: Heard, known: Flags | None) -> Flags:
        """The flags of ``answer``, or ``known`` where it says that they did not change.  Raises ``Refused`` and
        ``Unreadable``."""
        if answer.status == 304 and known is not None:
            return Flags(known)
        flags, etag = read_flags(answer), answer.headers.get("etag")
        if etag is not None:
            with self._lock:
                self._kept[user] = (Flags(flags), etag)
                self._kept.move_to_end(user)
                while len(self._kept) > MOST_ETAGS:
                    self._kept.popitem(last=False)
        return flags
