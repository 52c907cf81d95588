"""Incidents and alerts.

GET  /incidents                          ?workflow=&state=open|all&drills=1: what is open first
GET  /incidents/{incident}               what happened, whose fault, what to do, and its time line
POST /incidents/{incident}/acknowledge   somebody is on it: nobody else is paged
POST /incidents/{incident}/resolve       {reason}
"""

from __future__ import annotations

from typing import Final

import msgspec

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.operations.alerting.tasks import actable, readable
from roadworthy.operations.services import Services
from roadworthy.people.alerts.model import filled
from roadworthy.people.alerts.registry import alert_of
from roadworthy.people.incident.model import Incident
from roadworthy.people.paging.telling import Told
from roadworthy.workflow.service import Unknown

MOST: Final = 200
LONGEST_REASON: Final = 500


class Moment(msgspec.Struct, frozen=True):
    """One line of the time line as it is shown."""

    at: float
    what: str
    by: str = ""
    kind: str = ""
    """``page`` for what concerns waking people."""


def listed(services: Services, visit: Visit) -> Answer:
    workflow, everything = visit.query.get("workflow", ""), visit.query.get("state", "") == "all"
    drills = visit.query.get("drills", "") == "1"
    found = services.incidents.list(
        open_only=not everything, workflow=workflow or None, drills=drills, limit=MOST
    )  # fmt: skip
    rows = [each for each in found if readable(each, visit.standing)]
    rows.sort(key=lambda each: (each.over, each.state != "open", each.cls != "page", -each.seen_at))
    applied = services.workflows.configuration()
    names = [] if applied is None else [name for name in applied.configuration.workflows if visit.may("read", name)]
    return View("incidents.html", {
        "rows": rows, "workflow": workflow, "everything": everything, "drills": drills, "names": sorted(names),
        "full": len(found) >= MOST,
    })  # fmt: skip


def shown(services: Services, visit: Visit) -> Answer:
    incident = _found(services, visit)
    alert = alert_of(incident.name)
    names = {
        "WORKFLOW": incident.workflow,
        "INCIDENT": incident.id,
        "INFERENCE": incident.inferences[-1] if incident.inferences else "",
    }
    stopped = services.kill.desk.stand(incident.workflow).in_force if _known(services, incident.workflow) else None
    return View("incident.html", {
        "incident": incident,
        "alert": alert,
        "check": [filled(line, names) for line in alert.check],
        "do": [filled(line, names) for line in alert.do],
        "moments": _moments(incident, services.reaching.paging.told(incident.id)),
        "state": stopped,
        "may_act": actable(incident, visit.standing),
        "may_stop": bool(incident.workflow) and visit.may("stop", incident.workflow),
        "mine": visit.person is not None and incident.acknowledged_by == visit.person.id,
        "watched": any(not one.over for one in incident.joined),
    })  # fmt: skip


def acknowledge(services: Services, visit: Visit) -> Answer:
    incident = _acted_on(services, visit)
    services.incidents.acknowledge(incident.id, visit.actor, "console")
    return Redirect(f"/incidents/{incident.id}", "It is yours: nobody else is paged for it.")


def resolve(services: Services, visit: Visit) -> Answer:
    incident = _acted_on(services, visit)
    reason = visit.text("reason")
    if not reason:
        raise Wrong("Say in a few words what was done: whoever meets the same next reads it.")
    services.incidents.resolve(incident.id, visit.actor, reason[:LONGEST_REASON])
    return Redirect(f"/incidents/{incident.id}", "Resolved.")


def _found(services: Services, visit: Visit) -> Incident:
    """Raises ``Unknown``, also for one that this person may not read."""
    found = services.incidents.find(visit.path["incident"])
    if not readable(found, visit.standing):
        raise Unknown(f"no incident or alert {visit.path['incident'][:40]!r}")
    return found


def _acted_on(services: Services, visit: Visit) -> Incident:
    found = _found(services, visit)
    if not actable(found, visit.standing):
        raise Wrong(visit.why_not("answer"))
    return found


def _known(services: Services, workflow: str) -> bool:
    applied = services.workflows.configuration()
    return applied is not None and workflow in applied.configuration.workflows


def _moments(incident: Incident, told: list[Told]) -> list[Moment]:
    """Its own lines and the pages of people, oldest first."""
    found = [Moment(line.at, line.what, line.by) for line in incident.lines]
    if not incident.lines:
        found.append(Moment(incident.opened_at, "Opened"))
        if incident.resolved_at is not None:
            found.append(Moment(incident.resolved_at, f"Resolved {incident.reason}".strip(), incident.resolved_by))
    found += [Moment(each.at, each.what, kind="page") for each in told]
    return sorted(found, key=lambda moment: moment.at)


PAGES = [
    Page("GET", "/incidents", "read", listed, anywhere=True),
    Page("GET", "/incidents/{incident}", "read", shown, anywhere=True),
    Page("POST", "/incidents/{incident}/acknowledge", "answer", acknowledge, anywhere=True),
    Page("POST", "/incidents/{incident}/resolve", "answer", resolve, anywhere=True),
]
