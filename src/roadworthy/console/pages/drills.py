"""Faults injected on purpose: which there are, what each came to, the kill switch's drill, the canary.

GET  /drills                              every workflow, the kill drill, the canary
GET  /drills/{workflow}                   each fault: what must follow, what came of it last
POST /drills/{workflow}/start             {fault…} (none: all) → the run; it goes on when the page is closed
GET  /drills/{workflow}/{run}             as it is now: progress, then what customers said and read
POST /drills/{workflow}/{run}/stop        interrupted; every fault is cleared
GET  /failures/{workflow}                 what customers see when the model fails, to be accepted by the owner
POST /drills/kill                         the kill drill, on every gateway
GET  /drills/kill                         as it is now, else the last one
POST /drills/kill/stop                    interrupted; what is stopped is restored
POST /drills/canary                       {workflow} → one marked call, looked for everywhere
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any
from urllib.parse import quote

import msgspec

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.console.words import label
from roadworthy.fallback.drills.catalogue import CATALOGUE
from roadworthy.fallback.drills.model import DrillRun
from roadworthy.fallback.drills.registry import drills
from roadworthy.operations.drills import words
from roadworthy.operations.drills.drill_runs import Order
from roadworthy.operations.drills.failures import Visible, catalogue, together
from roadworthy.operations.drills.kill_drill_runs import Order as KillOrder
from roadworthy.operations.proving import ready
from roadworthy.operations.services import Services
from roadworthy.readiness.judging import canary_judged
from roadworthy.workflow.service import Unknown

INSTALL_ITEMS = {3: "canary", 7: "kill"}
"""Items of the checklist that are about the whole install."""
ROWS = {
    "admission": "It refuses the call", "server": "Its server fails", "transport": "The line fails",
    "silence": "It is silent", "stream": "The stream breaks", "shape": "The answer has a wrong form",
    "content": "The answer says something wrong", "money": "Money runs out", "correlated": "Several things at once",
}  # fmt: skip
"""Row of the fault catalogue → its heading."""


def everything(services: Services, visit: Visit) -> Answer:
    named = visit.query.get("workflow")
    if named:
        return Redirect(f"/drills/{quote(named)}")
    names = [name for name in services.board.workflows() if visit.may("read", name)]
    items = ready.report(services.board.view(names[0]), visit.now).items if names else []
    about = {INSTALL_ITEMS[each.number]: each for each in items if each.number in INSTALL_ITEMS}
    return View("drills.html", {
        "rows": [_line(services, name) for name in names], "kill_item": about.get("kill"),
        "canary_item": about.get("canary"), "kill": services.kill_drills.newest(),
        "workflows": names,
    })  # fmt: skip


def one(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    services.workflows.named(workflow)
    runs = _frozen(services, workflow)
    last: dict[str, list[Visible]] = {}
    for each in catalogue(runs):
        last.setdefault(each.fault, []).append(each)
    skipped = {} if not runs else {
        fault: why
        for why, faults in words.left_out(msgspec.to_builtins(runs[0].results)).items()
        for fault in faults
    }  # fmt: skip
    known = drills()
    rows = [
        (ROWS.get(row, row), [
            {"drill": known[name], "last": last.get(name, []), "skipped": skipped.get(name, "")}
            for name in names if name in known
        ])
        for row, names in CATALOGUE.items()
    ]  # fmt: skip
    shown = [each for found in last.values() for each in found]
    return View("drill_faults.html", {
        "workflow": workflow, "rows": rows, "going": services.drills.going(workflow), "runs": runs[:10],
        "passed": sum(each.verdict == "PASS" for each in shown), "of": len(shown),
    })  # fmt: skip


def start(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    faults = [value for value in visit.form.getlist("fault") if isinstance(value, str)]
    run = services.drills.start(Order(workflow, faults=faults), visit.actor, leased=False)
    said = "The drills have begun; real traffic feels nothing of them. You may close this page: they go on."
    return Redirect(f"/drills/{quote(workflow)}/{run.id}", said)


def show(services: Services, visit: Visit) -> Answer:
    run = _run(services, visit)
    drilled = [each for each in run.results if each.verdict != "SKIPPED"]
    grouped = [(ROWS.get(row, row), list(found)) for row, found in groupby(drilled, key=lambda each: each.row)]
    frozen = [each.frozen for each in services.workflows.releases(run.workflow)]
    number = next((each.number for each in frozen if each.release.digest == run.digest), None)
    return View("drill_run.html", {
        "wires": words.wires(msgspec.to_builtins(run.wire)),
        "workflow": run.workflow, "run": run, "running": run.state == "running", "done": len(drilled),
        "passed": sum(each.verdict == "PASS" for each in drilled), "number": number, "rows": grouped,
        "skipped": words.left_out(msgspec.to_builtins(run.results)),
        "failed": [each for each in drilled if each.verdict == "FAIL"],
    })  # fmt: skip


def stop(services: Services, visit: Visit) -> Answer:
    run = _run(services, visit)
    services.drills.stop(run.id)
    return Redirect(said="Stopping; every fault is cleared.")


def failures(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    found = together(catalogue(_frozen(services, workflow)))
    judged = services.board.view(workflow).frozen
    old = bool(found) and judged is not None and found[0][0].release != judged.release.digest
    owed = [each for each in services.vouching.owed(workflow) if each.kind == "failure_catalogue"]
    return View("failures.html", {
        "workflow": workflow, "items": found, "owed": next(iter(owed), None), "reads": words.reads,
        "going": services.drills.going(workflow), "judged": judged, "old": old,
        "mine": any(each.person == visit.actor.id for each in owed),
    })  # fmt: skip


# --- the whole install


def kill(services: Services, visit: Visit) -> Answer:
    run = services.kill_drills.newest()
    told: dict[str, Any] = {} if run is None else msgspec.to_builtins(run)
    rows = [] if run is None or not run.presses else [
        words.gateway_row(name, told) for name in [*run.gateways, *run.missing]
    ]  # fmt: skip
    return View("kill_drill.html", {
        "run": run, "running": run is not None and run.state == "running", "rows": rows, "item": _item(services, 7),
        "presses": [words.pressed(each) for each in told.get("presses", [])],
    })  # fmt: skip


def start_kill(services: Services, visit: Visit) -> Answer:
    services.kill_drills.start(KillOrder(), visit.actor, leased=False)
    return Redirect("/drills/kill", "The kill drill has begun; no workflow of yours is touched.")


def stop_kill(services: Services, visit: Visit) -> Answer:
    run = services.kill_drills.newest()
    if run is not None and run.state == "running":
        services.kill_drills.stop(run.id)
    return Redirect("/drills/kill", "Stopping; what is stopped is restored.")


def canary(services: Services, visit: Visit) -> Answer:
    workflow = visit.text("workflow") or None
    if not visit.may("tools", workflow):
        raise Wrong(visit.why_not("tools"))
    _, flown = services.canary(workflow, visit.actor.id)
    judged = canary_judged(flown.figures)
    return Redirect(said=f"{label(judged.verdict)}: {judged.figure}. The call is {flown.inference}.")


# --- inside


def _line(services: Services, workflow: str) -> Mapping[str, Any]:
    runs = _frozen(services, workflow)
    shown = catalogue(runs)
    return {
        "name": workflow, "last": runs[0] if runs else None, "going": services.drills.going(workflow),
        "passed": sum(each.verdict == "PASS" for each in shown), "of": len(shown),
    }  # fmt: skip


def _frozen(services: Services, workflow: str) -> list[DrillRun]:
    """Runs, newest first; a draft that somebody tried is no release."""
    return [run for run in services.drills.runs(workflow) if not run.draft]


def _run(services: Services, visit: Visit) -> DrillRun:
    """Raises ``Unknown``: it is no run of this workflow."""
    run = services.drills.look(visit.path["run"])
    if run.workflow != visit.path["workflow"]:
        raise Unknown(f"run {run.id} is of another workflow")
    return run


def _item(services: Services, number: int) -> ready.Line | None:
    name = next(iter(services.board.workflows()), None)
    if name is None:
        return None
    found = ready.report(services.board.view(name), services.clock()).items
    return next(each for each in found if each.number == number)


PAGES = [
    Page("GET", "/drills", "read", everything, anywhere=True),
    Page("GET", "/drills/kill", "read", kill, anywhere=True),
    Page("POST", "/drills/kill", "tools", start_kill, publishes=True),
    Page("POST", "/drills/kill/stop", "stop", stop_kill),
    Page("POST", "/drills/canary", "tools", canary, publishes=True, anywhere=True),
    Page("GET", "/drills/{workflow}", "read", one),
    Page("POST", "/drills/{workflow}/start", "tools", start),
    Page("GET", "/drills/{workflow}/{run}", "read", show),
    Page("POST", "/drills/{workflow}/{run}/stop", "stop", stop),
    Page("GET", "/failures/{workflow}", "read", failures),
]
