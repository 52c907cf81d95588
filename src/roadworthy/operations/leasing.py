"""What runs that control leads have in common: they go on for as long as somebody looks, and end in words.

A run that a command began is leased, so that Ctrl-C, a lost terminal and a killed process end it.  One that a page
began is not: it goes on when the page is closed, and whoever opens the page again finds it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

LEASE = 30.0
"""Seconds without a look after which a run stops."""
UNLEASED = math.inf
"""Last look of a run that goes on though nobody looks: a page that may be closed began it; its own limits end it."""
ROUND = 0.2
"""Seconds between two looks at whether it is to stop."""


class Leased(Protocol):
    """A run under way, shared between its thread and those that look at it."""

    looked: float
    """Monotonic seconds of the last look."""
    stopping: str
    """Why it is to stop; empty: it is not."""


async def led(going: Leased, work: Coroutine[Any, Any, None], monotonic: Callable[[], float]) -> None:
    """Do the work until it is done, is told to stop, or nobody has looked for ``LEASE``; what it raises goes on."""
    runner = asyncio.ensure_future(work)
    while not runner.done():
        await asyncio.wait([runner], timeout=ROUND)
        if monotonic() - going.looked > LEASE and not going.stopping:
            going.stopping = f"nobody looked for {LEASE:g} s"
        if going.stopping:
            runner.cancel()
    if not runner.cancelled():
        await runner


def reasons(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """What went wrong, each once."""
    found: dict[str, None] = {}
    for each in group.exceptions:
        found.update(dict.fromkeys(reasons(each) if isinstance(each, BaseExceptionGroup) else [str(each)]))
    return list(found)
