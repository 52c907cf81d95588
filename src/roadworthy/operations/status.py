"""One screen about the install: what serves, how it goes, what waits for whom.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from roadworthy.inference_log.model import Lag, StatsRow
from roadworthy.kill_switch.model import State
from roadworthy.operations.publication.approvals import Pending
from roadworthy.operations.publication.enforcement import Watch
from roadworthy.people.accounts.rules import Orphan
from roadworthy.people.review.model import Review
from roadworthy.people.review.rules import line, overdue
from roadworthy.workflow.digest import NotReleasable, release_of
from roadworthy.workflow.model import Configuration, FrozenRelease, Target, Workflow
from roadworthy.workflow.ports import AppliedConfiguration


class ServedRelease(msgspec.Struct, frozen=True):
    number: int
    digest: str
    frozen_at: float
    frozen_by: str


class Standing(msgspec.Struct, frozen=True):
    """How one workflow is served, beside its release."""

    watch: Watch = "enforced"
    state: State = "on"
    """Of the kill switch."""
    share: float = 0.0
    """Of live traffic that its release gets."""
    stage: str = ""
    """Of its ramp; ``frozen``: none was begun."""
    notice: str = ""
    """What must show beside it everywhere."""


class WorkflowStatus(msgspec.Struct, frozen=True):
    name: str
    team: str
    enforcement: str
    watch: Watch
    """``observed``: under a waiver; ``lapsed``: it has ended."""
    notice: str
    """What must show beside the workflow; empty: nothing."""
    state: State
    """Of the kill switch."""
    stage: str
    """Of the ramp; ``frozen``: none was begun; empty: nothing is ramped here."""
    serves: Literal["release", "passthrough", "nothing"]
    release: ServedRelease | None
    share: float
    """Of its traffic that the release gets, 0 to 1."""
    owner: str
    calls: int
    """Live ones of the last hour, as everything below up to ``p95``."""
    tester_calls: int
    """Calls with tester keys in that hour; in none of the figures beside it."""
    outcomes: dict[str, int]
    p95: float | None
    spend_today: float | None
    """US dollars of all classes since midnight in the install's zone; ``None``: no cost is known."""
    spend_unknown: int
    """Calls of today that are not in ``spend_today``."""


class TargetStatus(msgspec.Struct, frozen=True):
    name: str
    provider: str
    model: str
    url: str | None
    """``None``: a launched target that is not up; its calls are ``unavailable``."""
    price_known: bool
    workers: int = 0
    """Workers that said how they find it."""
    shut: int = 0
    """Of them, those whose breaker is not closed."""
    probe_in: float | None = None
    """Seconds until the first of these lets a probe through."""
    at_once: int | None = None
    """Calls that all of them together let through at once, where that is fewer than declared."""
    waiting: int = 0
    """Calls that wait for a slot."""


class TargetSeen(msgspec.Struct, frozen=True):
    """How one worker finds a target."""

    target: str
    breaker: str = "closed"
    probe_in: float = 0.0
    limit: int = 0
    waiting: int = 0


class ProcessStatus(msgspec.Struct, frozen=True):
    name: str
    pid: int | None
    state: str
    since: float
    restarts: int = 0
    last_exit: str = ""
    alive: bool = False


class Waiting(msgspec.Struct, frozen=True):
    """Something that goes on only when somebody acts."""

    who: str
    """A person's id, or ``operator``."""
    what: str
    do: str
    """What to type or change."""


