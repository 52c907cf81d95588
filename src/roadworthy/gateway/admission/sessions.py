"""Which side a session began on, kept by all workers of a machine together.

A *session* keeps its side while the share widens (``workflow.shares``).  A pin is two 64-bit words in a table of fixed
size that the workers map into memory: a keyed hash of workflow, user and session, and what names the side with the time
when the session was heard last.  No text is kept, nobody waits for anybody, and what is lost (a crowded table, two
workers writing one record at once, a deleted file) costs a session its side and nothing else.
"""

from __future__ import annotations

import mmap
import os
import zlib
from pathlib import Path

from roadworthy.workflow.shares import Pin

IDLE = 3600.0
"""Seconds without a call after which a session is over: a user's next visit stands where the share puts it."""
RECORDS = 1 << 16
"""Sessions under way at once, about; 1 MiB."""
WINDOW = 8
_REFRESH = 60


def tag_of(pin: Pin) -> int:
    """32 bits that name a side."""
    return zlib.crc32(f"{pin.epoch} {pin.digest or ''}".encode()) or 1


class Sessions:
    """The table."""

    def __init__(self, path: Path | None = None, *, records: int = RECORDS) -> None:
        """``path`` ``None``: of one worker, in memory.  Raises ``OSError``."""
        self._mask = records - 1
        size = (records + WINDOW) * 16
        if path is None:
            self._buffer: bytearray | mmap.mmap = bytearray(size)
        else:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(file, size)
                self._buffer = mmap.mmap(file, size)
            finally:
                os.close(file)
        self._words = memoryview(self._buffer).cast("Q")
        self._parted: dict[str, float] = {}

    def find(self, key: int, now: float, fading: int = 0) -> int:
        """Tag of the side on which the session of this key began; 0: it is not known, or over.  ``now``: Unix seconds.

        A session that is found is heard, but on the side ``fading``: there it is over within ``IDLE`` however much is
        said.
        """
        at, words = self._place(key), self._words
        for place in range(at, at + 2 * WINDOW, 2):
            if words[place] == key:
                tag, heard = divmod(words[place + 1], 1 << 32)
                if not 0 <= now - heard < IDLE:
                    return 0
                if now - heard > _REFRESH and tag != fading:
                    words[place + 1] = tag << 32 | int(now)
                return tag
        return 0

    def keep(self, key: int, tag: int, now: float) -> None:
        """Remember a session, in the place of the one that was silent longest if need be."""
        at, words = self._place(key), self._words
        best, oldest = at, 1 << 32
        for place in range(at, at + 2 * WINDOW, 2):
            if words[place] == key:
                best = place
                break
            heard = words[place + 1] & 0xFFFFFFFF
            if heard < oldest:
                best, oldest = place, heard
        words[best + 1] = tag << 32 | int(now)
        words[best] = key

    def parted(self, workflow: str, now: float) -> None:
        """The users of a workflow stand on two sides now."""
        self._parted[workflow] = now

    def parted_until(self, workflow: str) -> float:
        """Until when a session may be under way that began while they did; 0: none may."""
        found = self._parted.get(workflow)
        return 0.0 if found is None else found + IDLE

    def _place(self, key: int) -> int:
        return (key & self._mask) * 2
