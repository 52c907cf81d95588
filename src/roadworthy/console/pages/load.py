"""Load tests: what one would do and cost, begun, followed, stopped, read.

GET  /load                          a form and the tests of a workflow (``?workflow=``)
GET  /load/{workflow}/plan          what the test would do, cost and run into (fields of the form as the query)
POST /load/{workflow}/start         the same fields → the test; it goes on when the page is closed
GET  /load/{workflow}/{run}         as it is now: progress, then the report
POST /load/{workflow}/{run}/stop    interrupted
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.operations.loading import words
from roadworthy.operations.loading.model import FULL_SECONDS, PEAKS, Came, LoadRun, Order, Slot
from roadworthy.operations.services import Services
from roadworthy.workflow import simulation
from roadworthy.workflow.service import Unknown

FIELDS: Final = ("kind", "peak", "factor", "duration", "kill", "usd", "release", "past_limits")
KINDS: Final = {
    "live": ("Against the real provider", "An hour of it proves the most. It costs what such calls cost."),
    "rehearsal": (
        "Rehearse it in a copy",
        "Against a stand-in fitted to your traffic, with a few real calls that check it. It costs almost nothing.",
    ),
    "limit": ("Find the limit", "Doubles the rate until the promise breaks. It shows the room, and is no proof."),
}
"""Kind → (what the choice says, what it means)."""
LIMIT_STEP: Final = 60.0
PLAN_GOOD_FOR: Final = 60.0
"""Seconds that a plan is shown before it is made anew."""
SHOWN_RUNS: Final = 30


def overview(services: Services, visit: Visit) -> Answer:
    applied = services.workflows.configuration()
    names = [
        name
        for name in sorted({} if applied is None else applied.configuration.workflows)
        if visit.may("read", name)
    ]  # fmt: skip
    workflow = visit.query.get("workflow") or next(iter(names), "")
    if workflow and workflow not in names:
        raise Unknown(f"there is no workflow “{workflow[:60]}” that you may see")
    going = services.loads.going()
    return View("load.html", {
        "workflows": names, "workflow": workflow, "kinds": KINDS, "fields": _fields(visit.query),
        "runs": [_line(run) for run in services.loads.runs(workflow, SHOWN_RUNS)] if workflow else [],
        "going": going if going is not None and visit.may("read", going.workflow) else None, "busy": going is not None,
    })  # fmt: skip


def plan(services: Services, visit: Visit) -> Answer:
    workflow, fields = visit.path["workflow"], _fields(visit.query)
    order = order_of(workflow, fields)
    asked = ("load", workflow, tuple(sorted(fields.items())))
    found = services.later.get(asked, lambda: services.loads.plan(order), PLAN_GOOD_FOR).value
    if found is None:
        doing = "The calls of the last day are read."
        return View("working.html", {"title": f"Load test of {workflow}", "doing": doing})
    told: dict[str, Any] = msgspec.to_builtins(found)
    lines = list(words.preflight(told))
    return View("load_plan.html", {
        "workflow": workflow, "fields": fields, "plan": found, "against": words.against(told), "cost": words.cost(told),
        "rate": words.rate(found.rate), "span": words.span(found.seconds), "back": urlencode(fields),
        "lines": [(what, text) for what, text in lines if what != "WARNING"],
        "warnings": [text for what, text in lines if what == "WARNING"], "kinds": KINDS,
        "limited": found.predicted_429 > 0.01 and found.kind == "live",
    })  # fmt: skip


def start(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    fields = {name: visit.text(name) for name in FIELDS}
    run = services.loads.start(order_of(workflow, fields), visit.actor, leased=False)
    said = "The test has begun. You may close this page: it goes on, and is found here again."
    return Redirect(f"/load/{quote(workflow)}/{run.id}", said)


def show(services: Services, visit: Visit) -> Answer:
    run = _run(services, visit)
    before = _before(services, run)
    told: dict[str, Any] = msgspec.to_builtins(run)
    context = {
        "workflow": run.workflow, "run": run, "running": run.state == "running", "before": before, "rate": words.rate,
        "against": words.against(told["plan"]), "progress": words.progress(told.get("progress", {})),
        "steps": [words.step(msgspec.to_builtins(each)) for each in run.steps], "span": words.span,
        "charts": [] if run.came is None else charts(run.came), "again": urlencode(_again(run.order)),
        "compared": [] if before is None else words.compared(told, msgspec.to_builtins(before)),
        "pressed": words.pressed, "builtins": msgspec.to_builtins, "plan": list(words.preflight(told["plan"])),
    }  # fmt: skip
    return View("load_run.html", context)


def stop(services: Services, visit: Visit) -> Answer:
    run = _run(services, visit)
    services.loads.stop(run.id)
    return Redirect(said="Stopping; calls under way are waited for.")


def order_of(workflow: str, fields: Mapping[str, str]) -> Order:
    """A form → an order.  Raises ``Wrong``."""
    kind = fields["kind"] or "live"
    if kind not in KINDS:
        raise Wrong(f"kind: found “{kind[:20]}”, expected {', '.join(KINDS)}")
    seconds = LIMIT_STEP if kind == "limit" else FULL_SECONDS
    try:
        peak = words.rate_of(fields["peak"]) if fields["peak"] else None
        if fields["duration"]:
            text = fields["duration"]
            seconds = simulation.duration("duration", float(text) if text.replace(".", "", 1).isdigit() else text)
    except (ValueError, simulation.ProfileError) as error:
        raise Wrong(str(error)) from error
    return Order(
        workflow, release=fields["release"], kind=kind, peak=peak, seconds=seconds,  # type: ignore[arg-type]
        factor=_number(fields, "factor", "Times the peak", 1000.0) or PEAKS,
        usd=_number(fields, "usd", "Most that it may cost", 1e6), kill=fields["kill"] == "yes",
        past_limits=fields["past_limits"] == "yes",
    )  # fmt: skip


def charts(came: Came) -> list[tuple[str, str, dict[str, Any]]]:
    """(id, title, series) of the plots over a test; one without a figure is left out."""
    slots = came.slots
    named: list[tuple[str, str, str, list[tuple[str, Callable[[Slot], float | None]]]]] = [
        ("latency", "Time of an answer, counted from when it was meant to begin", "s",
         [("usual (p50)", lambda slot: slot.p50), ("slow (p95)", lambda slot: slot.p95),
          ("slowest (p99)", lambda slot: slot.p99)]),
        ("first", "Time to the first word", "s",
         [("usual (p50)", lambda slot: slot.first_p50), ("slowest (p99)", lambda slot: slot.first_p99)]),
        ("calls", "Calls a second", "count",
         [("begun", lambda slot: slot.started / slot.seconds), ("good", lambda slot: slot.good / slot.seconds),
          ("failed", lambda slot: slot.errors / slot.seconds),
          ("never begun", lambda slot: slot.dropped / slot.seconds)]),
        ("under-way", "Calls under way", "count", [("under way", lambda slot: slot.under_way)]),
    ]  # fmt: skip
    found = []
    for ident, title, unit, lines in named:
        drawn = [(name, [of(slot) for slot in slots]) for name, of in lines]
        kept = [{"name": name, "values": values, "unit": unit} for name, values in drawn if any(values)]
        if kept:
            series = {"x": [slot.at for slot in slots], "time": False, "across": "second", "lines": kept}
            found.append((f"chart-{ident}", f"{title} (seconds of the test)", series))
    return found


# --- inside


def _fields(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given.get(name, "").strip() for name in FIELDS}


def _number(fields: Mapping[str, str], name: str, said: str, most: float) -> float | None:
    text = fields[name].lstrip("$").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= most:
        raise Wrong(f"{said}: found “{text[:20]}”, expected a number above 0, at most {most:g}")
    return value


def _run(services: Services, visit: Visit) -> LoadRun:
    """Raises ``Unknown``: it is no test of this workflow."""
    run = services.loads.look(visit.path["run"])
    if run.workflow != visit.path["workflow"]:
        raise Unknown(f"test {run.id} is of another workflow")
    return run


def _before(services: Services, run: LoadRun) -> LoadRun | None:
    try:
        return services.loads.shown(run.before) if run.before else None
    except Unknown:  # it was among the oldest, and is kept no more
        return None


def _again(order: Order) -> dict[str, str]:
    said = {"workflow": order.workflow, "kind": order.kind, "factor": f"{order.factor:g}"}
    said["duration"] = f"{order.seconds:g}"
    if order.peak is not None:
        said["peak"] = f"{order.peak:g}/s"
    return said | ({"kill": "yes"} if order.kill else {})


def _line(run: LoadRun) -> dict[str, Any]:
    measured = None if run.came is None else run.came.measured
    limit = None if run.came is None else run.came.limit
    return {
        "id": run.id, "began": run.began, "by": run.by, "kind": KINDS[run.order.kind][0], "state": run.state,
        "rate": words.rate(limit.held if limit else run.plan.rate), "came": run.came, "measured": measured,
    }  # fmt: skip


PAGES = [
    Page("GET", "/load", "read", overview, anywhere=True),
    Page("GET", "/load/{workflow}/plan", "read", plan),
    Page("POST", "/load/{workflow}/start", "tools", start),
    Page("GET", "/load/{workflow}/{run}", "read", show),
    Page("POST", "/load/{workflow}/{run}/stop", "stop", stop),
]
