"""Pages of a search that may not wait: the log is read in slices of time until a page is full or patience is over.

A condition that no index answers, met by one call in a million, reads everything; a person who waits for a page gets
what was found so far, how far that was, and a way to go on.  Slices grow while they are cheap.
"""

from __future__ import annotations

import math
import time
from typing import Final

import msgspec

from roadworthy.inference_log.model import Cursor, Filter, Page, Reach
from roadworthy.inference_log.ports import LogStore
from roadworthy.workflow.inference import Inference

PATIENCE: Final = 0.05
"""Seconds."""
SLICE: Final = 3600.0
"""Seconds of log in the first slice."""
COLD: Final = 21_600.0
"""Seconds of log in the widest slice of cold days."""
GROWS: Final = 4.0
EDGE: Final = "!"
"""Sorts before every id: a cursor with it stands before whatever happened at its instant."""


class _Patience:
    """How wide the next slice may be."""

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds
        self._seconds = seconds
        self._began = 0.0
        self.width = SLICE

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self._end

    def begin(self) -> None:
        self._began = time.perf_counter()

    def grow(self) -> None:
        took = max(time.perf_counter() - self._began, 1e-6)
        left = max(self._end - time.perf_counter(), 0.0)
        self.width *= min(GROWS, max(0.25, left / took / 2.0))


def older(store: LogStore, where: Filter, limit: int, after: Cursor | None, patience: float = PATIENCE) -> Page:
    """The page after a cursor, newest first."""
    reach = store.reach()
    if reach is None:
        return Page([])
    top = math.nextafter(reach.newest, math.inf) if after is None else math.nextafter(after.ts, math.inf)
    top = min(top, math.nextafter(reach.newest, math.inf), where.until if where.until is not None else math.inf)
    floor = max(reach.oldest, where.since if where.since is not None else -math.inf)
    found: list[Inference] = []
    left = _Patience(patience)
    while top > floor and len(found) <= limit:
        left.begin()
        bottom = max(floor, top - _width(left.width, reach, top))
        page = store.find(_within(where, bottom, top), limit + 1 - len(found), after=after)
        found += page.items
        top = bottom
        left.grow()
        if left.over and top > floor and len(found) <= limit:
            return _page(found, limit, str(Cursor(top, EDGE)), top)
    return _page(found, limit, None, None)


def newer(store: LogStore, where: Filter, limit: int, before: Cursor, patience: float = PATIENCE) -> Page:
    """The page before a cursor: the calls that came next, newest first."""
    reach = store.reach()
    if reach is None:
        return Page([])
    floor = max(before.ts, reach.oldest, where.since if where.since is not None else -math.inf)
    ceiling = min(math.nextafter(reach.newest, math.inf), where.until if where.until is not None else math.inf)
    found: list[Inference] = []
    left = _Patience(patience)
    reached: float | None = None
    while floor < ceiling and len(found) < limit:
        left.begin()
        top = min(ceiling, floor + _width(left.width, reach, floor))
        page = store.find(_within(where, floor, top), limit - len(found), before=before)
        found = [*page.items, *found]
        floor = top
        left.grow()
        if left.over and floor < ceiling and len(found) < limit:
            reached = floor
            break
    older_one = str(Cursor.of(found[-1])) if found else None
    newest = str(Cursor(reached, EDGE)) if reached is not None else str(Cursor.of(found[0])) if found else None
    return Page(found, older_one, newest, reached)


def _width(wanted: float, reach: Reach, at: float) -> float:
    return min(wanted, COLD) if at <= reach.warm else wanted


def _within(where: Filter, since: float, until: float) -> Filter:
    return msgspec.structs.replace(where, since=since, until=until)


def _page(found: list[Inference], limit: int, further: str | None, reached: float | None) -> Page:
    more = len(found) > limit
    items = found[:limit]
    return Page(
        items,
        str(Cursor.of(items[-1])) if more else further,
        str(Cursor.of(items[0])) if items else None,
        None if more else reached,
    )
