"""The first page's list: everything that goes on only when this person acts, as an operator says it.

Each property makes its own tasks; here are those of what joins them (readiness, ramps, stops, approvals, words), and
the list of all.  A person is shown what they may do, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from roadworthy.kill_switch.model import EVERY, SAID
from roadworthy.operations.alerting.tasks import tasks as incident_tasks
from roadworthy.operations.escalating.tasks import tasks as escalation_tasks
from roadworthy.operations.on_call_tasks import tasks as on_call_tasks
from roadworthy.operations.proving.ready import Line, Report
from roadworthy.operations.proving.tasks import tasks as eval_tasks
from roadworthy.operations.proving.vouching import Owed
from roadworthy.operations.reviewing.tasks import tasks as review_tasks
from roadworthy.operations.services import Services
from roadworthy.operations.stops.kill_desk import Stand
from roadworthy.operations.tasks import GROWS, LAPSES, NOW, SOMEBODY_WAITS, SOMETIME, Task, in_order
from roadworthy.people.roles import Permission, Standing
from roadworthy.rollout.model import Rollout
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.words import share

Tasks = Callable[[Services, Standing, float], list[Task]]
"""(services, who, now) → what waits for them."""


def waiting(services: Services, standing: Standing, now: float) -> list[Task]:
    """Most urgent first."""
    return in_order([task for tasks in sources() for task in tasks(services, standing, now)])


def sources() -> tuple[Tasks, ...]:
    """Every property that has something for people to do."""
    return (
        _stops, incident_tasks, escalation_tasks, review_tasks, on_call_tasks, eval_tasks, _approvals, _ramps, _words,
        _leavers, _acceptances, _checklist,
    )  # fmt: skip


# --- stops


def _stops(services: Services, standing: Standing, now: float) -> list[Task]:
    found: list[Task] = []
    readable = _flows(services, standing)
    for stand in services.kill.desk.stopped_stands():
        name = stand.workflow
        if name == EVERY:
            found += _everything(services, standing, stand, list(readable), now)
        if name not in readable:
            continue
        page, since = f"/workflows/{name}/stop", _since(stand.since or now, now, services.zone())
        missing = [] if stand.reached is None else [each.gateway for each in stand.reached.missing]
        if missing and standing.may("stop", name):
            said = f"{name} is not {SAID[stand.state]} everywhere: {', '.join(missing)} has not confirmed"
            found.append(
                Task(
                    key=f"unconfirmed/{name}",
                    workflow=name,
                    sentence=said,
                    minutes=2,
                    button="Look",
                    href=page,
                    urgency=NOW,
                )
            )
        if stand.by == standing.person and not stand.reason:
            said = f"Say why you stopped {name}"
            found.append(
                Task(
                    key=f"reason/{name}", workflow=name, sentence=said, minutes=1, button="Say why", href=page,
                    who=standing.person, urgency=SOMEBODY_WAITS,
                )
            )  # fmt: skip
        if services.kill.desk.rights(standing.person, name) & {"owner", "on_call"}:
            why = f": {stand.reason}" if stand.reason else ""
            said = f"{name} has been {SAID[stand.state]} {since}{why}. Decide when it goes on again"
            found.append(
                Task(
                    key=f"restore/{name}", workflow=name, sentence=said, minutes=5, button="Restore…", href=page,
                    urgency=SOMEBODY_WAITS,
                )
            )  # fmt: skip
    return found


def _everything(services: Services, standing: Standing, stand: Stand, names: list[str], now: float) -> list[Task]:
    """Each brings back their own."""
    mine = [name for name in names if services.kill.desk.rights(standing.person, name) & {"owner", "on_call"}]
    why = f": {stand.reason}" if stand.reason else ""
    since = _since(stand.since or now, now, services.zone())
    return [
        Task(
            key=f"restore/{name}", workflow=name, minutes=5, button="Restore…", href=f"/workflows/{name}/stop",
            sentence=f"Everything has been {SAID[stand.state]} {since}{why}. Decide when {name} goes on again",
            urgency=SOMEBODY_WAITS,
        )
        for name in mine
    ]  # fmt: skip


# --- approvals and enforcement


def _approvals(services: Services, standing: Standing, now: float) -> list[Task]:
    found = []
    for pending in services.approvals.pending():
        if pending.approver == standing.person:
            fields = ", ".join(each.field for each in pending.waits)
            found.append(
                Task(
                    key=f"approve/{pending.workflow}", workflow=pending.workflow, minutes=2, who=standing.person,
                    sentence=f"Approve what is looser in {pending.workflow}: {fields}", button="Read and approve",
                    href=f"/workflows/{pending.workflow}#approvals", urgency=SOMEBODY_WAITS,
                )
            )  # fmt: skip
    return found


# --- ramps


def _ramps(services: Services, standing: Standing, now: float) -> list[Task]:
    found: list[Task] = []
    for name, flow in _flows(services, standing).items():
        if flow.owners.workflow != standing.person:
            continue
        rollout = services.rollouts.current(name)
        if rollout is not None and rollout.lock is None:
            found += _of_ramp(services, name, rollout, now)
    return found


def _of_ramp(services: Services, name: str, rollout: Rollout, now: float) -> Iterator[Task]:
    page, following = f"/workflows/{name}#ramp", rollout.next
    if rollout.state == "ramping" and following is not None and rollout.asked == following.name:
        asked = next((each.time for each in services.rollouts.history(name, limit=20) if each.action == "ask"), None)
        since = "" if asked is None else f": waiting {_since(asked, now, services.zone())}"
        yield Task(
            key=f"ramp/{name}/{following.name}", workflow=name, minutes=3, button="Look and approve", href=page,
            sentence=f"Approve {following.name} for {name}{since}", who=rollout_owner(services, name),
            urgency=SOMEBODY_WAITS,
        )  # fmt: skip
    elif rollout.state in ("held", "rolled_back"):
        word = "is held" if rollout.state == "held" else "was rolled back"
        why = f": {rollout.reason}" if rollout.reason else ""
        yield Task(
            key=f"ramp/{name}/{rollout.state}", workflow=name, minutes=5, button="Decide", href=page,
            sentence=f"Decide what becomes of the ramp of {name}: it {word} at {share(rollout.share)}{why}",
            urgency=LAPSES,
        )  # fmt: skip


def rollout_owner(services: Services, workflow: str) -> str:
    return services.workflows.named(workflow).owners.workflow


# --- words


def _words(services: Services, standing: Standing, now: float) -> list[Task]:
    says = {
        "read": ("Read what customers will with the new words of {}, then serve them", "Read and serve", 3.0),
        "failed": ("A drill of the new words of {} failed: look why", "Look", 5.0),
        "interrupted": ("The drills of the new words of {} broke off: start them again", "Start again", 1.0),
    }
    found = []
    for name, step in services.overseeing.words.wait_for(standing.person):
        sentence, button, minutes = says[step]
        found.append(
            Task(
                key=f"words/{name}", workflow=name, sentence=sentence.format(name), minutes=minutes, button=button,
                href=f"/workflows/{name}/words", who=standing.person, urgency=SOMEBODY_WAITS,
            )
        )  # fmt: skip
    return found


# --- what somebody must put their name to


def _leavers(services: Services, standing: Standing, now: float) -> list[Task]:
    """Workflows with an owner who has left, for whoever may name another (a rotation's gap is on-call's to tell)."""
    gone: dict[tuple[str, str], list[str]] = {}
    for orphan in services.accounts.orphans():
        if orphan.duty not in ("rotation", "catch_all") and standing.may("configure", orphan.name):
            gone.setdefault((orphan.name, orphan.person), []).append(orphan.duty.replace("_", "-"))
    return [
        Task(
            key=f"left/{name}/{person}", workflow=name, minutes=5, button="Look", href="/settings/people",
            sentence=f"{person} has left and is still {' and '.join(duties)} owner of {name}: name somebody else",
            urgency=LAPSES,
        )
        for (name, person), duties in gone.items()
    ]  # fmt: skip


def _acceptances(services: Services, standing: Standing, now: float) -> list[Task]:
    figures = services.overseeing.overview.figures()
    found: list[Task] = []
    for name in _flows(services, standing):
        mine = [owed for owed in figures[name].owed if owed.person == standing.person] if name in figures else []
        roles = [owed for owed in mine if owed.kind == "acceptance"]
        if roles:
            found.append(_take(name, roles))
        found += [_read(name, owed) for owed in mine if owed.kind != "acceptance"]
    return found


def _take(name: str, roles: Sequence[Owed]) -> Task:
    """All roles of one person at once."""
    renews = all(owed.renews for owed in roles)
    what = " and ".join(owed.role for owed in roles)
    again = " again: it lapses within a week" if renews else ""
    return Task(
        key=f"accept/{name}/roles", workflow=name, sentence=f"Say that you answer for {name} ({what} owner){again}",
        minutes=1.0, button="Accept", href=f"/workflows/{name}#accept", who=roles[0].person,
        urgency=LAPSES if renews else GROWS,
    )  # fmt: skip


def _read(name: str, owed: Owed) -> Task:
    sentence, minutes = {
        "failure_catalogue": (f"Read what customers of {name} see when the model fails, and accept it", 5.0),
        "cost_forecast": (f"Read what {name} will cost, and accept it", 3.0),
    }[owed.kind]
    return Task(
        key=f"accept/{name}/{owed.kind}", workflow=name, sentence=sentence, minutes=minutes, button="Read and accept",
        href=f"/workflows/{name}#accept", who=owed.person, urgency=GROWS,
    )  # fmt: skip


# --- the checklist

DOES: Final[dict[int, tuple[Permission, str, float, str]]] = {
    1: ("tools", "Test {} at twice its projected peak", 3.0, "Plan a load test"),
    2: ("tools", "Work out what {} will cost", 2.0, "Forecast"),
    3: ("tools", "Send a test call through log, metrics and traces", 1.0, "Check now"),
    4: ("tools", "Drill what {} does when the model fails", 1.0, "Start the drills"),
    6: ("tools", "Show that {} answers well enough: examples, rubric, eval gate", 30.0, "Open its evals"),
    7: ("tools", "Prove that the AI can be stopped on every gateway (no customer notices)", 1.0, "Start the drill"),
    8: ("configure", "Say who is on call for {}, and send a test page", 5.0, "Open on-call"),
    9: ("tools", "Send a test alert of the costs of {}", 1.0, "Send it"),
}
"""Item → (permission, sentence, minutes, button).  Acceptances (5, and the second half of 2 and 10) are above."""

INSTALL: Final = (3, 7)
"""Items that are about the install: once for all workflows."""


def _checklist(services: Services, standing: Standing, now: float) -> list[Task]:
    found = []
    figures = services.overseeing.overview.figures()
    for name in _flows(services, standing):
        ready = figures[name].ready if name in figures else None
        if ready is not None and ready.release is not None:
            for line in ready.items:
                task = _of_item(ready, line, standing)
                if task is not None:
                    found.append(task)
    return found


def _of_item(ready: Report, line: Line, standing: Standing) -> Task | None:
    """Unless it is well, a machine renews it in time, or it waits for somebody's name."""
    name, does = ready.workflow, DOES.get(line.number)
    well = line.met or (line.verdict == "PASS" and line.age == "fresh" and line.waiver is None)
    if does is None or well or not standing.may(does[0], name) or line.waiver is not None:
        return None
    if line.number == 2 and line.age != "missing" and line.verdict == "INSUFFICIENT":
        return None  # it is there, and waits to be accepted
    _, sentence, minutes, button = does
    urgency = LAPSES if line.verdict == "FAIL" or line.age == "stale" else GROWS
    if line.number in (3, 9) and urgency == GROWS:
        urgency = SOMETIME
    why = f" ({line.figure})" if line.verdict == "FAIL" else ""
    again = " again" if line.age in ("stale", "lapsed") else ""
    return Task(
        key=f"item/{'' if line.number in INSTALL else name}/{line.number}", workflow=name,
        sentence=sentence.format(name) + again + why,
        minutes=minutes, button=button, href=place_of(line.number, name), urgency=urgency,
    )  # fmt: skip


def place_of(item: int, workflow: str) -> str:
    """Where an item of the checklist is completed."""
    return {
        1: f"/load?workflow={workflow}",
        2: f"/cost/{workflow}",
        4: f"/drills/{workflow}",
        6: f"/evals/{workflow}",
        7: "/drills/kill",
        8: "/oncall",
        10: f"/failures/{workflow}",
    }.get(item, f"/workflows/{workflow}#item-{item}")


# --- inside


def _flows(services: Services, standing: Standing) -> dict[str, Workflow]:
    """Those that this person may read."""
    applied = services.workflows.configuration()
    flows = {} if applied is None else applied.configuration.workflows
    return {name: flow for name, flow in sorted(flows.items()) if standing.may("read", name)}


def _since(at: float, now: float, zone: ZoneInfo) -> str:
    """``since Tuesday``, ``since 14:02``, ``since 3 May``."""
    then, today = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    if then.date() == today.date():
        return f"since {then:%H:%M}"
    return f"since {then:%A}" if (today.date() - then.date()).days < 7 else f"since {then.day} {then:%B}"
