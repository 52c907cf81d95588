"""The filters of templates: numbers and instants as ``workflow.words`` says them, and what only pages need."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from roadworthy.workflow import words

BROWSERS = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)  # fmt: skip
"""Mark in a user agent → what it is called; the first that is found."""


def day(value: float | None, zone: ZoneInfo) -> str:
    """``Tue 24 Nov``."""
    return words.UNKNOWN if value is None else f"{datetime.fromtimestamp(value, zone):%a %-d %b}"


def minute(value: float | None, zone: ZoneInfo) -> str:
    """``Tue 24 Nov 14:02``."""
    return words.UNKNOWN if value is None else f"{datetime.fromtimestamp(value, zone):%a %-d %b %H:%M}"


def clock(value: float | None, zone: ZoneInfo) -> str:
    """``14:02:31``."""
    return words.UNKNOWN if value is None else f"{datetime.fromtimestamp(value, zone):%H:%M:%S}"


def iso(value: float, zone: ZoneInfo) -> str:
    """For ``<time datetime>``."""
    return datetime.fromtimestamp(value, zone).isoformat(timespec="seconds")


def ago(value: float | None, now: float) -> str:
    """``3 min ago``, ``in 2 d``."""
    if value is None:
        return words.UNKNOWN
    return words.ago(value, now) if value <= now else words.until(value, now)


def device(agent: str) -> str:
    """``Chrome on Windows`` for a browser's user agent; what is none stays, shortened."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return " on ".join(part for part in (browser, system) if part) or agent[:40]


FILTERS: dict[str, Callable[..., Any]] = {
    "share": words.share, "usd": words.dollars, "count": words.count, "seconds": words.seconds, "size": words.size,
    "plural": words.plural, "moment": words.moment, "day": day, "minute": minute, "clock": clock, "iso": iso,
    "ago": ago, "device": device,
}  # fmt: skip
