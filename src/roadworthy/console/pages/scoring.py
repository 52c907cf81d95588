"""Scoring answers by hand, one at a time, with the rubric beside it.

GET  /evals/{workflow}/score        the next answer that nobody else has before them (``?run=``: of this run)
POST /evals/{workflow}/score        {example, answer, value, run} → the next one
POST /evals/{workflow}/score/skip   {example, answer, run} → another one
POST /evals/{workflow}/score/back   {run} → what was scored or skipped last
POST /evals/{workflow}/score/again  {run} → what was skipped, once more
POST /evals/{workflow}/score/hold   {example, answer} → nothing, or who took it: the page says that it is still open

A GET has an answer before its visitor for two minutes, in memory; nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.responses import HTMLResponse, Response

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.pages.eval_parts import record_reading
from roadworthy.console.refusals import Wrong
from roadworthy.evals.examples import unread
from roadworthy.evals.hand import Agreement, Turn
from roadworthy.evals.rubric import Rubric
from roadworthy.operations.proving.words import asked, conversation, expected, pretty, reading
from roadworthy.operations.services import Services
from roadworthy.workflow.words import plural


def show(services: Services, visit: Visit) -> Answer:
    workflow, run = visit.path["workflow"], visit.query.get("run", "")
    turn = services.evals.hand.turn(workflow, visit.actor, run)
    common = {
        "workflow": workflow, "run": run, "turn": turn, "desk": turn.desk, "keys": keys(turn.desk.rubric),
        "done": turn.desk.mine, "of": turn.desk.of, "left": said_left(turn),
    }  # fmt: skip
    if turn.question is None:
        return View("scoring_done.html", {**common, **_ended(services, workflow, turn)})
    about = {"example": turn.question.example.id, "answer": turn.question.answer}
    record_reading(services, visit, "examples.read", after=about)
    example: dict[str, Any] = msgspec.to_builtins(turn.question.example)
    return View(
        "scoring.html",
        {
            **common, "example": example["id"], "answer": turn.question.answer, "asked": conversation(example),
            "text": pretty(turn.question.text), "expected": expected(example),
        },
    )  # fmt: skip


def score(services: Services, visit: Visit) -> Answer:
    workflow, example, answer = visit.path["workflow"], *_named(visit)
    value = visit.text("value")
    if not value:
        raise Wrong("Choose a value first: press its number, or click it.")
    hand, run = services.evals.hand, visit.text("run")
    gone = hand.hold(workflow, example, answer, visit.actor)
    if gone:
        return Redirect(_next(workflow, run), f"{gone}; nothing of yours was kept. Here is the next one.")
    hand.score(workflow, example, answer, value, visit.actor, run)
    return Redirect(_next(workflow, run))


def skip(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    services.evals.hand.skip(workflow, *_named(visit), visit.actor)
    return Redirect(_next(workflow, visit.text("run")))


def back(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    value = services.evals.hand.back(workflow, visit.actor)
    said = f"“{value}” was taken back; score it again." if value else "You skipped this one; here it is again."
    return Redirect(_next(workflow, visit.text("run")), said)


def again(services: Services, visit: Visit) -> Answer:
    workflow = visit.path["workflow"]
    services.evals.hand.turns.unskip(workflow, visit.actor.id)
    return Redirect(_next(workflow, visit.text("run")))


def hold(services: Services, visit: Visit) -> Answer:
    gone = services.evals.hand.hold(visit.path["workflow"], *_named(visit), visit.actor)
    if not gone:
        return Response(status_code=204)
    from markupsafe import escape

    return HTMLResponse(f'<p class="note" role="alert">{escape(gone[:200])}. Go on with the next one.</p>')


def keys(rubric: Rubric) -> dict[str, str]:
    """Value → its keys, separated by spaces."""
    found: dict[str, list[str]] = {}
    for key, value in rubric.keys().items():
        found.setdefault(value.name, []).append(key)
    return {name: " ".join(pressed) for name, pressed in found.items()}


def said_left(turn: Turn) -> str:
    """``about 6 min left``."""
    minutes = len(turn.desk.items) * turn.pace / 60
    return f"about {minutes:.0f} min left" if minutes >= 1.5 else "about a minute left"


def agreement_said(agreed: Agreement | None) -> str:
    if agreed is None:
        return "Fewer than two answers were scored by two people, so nobody knows yet how far people agree."
    kappa, low, high = agreed.kappa
    return (
        f"{agreed.same} of {plural(agreed.answers, 'answer')} that two people scored got the same value; "
        f"Cohen's kappa {kappa:.2f}, from {low:.2f} to {high:.2f} (95 %): {reading(kappa)}."
    )


def _ended(services: Services, workflow: str, turn: Turn) -> Mapping[str, Any]:
    """What is said when nothing is left for this person now."""
    agreed = services.evals.hand.agreement(workflow)
    examples = {} if agreed is None else services.evals.pool.examples(workflow)
    differ = [
        {"label": example.label or example.id, "asked": asked(msgspec.to_builtins(unread(example))), "said": rest}
        for ident, *rest in (() if agreed is None else agreed.differ[:20])
        if (example := examples.get(ident)) is not None
    ]
    return {"skipped": len(turn.desk.items) - turn.left, "agreed": agreement_said(agreed), "differ": differ}


def _named(visit: Visit) -> tuple[str, str]:
    return visit.text("example"), visit.text("answer")


def _next(workflow: str, run: str) -> str:
    return f"/evals/{quote(workflow)}/score" + (f"?run={quote(run)}" if run else "")


PAGES = [
    Page("GET", "/evals/{workflow}/score", "score", show),
    Page("POST", "/evals/{workflow}/score", "score", score),
    Page("POST", "/evals/{workflow}/score/skip", "score", skip),
    Page("POST", "/evals/{workflow}/score/back", "score", back),
    Page("POST", "/evals/{workflow}/score/again", "score", again),
    Page("POST", "/evals/{workflow}/score/hold", "score", hold),
]
