"""What the automatic triggers of the kill switch watch: the live calls of the last hour, as they are shipped.

Counts are kept in memory in slices of ten seconds, so a look costs the same however large the log is.  A control that
starts takes them from the log.  Other classes of calls, and what was before the last restore, count nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.inference_log.analysis import Counts
from roadworthy.inference_log.model import BUCKET, Filter
from roadworthy.inference_log.ports import LogStore
from roadworthy.kill_switch.model import TRIGGERS
from roadworthy.kill_switch.service import Kills
from roadworthy.kill_switch.triggers import (
    ErrorsTrigger,
    Observed,
    SpendTrigger,
    Triggers,
    UnsafeTrigger,
    Window,
    cleared,
    tripped,
)
from roadworthy.operations.notices import unsafe
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import KillPolicy, Workflow

SLICE: Final = 10.0
HOUR: Final = 3600.0
UNSAFE_SPAN: Final = 600.0
BURN_SPAN: Final = 300.0
MOST_READ: Final = 100_000
"""Records of the last ten minutes that a starting control reads for unsafe answers."""


class _Slice(msgspec.Struct):
    calls: int = 0
    bad: int = 0
    unsafe: int = 0
    usd: float = 0.0
    priced: int = 0


class Recent:
    """Live calls by workflow and slice.  Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._slices: dict[str, dict[int, _Slice]] = {}
        self._warm = False

    def held(self) -> AbstractContextManager[object]:
        """While a batch is committed and taken, nothing is read from the log: no call counts twice."""
        return self._lock

    def take(self, records: Iterable[Inference]) -> None:
        with self._lock:
            if not self._warm:  # ``warm`` will find them in the log
                return
            for record in records:
                if record.traffic == "live":
                    self._add(record)
            self._forget()

    def warm(self, store: LogStore) -> None:
        """Take the last hour from the log, once."""
        with self._lock:
            if self._warm:
                return
            now = self._clock()
            start = (now - HOUR) // BUCKET * BUCKET
            while start < now:
                where = Filter(traffic="live", since=start, until=start + BUCKET)
                for row in store.stats(("workflow",), where, ZoneInfo("UTC")).rows:
                    one = self._slice(row.group["workflow"] or "", start)
                    counts = Counts.of(row.outcomes)
                    one.calls += counts.calls
                    one.bad += counts.bad
                    one.usd += row.cost_usd or 0.0
                    one.priced += row.count - row.cost_unknown
                start += BUCKET
            for number, record in enumerate(store.scan(Filter(traffic="live", since=now - UNSAFE_SPAN))):
                if number >= MOST_READ:
                    break
                if unsafe(record) is not None:
                    self._slice(record.workflow, record.ts).unsafe += 1
            self._warm = True

    def observed(self, workflow: str, since: float, objective_errors: float | None) -> Observed:
        """``since``: the last restore."""
        with self._lock:
            hour, burn, judged = (self._sum(workflow, since, span) for span in (HOUR, BURN_SPAN, UNSAFE_SPAN))
        return Observed(
            usd_hour=hour.usd if hour.priced else None,
            unsafe=Window(judged.calls, judged.unsafe),
            errors_hour=Window(hour.calls, hour.bad),
            errors_5m=Window(burn.calls, burn.bad),
            objective_errors=objective_errors,
        )

    def _add(self, record: Inference) -> None:
        one = self._slice(record.workflow, record.ts)
        counts = Counts.of({record.outcome: 1})
        one.calls += counts.calls
        one.bad += counts.bad
        one.unsafe += unsafe(record) is not None
        if record.cost_usd is not None:
            one.usd += record.cost_usd
            one.priced += 1

    def _slice(self, workflow: str, ts: float) -> _Slice:
        return self._slices.setdefault(workflow, {}).setdefault(int(ts // SLICE), _Slice())

    def _sum(self, workflow: str, since: float, span: float) -> _Slice:
        total = _Slice()
        after = max(self._clock() - span, since)
        for number, one in self._slices.get(workflow, {}).items():
            if number * SLICE >= after:
                total.calls += one.calls
                total.bad += one.bad
                total.unsafe += one.unsafe
                total.usd += one.usd
                total.priced += one.priced
        return total

    def _forget(self) -> None:
        oldest = int((self._clock() - HOUR - BUCKET) // SLICE)
        for slices in self._slices.values():
            for number in [number for number in slices if number < oldest]:
                del slices[number]


def triggers_of(policy: KillPolicy) -> Triggers:
    return Triggers(
        None if policy.usd_per_hour is None else SpendTrigger(policy.usd_per_hour, policy.to),
        None if policy.unsafe_share is None else UnsafeTrigger(share=policy.unsafe_share, to=policy.to),
        None if policy.error_burn is None else ErrorsTrigger(burn=policy.error_burn, to=policy.to),
    )


class TriggerWatch:
    """Stops what must be stopped, and says when it has cleared; only a person switches on again."""

    def __init__(
        self,
        kills: Kills,
        recent: Recent,
        store: LogStore,
        workflows: Callable[[], Mapping[str, Workflow]],
    ) -> None:
        self._kills = kills
        self._recent = recent
        self._store = store
        self._workflows = workflows

    def look(self) -> None:
        self._recent.warm(self._store)
        for name, workflow in self._workflows().items():
            self._look(name, workflow)

    def _look(self, name: str, workflow: Workflow) -> None:
        triggers = triggers_of(workflow.policy.kill)
        since = self._kills.restored_at(name)
        observed = self._recent.observed(name, since, workflow.policy.objective.error_share)
        for trip in tripped(triggers, observed):
            self._kills.trip(name, trip.trigger, trip.to, trip.why)
        for source, held in self._kills.switch(name).held.items():
            if source in TRIGGERS and held.active and cleared(source, triggers, observed):
                self._kills.clear(name, source)
