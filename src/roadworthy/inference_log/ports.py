"""What keeps the inference log.  SQLite in an install, memory in tests; one contract suite runs against both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from roadworthy.inference_log.model import (
    Batch,
    Callers,
    Counting,
    Cursor,
    Entry,
    Expired,
    Filter,
    Page,
    Progress,
    Rating,
    Reach,
    Shipped,
    Side,
    Stats,
)
from roadworthy.inference_log.segments import SegmentName
from roadworthy.workflow.inference import Inference, InferenceStart
from roadworthy.workflow.model import Retention


class LogStore(Protocol):
    """All methods may be called from any thread.  One process writes (control holds the lock)."""

    # shipping
    def progress(self) -> dict[SegmentName, Progress]: ...

    def open_boots(self) -> set[tuple[str, int]]:
        """(worker, boot) of every start without an end."""

    def open_starts(self, worker: str, boot: int) -> list[InferenceStart]: ...

    def ship(self, batch: Batch) -> Shipped:
        """Store a batch whole or not at all: rows by insert-or-ignore on the id, open starts and offsets with them."""

    def counters(self) -> dict[str, int]:
        """Sums since the log began: the fields of ``Shipped``, ``accepted`` and ``in_flight``."""

    # reading
    def get(self, inference: str) -> Entry | None: ...

    def reach(self) -> Reach | None:
        """From when to when there are facts; ``None``: there are none."""

    def find(
        self, where: Filter, limit: int = 50, after: Cursor | None = None, before: Cursor | None = None
    ) -> Page: ...

    def scan(self, where: Filter, bodies: bool = False) -> Iterator[Inference]:
        """Every match, oldest day first, in bounded memory."""

    def stats(self, by: Sequence[str], where: Filter, zone: ZoneInfo) -> Stats: ...

    # cost
    def sample(self, where: Filter, share: float) -> list[Inference]:
        """About this share of the matches, without bodies, oldest first: drawn by id, so the same ones every time.

        Raises ``FilterRefused`` for a text filter.
        """

    def customers(self, where: Filter) -> int:
        """Different named users among the matches.  Raises ``FilterRefused`` for a text filter."""

    # scores
    def ratings(self, workflow: str, names: Sequence[str], since: float, until: float) -> list[Rating]:
        """What our scorers said of live calls of that time under these names, oldest call first.

        While a call is not in a cold day yet.
        """

    # ramps
    def count(self, asked: Counting) -> dict[str, Side]:
        """Digest → what it showed; one that was not called is there with zeros.

        Feedback counts while its call is not in a cold day yet.
        """

    def sides(self, workflow: str, since: float, digest: str) -> tuple[int, int]:
        """Named users of live calls: (those who got this release, those who got another or the bypass)."""

    def callers(self, workflow: str, since: float, until: float) -> Callers: ...

    def would(self, since: float, until: float) -> dict[str, dict[str, int]]:
        """Workflow → what enforcement would have done to its calls, had it been on → how many calls."""

    # keeping
    def rollup(self, now: float) -> int:
        """Sum closed buckets that are new or got late rows.  Returns how many (bucket, workflow) were summed."""

    def expire(self, now: float, keep: Retention) -> Expired: ...

    def train(self, samples: Sequence[bytes]) -> None:
        """Learn to pack bodies from prompts, schemas and synthetic text; never from a live body."""

    def forget(self, unit: str, at: float) -> dict[str, int]:
        """Delete what is known of a unit until ``at``, now and at every later shipment or restore → rows per store."""

    def covers(self, unit: str | None, ts: float) -> bool:
        """Is what a unit did at this instant forgotten?"""

    def unit_hash(self, unit: str) -> str:
        """A keyed hash by which a store that keeps no users finds what is theirs; the same after every restore."""

    def covers_hash(self, hashed: str, ts: float) -> bool:
        """``covers`` of the unit that has this hash."""

    def search(self, needle: str) -> dict[str, int]:
        """How often the raw files (or memory) hold a text → occurrences per store, zeros included."""

    def close(self) -> None: ...
