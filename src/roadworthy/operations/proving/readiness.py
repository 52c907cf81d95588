"""The readiness of every workflow, from what state and log know: gathers the subject and hands it to the pure rules.

Nothing here decides: what evidence is worth is in ``readiness``.  What others hold (the ramp, the gateways, the
published example set) is asked for by callables that wiring fills.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.evidence.rules import Bindings, bindings
from roadworthy.evidence.service import Known, Ledger
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Log
from roadworthy.people.review.model import Review
from roadworthy.people.review.ports import ReviewTransaction
from roadworthy.readiness import horizon, rules
from roadworthy.readiness.model import Published, Readiness, Since, Subject
from roadworthy.readiness.sequence import Milestones
from roadworthy.rollout.model import Rollout
from roadworthy.workflow.model import FrozenRelease, Person, Price, Release, Target, Workflow
from roadworthy.workflow.ports import AppliedConfiguration, State, Transaction
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Unknown

DAY = 86_400.0
WEEK, MONTH = 7 * DAY, 30 * DAY
REMEMBERED = 60.0
"""Seconds for which the sums of the log are taken again."""
OLDEST = 256
"""Configurations that are read back to find when something changed; what is older changed long ago."""

PriceOf = Callable[[Target], Price | None]


class Traffic(msgspec.Struct, frozen=True):
    """What the log says of a workflow."""

    calls_a_day: float | None
    """Live ones, over a week, or since its first day, as ``coarse`` rounds; ``None``: there were none."""
    month_spent: float | None
    """US dollars in thirty days; ``None``: nothing is known."""
    first_live_at: float | None
    """The day of the first live call that a release served."""


class View(msgspec.Struct, frozen=True):
    """Everything that was gathered about one workflow and one release of it."""

    flow: Workflow
    frozen: FrozenRelease | None
    newest: FrozenRelease | None
    known: Known
    subject: Subject
    traffic: Traffic
    rollout: Rollout | None
    unsigned: Sequence[Review] = ()
    """Reviews of it that nobody signed yet.  They hold nothing back; the overdue ones are said."""

    def at(self, now: float) -> Readiness:
        return rules.readiness(self.known.evidence, self.known.waivers, self.subject, now)

    def falls(self, now: float) -> list[tuple[float, float]]:
        """(instant, ceiling from then on): what comes by itself, should nothing be added."""
        return horizon.falls(self.known.evidence, self.known.waivers, self.subject, now)

    def milestones(self, found: Readiness) -> Milestones:
        first = [state.first_at for state in found.items]
        ready = found.label == "production" and all(at is not None for at in first)
        served = self.rollout
        whole = served is not None and served.state != "rolled_back" and served.stage.share >= 1.0
        return Milestones(
            frozen_at=None if self.frozen is None else self.frozen.frozen_at,
            first_live_at=self.traffic.first_live_at,
            everybody_at=served.entered_at if served is not None and whole else None,
            production_at=max(at for at in first if at is not None) if ready else None,
        )


class Board:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: State,
        ledger: Ledger,
        log: Log,
        *,
        price_of: PriceOf,
        clock: Callable[[], float],
        rollout: Callable[[str], Rollout | None] = lambda workflow: None,
        gateways: Callable[[], Mapping[str, float] | None] = lambda: None,
        published: Callable[[str], Published | None] = lambda workflow: None,
        left: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """``rollout``: the ramp of a workflow; ``gateways``: gateway → when it joined; ``published``: the example set
        and scorers in force; ``left``: whoever was said to have left → when."""
        self._state = state
        self._ledger = ledger
        self._log = log
        self._price_of = price_of
        self._clock = clock
        self._rollout = rollout
        self._gateways = gateways
        self._published = published
        self._left = left
        self._traffic: dict[str, tuple[float, Traffic]] = {}
        self._since: dict[tuple[str, str], tuple[int, Since]] = {}
        self._past: list[_Past] = []

    def readiness(self, workflow: str, digest: str | None = None, now: float | None = None) -> Readiness:
        """``digest``: of the release that is judged; ``None``: the one that ramps, else the newest frozen one.

        Raises ``Unknown`` for a workflow or a release that there is not.
        """
        return self.view(workflow, digest).at(self._clock() if now is None else now)

    def workflows(self) -> list[str]:
        with self._state.read() as tx:
            applied = tx.applied()
        return [] if applied is None else sorted(applied.configuration.workflows)

    def view(self, workflow: str, digest: str | None = None) -> View:
        """Raises ``Unknown``."""
        rollout = self._rollout(workflow)
        with self._state.read() as tx:
            applied = tx.applied()
            flows = {} if applied is None else applied.configuration.workflows
            flow = flows.get(workflow)
            if flow is None or applied is None:
                raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, flows)}")
            unsigned = cast(ReviewTransaction, tx).reviews(workflow=workflow, state="drafted")
            releases = tx.releases(workflow)
            frozen = _chosen(releases, digest or (rollout.digest if rollout is not None else None), workflow)
            prices = None if frozen is None else self._prices(applied.configuration.targets, frozen.release) or ""
            since = self._changed(tx, applied, workflow, None if frozen is None else frozen.release)
        known = self._ledger.known(workflow)
        traffic = self._heard(workflow)
        gateways = self._gateways()
        ramped = rollout if rollout is not None and frozen is not None else None
        subject = Subject(
            team=flow.team,
            workflow=workflow,
            owners=flow.owners,
            policy=flow.policy,
            enforcement=flow.enforcement,
            behaviour="" if frozen is None else frozen.release.behaviour_digest,
            handling="" if frozen is None else frozen.release.handling_digest,
            frozen_by="" if frozen is None else frozen.frozen_by,
            receipts=known.receipts,
            revocations=known.revocations,
            share=0.0 if ramped is None or frozen is None else earned(ramped, frozen.release.digest),
            calls_a_day=traffic.calls_a_day,
            prices=prices,
            month_spent=traffic.month_spent,
            gateways=None if gateways is None else dict(gateways),
            published=self._published(workflow),
            since=since,
            grace=flow.policy.grace,
            gone=self._gone(flow, applied.configuration.people, since),
        )
        return View(flow, frozen, releases[0] if releases else None, known, subject, traffic, rollout, unsigned)

    def _gone(self, flow: Workflow, people: Mapping[str, Person], since: Since) -> dict[str, float]:
        """Its owners who have left → when: as state knows, or since the configuration says so."""
        left = self._left()
        owners = flow.owners.workflow, flow.owners.prompt, flow.owners.cost
        by_file = {name: since.owners for name in owners if name in people and people[name].left}
        return by_file | {name: left[name] for name in owners if name in left}

    def bindings(self, workflow: str) -> Sequence[Bindings]:
        """What evidence about a workflow may bind to: its releases; without one, the workflow alone."""
        with self._state.read() as tx:
            releases = tx.releases(workflow)
        found = [bindings(r.release.behaviour_digest, r.release.handling_digest, workflow) for r in releases]
        return found or [bindings("", "", workflow)]

    # --- inside

    def _heard(self, workflow: str) -> Traffic:
        now = self._clock()
        kept = self._traffic.get(workflow)
        if kept is not None and 0 <= now - kept[0] < REMEMBERED:
            return kept[1]
        week = self._log.stats("workflow", Filter(workflow=workflow, traffic="live", since=now - WEEK)).rows
        month = self._log.stats("workflow", Filter(workflow=workflow, traffic="live", since=now - MONTH)).rows
        calls = sum(row.count for row in week)
        paid = [row.cost_usd for row in month if row.cost_usd is not None]
        first = None if kept is None else kept[1].first_live_at
        first = self._first_live(workflow) if first is None else first
        days = 7.0 if first is None else min(max((now - first) / DAY, 1.0), 7.0)  # a new workflow's week is shorter
        found = Traffic(
            calls_a_day=coarse(calls / days) if calls else None,
            month_spent=sum(paid) if paid else None,
            first_live_at=first,
        )
        self._traffic[workflow] = (now, found)
        return found

    def _first_live(self, workflow: str) -> float | None:
        where = Filter(workflow=workflow, traffic="live", route="release")
        days = [row.group.get("day") for row in self._log.stats("day", where, ZoneInfo("UTC")).rows]
        first = min((day for day in days if day), default=None)
        return None if first is None else datetime.fromisoformat(first[:10]).replace(tzinfo=UTC).timestamp()

    def _prices(self, configured: Mapping[str, Target], release: Release) -> str | None:
        """``None``: a target has no known price, or is configured no more."""
        targets = [configured.get(name) for name in release.behaviour.targets]
        prices = {target.name: self._price_of(target) for target in targets if target is not None}
        if len(prices) < len(targets) or None in prices.values():
            return None
        return prices_hash({name: price for name, price in prices.items() if price is not None})

    def _changed(self, tx: Transaction, applied: AppliedConfiguration, workflow: str, release: Release | None) -> Since:
        key = workflow, "" if release is None else release.behaviour_digest
        version, kept = self._since.get(key, (0, Since()))
        if version != applied.version:
            past = self._read_past(tx, applied)
            at = [each.at for each in past]
            prices = {id(each.targets): self._prices(each.targets, release) for each in past} if release else {}
            kept = Since(
                policy=_since([each.flows.get(workflow, _Terms()).policy for each in past], at),
                owners=_since([each.flows.get(workflow, _Terms()).owners for each in past], at),
                prices=_since([prices.get(id(each.targets)) for each in past], at),
            )
            self._since[key] = applied.version, kept
        return kept

    def _read_past(self, tx: Transaction, applied: AppliedConfiguration) -> Sequence[_Past]:
        """The configurations up to now, newest first; each is decoded once."""
        past = self._past
        newest = past[0].version if past else 0
        if newest > applied.version:  # an older database was put back
            past, newest = [], 0
        if newest < applied.version:
            read = tx.configurations(limit=min(applied.version - newest, OLDEST))
            for each in reversed(read):
                past = [_Past.of(each, past[0] if past else None), *past][:OLDEST]
            self._past = past
        return past


class _Terms(msgspec.Struct, frozen=True):
    """What evidence is held against, in one workflow of a configuration."""

    policy: object = None
    owners: object = None


class _Past(msgspec.Struct, frozen=True):
    """As much of one configuration as is needed to know when something changed."""

    version: int
    at: float
    flows: dict[str, _Terms]
    targets: dict[str, Target]

    @classmethod
    def of(cls, applied: AppliedConfiguration, before: _Past | None) -> _Past:
        """What is the same as ``before`` is held once."""
        found, known = applied.configuration, before.flows if before is not None else {}
        flows = {}
        for name, flow in found.workflows.items():
            named = flow.owners.workflow, flow.owners.prompt, flow.owners.cost
            gone = tuple(who for who in named if who in found.people and found.people[who].left)
            terms = _Terms((flow.policy.projected_peak, flow.policy.objective), (flow.owners, gone))
            flows[name] = known[name] if known.get(name) == terms else terms
        same = before is not None and before.targets == found.targets
        targets = before.targets if before is not None and same else found.targets
        return cls(applied.version, applied.applied_at, flows, targets)


def _since(values: Sequence[object], at: Sequence[float]) -> float:
    """When the newest value came into force; 0: it has been so for as long as anybody knows.  Newest first."""
    for index, value in enumerate(values):
        if value != values[0]:
            return at[index - 1]
    return 0.0


def coarse(calls: float) -> float:
    """Rounded up to one digit: a pilot's share follows it, and what moved with every call would lower and raise ramps
    all day long, each time with an alert and their evidence begun anew."""
    unit = 10.0 ** math.floor(math.log10(calls))
    return math.ceil(round(calls / unit, 6)) * unit


def _chosen(releases: Sequence[FrozenRelease], digest: str | None, workflow: str) -> FrozenRelease | None:
    if digest is None:
        return releases[0] if releases else None
    found = next((each for each in releases if each.release.digest == digest), None)
    if found is None:
        raise Unknown(f"no release '{digest[:16]}' of {workflow}; roadworthy releases {workflow} lists what there is")
    return found


def earned(rollout: Rollout, digest: str) -> float:
    """The share that a release has earned: its stage's, whatever the evidence allows of it today."""
    if rollout.predecessor == digest:
        return 1.0  # it served everybody, and still serves whoever is outside the ramp
    if rollout.digest != digest or rollout.state == "frozen":
        return 0.0
    return rollout.stage.share


def prices_hash(prices: Mapping[str, Price]) -> str:
    """Of what the targets of a release cost: a forecast names it, so that a change of prices lapses it."""
    same = {name: msgspec.structs.replace(price, source="") for name, price in prices.items()}
    plain = msgspec.json.encode([(name, same[name]) for name in sorted(same)])
    return hashlib.sha256(plain).hexdigest()[:32]