def workflow_statuses(
    configuration: Configuration,
    served: Mapping[str, FrozenRelease],
    last_hour: Sequence[StatsRow],
    today: Sequence[StatsRow],
    standings: Mapping[str, Standing],
) -> list[WorkflowStatus]:
    """Both: rows by workflow and class.  Drills spend nobody's money: their providers are on this machine."""
    testers = {row.group["workflow"]: row.count for row in last_hour if row.group.get("traffic") == "tester"}
    hours = {row.group["workflow"]: row for row in last_hour if row.group.get("traffic") == "live"}
    found = []
    for name, workflow in sorted(configuration.workflows.items()):
        frozen, standing = served.get(name), standings.get(name, Standing())
        hour = hours.get(name)
        days = [row for row in today if row.group["workflow"] == name and row.group.get("traffic") != "drill"]
        costs = [row.cost_usd for row in days if row.cost_usd is not None]
        serves: Literal["release", "passthrough", "nothing"] = (
            "release" if frozen is not None else "passthrough" if workflow.passthrough else "nothing"
        )
        found.append(
            WorkflowStatus(
                name=name,
                team=workflow.team,
                enforcement=workflow.enforcement,
                watch=standing.watch,
                notice=standing.notice,
                state=standing.state,
                stage=standing.stage,
                serves=serves,
                release=None if frozen is None else _served(frozen),
                share=standing.share if frozen is not None else 0.0,
                owner=workflow.owners.workflow,
                calls=0 if hour is None else hour.count,
                tester_calls=testers.get(name, 0),
                outcomes={} if hour is None else hour.outcomes,
                p95=None if hour is None else hour.p95,
                spend_today=sum(costs) if costs else (None if any(row.count for row in days) else 0.0),
                spend_unknown=sum(row.cost_unknown for row in days),
            )
        )
    return found


def target_statuses(
    targets: Mapping[str, Target], endpoints: Mapping[str, str], priced: frozenset[str], seen: Sequence[TargetSeen] = ()
) -> list[TargetStatus]:
    """``seen``: how each worker finds each target."""
    return [
        _target_status(target, endpoints.get(name), name in priced, [one for one in seen if one.target == name])
        for name, target in sorted(targets.items())
    ]


def _target_status(target: Target, url: str | None, priced: bool, seen: Sequence[TargetSeen]) -> TargetStatus:
    shut = [one for one in seen if one.breaker != "closed"]
    narrowed = any(one.limit < target.limits.concurrency for one in seen)
    return TargetStatus(
        target.name,
        target.provider,
        target.model,
        url,
        priced,
        workers=len(seen),
        shut=len(shut),
        probe_in=min((one.probe_in for one in shut), default=None),
        at_once=sum(one.limit for one in seen) if narrowed else None,
        waiting=sum(one.waiting for one in seen),
    )


def waiting(
    applied: AppliedConfiguration | None,
    candidates: Mapping[str, FrozenRelease],
    targets: Sequence[TargetStatus],
    processes: Sequence[ProcessStatus],
    lag: Lag,
    warnings: Sequence[str],
) -> list[Waiting]:
    """What goes on only when somebody acts, most urgent first."""
    running = any(process.alive for process in processes)
    found = [
        Waiting(
            "operator", f"{process.name} is not running ({process.last_exit or process.state})", "roadworthy doctor"
        )
        for process in processes
        if running and not process.alive
    ]
    if not running:
        found.append(Waiting("operator", "nothing runs: callers are refused", "roadworthy up"))
    if lag.pending_seconds > 60:
        found.append(
            Waiting("operator", f"the journal is {lag.pending_seconds:.0f} s behind the log", "roadworthy doctor")
        )
    if applied is None:
        return [*found, Waiting("operator", "no configuration is applied", "roadworthy apply DIR")]
    found += [
        Waiting("operator", f"target {target.name} is down: its calls are unavailable", "roadworthy doctor")
        for target in targets
        if running and target.url is None
    ]
    for name, workflow in sorted(applied.configuration.workflows.items()):
        found += _workflow_waits(name, workflow, candidates.get(name))
    found += [Waiting("operator", warning, "") for warning in warnings]
    found += [
        Waiting(
            "operator",
            f"target {target.name} has no known price: its cost is recorded as unknown",
            "add a price to the target in roadworthy.yaml and run `roadworthy apply DIR`",
        )
        for target in targets
        if not target.price_known
    ]
    return found


