"""How every workflow stands, for a page that must be there at once.

What is dear (sums of the log, readiness) is gathered ahead by ``refresh``, which the engine calls; what must be true
this second (the kill switch, the share) is asked for when the page is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.inference_log.model import ASKED, Filter, StatsRow
from roadworthy.inference_log.service import Log
from roadworthy.kill_switch.model import State
from roadworthy.operations.proving.readiness import Board
from roadworthy.operations.proving.ready import Report, report
from roadworthy.operations.proving.vouching import Owed, owed_in
from roadworthy.operations.publication.gathering import APART
from roadworthy.workflow import words
from roadworthy.workflow.audit import AuditRecord
from roadworthy.workflow.model import Configuration, Objective, Workflow
from roadworthy.workflow.ports import State as StateStore
from roadworthy.workflow.service import Unknown

HOUR: Final = 3600.0
STALE: Final = 60.0
"""Seconds after which figures are gathered again by whoever looks, for the engine did not."""
FEWEST: Final = 20
"""Calls below which an hour's shares say little."""
MOST: Final = 200
"""Audit records that are gone through; after more of them every workflow is judged anew."""
COMING_AND_GOING: Final = frozenset({"person.leave", "person.return"})
"""What is done with a person and may change an item of any workflow: its owners, who is on call."""
BAD: Final = frozenset({"error"})

Health = Literal["good", "wait", "bad", ""]


class Figures(msgspec.Struct, frozen=True):
    """Of one workflow, gathered ahead."""

    calls: int = 0
    """Live ones of the last hour."""
    errors: int = 0
    """That failed, as the objective's alerts count it (``alerting.model.bad``); before they have begun to: errors."""
    p95: float | None = None
    """Seconds."""
    cost_today: float | None = None
    """US dollars of all classes but drills; ``None``: there were calls, and no cost is known."""
    cost_unknown: int = 0
    ready: Report | None = None
    """``None``: there is nothing to judge."""
    owed: list[Owed] = []
    """What of it waits for somebody's name."""


class Card(msgspec.Struct, frozen=True):
    """One workflow on the first page."""

    name: str
    description: str
    owner: str
    state: State
    since: float | None
    by: str
    reason: str
    unconfirmed: list[str]
    """Gateways that have not confirmed the last change."""
    share: float
    stage: str
    watch: str
    notice: str
    label: str
    ceiling: float | None
    held: str
    """Why it is no more, in words."""
    health: Health
    health_says: str
    figures: Figures


class Live(msgspec.Struct, frozen=True):
    """What must be true this second."""

    state: State
    since: float | None
    by: str
    reason: str
    unconfirmed: list[str]
    share: float
    stage: str
    watch: str
    notice: str


