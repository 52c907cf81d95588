"""What a page is made of, gathered from the log, the state and the snapshot.  Bounded: the newest thousand calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from roadworthy.gateway.snapshot import Snapshot, frozen_name
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.ports import LogStore
from roadworthy.operations.alerting.changes import changes, newest
from roadworthy.operations.alerting.counting import Served
from roadworthy.operations.alerting.fault import Change, FaultFacts, Neighbour, decide
from roadworthy.operations.alerting.model import DOWN, WorkflowView, bad, counts
from roadworthy.operations.alerting.rules import Fired
from roadworthy.operations.alerting.text import PageFacts, clean, shorten
from roadworthy.operations.notices import unsafe
from roadworthy.people.incident.model import Fault
from roadworthy.people.ports import PeopleState
from roadworthy.workflow.inference import Inference

WINDOWS: Final = (300.0, 1800.0, 3600.0)
"""Seconds that a page may look back: the first with enough bad calls in it."""
ENOUGH: Final = 5
MOST_READ: Final = 1000
BEFORE: Final = 3600.0
"""Seconds before the trouble began in which a change may have caused it."""
QUOTED: Final = 100
"""Characters of our own text that a page quotes."""
MOST_NAMED: Final = 3
"""Inferences that a round adds to an incident."""


@dataclass(frozen=True)
class Gathered:
    """A page's facts, and calls that show them."""

    page: PageFacts
    examples: list[str]


