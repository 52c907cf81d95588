"""The sliding hold-back of a ``windowed`` stream: text leaves only when every span check has seen it in its context.

A finding is a span of at most ``hold`` characters.  Once ``n`` characters of a text have been searched, one that is not
whole yet begins after ``n - hold``; so what lies before that is clean for good, and leaves.  A finding that touches the
end of what has come may still change with the next word (``card`` … ``cardboard``): it counts when the text has gone
on, or has ended.

Every choice has a text of its own, and so has the reasoning that some models show.  Calls of tools carry no text for
the customer: they pass unsearched, in order.  Events leave whole, never in pieces.  Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from roadworthy.workflow.inference import Failure
from roadworthy.workflow.model import CheckKind

MOST_KEPT_BYTES = 4 * 1024 * 1024
"""A longer stream is passed on whole but left out of its record, and not continued."""

STRIDE = 32
"""Characters that a text grows by before it is searched again."""

TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
"""Members of a delta that a customer may be shown."""

STRIDE_SHIFT = 6
"""A text of more than 2 KB is searched after each 64th part of it: checks that read it from its beginning see it 64
times while it doubles, however long it gets."""

FROM_START: frozenset[CheckKind] = frozenset({"refusal", "markup"})
"""Kinds that judge a place by what stands before it: how an answer opens, whether it is inside code."""

CONTEXT = 64
"""Characters before the searched part that a check is shown beside it."""


class Finding(Protocol):
    """What a check found."""

    @property
    def span(self) -> tuple[int, int] | None: ...
    @property
    def detail(self) -> str: ...
    @property
    def score(self) -> float: ...


class SpanCheck(Protocol):
    """A check whose findings are short spans that can be judged where they stand."""

    @property
    def name(self) -> str: ...
    @property
    def failure(self) -> Failure: ...
    def find(self, text: str) -> Finding | None:
        """The first finding in ``text``."""
        ...


class Found(msgspec.Struct, frozen=True):
    """The finding that ends a stream."""

    check: SpanCheck
    finding: Finding
    begin: int
    """In characters of the text that it is in."""
    end: int


class Text:
    """One text as it grows."""

    __slots__ = ("_base", "_seen", "_tail", "_whole", "clean")

    def __init__(self, whole: frozenset[str]) -> None:
        """``whole``: names of the checks that read it from its beginning."""
        self._whole = whole
        self._tail = ""
        """What may still be needed of it."""
        self._base = 0
        """Characters before ``_tail``."""
        self._seen = 0
        """Characters that have been searched."""
        self.clean = 0
        """Characters that may leave."""

    @property
    def length(self) -> int:
        return self._base + len(self._tail)

    def grow(self, text: str) -> bool:
        """Returns whether it is time to search."""
        self._tail += text
        length = self.length
        return length - self._seen >= max(STRIDE, length >> STRIDE_SHIFT)

    def search(self, checks: Sequence[SpanCheck], hold: int, *, over: bool) -> Found | None:
        """Search what is new; ``over``: nothing follows any more."""
        length = self.length
        if over and self._seen == length == self.clean:
            return None
        clean = length if over else max(self.clean, length - hold)
        first: Found | None = None
        for check in checks:
            if check.name in self._whole and not over and length <= hold:
                continue  # nothing leaves yet: an opening is judged with as much of what follows as there will be
            found = self._first_new(check, hold)
            if found is None or (not over and found.end >= length and found.begin > length - hold):
                continue  # what touches the end may change yet, and none of it leaves before the next search
            if first is None or found.begin < first.begin:
                first = found
        self._seen = length
        self.clean = clean if first is None else min(clean, max(self.clean, first.begin))
        self._forget(hold)
        return first

    def _first_new(self, check: SpanCheck, hold: int) -> Found | None:
        """The first finding that was not there when its place was searched in full."""
        settled = self._seen - hold
        start = self._base if check.name in self._whole else self._from(settled - CONTEXT)
        while start < self.length:
            finding = check.find(self._tail[start - self._base :])
            if finding is None:
                return None
            begin, end = finding.span or (0, self.length - start)
            if start + end > settled:
                return Found(check, finding, start + begin, start + end)
            start += max(1, end)
        return None

    def _from(self, position: int) -> int:
        """``position``, or the start of the next word if it is near: half a word is none of the model's."""
        if position <= self._base:
            return self._base
        at = position - self._base
        gap = self._tail.find(" ", at, at + CONTEXT)
        return self._base + (gap if gap >= 0 else at)

    def _forget(self, hold: int) -> None:
        spare = self._seen - hold - CONTEXT - self._base
        if not self._whole and spare > 4 * hold:  # rarely, for it copies
            self._tail = self._tail[spare:]
            self._base += spare


class Window:
    """Holds the events of one stream back."""

    def __init__(self, hold: int, checks: Sequence[SpanCheck], whole: frozenset[str] = frozenset()) -> None:
        """``hold``: characters, more than the longest span that one of ``checks`` finds.  ``whole``: names of those
        that must read a text from its beginning."""
        self._hold = hold
        self._checks = checks
        self._whole = whole
        self.begun = False
        """Text has left."""
        self._texts: dict[tuple[int, str], Text] = {}
        self._waiting: deque[tuple[bytes, list[tuple[Text, int]]]] = deque()
        """(event data, the places in texts up to which it goes)."""
        self.left: list[bytes] = []
        """Data of the events that have left, for the record; no more than ``MOST_KEPT_BYTES`` and one event."""
        self._left_bytes = 0

    def push(self, data: bytes) -> Found | None:
        """One more event.  A finding ends the stream: what is still ``waiting`` then never leaves."""
        places: list[tuple[Text, int]] = []
        found: Found | None = None
        for key, text in texts_of(data):
            growing = self._texts.get(key)
            if growing is None:
                growing = self._texts[key] = Text(self._whole)
            if growing.grow(text):
                found = found or growing.search(self._checks, self._hold, over=False)
            places.append((growing, growing.length))
        self._waiting.append((data, places))
        return found

    def keep(self, data: bytes) -> None:
        """An event that leaves only with the end: ``finish`` searches its text with the rest."""
        for key, text in texts_of(data):
            self._texts.setdefault(key, Text(self._whole)).grow(text)

    def finish(self) -> Found | None:
        """The stream is over: search what is left."""
        for text in self._texts.values():
            found = text.search(self._checks, self._hold, over=True)
            if found is not None:
                return found
        return None

    def leaving(self) -> list[bytes]:
        """Data of the events that may leave now, in order."""
        ready: list[bytes] = []
        waiting = self._waiting
        while waiting and all(place <= text.clean for text, place in waiting[0][1]):
            data, places = waiting.popleft()
            ready.append(data)
            if places:
                self.begun = True
        if self._left_bytes <= MOST_KEPT_BYTES:
            self.left += ready
            self._left_bytes += sum(map(len, ready))
        return ready


def texts_of(data: bytes) -> Iterator[tuple[tuple[int, str], str]]:
    """((choice, which of its texts), what this event adds to it)."""
    choices = msgspec.json.decode(data).get("choices")
    for choice in choices if isinstance(choices, list) else ():
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if not isinstance(delta, dict):
            continue
        index = choice.get("index")
        for name in TEXTS:
            value = delta.get(name)
            if isinstance(value, list):  # content in parts
                value = "".join(str(part.get("text") or "") for part in value if isinstance(part, dict))
            if value and isinstance(value, str):
                yield (index if isinstance(index, int) else 0, name), value