class Overview:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: StateStore,
        log: Log,
        board: Board,
        *,
        configuration: Callable[[], Configuration | None],
        live: Callable[[], Mapping[str, Live]],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
        failed: Callable[[str], int | None] = lambda name: None,
    ) -> None:
        """What was audited about a workflow in ``state`` has its readiness judged anew.  ``failed``: calls of the last
        hour that failed, as the alerts count them; ``None``: they have not begun to."""
        self._failed = failed
        self._state = state
        self._log = log
        self._board = board
        self._configuration = configuration
        self._live = live
        self._zone = zone
        self._clock = clock
        self._figures: dict[str, Figures] = {}
        self._at: float | None = None
        self._seen = 0
        """Number of the newest audit record that was taken into account."""
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Gather anew."""
        now, zone = self._clock(), self._zone()
        found = self._configuration()
        names = [] if found is None else sorted(found.workflows)
        seen = self._newest()
        hour = Filter(traffic="live", since=now - HOUR)
        hours = {row.group["workflow"]: row for row in self._log.stats("workflow", hour).rows}
        asked = msgspec.structs.replace(hour, route=ASKED)
        slow = {row.group["workflow"]: row.p95 for row in self._log.stats("workflow", asked).rows}
        days: dict[str, list[StatsRow]] = {}
        for row in self._log.stats("workflow", Filter(since=midnight(now, zone))).rows:
            if row.group.get("traffic") != "drill":
                days.setdefault(row.group["workflow"] or "", []).append(row)
        made = {name: self._of(name, hours.get(name), slow.get(name), days.get(name, []), now) for name in names}
        with self._lock:
            self._figures, self._at, self._seen = made, now, seen

    def figures(self) -> Mapping[str, Figures]:
        """Workflow → what was gathered last."""
        now = self._clock()
        with self._lock:
            at, seen = self._at, self._seen
        if at is None or not 0 <= now - at < STALE:
            self.refresh()
        elif self._newest() != seen:
            self._judge_again(seen, now)
        return self._figures

    def cards(self, may_read: Callable[[str], bool]) -> list[Card]:
        """Those that may be read, stopped ones first, then by name."""
        found = self._configuration()
        if found is None:
            return []
        live, figures = self._live(), self.figures()
        cards = [
            card_of(flow, live[name], figures.get(name, Figures()))
            for name, flow in sorted(found.workflows.items())
            if may_read(name) and name in live
        ]
        return sorted(cards, key=lambda card: (card.state == "on", card.name))

    def _judge_again(self, seen: int, now: float) -> None:
        """Something was audited since: sums of the log have not changed by it, readiness may have."""
        with self._state.read() as tx:
            since = tx.audit(after=seen, limit=MOST)
        moved = about(since)
        found = self._configuration()
        made = {}
        for name in [] if found is None else found.workflows:
            kept = self._figures.get(name)
            if kept is None:
                made[name] = self._of(name, None, None, [], now)
            elif moved is None or name in moved or len(since) >= MOST:
                made[name] = msgspec.structs.replace(kept, **self._judged(name, now))
            else:
                made[name] = kept
        with self._lock:
            self._figures, self._seen = made, max([seen, *(record.seq for record in since)])

    def _newest(self) -> int:
        with self._state.read() as tx:
            last = tx.last_audit()
        return 0 if last is None else last.seq

    def _of(
        self, name: str, hour: StatsRow | None, p95: float | None, today: Iterable[StatsRow], now: float
    ) -> Figures:
        rows = list(today)
        costs = [row.cost_usd for row in rows if row.cost_usd is not None]
        return Figures(
            calls=0 if hour is None else hour.count,
            errors=self._errors(name, hour),
            p95=p95,
            cost_today=sum(costs) if costs else (None if any(row.count for row in rows) else 0.0),
            cost_unknown=sum(row.cost_unknown for row in rows),
            **self._judged(name, now),
        )

    def _errors(self, name: str, hour: StatsRow | None) -> int:
        """Never more than there were calls: the two are not counted at the same instant."""
        if hour is None:
            return 0
        failed = self._failed(name)
        errors = sum(count for outcome, count in hour.outcomes.items() if outcome in BAD)
        return errors if failed is None else min(hour.count, failed)

    def _judged(self, name: str, now: float) -> dict[str, Any]:
        try:
            view = self._board.view(name)
        except Unknown:  # it was just removed
            return {"ready": None, "owed": []}
        return {"ready": report(view, now), "owed": owed_in(view, now)}


def about(records: Iterable[AuditRecord]) -> set[str] | None:
    """Workflows whose readiness these records may have changed; ``None``: any."""
    found: set[str] = set()
    for record in records:
        kind, _, name = record.target.partition("/")
        if kind in ("workflow", "rollout"):
            found.add(name)
        elif not record.target.startswith(APART) or record.action in COMING_AND_GOING:
            return None
    return found


def card_of(flow: Workflow, live: Live, figures: Figures) -> Card:
    health, says = health_of(flow.policy.objective, figures)
    ready = figures.ready
    return Card(
        name=flow.name, description=flow.description, owner=flow.owners.workflow, state=live.state, since=live.since,
        by=live.by, reason=live.reason, unconfirmed=live.unconfirmed, share=live.share, stage=live.stage,
        watch=live.watch, notice=live.notice, label="" if ready is None else ready.label,
        ceiling=None if ready is None else ready.ceiling, held="" if ready is None else ready.why, health=health,
        health_says=says, figures=figures,
    )  # fmt: skip


def health_of(objective: Objective, figures: Figures) -> tuple[Health, str]:
    """The last hour against what the owner promised: bad when a promise is broken, "" when none was made."""
    if not figures.calls:
        return "", "no calls in the last hour"
    broken: list[str] = []
    kept: list[str] = []
    share = figures.errors / figures.calls
    if objective.error_share is not None:
        said = f"{words.share(share)} failed (promised: at most {words.share(objective.error_share)})"
        (broken if share > objective.error_share else kept).append(said)
    if objective.latency_p95 is not None and figures.p95 is not None:
        said = f"slow answers take {words.seconds(figures.p95)} (promised: {words.seconds(objective.latency_p95)})"
        (broken if figures.p95 > objective.latency_p95 else kept).append(said)
    if not (broken or kept):
        said = "1 call" if figures.calls == 1 else f"{figures.calls:,} calls"
        return "", f"{said} in the last hour, {words.share(share)} failed; nothing is promised"
    if figures.calls < FEWEST:
        return "wait", f"only {figures.calls} calls in the last hour: {'; '.join([*broken, *kept])}"
    return ("bad" if broken else "good"), "; ".join([*broken, *kept])


def midnight(now: float, zone: ZoneInfo) -> float:
    """When today began in the zone."""
    return datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
