"""Server-sent events from bytes cut anywhere (WHATWG HTML, 9.2 "Server-sent events").

Takes LF, CRLF and CR line ends, also mixed, comments, a byte-order mark and fields that it does not know.  One
event, finished or not, is at most ``MAX_EVENT`` bytes, so a provider that never ends a line costs bounded memory.
"""

from __future__ import annotations

MAX_EVENT = 4 * 1024 * 1024
"""Bytes."""


class EventTooLarge(Exception):
    """One event is larger than ``MAX_EVENT`` bytes."""


class EventSplitter:
    """``feed(bytes) -> [data of each event that these bytes complete]``; an event without data is skipped."""

    __slots__ = ("_bare", "_broken", "_held", "_pieces", "size", "started")

    def __init__(self, *, bare: bool = False) -> None:
        """``bare``: JSON that stands in the stream without ``data:`` is an event too (Google's errors)."""
        self._bare = bare
        self._pieces: list[bytes] = []
        """The unfinished event, in the pieces in which it came (so a long line is not scanned again and again)."""
        self.size = 0
        """Bytes of the unfinished event."""
        self._broken = False
        """The unfinished event ends with a line break."""
        self._held = False
        """The last byte was a CR, which may be half of a CRLF."""
        self.started = False
        """Has anything come at all?"""

    @property
    def rest(self) -> bytes:
        """Bytes of the event that is not finished yet."""
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> list[bytes]:
        if not self.started and data:
            self.started = True
            data = data.removeprefix(b"\xef\xbb\xbf")
        if self._held or b"\r" in data:
            data = self._unify(data)
        # an unfinished event is joined only once it ends, however many lines and pieces it has
        if b"\n\n" not in (b"\n" + data if self._broken else data):
            self._keep(data)
            return []
        self._broken = False
        if self._pieces:
            self._pieces.append(data)
            data = b"".join(self._pieces)
            self._pieces.clear()
            self.size = 0
        blocks = data.split(b"\n\n")
        rest = blocks.pop()
        if rest:
            self._keep(rest)
        events = []
        for block in blocks:
            if len(block) > MAX_EVENT:
                raise EventTooLarge
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append(block[6:])
            elif event := _data_of(block):
                events.append(event)
            elif self._bare and block.lstrip()[:1] in (b"{", b"["):
                events.append(block.strip())
        return events

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._broken = data.endswith(b"\n")
        self._pieces.append(data)
        self.size += len(data)
        if self.size > MAX_EVENT:
            raise EventTooLarge

    def _unify(self, data: bytes) -> bytes:
        if self._held:
            data = b"\r" + data
        self._held = data.endswith(b"\r")
        if self._held:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _data_of(block: bytes) -> bytes:
    """The joined ``data`` lines of one event in its general form."""
    lines = []
    for line in block.split(b"\n"):
        if line.startswith(b"data:"):
            value = line[5:]
            lines.append(value[1:] if value.startswith(b" ") else value)
    return b"\n".join(lines)
