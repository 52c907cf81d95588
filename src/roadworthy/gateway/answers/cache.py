"""Exact cache of good answers: one a worker, bounded in entries and bytes, least recently used goes first.

What may be kept, and for whom, is decided by ``fallback/cache.py``; this only keeps it.  A workflow without ``cache``
never comes here.  Nothing survives the worker, and another release never finds an entry: its digest is in the key.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from roadworthy.fallback.cache import cache_key, may_keep
from roadworthy.gateway.ports import Unusable

if TYPE_CHECKING:
    from roadworthy.gateway.call import Call
    from roadworthy.workflow.inference import Outcome

MOST_ENTRIES = 10_000
MOST_BYTES = 32 * 1024 * 1024
MOST_BODY = 256 * 1024
"""Bytes; a longer answer is not kept."""

LONGEST_CALL = 3600.0
"""Seconds; no call that is under way is older."""

_OVERHEAD = 512
"""Bytes that an entry takes beside its body, about."""


class Cached(msgspec.Struct, frozen=True, gc=False):
    """A good answer of before."""

    body: bytes
    """``chat.completion`` or embeddings JSON without our object, as the model's caller read it."""
    age: float
    """Seconds since it was made."""
    inference: str
    """The inference that made it."""
    unit: str | None
    """For whom it was made."""


class _Entry(msgspec.Struct, frozen=True, gc=False):
    body: bytes
    made: float
    """Monotonic seconds."""
    lapses: float
    inference: str
    unit: str | None


class AnswerCache:
    """Answers of one worker."""

    def __init__(self, *, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self.bytes = 0
        self._purged: dict[str, float] = {}
        """User → when it was forgotten: a call that was under way then leaves nothing behind."""

    def __len__(self) -> int:
        return len(self._entries)

    def peek(self, call: Call, now: float) -> Cached | None:
        """What may be given to this caller, if there is anything.  ``now``: monotonic seconds."""
        serving = call.serving
        if serving is None or serving.handling.cache is None:
            return None
        key = _key_of(call)
        entry = None if key is None else self._entries.get(key)
        if key is None or entry is None:
            return None
        if now >= min(entry.lapses, entry.made + serving.handling.cache.max_age):
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return Cached(entry.body, max(0.0, now - entry.made), entry.inference, entry.unit)

    def put(self, call: Call, outcome: Outcome, body: bytes, now: float) -> None:
        """Keep the answer of a finished call, if it is good and its release wants it kept."""
        serving = call.serving
        if serving is None or serving.handling.cache is None or len(body) > MOST_BODY:
            return
        good = call.good
        if good is None or good.failure is not None:
            return
        try:
            read = call.surface.chat_answer(body, call.surface.format)
        except Unusable:  # it was served as it came; what we cannot read is not told again
            return
        if not may_keep(outcome, good.finish, call.checks, read):
            return
        key = _key_of(call)
        if key is None or (self._purged and call.began <= self._purged.get(call.unit or "", -1.0)):
            return
        self._drop(key)
        lapses = now + serving.handling.cache.max_age
        self._entries[key] = _Entry(body, now, lapses, call.id, call.unit)
        self.bytes += len(body) + _OVERHEAD
        self._trim(now)

    def purge(self, unit: str, now: float) -> int:
        """Forget every answer made for a user, shared ones too → how many."""
        self._purged = {name: at for name, at in self._purged.items() if now - at < LONGEST_CALL}
        self._purged[unit] = now
        found = [key for key, entry in self._entries.items() if entry.unit == unit]
        for key in found:
            self._drop(key)
        return len(found)

    def count(self, unit: str) -> int:
        """Answers made for a user."""
        return sum(entry.unit == unit for entry in self._entries.values())

    def _trim(self, now: float) -> None:
        """Bounds first; then what has lapsed unread at the cold end."""
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            over = len(self._entries) > self._most_entries or self.bytes > self._most_bytes
            if not over and now < entry.lapses:
                return
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= len(entry.body) + _OVERHEAD


def _key_of(call: Call) -> bytes | None:
    """Worked out once for each call that needs it."""
    if call.cache_key is not None:
        return call.cache_key or None
    serving = call.serving
    assert serving is not None
    made = None
    if serving.digest is not None and serving.handling.cache is not None and call.lost is None:
        made = cache_key(
            team=serving.team,
            workflow=serving.name,
            release=serving.digest,
            traffic=call.traffic,
            unit=call.unit,
            unit_source=call.unit_source,
            shared=serving.handling.cache.shared,
            operation=call.operation if call.surface.format == "chat" else call.surface.format,
            fields=call.fields,
        )
    call.cache_key = made or b""
    return made
