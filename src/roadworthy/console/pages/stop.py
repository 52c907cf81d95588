"""Stopping the AI of a workflow, and what comes after.

GET  /workflows/{workflow}/stop           what a stop would do; once it is stopped, who has confirmed, undo, restore
POST /workflows/{workflow}/stop           {to, sure} → stopped; without ``sure`` (no script held the button) asked once
                                          more
POST /workflows/{workflow}/stop/reason    {reason}: asked after
POST /workflows/{workflow}/stop/undo      within ten minutes, whoever pressed
POST /workflows/{workflow}/stop/restore   {to, reason}: on-call or the owner
GET  /stop                                for a phone, without script: my workflows, one button each
GET  /stop/{workflow}                     the second tap, and afterwards what came of it
POST /stop/{workflow}                     off
POST /stop/{workflow}/undo
POST /stop/{workflow}/reason
"""

from __future__ import annotations

from typing import Final

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.kill_switch.model import SAID, STATES, State, severity
from roadworthy.operations.services import Services
from roadworthy.operations.stops.impact import DOES
from roadworthy.operations.stops.kill_desk import Stand
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.words import seconds

WAITS: Final = 1.0
"""Seconds that a press waits for gateways to confirm; those that need longer appear on the page as they do."""
OFFERED: Final[tuple[State, ...]] = ("off", "assist", "guarded")
LONGEST_REASON: Final = 500


def show(services: Services, visit: Visit) -> Answer:
    flow = services.workflows.named(visit.path["workflow"])
    stand = services.kill.desk.stand(flow.name)
    asked = visit.query.get("to", "")
    stricter = [to for to in OFFERED if severity(to) > severity(stand.in_force)]
    return View("stop.html", {
        **_shown(services, visit, flow, stand),
        "does": DOES,
        "offered": stricter,
        "asked": asked if asked in stricter else "",
        "impact": services.overseeing.impacts.of(flow) if stricter else None,
        "restorable": _restorable(services, flow, stand, visit),
    })  # fmt: skip


def press(services: Services, visit: Visit) -> Answer:
    name, to = visit.path["workflow"], _state(visit)
    if not visit.text("sure"):
        return Redirect(f"/workflows/{name}/stop?to={to}")
    stand = services.kill.desk.press(name, to, visit.text("reason")[:LONGEST_REASON], visit.actor, WAITS)
    return Redirect(f"/workflows/{name}/stop", _said(name, stand))


def reason(services: Services, visit: Visit) -> Answer:
    name, why = visit.path["workflow"], visit.text("reason")[:LONGEST_REASON]
    if not why:
        raise Wrong("Reason: nothing was written; say in a sentence why you stopped it.")
    services.kill.desk.explain(name, why, visit.actor, 0.0)
    return Redirect("", "Thank you: it is on record.")


def undo(services: Services, visit: Visit) -> Answer:
    name = visit.path["workflow"]
    stand = services.kill.desk.undo(name, visit.actor, WAITS)
    return Redirect("", f"Taken back: {name} is {SAID[stand.in_force]} again.")


def restore(services: Services, visit: Visit) -> Answer:
    name, to = visit.path["workflow"], _state(visit)
    stand = services.kill.desk.restore(name, to, visit.text("reason")[:LONGEST_REASON], visit.actor, WAITS)
    return Redirect("", f"{name} is {SAID[stand.in_force]}.")


# --- for a phone


def phone(services: Services, visit: Visit) -> Answer:
    cards = services.overseeing.overview.cards(lambda name: visit.may("stop", name))
    return View("phone_stop.html", {"cards": cards})


def phone_one(services: Services, visit: Visit) -> Answer:
    flow = services.workflows.named(visit.path["workflow"])
    stand = services.kill.desk.stand(flow.name)
    impact = services.overseeing.impacts.of(flow) if stand.in_force != "off" else None
    return View("phone_stop_one.html", {**_shown(services, visit, flow, stand), "impact": impact})


def phone_press(services: Services, visit: Visit) -> Answer:
    name = visit.path["workflow"]
    services.kill.desk.press(name, "off", "", visit.actor, WAITS)
    return Redirect(f"/stop/{name}")


# --- inside


def _shown(services: Services, visit: Visit, flow: Workflow, stand: Stand) -> dict[str, object]:
    reached = stand.reached if stand.in_force != "on" else None
    mine = stand.by == visit.actor.id
    return {
        "flow": flow,
        "stand": stand,
        "every": stand.state == "on" and stand.in_force != "on",
        "reached": reached,
        "took": [] if reached is None else sorted(reached.took.items()),
        "undo": stand.undo_by == visit.actor.id,
        "undo_left": None if stand.undo_until is None else max(0.0, stand.undo_until - visit.now),
        "ask_why": mine and not stand.reason,
        "reads": stand.reads.get(flow.name, ""),
    }


def _restorable(services: Services, flow: Workflow, stand: Stand, visit: Visit) -> list[tuple[State, str, bool]]:
    """(state, who may, may this person) of every way back."""
    rights = services.kill.desk.rights(visit.actor.id, flow.name)
    words = {"on_call": "whoever is on call", "owner": "its owner"}
    found: list[tuple[State, str, bool]] = []
    for to in STATES:
        if severity(to) < severity(stand.in_force):
            needs = "owner" if to == "on" else "on_call"
            found.append((to, stand.may_restore.get(to, words[needs]), needs in rights))
    return found


def _state(visit: Visit) -> State:
    to = visit.text("to")
    for state in STATES:
        if state == to:
            return state
    raise Wrong(f"To: found {to[:20]!r}, expected one of {', '.join(STATES)}.")


def _said(name: str, stand: Stand) -> str:
    risk = f" AT RISK: {stand.at_risk}." if stand.at_risk else ""
    reached = stand.reached
    if reached is None or not reached.all:
        left = 0 if reached is None else len(reached.missing)
        return f"{name} is {SAID[stand.in_force]} here; {left} gateways have not confirmed yet.{risk}"
    took = "" if reached.max is None else f" in {seconds(reached.max)}"
    places = "1 gateway" if reached.gateways == 1 else f"all {reached.gateways} gateways"
    return f"{name} is {SAID[stand.in_force]} on {places}{took}.{risk}"


PAGES = [
    Page("GET", "/workflows/{workflow}/stop", "read", show),
    Page("POST", "/workflows/{workflow}/stop", "stop", press),
    Page("POST", "/workflows/{workflow}/stop/reason", "stop", reason),
    Page("POST", "/workflows/{workflow}/stop/undo", "stop", undo),
    Page("POST", "/workflows/{workflow}/stop/restore", "approve", restore),
    Page("GET", "/stop", "stop", phone, anywhere=True),
    Page("GET", "/stop/{workflow}", "stop", phone_one),
    Page("POST", "/stop/{workflow}", "stop", phone_press),
    Page("POST", "/stop/{workflow}/undo", "stop", undo),
    Page("POST", "/stop/{workflow}/reason", "stop", reason),
]
