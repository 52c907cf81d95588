"""What the alert watch counts as it is shipped: live calls of the last three days, and attempts of the last minutes.

Kept in memory, so a round costs the same however large the log is: minutes for two hours, five minutes for three days.
A control that starts takes them from the log, by hours where they are older than two.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.inference_log.analysis import BURN_LENGTHS, Counts
from roadworthy.inference_log.model import BUCKET, Cursor, Filter
from roadworthy.inference_log.ports import LogStore
from roadworthy.kill_switch.triggers import Window
from roadworthy.operations.alerting.model import DOWN, LET_DOWN, STANDS_IN, UNTRIED, Attempts, bad, counts
from roadworthy.workflow.inference import Inference

MINUTE: Final = 60
FINE: Final = 2 * 3600.0
"""Seconds for which minutes are kept; the widest window that is summed from them."""
SPAN: Final = max(BURN_LENGTHS)
RECENT: Final = 1800.0
"""Seconds that a starting control takes from the log minute by minute, so that it knows when trouble began."""
PAGE: Final = 1000
MOST_SLOW: Final = 10 * PAGE
"""Slow calls of a workflow that a starting control takes from the log."""
QUIET_MINUTES: Final = 10
TARGETS_SPAN: Final = 300.0
"""Seconds over which a target is judged."""
NEWEST_SPAN: Final = 120.0
"""Seconds that are enough where a target is tried often."""
HOUR: Final = 3600


class _Slice(msgspec.Struct, gc=False):
    calls: int = 0
    bad: int = 0
    slow: int = 0

    def add(self, calls: int, bad: int, slow: int) -> None:
        self.calls += calls
        self.bad += bad
        self.slow += slow


class Served:
    """Live calls by workflow.  Thread-safe."""

    def __init__(self, clock: Callable[[], float], slow_from: Callable[[str], float | None]) -> None:
        """``slow_from``: workflow → seconds that its latency objective names."""
        self._clock = clock
        self._slow_from = slow_from
        self._lock = threading.RLock()
        self._fine: dict[str, dict[int, _Slice]] = {}
        self._coarse: dict[str, dict[int, _Slice]] = {}
        self._attempts: dict[str, dict[str, dict[int, Attempts]]] = {}
        self._warm = False

    def held(self) -> AbstractContextManager[object]:
        """While a batch is committed and taken, nothing is read from the log: no call counts twice."""
        return self._lock

    def take(self, records: Iterable[Inference]) -> None:
        """What was just stored in the log."""
        with self._lock:
            if not self._warm:  # ``warm`` will find them in the log
                return
            for record in records:
                if counts(record):
                    limit = self._slow_from(record.workflow)
                    slow = limit is not None and record.latency > limit
                    self._add(record.workflow, record.ts, 1, int(bad(record)), int(slow))
                    self._tried(record)
            self._forget()

    def warm(self, store: LogStore) -> None:
        """Take what the log has, once."""
        with self._lock:
            if self._warm:
                return
            now = self._clock()
            cut = (now - FINE) // HOUR * HOUR
            self._sum(store, now - SPAN, cut, by_hour=True)
            start = cut
            while start < now:
                step = BUCKET if start < now - RECENT else MINUTE
                self._sum(store, start, start + step, by_hour=False)
                start += step
            for workflow in list(self._coarse):
                self._slow(store, workflow, now - SPAN)
            self._warm = True

    def windows(self, workflow: str, since: float = 0.0) -> tuple[dict[float, Window], dict[float, Window]]:
        """Length → calls and bad ones, calls and slow ones.  What was before ``since`` counts nothing."""
        now = self._clock()
        errors, slow = {}, {}
        with self._lock:
            fine, coarse = self._fine.get(workflow, {}), self._coarse.get(workflow, {})
            for length in BURN_LENGTHS:
                held, width = (fine, MINUTE) if length <= FINE else (coarse, BUCKET)
                after = max(now - length, since)
                calls = bad = late = 0
                for number, one in held.items():
                    if number * width >= after - width / 2:
                        calls, bad, late = calls + one.calls, bad + one.bad, late + one.slow
                errors[length], slow[length] = Window(calls, bad), Window(calls, late)
        return errors, slow

    def failed(self, workflow: str) -> int | None:
        """Calls of the last hour that failed; ``None``: nothing is counted yet."""
        with self._lock:
            return self.windows(workflow)[0][float(HOUR)].bad if self._warm else None

    def began(self, workflow: str) -> float | None:
        """When the run of bad minutes that lasts until now began.  Minutes without calls are passed over; a good one,
        or many without any, end it."""
        with self._lock:
            fine = self._fine.get(workflow, {})
            start: int | None = None
            for number in sorted(fine, reverse=True):
                one = fine[number]
                well = one.calls and one.bad * 20 < one.calls
                if well or (start is not None and start - number > QUIET_MINUTES):
                    break
                if one.bad:
                    start = number
            return None if start is None else float(start * MINUTE)

    def usual(self, workflow: str) -> tuple[float, float]:
        """Calls a minute: of the last ten minutes, and of the day before them."""
        now = self._clock()
        with self._lock:
            fine, coarse = self._fine.get(workflow, {}), self._coarse.get(workflow, {})
            recent = sum(one.calls for number, one in fine.items() if number * MINUTE >= now - 600)
            day = sum(one.calls for number, one in coarse.items() if now - 87_000 <= number * BUCKET < now - 600)
        return recent / 10, day / 1440

    def attempts(self, workflow: str, span: float = TARGETS_SPAN) -> dict[str, Attempts]:
        """Target → what its attempts of the last minutes came to."""
        after = self._clock() - span
        with self._lock:
            found = {}
            for target, minutes in self._attempts.get(workflow, {}).items():
                found[target] = merged(one for number, one in minutes.items() if number * MINUTE >= after - MINUTE / 2)
            return found

    def workflows(self) -> list[str]:
        with self._lock:
            return list(self._attempts)

    def _add(self, workflow: str, ts: float, calls: int, bad: int, slow: int) -> None:
        fine = self._fine.setdefault(workflow, {}).setdefault(int(ts // MINUTE), _Slice())
        coarse = self._coarse.setdefault(workflow, {}).setdefault(int(ts // BUCKET), _Slice())
        fine.add(calls, bad, slow)
        coarse.add(calls, bad, slow)

    def _tried(self, record: Inference) -> None:
        held = self._attempts.setdefault(record.workflow, {})
        for attempt in record.attempts:
            one = held.setdefault(attempt.target, {}).setdefault(int(record.ts // MINUTE), Attempts())
            note(one, attempt.failure, attempt.status)

    def _sum(self, store: LogStore, since: float, until: float, *, by_hour: bool) -> None:
        """Errors from buckets; calls that were let down from the index of those that were not answered."""
        by = ("workflow", "hour") if by_hour else ("workflow",)
        for row in store.stats((*by, "route"), Filter(traffic="live", since=since, until=until), UTC).rows:
            if row.group["route"] not in ("off", "bypass"):
                one = Counts.of(row.outcomes)
                calls = one.calls - row.outcomes.get("abandoned", 0)
                self._add(row.group["workflow"] or "", _at(row.group, since), calls, one.bad, 0)
        let_down = Filter(
            traffic="live", since=since, until=until, outcome=",".join(sorted(STANDS_IN)),
            failure=",".join(sorted(LET_DOWN)),
        )  # fmt: skip
        for row in store.stats((*by, "route", "kill"), let_down, UTC).rows:
            if row.group["route"] not in ("off", "bypass") and row.group["kill"] != "assist":
                self._add(row.group["workflow"] or "", _at(row.group, since), 0, row.count, 0)

    def _forget(self) -> None:
        now = self._clock()
        for held, width, keep in ((self._fine, MINUTE, FINE), (self._coarse, BUCKET, SPAN)):
            oldest = int((now - keep - width) // width)
            for slices in held.values():
                while slices and (first := next(iter(slices))) < oldest:
                    del slices[first]
        oldest = int((now - TARGETS_SPAN - MINUTE) // MINUTE)
        for targets in self._attempts.values():
            for minutes in targets.values():
                for number in [number for number in minutes if number < oldest]:
                    del minutes[number]

    def _slow(self, store: LogStore, workflow: str, since: float) -> None:
        """Calls that were slower than the objective of now; the newest, of very many."""
        limit = self._slow_from(workflow)
        if limit is None:
            return
        which = Filter(workflow=workflow, traffic="live", since=since, slower_than=limit)
        after: Cursor | None = None
        for _ in range(MOST_SLOW // PAGE):
            page = store.find(which, PAGE, after)
            for record in page.items:
                if counts(record):
                    self._add(workflow, record.ts, 0, 0, 1)
            if page.next is None:
                break
            after = Cursor.parse(page.next)


def note(one: Attempts, failure: str | None, status: int | None) -> None:
    if failure not in DOWN:
        one.good += failure not in UNTRIED
    else:
        one.down += 1
        one.misconfigured += failure == "misconfigured"
    if failure is not None:
        one.failures[failure] = one.failures.get(failure, 0) + 1
        if failure in DOWN:
            one.statuses[status or 0] = one.statuses.get(status or 0, 0) + 1


def merged(each: Iterable[Attempts]) -> Attempts:
    total = Attempts()
    for one in each:
        total.good += one.good
        total.down += one.down
        total.misconfigured += one.misconfigured
        for name, count in one.failures.items():
            total.failures[name] = total.failures.get(name, 0) + count
        for status, count in one.statuses.items():
            total.statuses[status] = total.statuses.get(status, 0) + count
    return total


UTC: Final = ZoneInfo("UTC")


def _at(group: Mapping[str, str | None], since: float) -> float:
    hour = group.get("hour")
    return since if hour is None else datetime.fromisoformat(hour).timestamp()
