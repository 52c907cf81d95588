"""``Idempotency-Key``: the same key and body within ten minutes get the same answer.

A stop or another release wins: an answer is told again only while its caller stands where it stood (``Standing``).

Kept in the memory of one worker (requests are routed to their key's owner by hash), so after a crash a repeated call
is a new one.  Only answers are kept, whole: an error is not an answer, and the next try may get one.  The table is
bounded in entries and bytes; the oldest finished entries go first.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict

import msgspec

from roadworthy.gateway.errors import Refused
from roadworthy.gateway.messages import Headers

KEPT_SECONDS = 600.0
MOST_ENTRIES = 10_000
MOST_BYTES = 64 * 1024 * 1024
LONGEST_KEY = 255

Standing = tuple[str | None, ...] | None
"""Who would answer a call now: route, state of the kill switch, release; ``None``: nobody."""

_SCOPE = tuple[str, bytes]
"""(id of the API key, the caller's idempotency key)."""


class Stored(msgspec.Struct, frozen=True):
    """An answer as it can be told again."""

    headers: Headers
    body: bytes
    """The whole JSON answer, our object included, also of a stream."""


class Entry:
    """One idempotency key: in progress until ``finish``."""

    __slots__ = ("answer", "fingerprint", "since", "standing", "unit")

    def __init__(
        self, fingerprint: bytes, since: float, answer: asyncio.Future[Stored | None], unit: str | None
    ) -> None:
        self.fingerprint = fingerprint
        self.since = since
        self.answer = answer
        self.unit = unit
        """On whose behalf the call is made, for ``forget``."""
        self.standing: Standing = None
        """When it was made."""


def fingerprint(path: str, body: bytes, unit: str | None = None) -> bytes:
    """Of a request; the same body for another user is another request."""
    return hashlib.sha256(f"{path}\n{unit or ''}\n".encode("utf-8", "surrogatepass") + body).digest()


class Table:
    """Entries of one worker, oldest first."""

    def __init__(self, *, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self._entries: OrderedDict[_SCOPE, Entry] = OrderedDict()
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._bytes = 0
        self.in_progress = 0
        """Keys whose first call has not ended."""

    def __len__(self) -> int:
        return len(self._entries)

    def claim(self, scope: _SCOPE, mark: bytes, now: float, unit: str | None = None) -> tuple[Entry, bool]:
        """(entry, is it ours to fill).  ``now``: monotonic seconds.

        Raises ``Refused``: 400 for a key that is too long, 422 ``idempotency_mismatch`` for another body under the
        same key.
        """
        if len(scope[1]) > LONGEST_KEY:
            raise Refused(400, "bad_request", f"'Idempotency-Key' is longer than {LONGEST_KEY} bytes.")
        self._expire(now)
        entry = self._entries.get(scope)
        if entry is None:
            entry = self._entries[scope] = Entry(mark, now, asyncio.get_running_loop().create_future(), unit)
            self.in_progress += 1
            self._trim()
            return entry, True
        if entry.fingerprint != mark:
            raise Refused(
                422,
                "idempotency_mismatch",
                "This 'Idempotency-Key' was used with another request within the last 10 minutes. Use a new key.",
            )
        return entry, False

    def finish(self, scope: _SCOPE, entry: Entry, stored: Stored | None) -> None:
        """Keep the answer; ``None``: there is none, the key is free again.  Whoever waits is told."""
        if not entry.answer.done():
            entry.answer.set_result(stored)
            self.in_progress -= 1
        if self._entries.get(scope) is not entry:
            return
        if stored is None:
            del self._entries[scope]
        else:
            self._bytes += len(stored.body)
            self._trim()

    def drop(self, scope: _SCOPE, entry: Entry) -> None:
        """Its answer is not to be told again: the key is free."""
        if self._entries.get(scope) is entry:
            self._forget(scope)

    def purge(self, unit: str) -> int:
        """Keep no answer made for a unit, of calls under way neither → how many answers were kept."""
        found = [scope for scope, entry in self._entries.items() if entry.unit == unit]
        kept = sum(self._entries[scope].answer.done() for scope in found)
        for scope in found:
            self._forget(scope)
        return kept

    def count(self, unit: str) -> int:
        """Answers kept that were made for a unit."""
        return sum(entry.unit == unit and entry.answer.done() for entry in self._entries.values())

    def _expire(self, now: float) -> None:
        while self._entries:
            scope, entry = next(iter(self._entries.items()))
            if now - entry.since < KEPT_SECONDS:
                return
            self._forget(scope)

    def _trim(self) -> None:
        over = len(self._entries) > self._most_entries or self._bytes > self._most_bytes
        while over:
            finished = next((scope for scope, entry in self._entries.items() if entry.answer.done()), None)
            if finished is None:
                return
            self._forget(finished)
            over = len(self._entries) > self._most_entries or self._bytes > self._most_bytes

    def _forget(self, scope: _SCOPE) -> None:
        entry = self._entries.pop(scope)
        if entry.answer.done():
            stored = entry.answer.result()
            self._bytes -= 0 if stored is None else len(stored.body)


def owner_of(scope: _SCOPE, workers: int) -> int:
    """The worker that keeps this key."""
    mark = hashlib.blake2b(scope[0].encode() + b"\0" + scope[1], digest_size=8).digest()
    return int.from_bytes(mark, "big") % workers
