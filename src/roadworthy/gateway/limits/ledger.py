"""What a worker has spent and reserved, in a table that outlives it.

The table is a file mapped into memory: a plain store into it survives ``kill -9``, costs less than a dictionary look-up
and waits for no disk.  (Power loss takes what the kernel had not written: ``save``, called every second off the loop,
bounds it.)  A call that was under way when the worker died may have been charged, so what was reserved then counts as
spent from then on.

It is a hash table of a fixed number of records.  A scope is looked up by 128 bits of its hash and its period within a
window of neighbours; records of past periods are used again.  When a window is full, a newcomer shares the record of
its home with whoever is there: both are then counted together, so a scope may be counted too high and never too low,
and nobody spends twice however many users there are.

File: 6 words of 64 bits a record, the first record is the header.  One writer, this worker; others may read.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
from pathlib import Path
from typing import NamedTuple

from roadworthy.cost.budgets import stale
from roadworthy.cost.lending import WHOLE

RECORDS = 1 << 17
"""Records of a table: 6 MiB, of which a file takes only what is used."""
WINDOW = 16
_WORDS = 6
_STAMP, SPENT, RESERVED, SHARE = 2, 3, 4, 5
"""Words of a record; the serving path reads and writes them in place."""
_MAGIC = 0x5244_5759_0002
_FIRST_MAGIC = 0x5244_5759_0001
"""Of tables whose fresh records said only that they were."""
_SIZE = (RECORDS + 1) * _WORDS * 8


def fresh(share: int) -> int:
    """Share of a record of which nobody has spoken yet, and of which the worker has ``share`` until then."""
    return -1 - share


Ident = tuple[int, int, int]
"""(high and low half of the scope's hash, stamp of the period)."""


class LedgerRefused(Exception):
    """The file is no ledger, or was made for another number of workers."""


class Booked(NamedTuple):
    """A record as others read it."""

    spent: int
    reserved: int
    share: int
    """``fresh`` of it where nobody has spoken of it."""


def ident_of(parts: tuple[str, ...], stamp: int) -> Ident:
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    high, low = (int.from_bytes(digest[at : at + 8], "big") >> 1 for at in (0, 8))
    return high | 1, low, stamp  # 0 marks a free record


def parsed(ident: str) -> Ident:
    """As orders and words name a scope.  Raises ``ValueError``."""
    high, low, stamp = ident.split(".")
    return int(high, 16), int(low, 16), int(stamp)


class Ledger:
    """One worker's table.  Amounts are whole nanodollars (or calls, for scopes that count calls)."""

    def __init__(
        self, path: Path | None = None, *, workers: int | None = 1, records: int = RECORDS, first: int = WHOLE
    ) -> None:
        """``path`` ``None``: in memory only; ``workers`` ``None``: for whatever number; ``first``: the share of fresh
        records of an older table.

        Raises ``OSError`` and ``LedgerRefused``.
        """
        self._mask = records - 1
        self._file = -1
        size = (records + 1) * _WORDS * 8
        if path is None:
            self._buffer: bytearray | mmap.mmap = bytearray(size)
        else:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            found = os.fstat(self._file).st_size
            if found not in (0, size):
                os.close(self._file)
                raise LedgerRefused(f"{path}: found {found} bytes, expected {size}")
            os.ftruncate(self._file, size)
            self._buffer = mmap.mmap(self._file, size)
        self.words = memoryview(self._buffer).cast("q")
        if self.words[0] == _FIRST_MAGIC:
            self._renew(first)
        if self.words[0] == 0:
            self.words[0], self.words[1] = _MAGIC, workers or 1
        elif self.words[0] != _MAGIC or workers not in (None, self.words[1]):
            made_for = self.words[1]
            self.close()
            raise LedgerRefused(f"{path}: made for {made_for} workers, expected {workers}")
        self._take_over()

    def find(self, ident: Ident, now: int, *, make: bool = True, first: int = WHOLE) -> int | None:
        """Where the record of a scope begins; made if it is missing and ``make``.  ``now``: stamp of the current period
        of its kind, by which past records are told; ``first``: the share of a new one."""
        words = self.words
        high, low, stamp = ident
        free = None
        for step in range(WINDOW):
            at = (((low + step) & self._mask) + 1) * _WORDS
            there = words[at]
            if there == high and words[at + 1] == low and words[at + _STAMP] == stamp:
                return at
            if free is None and (there == 0 or stale(words[at + _STAMP], now)):
                free = at
            if there == 0:
                break
        if not make:
            return None
        if free is None:
            return ((low & self._mask) + 1) * _WORDS  # full: share the home record
        words[free + SPENT] = words[free + RESERVED] = 0
        words[free + SHARE] = fresh(first)
        words[free + _STAMP], words[free + 1], words[free] = stamp, low, high
        return free

    def owns(self, at: int, ident: Ident) -> bool:
        """Is the record at ``at`` the scope's own, not a shared one?"""
        words = self.words
        return words[at] == ident[0] and words[at + 1] == ident[1] and words[at + _STAMP] == ident[2]

    def spent(self, at: int) -> int:
        return self.words[at + SPENT]

    def reserved(self, at: int) -> int:
        return self.words[at + RESERVED]

    def held(self, at: int) -> int:
        return self.words[at + SPENT] + self.words[at + RESERVED]

    def share(self, at: int) -> int:
        share = self.words[at + SHARE]
        return share if share >= 0 else fresh(share)  # its own inverse

    def lend(self, at: int, share: int) -> None:
        self.words[at + SHARE] = share

    def reserve(self, at: int, amount: int) -> None:
        self.words[at + RESERVED] += amount

    def settle(self, at: int, reserved: int, actual: int) -> None:
        self.words[at + RESERVED] -= reserved
        self.words[at + SPENT] += actual

    def save(self) -> None:
        """Have what was stored so far written to the disk.  Blocking.  Raises ``OSError``."""
        if self._file >= 0:
            os.fdatasync(self._file)

    def close(self) -> None:
        self.words.release()
        if isinstance(self._buffer, mmap.mmap):
            self._buffer.close()
            os.close(self._file)

    def book(self, ident: Ident, spent: int, first: int = WHOLE) -> None:
        """Enter what was spent before (by workers whose number was another), and the share of it from now on."""
        at = self.find(ident, ident[2])
        assert at is not None
        self.words[at + SPENT] += spent
        self.words[at + SHARE] = fresh(first)

    def hold(self) -> bool:
        """Show that somebody writes here, for as long as this lives; ``False``: somebody else does."""
        if self._file >= 0:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def _renew(self, first: int) -> None:
        words = self.words
        for at, high in enumerate(words[_WORDS::_WORDS].tolist(), 1):
            if high and words[at * _WORDS + SHARE] < 0:
                words[at * _WORDS + SHARE] = fresh(first)
        words[0] = _MAGIC

    def _take_over(self) -> None:
        """What an earlier worker had reserved when it died may have been charged: it counts as spent."""
        words = self.words
        for at, reserved in enumerate(words[_WORDS + RESERVED :: _WORDS].tolist(), 1):
            if reserved:
                words[at * _WORDS + SPENT] += reserved
                words[at * _WORDS + RESERVED] = 0


def read(path: Path) -> tuple[int, dict[Ident, Booked]]:
    """(number of workers for which it was made, its records) of a ledger that a worker may be writing to.

    Raises ``OSError`` and ``LedgerRefused``.
    """
    data = path.read_bytes()
    if len(data) != _SIZE:
        raise LedgerRefused(f"{path}: found {len(data)} bytes, expected {_SIZE}")
    words = memoryview(data).cast("q")
    if words[0] not in (_MAGIC, _FIRST_MAGIC):
        raise LedgerRefused(f"{path}: is not a table of what was spent")
    found: dict[Ident, Booked] = {}
    for at, high in enumerate(words[_WORDS::_WORDS].tolist(), 1):
        if high:
            low, stamp, spent, reserved, share = words[at * _WORDS + 1 : (at + 1) * _WORDS].tolist()
            found[(high, low, stamp)] = Booked(spent, reserved, share)
    return words[1], found
