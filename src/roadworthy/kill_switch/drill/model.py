"""What the drill's child process is told and tells, and what a press of the drill has shown.

Instants are Unix seconds: the kernel's stamp of a request that reached the upstream, the clock of whoever gave the
order, and the child's own are those of one machine.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["whole", "stream", "flaky", "late"]
"""Of a call: answered at once; a stream of two seconds; its first attempts fail, so it waits for a retry; its first
token is late, so a second attempt is made beside it."""

MARK = "kill-drill:"
"""Begins the message of a call; its kind follows."""


class Lane(msgspec.Struct, frozen=True, array_like=True):
    """Traffic for one worker of one gateway and one workflow."""

    number: int
    gateway: str
    workflow: str
    url: str
    """Of the gateway, with its version path."""
    token: str


class Attempt(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A request that reached the upstream."""

    lane: int
    at: float


class Streamed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stream that a caller has read to its end."""

    lane: int
    began: float
    """When its first content came."""
    ended: float
    how: Literal["finished", "error event", "broken"]


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line to the child."""

    do: Literal["listen", "begin", "look", "take"]
    """``listen``: start the upstream; ``begin``: start the callers; ``look``: count; ``take``: hand over what was
    counted of ``only`` these lanes, which begins anew."""
    lanes: list[Lane] = []
    only: list[int] = []
    pause: float = 0.05
    """Seconds between two calls of a caller."""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line back."""

    port: int = 0
    attempts: list[Attempt] = []
    """Since the last ``take``."""
    streams: list[Streamed] = []
    """Ended since the last ``take``."""
    counts: dict[int, int] = {}
    """Lane → attempts since the last ``take``."""
    under_way: dict[int, int] = {}
    """Lane → streams whose first content has come and that have not ended."""
    said: dict[str, int] = {}
    """What callers were told since the last ``take``: ``local: 503 ai_off`` → calls."""
    error: str = ""


class At(msgspec.Struct, frozen=True, omit_defaults=True):
    """One gateway, one press.  Seconds from the order."""

    confirmed: float | None
    """Until its last worker had confirmed; ``None``: it never did."""
    last: float = 0.0
    """Until the last attempt that the upstream counted."""
    late: int = 0
    """Attempts after the confirmation."""
    attempts: int = 0
    """While it was on."""
    drained: int = 0
    """Streams under way that finished."""
    cut: int = 0
    """Streams under way that ended with an error event."""
    broken: int = 0
    """Streams under way that ended in no way that was declared."""

    @property
    def off(self) -> float | None:
        """Until nothing more was sent."""
        return None if self.confirmed is None else max(self.confirmed, self.last)


class Press(msgspec.Struct, frozen=True):
    """One stop of one reserved workflow."""

    workflow: str
    streams: Literal["drain", "cut"]
    at: float
    gateways: dict[str, At]
    without_traffic: list[str] = []
    """Gateways with a worker that no call came through: what they confirmed proves nothing."""
