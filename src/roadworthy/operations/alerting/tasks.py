"""What incidents ask of a person, for the first page."""

from __future__ import annotations

from collections import defaultdict

from roadworthy.operations.services import Services
from roadworthy.operations.tasks import GROWS, NOW, SOMEBODY_WAITS, Task
from roadworthy.people.incident.model import Incident
from roadworthy.people.roles import Standing

MOST = 500
OWN_LINE = frozenset({"rollout", "rollout_ask", "kill"})
"""Alerts of what the first page asks for in a line of its own: a ramp to decide, a stop to end."""


def readable(incident: Incident, standing: Standing) -> bool:
    """May this person read it?  What is about no workflow belongs to its team."""
    may = standing.of(incident.workflow) if incident.workflow else standing.within(incident.team)
    return "read" in may


def actable(incident: Incident, standing: Standing) -> bool:
    """May this person take and resolve it?"""
    may = standing.of(incident.workflow) if incident.workflow else standing.within(incident.team)
    return "answer" in may


def tasks(services: Services, standing: Standing, now: float) -> list[Task]:
    """Every page that nobody has, or that this person has; of what only notifies, one line a workflow."""
    found, rest = [], defaultdict[str, list[Incident]](list)
    for each in services.incidents.list(open_only=True, drills=False, limit=MOST):
        if not actable(each, standing):
            continue
        if each.cls != "page":
            if each.name in OWN_LINE:
                continue
            rest[each.workflow].append(each)
        elif each.state == "open" or each.acknowledged_by == standing.person:
            mine = each.state == "acknowledged"
            found.append(
                Task(
                    key=f"incident/{each.id}", workflow=each.workflow, sentence=each.line, minutes=10,
                    button="Go on" if mine else "Look", href=f"/incidents/{each.id}",
                    who=standing.person if mine else "", urgency=NOW,
                )
            )  # fmt: skip
    for workflow, alerts in rest.items():
        whose = _owner(services, workflow)
        if whose in ("", standing.person):
            found.append(_looked_at(workflow, alerts, whose))
    return found


def _looked_at(workflow: str, alerts: list[Incident], whose: str) -> Task:
    """Reports of people first: somebody waits for an answer."""
    reported = any(each.name == "reported" for each in alerts)
    place = workflow or "the install"
    one = len(alerts) == 1
    return Task(
        key=f"alerts/{workflow}", workflow=workflow, minutes=2.0 * len(alerts), button="Look", who=whose,
        sentence=alerts[0].title if one else f"Look at {len(alerts)} alerts of {place}",
        href=f"/incidents/{alerts[0].id}" if one else f"/incidents?workflow={workflow}",
        urgency=SOMEBODY_WAITS if reported else GROWS,
    )  # fmt: skip


def _owner(services: Services, workflow: str) -> str:
    applied = services.workflows.configuration()
    flow = None if applied is None else applied.configuration.workflows.get(workflow)
    return "" if flow is None else flow.owners.workflow
