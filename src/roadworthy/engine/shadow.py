"""Repeats a share of the live calls with the release that ramps, once a minute."""

from __future__ import annotations

from roadworthy.engine.supervise import Module
from roadworthy.operations.ramps.shadow import Shadowing

INTERVAL = 60.0
TIMEOUT = 600.0
"""Seconds: thirty slow calls, one after the other."""


def module(shadowing: Shadowing) -> Module:
    async def run() -> None:
        await shadowing.round()

    return Module("shadow", run, INTERVAL, timeout=TIMEOUT)
