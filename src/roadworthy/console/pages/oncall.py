"""On-call: who is woken, now and in the weeks to come.

GET  /oncall                                ?from=&until=&rotation=: fills the form of a shift to take
GET  /oncall/calendar/{rotation}.ics        the shifts to come, for a calendar program
POST /oncall/override                       {rotation, person, from, until, why}
POST /oncall/override/{override}/take-back
POST /oncall/test                           {workflow}: a page that whoever is on call must acknowledge
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from starlette.responses import Response

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.console.shown import minute
from roadworthy.evidence.kinds import OnCallPage
from roadworthy.operations import duties, rota
from roadworthy.operations.services import Services
from roadworthy.people.oncall.moments import moment
from roadworthy.people.oncall.rules import AHEAD, DAY
from roadworthy.workflow.service import Unknown

WEEKS: Final = 6
EXPORTED: Final = 26
"""Weeks in a calendar to take away."""


def shown(services: Services, visit: Visit) -> Answer:
    on_call, now, zone = services.on_duty.on_call, visit.now, visit.zone
    people = on_call.people() if on_call.configured() else {}
    names = [name for name in on_call.workflows() if visit.may("read", name)] if people else []
    start = rota.first_day(now, zone)
    watches = duties.watches(on_call, start, start + (WEEKS * 7 + 1) * DAY) if people else []
    mine = [each for each in watches if "read" in visit.standing.within(each.team)]
    return View("oncall.html", {
        "rows": [_row(services, visit, name) for name in names],
        "watches": [_watch(services, visit, each) for each in mine],
        "gaps": [gap for gap in (duties.gaps(on_call, now, now + AHEAD) if names else []) if gap.workflow in names],
        "people": people,
        "takers": sorted((each for each in people.values() if not each.left), key=lambda each: each.name),
        "takes": [each.rotation for each in mine if "approve" in visit.standing.within(each.team)],
        "form": {key: visit.query.get(key, "") for key in ("from", "until", "rotation")},
        "wall": lambda at: _wall(at, visit),
        "minutes": lambda seconds: f"{seconds / 60:.3g} min",
        "named": lambda ids: rota.named(ids, people),
    })  # fmt: skip


def _row(services: Services, visit: Visit, workflow: str) -> dict[str, Any]:
    line = duties.on_duty(services.on_duty.on_call, workflow, visit.now)
    tests = [
        each for each in services.ledger.known(workflow).evidence
        if isinstance(each.figures, OnCallPage) and each.workflow == workflow
    ]  # fmt: skip
    return {
        "line": line,
        "then": [person for person in line.people if person not in line.shift.people],
        "tested": max(tests, key=lambda each: each.made_at, default=None),
        "may_test": visit.may("tools", workflow),
    }


def _watch(services: Services, visit: Visit, watch: duties.Watch) -> dict[str, Any]:
    on_call, now = services.on_duty.on_call, visit.now
    people = on_call.people()
    return {
        "watch": watch,
        "weeks": rota.weeks(watch.shifts, people, now, visit.zone, WEEKS),
        "overrides": [
            each for each in on_call.overrides(watch.rotation, now, now + WEEKS * 7 * DAY) if each.holds_until > now
        ],
        "may": "approve" in visit.standing.within(watch.team),
    }  # fmt: skip


def calendar(services: Services, visit: Visit) -> Answer:
    on_call, name = services.on_duty.on_call, visit.path["rotation"]
    if name not in on_call.rotations() or "read" not in visit.standing.within(on_call.team(name)):
        raise Unknown(f"there is no rotation {name[:60]!r}")
    text = duties.calendar(on_call, name, visit.now, visit.now + EXPORTED * 7 * DAY, visit.now)
    headers = {"content-disposition": f'attachment; filename="on-call-{name}.ics"'}
    return Response(text, media_type="text/calendar", headers=headers)


def override(services: Services, visit: Visit) -> Answer:
    on_call, zone = services.on_duty.on_call, visit.zone
    rotation = visit.text("rotation")
    _may(services, visit, rotation)
    start = moment(visit.text("from") or "now", visit.now, zone)
    until = visit.text("until")
    if not until:
        raise Wrong("Say until when: the shift goes back to the rotation then.")
    made = on_call.override(
        rotation, visit.text("person"), start, moment(until, visit.now, zone), visit.actor, visit.text("why")[:500]
    )
    services.on_duty.check.round()
    who = rota.named((made.person,), on_call.people())
    return Redirect("/oncall", f"{who} is on call from {_said(made.start, visit)} until {_said(made.end, visit)}.")


def take_back(services: Services, visit: Visit) -> Answer:
    on_call = services.on_duty.on_call
    found = on_call.found(visit.path["override"])
    if found is None:
        raise Unknown("there is no such override")
    _may(services, visit, found.rotation)
    on_call.take_back(found.id, visit.actor)
    services.on_duty.check.round()
    return Redirect("/oncall", "Taken back: from now on the rotation counts again.")


def test(services: Services, visit: Visit) -> Answer:
    workflow = visit.text("workflow")
    if not visit.may("tools", workflow):
        raise Wrong(visit.why_not("tools"))
    tested = services.reaching.tests.start(workflow, visit.actor)
    who = rota.named((tested.page.person,), services.on_duty.on_call.people())
    return Redirect(f"/incidents/{tested.incident}", f"{who} is being paged. The test counts once it is acknowledged.")


def _may(services: Services, visit: Visit, rotation: str) -> None:
    """Raises ``Wrong`` and ``Unknown``."""
    on_call = services.on_duty.on_call
    if rotation not in on_call.rotations():
        raise Unknown(f"there is no rotation {rotation[:60]!r}")
    if "approve" not in visit.standing.within(on_call.team(rotation)):
        raise Wrong(visit.why_not("approve"))


def _wall(at: float, visit: Visit) -> str:
    """What a field for day and time takes."""
    return datetime.fromtimestamp(at, visit.zone).strftime("%Y-%m-%dT%H:%M")


def _said(at: float, visit: Visit) -> str:
    return minute(at, visit.zone)


PAGES = [
    Page("GET", "/oncall", "read", shown, anywhere=True),
    Page("GET", "/oncall/calendar/{rotation}.ics", "read", calendar, anywhere=True),
    Page("POST", "/oncall/override", "approve", override, anywhere=True),
    Page("POST", "/oncall/override/{override}/take-back", "approve", take_back, anywhere=True),
    Page("POST", "/oncall/test", "tools", test, anywhere=True),
]
