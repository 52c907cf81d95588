"""Scores that people give by hand.  Persons only: who scores is part of the evidence.

GET  /v1/evals/hand            ?workflow=&run=&share= → {rubric, items, …}: what the person who asks has to score
POST /v1/evals/hand            {workflow, example, answer, value, run?} → the score
POST /v1/evals/hand/hold       {workflow, example, answer} → {gone}: have it before oneself, or why not; for two
                               minutes, so whoever reads longer asks again
POST /v1/evals/hand/undo       {workflow, example, answer} → the score that was taken back
GET  /v1/evals/agreement       ?workflow= → {scored, raters, values, agreement, examples}: how far people agree
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.api.evals_examples import workflow_of
from roadworthy.evals.examples import unread
from roadworthy.evals.hand import SHARE
from roadworthy.operations.services import Services


class Scored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    example: str
    answer: str
    """Digest of its text."""
    value: str
    """A name of the rubric."""
    run: str = ""
    """As it was asked for."""


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    example: str
    answer: str


class Undone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    example: str
    answer: str


def desk(services: Services, call: Call) -> Any:
    share = SHARE
    if call.query.get("share"):
        try:
            share = float(call.query["share"])
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise Invalid(f"share: found '{call.query['share'][:20]}', expected 0 to 1", param="share")
    found = services.evals.hand.desk(workflow_of(call), call.actor, call.query.get("run", ""), share)
    told: dict[str, Any] = msgspec.to_builtins(found)
    for each in told["items"]:
        del each["release"], each["inference"]  # who wrote an answer is not to be known by whoever scores it
    return told


def score(services: Services, call: Call) -> Any:
    asked: Scored = call.body
    made = services.evals.hand.score(asked.workflow, asked.example, asked.answer, asked.value, call.actor, asked.run)
    return msgspec.to_builtins(made)


def hold(services: Services, call: Call) -> Any:
    asked: Held = call.body
    return {"gone": services.evals.hand.hold(asked.workflow, asked.example, asked.answer, call.actor)}


def undo(services: Services, call: Call) -> Any:
    return msgspec.to_builtins(
        services.evals.hand.undo(call.body.workflow, call.body.example, call.body.answer, call.actor)
    )


def agreement(services: Services, call: Call) -> Any:
    workflow = workflow_of(call)
    scores, agreed = services.evals.hand.of(workflow), services.evals.hand.agreement(workflow)
    examples = {} if agreed is None else services.evals.pool.examples(workflow)
    return {
        "scored": len({(each.example, each.answer) for each in scores}),
        "raters": dict(Counter(each.rater for each in scores)),
        "values": dict(Counter(each.value for each in scores)),
        "agreement": msgspec.to_builtins(agreed),
        "examples": {
            each[0]: msgspec.to_builtins(unread(examples[each[0]]))
            for each in (() if agreed is None else agreed.differ)
            if each[0] in examples
        },
    }


ENDPOINTS = [
    Endpoint("GET", "/v1/evals/hand", "score", desk),
    Endpoint("POST", "/v1/evals/hand", "score", score, Scored),
    Endpoint("POST", "/v1/evals/hand/hold", "score", hold, Held),
    Endpoint("POST", "/v1/evals/hand/undo", "score", undo, Undone),
    Endpoint("GET", "/v1/evals/agreement", "read_text", agreement),
]
