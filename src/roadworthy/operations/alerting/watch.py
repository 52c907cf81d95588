"""One round of the alert watch: look at everything that may wake somebody, and hand what fires to the incidents.

Everything that a round reads is in memory or bounded: counts kept as calls are shipped, the workers' own numbers, the
kill switch, the budgets; the log is asked only for what an alert that fires has to say.  While the log is behind, or
nothing is known of a gateway, nothing ends: no news is not good news.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec.structs import replace

from roadworthy.gateway.snapshot import ServedWorkflow, Snapshot, frozen_name
from roadworthy.inference_log.analysis import Finding
from roadworthy.inference_log.ports import LogStore
from roadworthy.kill_switch.model import EVERY, Switch
from roadworthy.kill_switch.rules import in_force
from roadworthy.kill_switch.triggers import Window
from roadworthy.operations.alerting.counting import NEWEST_SPAN, TARGETS_SPAN, Served, merged
from roadworthy.operations.alerting.facts import Facts
from roadworthy.operations.alerting.model import (
    Attempts,
    BudgetView,
    FullDisk,
    Installed,
    TargetView,
    Unconfirmed,
    Unusual,
    WorkflowView,
)
from roadworthy.operations.alerting.rules import UNSERVED, Fired, HeldBack, fired, judged, of_install
from roadworthy.operations.alerting.text import page_of
from roadworthy.operations.budgets import BudgetLine
from roadworthy.operations.status import TargetSeen
from roadworthy.operations.stops.kill_desk import Stand
from roadworthy.people.alerts.registry import ALERTS
from roadworthy.people.incident.model import Incident, Notice
from roadworthy.people.incident.rules import Key
from roadworthy.people.incident.service import Incidents, Inhibited
from roadworthy.workflow.model import DEFAULT_TEAM
from roadworthy.workflow.reserved import DRILLED
from roadworthy.workflow.service import Actor

BLIND: Final = 120.0
"""Seconds that the log may be behind before nothing is believed to have ended."""
CONFIRMS: Final = 60.0
"""Seconds that a gateway has to confirm a stop."""
UNSAFE: Final = 0.02
"""Share of unsafe answers that pages where the policy has no trigger of its own."""
URGENCY: Final = tuple(ALERTS)
"""Alerts in the order of the registry: the most urgent first."""


@dataclass(frozen=True)
class Heard:
    """What the workers of one gateway say."""

    gateway: str
    targets: Sequence[TargetSeen]
    waiting: int = 0
    """Records that wait for room on the disk."""
    dropped: int = 0
    answers: bool = True
    """Any of them: of one that is silent nothing is known."""


class Stopping(Protocol):
    """What is asked of the kill switch."""

    def switches(self) -> Mapping[str, Switch]: ...

    def restored_at(self, workflow: str) -> float: ...


@dataclass(frozen=True)
class Ports:
    """What a round looks at; every callable may block."""

    store: LogStore
    incidents: Incidents
    snapshot: Callable[[], Snapshot | None]
    kills: Stopping
    stands: Callable[[], Sequence[Stand]]
    """Of what is stopped."""
    unsafe: Callable[[str, float], Window]
    """(workflow, since) → answers of ten minutes."""
    budgets: Callable[[], Sequence[BudgetLine]]
    heard: Callable[[], Sequence[Heard]]
    unusual: Callable[[], Sequence[Finding]]
    people: Callable[[], Collection[str]]
    lag: Callable[[], float]
    """Seconds that the log is behind."""


class AlertWatch:
    def __init__(self, ports: Ports, served: Served, facts: Facts, *, clock: Callable[[], float]) -> None:
        self._ports = ports
        self._served = served
        self._facts = facts
        self._clock = clock

    def look(self) -> None:
        """One round.  Raises what its ports raise; the next round looks again."""
        snapshot = self._ports.snapshot()
        if snapshot is None:
            return
        self._served.warm(self._ports.store)
        heard = self._ports.heard()
        views = self._views(snapshot, heard)
        now = self._clock()
        found: list[Fired] = []
        held: list[HeldBack] = []
        for view in views.values():
            fires, back = fired(view, now)
            found += fires
            held += back
        found += of_install(self._installed(snapshot, heard))
        unique = {(each.incident, each.alert, each.part): each for each in found}
        ordered = sorted(unique.values(), key=lambda each: URGENCY.index(each.alert))
        self._ports.incidents.watch(
            list(self._notices(ordered, views, now)),
            watched=lambda incident: self._watched(incident, views.get(incident.workflow), heard, held),
            inhibited=[_inhibited(each) for each in held],
        )
        self._stopped(views)

    # --- looking

    def _views(self, snapshot: Snapshot, heard: Sequence[Heard]) -> dict[str, WorkflowView]:
        shut = _shut(heard)
        switches = self._ports.kills.switches()
        lines = [line for line in self._ports.budgets() if line.state == "used_up"]
        return {
            name: self._view(flow, snapshot, shut, switches, lines)
            for name, flow in snapshot.workflows.items()
            if name not in DRILLED
        }

    def _view(
        self, flow: ServedWorkflow, snapshot: Snapshot, shut: Collection[str], switches: Mapping[str, Switch],
        lines: Sequence[BudgetLine],
    ) -> WorkflowView:  # fmt: skip
        name, policy = flow.name, flow.policy
        since = self._ports.kills.restored_at(name)
        errors, slow = self._served.windows(name, since)
        tried, newest = (self._tried(name, span) for span in (TARGETS_SPAN, NEWEST_SPAN))
        share = policy.kill.unsafe_share
        return WorkflowView(
            name=name,
            team=flow.team,
            error_budget=policy.objective.error_share,
            latency_p95=policy.objective.latency_p95,
            errors=errors,
            slow=slow,
            targets=tuple(
                TargetView(target, merged(tried.get(target, ())), target in shut, merged(newest.get(target, ())))
                for target in targets_of(flow, snapshot)
            ),
            unsafe=self._ports.unsafe(name, since),
            unsafe_share=UNSAFE if share is None else share,
            used_up=tuple(
                BudgetView(line.scope, line.period, line.limit, line.resets_at)
                for line in lines
                if (line.scope, line.owner) in (("workflow", name), ("team", flow.team))
            ),
            state=in_force(switches, name),
            stopped_by=_stopped_by(switches, name),
        )

    def _tried(self, workflow: str, span: float) -> dict[str, list[Attempts]]:
        """Target as it was frozen → attempts, by each name that it goes by."""
        tried: dict[str, list[Attempts]] = {}
        for target, attempts in self._served.attempts(workflow, span).items():
            tried.setdefault(frozen_name(target), []).append(attempts)
        return tried

    def _installed(self, snapshot: Snapshot, heard: Sequence[Heard]) -> Installed:
        now = self._clock()
        teams = {name: flow.team for name, flow in snapshot.workflows.items()}
        late = [
            Unconfirmed(stand.workflow, teams.get(stand.workflow, DEFAULT_TEAM), missing.gateway, stand.state,
                        stand.reached.at, missing.run)
            for stand in self._ports.stands()
            if stand.reached is not None and stand.workflow not in DRILLED and now - stand.reached.at >= CONFIRMS
            for missing in stand.reached.missing
        ]  # fmt: skip
        full = [FullDisk(one.gateway, one.waiting, one.dropped) for one in heard if one.waiting]
        odd = [
            Unusual(one.workflow, teams[one.workflow], one.metric, one.text)
            for one in self._ports.unusual()
            if one.regime != "burn rate" and one.workflow in teams
        ]
        return Installed(tuple(late), tuple(full), tuple(odd), tuple(sorted(set(teams.values()))))

    # --- telling

    def _notices(self, ordered: Sequence[Fired], views: Mapping[str, WorkflowView], now: float) -> Iterator[Notice]:
        """The words of an incident are those of its most urgent alert."""
        worded: set[str] = set()
        for each in ordered:
            alert = ALERTS[each.alert]
            title = f"{each.workflow or 'All workflows'}: {alert.title[0].lower()}{alert.title[1:]}"
            notice = Notice(
                kind="incident" if alert.pages else "alert", alert=each.alert, key=each.incident, team=each.team,
                workflow=each.workflow, title=title, summary=each.text, part=each.part, at=now,
                role="cost" if alert.group == "money" else "workflow",
            )  # fmt: skip
            if each.incident in worded or not (alert.pages or alert.group):
                yield notice
                continue
            worded.add(each.incident)
            yield self._worded(notice, each, views)

    def _worded(self, notice: Notice, each: Fired, views: Mapping[str, WorkflowView]) -> Notice:
        view = views.get(each.workflow)
        if view is None or each.alert in ("hard_limit", "kill_unconfirmed", "journal_disk_full"):
            gathered = self._facts.of_install(each)
        else:
            gathered = self._facts.of_workflow(view, each, [name for name in views if name != view.name])
        examples = gathered.examples
        return replace(
            notice, page=page_of(gathered.page), fault=gathered.page.fault, inference=examples[0] if examples else ""
        )

    def _watched(
        self, incident: Incident, view: WorkflowView | None, heard: Sequence[Heard], held: Sequence[HeldBack]
    ) -> set[Key]:
        """What this round could judge of an incident."""
        if self._ports.lag() > BLIND:
            return set()
        back = {(each.fired.alert, each.fired.part) for each in held if each.fired.incident == incident.key}
        known = {one.gateway for one in heard if one.answers}
        return {
            (one.alert, one.part)
            for one in incident.joined
            if (one.alert, one.part) not in back
            and not (one.alert == "journal_disk_full" and one.part not in known)
            and (view is None or judged(view, one.alert, one.part))
        }  # fmt: skip

    def _stopped(self, views: Mapping[str, WorkflowView]) -> None:
        """Whoever turned the AI off is on it: nobody else need be woken for what that has ended."""
        people = self._ports.people()
        for view in views.values():
            if view.state in UNSERVED and view.stopped_by in people:
                for group in ("serving", "safety"):
                    found = self._ports.incidents.newest(f"{group}/{view.name}")
                    if found is not None and found.state == "open":
                        self._ports.incidents.acknowledge(found.id, Actor(view.stopped_by), "stop")


def targets_of(flow: ServedWorkflow, snapshot: Snapshot) -> list[str]:
    """Every target that a live call may reach, the first one first; names as they were frozen."""
    found: dict[str, None] = {}
    for digest in (flow.release, flow.previous):
        release = None if digest is None else snapshot.releases.get(digest)
        if release is not None:
            found[frozen_name(release.behaviour.target)] = None
            for steps in release.handling.ladder.values():
                found |= {frozen_name(step.target): None for step in steps if step.target is not None}
    if flow.release is None and flow.passthrough is not None:
        found[frozen_name(flow.passthrough)] = None
    return list(found)


def _shut(heard: Sequence[Heard]) -> set[str]:
    """Targets whose breaker is open in every worker that answers."""
    found: dict[str, bool] = {}
    for one in heard:
        for seen in one.targets:
            name = frozen_name(seen.target)
            found[name] = found.get(name, True) and seen.breaker != "closed"
    return {name for name, shut in found.items() if shut}


def _stopped_by(switches: Mapping[str, Switch], workflow: str) -> str:
    held = [
        one
        for name in (EVERY, workflow)
        if name in switches
        for one in switches[name].held.values()
        if one.state != "on"
    ]
    newest = max(held, key=lambda one: one.since, default=None)
    return "" if newest is None else newest.by


def _inhibited(held: HeldBack) -> Inhibited:
    name = held.fired.workflow
    stops = tuple(f"kill/{which}/{state}" for which in (name, EVERY) for state in ("off", "assist"))
    return Inhibited(f"{held.fired.alert} is not raised: {held.why}", (held.fired.incident, *stops))
