"""Eval runs: what one would do and cost, begun, followed, stopped, looked at beside another.

GET  /evals/{workflow}/plan               what a run would do and cost (``?purpose=gate|check|answers|nightly``)
POST /evals/{workflow}/runs               {purpose, release, sample, repeat, fresh, usd} → the run
GET  /evals/{workflow}/runs/{run}         as it is now: progress, then the gate's card and every answer
                                          (``?against=`` another run, ``?wrong=yes``, ``?page=``)
POST /evals/{workflow}/runs/{run}/stop    interrupted; what was answered is kept
GET  /evals/{workflow}/compare            ``?a=&b=`` runs, or numbers of releases: one beside the other

A run that a page began goes on when the page is closed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

import msgspec

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.pages.eval_parts import page_of, record_reading
from roadworthy.console.refusals import Wrong
from roadworthy.evals.model import Run
from roadworthy.evals.service import Refused
from roadworthy.operations.proving import words
from roadworthy.operations.proving.eval_comparing import Shown, compared, run_of, side_by_side
from roadworthy.operations.proving.eval_plans import MOST_REPEATS, Order
from roadworthy.operations.proving.eval_runs import Status
from roadworthy.operations.services import Services
from roadworthy.workflow.service import Unknown

A_PAGE: Final = 25
"""Answers."""
TRIED: Final = 3
"""Earlier runs that are tried for one to hold it against."""
PURPOSES: Final = {
    "gate": ("Run the gate", "Decides what traffic the release may get, and signs it."),
    "check": ("Try it out", "The same questions and scores, and nothing that counts comes of it."),
    "answers": ("Have the examples answered", "So that people can score the answers. No verdict."),
    "nightly": ("Tonight's sample, now", "Holds today's answers against those by which the release was judged."),
}
"""Purpose → (what the button says, what it is for)."""


def plan(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    purpose = visit.query.get("purpose", "gate")
    if purpose not in PURPOSES:
        raise Wrong(f"purpose: found “{purpose[:20]}”, expected {', '.join(PURPOSES)}")
    title, means = PURPOSES[purpose]
    common = {"workflow": workflow, "purpose": purpose, "title": title, "means": means, "purposes": PURPOSES}
    if purpose == "nightly":
        found = services.evals.nightly.schedule(workflow)
        lines = words.schedule(msgspec.to_builtins(found), visit.zone, visit.now)
        return View("eval_plan.html", {**common, "plan": None, "lines": lines, "asked": {}})
    asked = {name: visit.query.get(name, "") for name in ("release", "sample", "repeat", "fresh", "usd", "against")}
    made = services.evals.gate.ready(_order(workflow, purpose, asked)).plan
    lines = words.preview(msgspec.to_builtins(made), "“Ask otherwise” asks them anew")
    return View("eval_plan.html", {**common, "plan": made, "lines": lines, "asked": asked})


def start(services: Services, visit: Visit) -> Answer:
    workflow, purpose = visit.path["workflow"], visit.text("purpose")
    if purpose == "nightly":
        status = services.evals.nightly.begin(workflow, visit.actor)
    else:
        asked = {name: visit.text(name) for name in ("release", "sample", "repeat", "fresh", "usd", "against")}
        status = services.evals.runs.start(_order(workflow, purpose, asked), visit.actor, leased=False)
    return Redirect(_href(status.run), "It has begun. You may close this page: it goes on, and is found here again.")


def show(services: Services, visit: Visit) -> Answer:
    status = _status(services, visit)
    run, running = status.run, status.state == "running"
    context: dict[str, Any] = {
        "workflow": run.workflow, "status": status, "run": run, "running": running, "wrong": visit.query.get("wrong"),
        "paired": words.paired, "grant": words.grant, "builtins": msgspec.to_builtins, "purposes": PURPOSES,
    }  # fmt: skip
    if running or not visit.may("read_text"):
        return View("eval_run.html", {**context, "rows": [], "others": [], "against": None})
    record_reading(services, visit, "eval_answers.read", f"eval_run/{run.id}")
    others = [each for each in services.evals.evals.runs(run.workflow, 50) if each.id != run.id]
    against, found = _beside(services, visit, run, others)
    rows = [each for each in found if each.wrong or not visit.query.get("wrong")]
    at = page_of(visit)
    return View(
        "eval_run.html",
        {
            **context, "rows": [_row(each) for each in rows[at * A_PAGE : (at + 1) * A_PAGE]], "others": others[:20],
            "against": against, "at": at, "pages": -(-len(rows) // A_PAGE), "count": len(rows), "of": len(found),
            "worse": sum(each.moved < 0 for each in found), "better": sum(each.moved > 0 for each in found),
            "amiss": sum(each.wrong for each in found),
        },
    )  # fmt: skip


def stop(services: Services, visit: Visit) -> Answer:
    _status(services, visit)
    services.evals.runs.stop(visit.path["run"])
    return Redirect(said="Stopping. What was answered is kept, and the next run goes on with it.")


def compare(services: Services, visit: Visit) -> Answer:
    workflow, gate = visit.path["workflow"], services.evals.gate
    a, b = visit.query.get("a", ""), visit.query.get("b", "")
    if not a or not b:
        raise Wrong("Choose two runs to compare.")
    one, other = (run_of(gate, workflow, which) for which in (a, b))
    for ident in (one, other):
        _of(gate.evals.run(ident), workflow)
    texts = visit.may("read_text")
    if texts:
        record_reading(services, visit, "eval_answers.read", after={"runs": [one, other]})
    return View("eval_compare.html", {
        "workflow": workflow, "found": compared(gate, one, other), "paired": words.paired, "moves": _moves,
        "builtins": msgspec.to_builtins, "asked": words.asked, "pretty": words.pretty, "texts": texts,
    })  # fmt: skip


# --- inside


def _order(workflow: str, purpose: str, asked: dict[str, str]) -> Order:
    """Raises ``Wrong``."""
    if purpose not in ("gate", "check", "answers"):
        raise Wrong(f"purpose: found “{purpose[:20]}”, expected gate, check or answers")
    usd = asked["usd"].lstrip("$").strip()
    try:
        most = float(usd) if usd else None
    except ValueError:
        most = float("nan")
    if most is not None and not 0 < most < 1e6:
        raise Wrong(f"Most that it may cost: found “{asked['usd'][:20]}”, expected dollars, such as 0.50")
    return Order(
        workflow, asked["release"],
        purpose=purpose,  # type: ignore[arg-type]
        sample=_whole(asked, "sample", 0, 10_000),
        repeat=_whole(asked, "repeat", 1, MOST_REPEATS), fresh=asked["fresh"] == "yes", usd=most,
        against=asked["against"] if purpose != "gate" else "",
    )  # fmt: skip


def _whole(asked: dict[str, str], name: str, default: int, most: int) -> int:
    text = asked[name]
    if not text:
        return default
    if not text.isdigit() or len(text) > 6 or not default <= int(text) <= most:
        raise Wrong(f"{name}: found “{text[:20]}”, expected a whole number from {default} to {most:,}")
    return int(text)


def _status(services: Services, visit: Visit) -> Status:
    """Raises ``Unknown``: it is no run of this workflow."""
    status = services.evals.runs.look(visit.path["run"])
    _of(status.run, visit.path["workflow"])
    return status


def _of(run: Run, workflow: str) -> None:
    if run.workflow != workflow:
        raise Unknown(f"run {run.id} is of another workflow than {workflow}")


def _beside(services: Services, visit: Visit, run: Run, others: list[Run]) -> tuple[Run | None, list[Shown]]:
    """The run that was chosen, else the newest one before it of another release, else the newest before it; and every
    answer beside it.  Raises ``Unknown`` and ``Refused``."""
    gate, named = services.evals.gate, visit.query.get("against")
    if named and named != "none":
        found = gate.evals.run(named)
        _of(found, run.workflow)
        return found, side_by_side(gate, run, found)
    earlier = [] if named else [each for each in others if each.began < run.began]
    for each in sorted(earlier, key=lambda each: each.release == run.release)[:TRIED]:
        with suppress(Refused):  # its release or its scorers are not what they were: nothing can be held against it
            return each, side_by_side(gate, run, each)
    return None, side_by_side(gate, run, None)


def _row(each: Shown) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(each.example)
    return {
        "label": each.example.label or each.example.id, "asked": words.asked(told), "expected": words.expected(told),
        "held_out": each.example.held_out, "critical": each.example.critical, "now": each.now, "before": each.before,
        "moved": each.moved, "wrong": each.wrong, "reasons": each.reasons, "missing": each.missing,
        "inference": each.inference, "target": each.target, "pretty": words.pretty,
    }  # fmt: skip


def _moves(before: dict[str, float], after: dict[str, float]) -> str:
    moved = [name for name in after if name in before and after[name] != before[name]]
    return ", ".join(f"{name} {before[name]:g} → {after[name]:g}" for name in moved)


def _href(run: Run) -> str:
    return f"/evals/{quote(run.workflow)}/runs/{run.id}"


PAGES = [
    Page("GET", "/evals/{workflow}/plan", "read", plan),
    Page("POST", "/evals/{workflow}/runs", "tools", start),
    Page("GET", "/evals/{workflow}/runs/{run}", "read", show),
    Page("POST", "/evals/{workflow}/runs/{run}/stop", "stop", stop),
    Page("GET", "/evals/{workflow}/compare", "read", compare),
]
