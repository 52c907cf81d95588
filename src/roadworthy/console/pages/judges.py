"""A judge that is a model, held against people.

GET  /evals/{workflow}/judges/{scorer}            its card, and what holding it against people would ask and cost
POST /evals/{workflow}/judges/{scorer}/calibrate  {usd, anew} → begun; it goes on when the page is closed
POST /evals/{workflow}/judges/{scorer}/stop       {calibration} → interrupted; what it said is kept
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import Wrong
from roadworthy.evals.calibration import Calibration
from roadworthy.evals.service import Refused
from roadworthy.operations.proving import words
from roadworthy.operations.proving.calibrating import Order, declared_judges
from roadworthy.operations.services import Services
from roadworthy.workflow.service import Unknown


def show(services: Services, visit: Visit) -> Answer:
    workflow, scorer = visit.path["workflow"], visit.path["scorer"]
    flow = services.workflows.named(workflow)
    judging = services.judging
    declared = declared_judges(judging.calibrating, judging.judges, flow, visit.now)
    mine = next((each for each in declared if each.scorer == scorer), None)
    known = [each for each in judging.judges.known(workflow) if each.scorer == scorer]
    if mine is None and not known:
        raise Unknown(f"{workflow} has no judge “{scorer[:60]}”; name one under evals.scorers in its workflow.yaml")
    going = judging.calibrating.going(workflow)
    status = judging.calibrating.look(going) if going else None
    try:
        plan, why = judging.calibrating.plan(Order(workflow, scorer)), ""
    except (Refused, Unknown) as error:
        plan, why = None, str(error)
    newest = next((each for each in known if each.concluded is not None), None)
    return View("judge.html", {
        "workflow": workflow, "scorer": scorer, "judge": mine, "known": known[:20], "why": why,
        "plan": None if plan is None else words.calibration_preview(msgspec.to_builtins(plan)),
        "status": status if status is not None and status.calibration.scorer == scorer else None,
        "newest": newest, "figures": [] if newest is None else _parts(newest),
    })  # fmt: skip


def calibrate(services: Services, visit: Visit) -> Answer:
    text = visit.text("usd").lstrip("$").strip()
    try:
        usd = float(text) if text else None
    except ValueError:
        raise Wrong(f"Most that it may cost: found “{text[:20]}”, expected dollars, such as 0.50") from None
    order = Order(visit.path["workflow"], visit.path["scorer"], usd=usd, anew=visit.text("anew") == "yes")
    services.judging.calibrating.start(order, visit.actor, leased=False)
    return Redirect(said="It has begun. You may close this page: it goes on.")


def stop(services: Services, visit: Visit) -> Answer:
    going = services.judging.calibrating.going(visit.path["workflow"])
    if going:
        services.judging.calibrating.stop(going)
    return Redirect(said="Stopping. What it said is kept, and the next one goes on with it.")


def _parts(calibration: Calibration) -> list[dict[str, Any]]:
    told: dict[str, Any] = msgspec.to_builtins(calibration.concluded)
    parts = [("All answers", told["whole"]), ("Held out, which alone decide from 50 on", told["held_out"])]
    return [{"name": name, "n": part["n"], "rows": words.calibrated(part)} for name, part in parts if part is not None]


PAGES = [
    Page("GET", "/evals/{workflow}/judges/{scorer}", "read", show),
    Page("POST", "/evals/{workflow}/judges/{scorer}/calibrate", "tools", calibrate),
    Page("POST", "/evals/{workflow}/judges/{scorer}/stop", "stop", stop),
]