def _workflow_waits(name: str, workflow: Workflow, frozen: FrozenRelease | None) -> list[Waiting]:
    try:
        draft = release_of(workflow)
    except NotReleasable:
        return [Waiting(workflow.owners.workflow, f"{name} is passed through as it is", f"roadworthy adopt {name}")]
    freeze = f"roadworthy freeze {name}"
    if frozen is None:
        return [Waiting(workflow.owners.workflow, f"{name} has no release", freeze)]
    if frozen.release.digest != draft.digest:
        words = f"{name} was changed since its release {frozen.number}"
        return [Waiting(workflow.owners.prompt, words, f"roadworthy diff {name}:candidate draft; {freeze}")]
    return []


def waiting_for_owners(
    configuration: Configuration, standings: Mapping[str, Standing], pending: Sequence[Pending]
) -> list[Waiting]:
    """What loosens and is not approved, pilots that have lapsed, candidates that nobody ramps."""
    found = []
    for each in pending:
        fields = ", ".join(wait.field for wait in each.waits)
        who = each.approver or "operator"
        found.append(Waiting(who, f"{each.workflow}: {fields} loosened", f"roadworthy approve {each.workflow}"))
    for name, workflow in sorted(configuration.workflows.items()):
        standing = standings.get(name, Standing())
        if standing.notice:
            again = f"roadworthy waive {name} --enforcement --until DATE --reason WHY"
            do = again if standing.watch == "lapsed" else f"roadworthy ready {name}"
            found.append(Waiting(workflow.owners.workflow, f"{name}: {standing.notice}", do))
        elif standing.watch == "enforced" and workflow.enforcement == "observe":
            words = f"{name}: `observe` counts for nothing without its owner's waiver"
            do = f"roadworthy waive {name} --enforcement --until DATE --reason WHY"
            found.append(Waiting(workflow.owners.workflow, words, do))
        elif standing.watch == "enforced" and standing.stage == "frozen":
            words = f"{name}: nobody but testers reaches it before its ramp has begun"
            found.append(Waiting(workflow.owners.workflow, words, f"roadworthy ready {name}"))
    return found


def _served(frozen: FrozenRelease) -> ServedRelease:
    return ServedRelease(frozen.number, frozen.release.digest, frozen.frozen_at, frozen.frozen_by)


class PeopleCounts(msgspec.Struct, frozen=True):
    """For ``/metrics``."""

    escalations_open: int
    """Drills left out."""
    incidents_open: int
    messages_waiting: int
    messages_dead: int


def without_an_owner(orphans: Sequence[Orphan]) -> list[Waiting]:
    """What is in the name of somebody who has left, a line a person."""
    return [
        Waiting(
            "operator",
            f"{person} has left: {', '.join(str(each) for each in orphans if each.person == person)}",
            "name somebody else in owners (workflow.yaml) or on_call (people.yaml), then roadworthy apply",
        )
        for person in dict.fromkeys(each.person for each in orphans)
    ]


def waiting_for_people(
    workflows: Mapping[str, Workflow], escalated: Mapping[str, int], incidents: int, dead: int,
    reviews: Sequence[Review] = (), now: float = 0.0,
) -> list[Waiting]:  # fmt: skip
    """Calls that wait for a human, incidents that nobody resolved, messages that nobody took, overdue ``reviews``."""
    found = []
    for name, count in sorted(escalated.items()):
        who = workflows[name].owners.workflow if name in workflows else "operator"
        calls = "1 call waits" if count == 1 else f"{count} calls wait"
        full = name in workflows and count >= workflows[name].policy.escalation.capacity
        more = ", and the queue is full: further calls go on with their ladder" if full else ""
        found.append(Waiting(who, f"{name}: {calls} for a human{more}", f"roadworthy escalations {name}"))
    if incidents:
        matters = "1 incident or alert is open" if incidents == 1 else f"{incidents} incidents and alerts are open"
        found.append(Waiting("operator", matters, "roadworthy incidents --open"))
    for each in overdue(reviews, now):
        if each.workflow in workflows:
            what, _, command = line(each, now).partition(": ")
            found.append(Waiting(workflows[each.workflow].owners.workflow, f"{each.workflow}: {what}", command))
    if dead:
        letters = "1 message was" if dead == 1 else f"{dead} messages were"
        found.append(Waiting("operator", f"{letters} given up: nobody took it", "roadworthy escalations dead"))
    return found
