"""Reviews: what was drafted from data, what was decided, who signed.

GET  /v1/reviews                     ?workflow=&kind=&state=drafted|signed&limit= → {items}: newest first, no facts
GET  /v1/reviews/{workflow}          ?kind=weekly|monthly|quarterly&period= → the review, and itself as `markdown`
GET  /v1/reviews/{workflow}/running  ?kind= → what the review of the period that runs would say; not kept
POST /v1/reviews/{workflow}/decide   {kind?, period?, decisions} → the review; its owner only
POST /v1/reviews/{workflow}/sign     {kind?, period?, decisions?} → the review; its owner only
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.operations.reviewing.document import markdown
from roadworthy.operations.services import Services
from roadworthy.people.review.model import KINDS, Review, ReviewKind, State

STATES = ("drafted", "signed")
LARGEST_PAGE = 500


class Decided(msgspec.Struct, forbid_unknown_fields=True):
    """``decisions``: all of them, in place of those before; left out: those there are."""

    kind: ReviewKind | None = None
    period: str = ""
    decisions: list[str] | None = None


def listed(services: Services, call: Call) -> Any:
    state = call.query.get("state") or None
    if state is not None and state not in STATES:
        raise Invalid(f"state: found {state[:20]!r}, expected one of {', '.join(STATES)}", param="state")
    limit = call.query.get("limit", "100")
    if not limit.isdigit() or not 1 <= int(limit) <= LARGEST_PAGE:
        raise Invalid(f"limit: found {limit[:20]!r}, expected 1 to {LARGEST_PAGE}", param="limit")
    workflow = call.query.get("workflow") or None
    found = services.reviewing.reviews.all(workflow, _kind(call), cast("State | None", state), int(limit))
    return {"items": [_headed(each, services.clock()) for each in found]}


def shown(services: Services, call: Call) -> Any:
    found = services.reviewing.reviews.find(call.path["workflow"], _kind(call), call.query.get("period") or "")
    return _whole(services, found)


def running(services: Services, call: Call) -> Any:
    found = services.reviewing.drafting.running(call.path["workflow"], _kind(call) or "weekly")
    return _whole(services, found)


def decide(services: Services, call: Call) -> Any:
    reviews, body = services.reviewing.reviews, call.body
    found = reviews.find(call.path["workflow"], body.kind, body.period)
    return _whole(services, reviews.decide(found.id, call.actor, body.decisions or []))


def sign(services: Services, call: Call) -> Any:
    reviews, body = services.reviewing.reviews, call.body
    found = reviews.find(call.path["workflow"], body.kind, body.period)
    return _whole(services, reviews.sign(found.id, call.actor, body.decisions))


def _whole(services: Services, review: Review) -> dict[str, Any]:
    now = services.clock()
    more = {"overdue": review.overdue(now), "markdown": markdown(review, services.zone())}
    return {**msgspec.structs.asdict(review), **more}


def _headed(review: Review, now: float) -> dict[str, Any]:
    whole = msgspec.structs.asdict(review)
    facts = whole.pop("facts")
    return {**whole, "headline": facts.headline, "questions": len(facts.decide), "overdue": review.overdue(now)}


def _kind(call: Call) -> ReviewKind | None:
    kind = call.query.get("kind") or None
    if kind is not None and kind not in KINDS:
        raise Invalid(f"kind: found {kind[:20]!r}, expected one of {', '.join(KINDS)}", param="kind")
    return kind


ENDPOINTS = [
    Endpoint("GET", "/v1/reviews", "read", listed),
    Endpoint("GET", "/v1/reviews/{workflow}", "read", shown),
    Endpoint("GET", "/v1/reviews/{workflow}/running", "read", running),
    Endpoint("POST", "/v1/reviews/{workflow}/decide", "approve", decide, Decided),
    Endpoint("POST", "/v1/reviews/{workflow}/sign", "approve", sign, Decided),
]