class Facts:
    """Blocking; thread-safe as far as its parts are."""

    def __init__(
        self,
        store: LogStore,
        people: PeopleState,
        served: Served,
        *,
        snapshot: Callable[[], Snapshot | None],
        zone: Callable[[], ZoneInfo],
        lag: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        """``lag``: seconds that the log is behind."""
        self._store = store
        self._people = people
        self._served = served
        self._snapshot = snapshot
        self._zone = zone
        self._lag = lag
        self._clock = clock

    def of_workflow(self, view: WorkflowView, fired: Fired, others: Sequence[str]) -> Gathered:
        """``others``: workflows beside which it is held."""
        now = self._clock()
        window, records = self._newest(view, fired, now)
        judged = _judge(view, fired)
        failing = [record for record in records if judged(record)]
        units = {record.unit for record in records if _named(record)}
        named = [record for record in failing if _named(record)]
        hit = {record.unit for record in named} if 2 * len(named) >= len(failing) else set()  # else calls say more
        began = self._served.began(view.name) if fired.alert.startswith(("error_", "targets_")) else None
        changed, waiting = self._from_state(view.name, now)
        fault = decide(self._fault(view, failing, began, changed, others))
        got = Counter[str](record.outcome for record in failing)
        page = PageFacts(
            workflow=view.name, alert=fired.alert, happened=fired.text, customers=len(units),
            hit=len(hit), calls=len(records), bad=len(failing),
            window=window, got=dict(got), failures=_failures(failing), waiting=waiting,
            since=self._when(began), minutes=None if began is None else (now - began) / 60,
            reads=self._reads(view.name, got), fault=fault, state=view.state, stopped_by=view.stopped_by,
            shut=tuple(target.name for target in view.targets if target.shut),
            recovered=sum(record.outcome == "recovered" for record in records), changes=tuple(changed),
        )  # fmt: skip
        return Gathered(page, [record.id for record in failing[:MOST_NAMED]])

    def of_install(self, fired: Fired) -> Gathered:
        """What is about no workflow's answers."""
        changed, waiting = self._from_state(fired.workflow, self._clock())
        whose = {
            "journal_disk_full": Fault("roadworthy", "the disk under our journal has no room"),
            "kill_unconfirmed": Fault("roadworthy", "our order has not reached the gateway, or it is not alive"),
            "hard_limit": Fault("traffic", "what was spent has reached what the policy allows"),
        }
        return Gathered(
            PageFacts(
                workflow=fired.workflow, alert=fired.alert, happened=fired.text, waiting=waiting,
                fault=whose.get(fired.alert, Fault()), changes=tuple(changed),
            ),
            [],
        )  # fmt: skip

    def _newest(self, view: WorkflowView, fired: Fired, now: float) -> tuple[float, list[Inference]]:
        """The shortest window that holds enough bad calls, else all that the longest holds; as far as a thousand calls
        reach back."""
        judged = _judge(view, fired)
        best, most = (WINDOWS[0], list[Inference]()), -1
        for window in WINDOWS:
            page = self._store.find(Filter(workflow=view.name, traffic="live", since=now - window), MOST_READ)
            records = [record for record in page.items if counts(record)]
            if page.next is not None and records:
                return max(60.0, now - records[-1].ts), records
            found = sum(judged(record) for record in records)
            if found > most:
                best, most = (window, records), found
            if found >= ENOUGH:
                break
        return best

    def _fault(
        self, view: WorkflowView, failing: Sequence[Inference], began: float | None, changed: Sequence[Change],
        others: Sequence[str],
    ) -> FaultFacts:  # fmt: skip
        statuses, targets = Counter[int](), Counter[str]()
        for record in failing:
            for attempt in record.attempts:
                if attempt.failure in DOWN:
                    statuses[attempt.status or 0] += 1
                if attempt.failure is not None:
                    targets[frozen_name(attempt.target)] += 1
        target = targets.most_common(1)[0][0] if targets else ""
        recent, usual = self._served.usual(view.name)
        start = self._clock() if began is None else began
        overheads = sorted(record.overhead for record in failing)
        return FaultFacts(
            bad=len(failing), failures=_failures(failing), statuses=dict(statuses), target=target,
            neighbours=tuple(self._neighbours(target, others)), began=began,
            changes=tuple(one for one in changed if start - BEFORE <= one.at <= start + 60.0),
            per_minute=recent, usual=usual,
            overhead=overheads[int(0.95 * (len(overheads) - 1))] if overheads else 0.0,
            lag=self._lag(), internal=sum(record.code == "internal_error" for record in failing),
        )  # fmt: skip

    def _neighbours(self, target: str, others: Sequence[str]) -> list[Neighbour]:
        found = []
        for name in others if target else ():
            for tried, attempts in self._served.attempts(name).items():
                if frozen_name(tried) == target and attempts.good + attempts.down:
                    found.append(Neighbour(name, attempts.down, attempts.good + attempts.down))
        return sorted(found, key=lambda one: -one.down / one.attempts)

    def _from_state(self, workflow: str, now: float) -> tuple[list[Change], int]:
        """What was changed, and how many calls wait for a person."""
        with self._people.read() as tx:
            last = tx.last_audit()
            records = newest(lambda after, most: list(tx.audit(after, most)), 0 if last is None else last.seq, now)
            changed = changes(records, workflow, now, self._zone())
            waiting = tx.open_escalations()
        return changed, waiting.get(workflow, 0) if workflow else sum(waiting.values())

    def _when(self, at: float | None) -> str:
        return "" if at is None else datetime.fromtimestamp(at, self._zone()).strftime("%H:%M %Z")

    def _reads(self, workflow: str, got: Counter[str]) -> str:
        """Our own text that most of them read."""
        snapshot = self._snapshot()
        served = None if snapshot is None else snapshot.workflows.get(workflow)
        if snapshot is None or served is None or served.release is None:
            return ""
        handling = snapshot.releases[served.release].handling
        text = handling.holding if got["escalated"] >= got["canned"] and got["escalated"] else handling.canned
        if text is None or not (got["escalated"] or got["canned"]):
            return ""
        return f"It reads: “{shorten(clean(text.text), QUOTED)}”"


def _judge(view: WorkflowView, fired: Fired) -> Callable[[Inference], bool]:
    """Which calls an alert is about."""
    limit = view.latency_p95
    if fired.alert.startswith("latency_") and limit is not None:
        return lambda record: record.latency > limit
    if fired.alert == "unsafe_share":
        return lambda record: unsafe(record) is not None
    return bad


def _failures(failing: Sequence[Inference]) -> dict[str, int]:
    """Failure → calls; a slow answer that was good in the end is slow."""
    return dict(Counter(record.failure or "slow" for record in failing if record.failure or record.outcome != "error"))


def _named(record: Inference) -> bool:
    return record.unit is not None and record.unit_source != "random"
