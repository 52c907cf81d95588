"""From the journal into the log, and from the log to whoever asks.

The rule of shipping: read complete lines → store them and the new offsets in one transaction → delete what is
consumed.  A crash between any two of these repeats work and changes nothing: rows are inserted or ignored by id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from roadworthy.inference_log import analysis, segments
from roadworthy.inference_log.export import Format, export
from roadworthy.inference_log.model import (
    LARGEST_PAGE,
    Batch,
    Cursor,
    Entry,
    Filter,
    FilterRefused,
    Lag,
    Page,
    Progress,
    Quarantined,
    Shipped,
    Stats,
    parse_dimensions,
)
from roadworthy.inference_log.paging import PATIENCE, newer, older
from roadworthy.inference_log.ports import LogStore
from roadworthy.inference_log.segments import Scan, SegmentName
from roadworthy.workflow.inference import Escalation, Feedback, Inference, InferenceStart, Seal

Boot = tuple[str, int]
Journals = Callable[[], Sequence[Path]]
"""The journal folder of every gateway that is known now."""

BATCH_BYTES = 8 * 1024 * 1024
"""About how much of the journal one transaction brings."""


def lost(start: InferenceStart, worker: str) -> Inference:
    """The record of a call whose gateway died before it ended.  What it cost is unknown, never zero."""
    return Inference(
        id=start.id,
        ts=start.ts,
        team=start.team,
        workflow=start.workflow,
        outcome="error",
        route=start.route,
        digest=start.digest,
        traffic=start.traffic,
        unit=start.unit,
        unit_source=start.unit_source,
        session=start.session,
        trace=start.trace,
        key=start.key,
        failure="gateway_lost",
        code="gateway_lost",
        status=0,
        stream=start.stream,
        cost_unknown="the gateway died during the call",
        worker=worker,
    )


class Shipper:
    """Moves the journals of all workers of all gateways into the log.  One at a time; resumes after a crash at any
    point."""

    def __init__(
        self,
        journal: Path | Journals,
        store: LogStore,
        *,
        now: Callable[[], float] = time.time,
        before: Callable[[Batch], None] | None = None,
    ) -> None:
        """``before`` is given every batch before it is committed, and may be given it again after a crash: what it
        stores elsewhere is there at the latest when the log has the batch."""
        self._before = before
        self._journals: Journals = (lambda: (journal,)) if isinstance(journal, Path) else journal
        self._store = store
        self._now = now
        self._lock = threading.Lock()

    def ship(self, max_batches: int | None = None) -> Shipped:
        """Ship until nothing complete is left (or ``max_batches`` are done) and say what happened.

        Raises what the store raises; nothing is lost then, the next call starts where the last commit ended.
        """
        total = Shipped()
        done = 0
        with self._lock:
            more = True
            while more and (max_batches is None or done < max_batches):
                more = self._round(total)
                done += 1
        return total

    def _round(self, total: Shipped) -> bool:
        """One transaction.  Returns whether complete lines may be left."""
        known = self._store.progress()
        places = segments.places(self._journals())
        self._delete((path for name, path in places.items() if known.get(name, Progress()).finished), total)
        names = [name for name in places if not known.get(name, Progress()).finished]
        batch = Batch(deleted=sorted(set(known).difference(segments.places(self._journals()))))
        more, budget = False, BATCH_BYTES
        over: list[Boot] = []
        for boot, group in groupby(names, key=lambda name: (name.worker, name.boot)):
            finished = True
            for name in group:
                if budget <= 0:
                    more, finished = True, False
                    break
                scan = self._read(name, places[name], known.get(name, Progress()), batch)
                if scan is not None and name in batch.progress:
                    budget -= batch.progress[name].offset - known.get(name, Progress()).offset
                more = more or (scan is not None and not scan.at_end)
                if scan is None or not batch.progress.get(name, Progress()).finished:
                    finished = False
                if scan is not None and not scan.at_end:
                    break
            if finished and not self._continues(boot, names):
                over.append(boot)
        over += sorted(self._store.open_boots().difference((name.worker, name.boot) for name in names))
        self._net(batch, over)
        if batch.empty:
            return False
        if self._before is not None:
            self._before(batch)
        total += self._store.ship(batch)
        self._delete((places[name] for name, progress in batch.progress.items() if progress.finished), total)
        return more

    def _continues(self, boot: Boot, names: Sequence[SegmentName]) -> bool:
        """Did the boot get another segment since the journal was listed?  (It is made before the old one is sealed.)"""
        return any((n.worker, n.boot) == boot and n not in names for n in segments.places(self._journals()))

    def _read(self, name: SegmentName, path: Path, start: Progress, batch: Batch) -> Scan | None:
        gone = segments.writer_is_gone(path)  # before the scan, or its last bytes would be missed
        try:
            scan = segments.scan(path, start.offset)
        except FileNotFoundError:
            return None
        for line in scan.lines:
            match line.value:
                case InferenceStart() as value:
                    batch.starts.append((name.worker, name.boot, value))
                case Inference() as value:
                    batch.ends.append(value)
                case Feedback() as value:
                    batch.feedback.append(value)
                case Escalation() as value:
                    batch.escalations.append(value)
                case Seal():
                    pass
        batch.malformed += [Quarantined(name, bad.offset, bad.reason, bad.data) for bad in scan.malformed]
        finished = scan.at_end and (scan.sealed or gone)
        if finished and scan.tail:
            batch.torn += 1
        if finished or scan.offset != start.offset:
            batch.progress[name] = Progress(scan.offset, finished)
        return scan

    def _net(self, batch: Batch, over: Iterable[Boot]) -> None:
        """Take out the starts that ended within the batch; make ``gateway_lost`` of those whose boot is over."""
        ended = {end.id for end in batch.ends}
        waiting = [item for item in batch.starts if item[2].id not in ended]
        dead = set(over)
        batch.starts = [item for item in waiting if (item[0], item[1]) not in dead]
        begun = {start.id: (worker, start) for worker, boot, start in waiting if (worker, boot) in dead}
        for worker, boot in dead:
            for start in self._store.open_starts(worker, boot):
                begun.setdefault(start.id, (worker, start))
        batch.lost = [lost(start, worker) for worker, start in begun.values() if start.id not in ended]

    def _delete(self, paths: Iterable[Path], total: Shipped) -> None:
        for path in paths:
            path.unlink(missing_ok=True)
            total.segments_deleted += 1

    def lag(self) -> Lag:
        """What is stored, what waits, what was dropped."""
        counts = self._store.counters()
        pending, age = self.pending(*self._journals())
        fields = {name: counts.get(name, 0) for name in Lag.__struct_fields__ if not name.startswith("pending_")}
        return Lag(**fields, pending_bytes=pending, pending_seconds=age)

    def pending(self, *journals: Path) -> tuple[int, float]:
        """What of these journals is not in the log yet: bytes, and the age of the oldest line in seconds."""
        known = self._store.progress()
        pending, oldest = 0, None
        for name, path in segments.places(journals).items():
            offset = known.get(name, Progress()).offset
            try:
                size = path.stat().st_size
                if size <= offset:
                    continue
                first = segments.scan(path, offset, read_bytes=64 * 1024).lines[:1]
            except FileNotFoundError:
                continue
            pending += size - offset
            for line in first:
                oldest = line.value.ts if oldest is None else min(oldest, line.value.ts)
        return pending, 0.0 if oldest is None else max(0.0, self._now() - oldest)


TIME_DIGITS = 12
"""Hex digits of an id that are its time, in milliseconds."""


class Log:
    """Questions to the inference log.  Holds no state of its own."""

    def __init__(self, store: LogStore, shipper: Shipper, *, zone: ZoneInfo, now: Callable[[], float] = time.time):
        self._store = store
        self._shipper = shipper
        self._zone = zone
        self._now = now

    def get(self, inference: str) -> Entry | None:
        return self._store.get(inference.strip())

    def find(self, where: Filter, limit: int = 50, *, after: str | None = None, before: str | None = None) -> Page:
        """A page, newest first.  Raises ``FilterRefused`` for a cursor or a limit that is none."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise FilterRefused(f"limit {limit} is out of range: give 1 to {LARGEST_PAGE}")
        if after is not None and before is not None:
            raise FilterRefused("after and before exclude each other: give one")
        return self._store.find(
            where,
            limit,
            after=Cursor.parse(after) if after else None,
            before=Cursor.parse(before) if before else None,
        )

    def search(
        self, where: Filter, limit: int = 50, *, after: str | None = None, before: str | None = None,
        patience: float = PATIENCE,
    ) -> Page:  # fmt: skip
        """``find`` for whoever waits: after ``patience`` seconds it gives what it has, and says how far it looked.

        Raises ``FilterRefused``.
        """
        if not 1 <= limit < LARGEST_PAGE:
            raise FilterRefused(f"limit {limit} is out of range: give 1 to {LARGEST_PAGE - 1}")
        if before is not None:
            return newer(self._store, where, limit, Cursor.parse(before), patience)
        return older(self._store, where, limit, Cursor.parse(after) if after else None, patience)

    def begin_with(self, ident: str) -> list[str]:
        """At most two ids that begin so; an id begins with its time, so the log is read only around it.

        ``ident``: ``inf_`` and at least eight hex digits.
        """
        clock = ident.removeprefix("inf_")[:TIME_DIGITS]
        width = 16 ** (TIME_DIGITS - len(clock))
        since, until = int(clock, 16) * width / 1000 - 1, (int(clock, 16) + 1) * width / 1000 + 1
        found: list[str] = []
        after: Cursor | None = None
        while len(found) < 2:
            page = self._store.find(Filter(since=since, until=until), LARGEST_PAGE, after=after)
            found += [row.id for row in page.items if row.id.startswith(ident)]
            if page.next is None:
                break
            after = Cursor.parse(page.next)
        return found[:2]

    def stats(self, by: str | Sequence[str], where: Filter, zone: ZoneInfo | None = None) -> Stats:
        """Sums per group; hours and days are those of ``zone`` (default: the install's).  Raises ``FilterRefused``."""
        dimensions = parse_dimensions(by if isinstance(by, str) else ",".join(by))
        return self._store.stats(dimensions, where, zone or self._zone)

    def sample(self, where: Filter, share: float) -> list[Inference]:
        """About this share of the matches, without bodies, oldest first; the same ones every time."""
        return self._store.sample(where, share)

    def customers(self, where: Filter) -> int:
        """Different named users among the matches."""
        return self._store.customers(where)

    def export(self, where: Filter, kind: Format, *, bodies: bool = False) -> Iterable[bytes]:
        """The matching inferences, streamed in bounded memory, oldest day first."""
        return export(self._store.scan(where, bodies=bodies), kind, bodies=bodies)

    def would(self, since: float, until: float) -> dict[str, dict[str, int]]:
        """Workflow → what enforcement would have done to its calls, had it been on → how many."""
        return self._store.would(since, until)

    def lag(self) -> Lag:
        return self._shipper.lag()

    def anomalies(self, bounds: Mapping[str, analysis.Bounds], workflow: str | None = None) -> list[analysis.Finding]:
        """What is unusual now, live traffic only.  ``bounds``: workflow → what its policy declares."""
        now = self._now()
        grid_end = now // analysis.HOUR * analysis.HOUR
        where = Filter(workflow=workflow, traffic="live", since=grid_end - analysis.HISTORY, until=grid_end)
        hours = analysis.hours_by_workflow(self._store.stats(("workflow", "hour"), where, ZoneInfo("UTC")).rows)
        found: list[analysis.Finding] = []
        for name, series in sorted(hours.items()):
            bound = bounds.get(name, analysis.Bounds())
            found += analysis.unusual(name, series, bound, now, self._zone)
        windows = self._windows(workflow, now)
        for name in sorted(windows):
            found += analysis.burning(name, windows[name], bounds.get(name, analysis.Bounds()).error_share, now)
        return found

    def _windows(self, workflow: str | None, now: float) -> dict[str, dict[float, analysis.Counts]]:
        """Per workflow, the bad and all calls of each window that the burn rules look at."""
        found: dict[str, dict[float, analysis.Counts]] = {}
        for length in analysis.BURN_LENGTHS:
            where = Filter(workflow=workflow, traffic="live", since=now - length, until=now)
            for row in self._store.stats(("workflow",), where, ZoneInfo("UTC")).rows:
                counts = found.setdefault(row.group["workflow"] or "", {})
                counts[length] = analysis.Counts.of(row.outcomes)
        return found
