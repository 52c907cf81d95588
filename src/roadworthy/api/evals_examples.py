"""Examples: brought in, captured from traffic, waiting in the pool, published.

POST /v1/evals/sets            {workflow, rows, columns, source?, redact?} → published, or waiting
GET  /v1/evals/sets            ?workflow= → {publication, items}: the set in force
POST /v1/evals/capture/plan    {workflow, count?, source?, days?, seed?} → the sample and what it covers
POST /v1/evals/capture         the same → the sample, and how many of it wait now
GET  /v1/evals/pool            ?workflow=&replace= → {items, …}: what waits, and what publishing it would make
POST /v1/evals/pool/mark       {workflow, examples, critical?, tags?, expected?, text?} → {items}: they wait, changed
POST /v1/evals/pool/drop       {workflow, examples} → {pooled, published}: how many will not be in the next version
POST /v1/evals/pool/publish    {workflow, reason?, replace?} → the version in force from now on
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.evals.importing import NotImported
from roadworthy.evals.pool import Taken
from roadworthy.operations.proving.capture import Sample, Wanted
from roadworthy.operations.proving.importing import Importing, Rows
from roadworthy.operations.services import Services


class Marked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    examples: list[str]
    """Ids, beginnings of ids, or labels."""
    critical: bool | None = None
    tags: dict[str, str] = {}
    """An empty value takes a tag away."""
    expected: dict[str, Any] | None = None
    """Field of the answer → what is expected there; null takes one away."""
    text: str | None = None
    """The whole answer that is expected; empty: none is."""


class Dropped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    examples: list[str]


class Publish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    reason: str = ""
    """Why it cannot wait until it is due."""
    replace: bool = False
    """Nothing of the set in force stays."""


def take(services: Services, call: Call) -> Any:
    asked: Rows = call.body
    try:
        taken = importing(services).take(asked, call.actor)
    except NotImported as error:
        raise Invalid(str(error), param="rows") from error
    found = taken.imported
    assert found is not None
    return {
        **_taken(taken), "created": taken.created, "repeated": found.repeated, "passed_over": found.passed_over,
        "system_dropped": found.system_dropped, "notes": found.notes, "read": len(found.examples.items),
        "expecting": sum(bool(each.expected) or each.text is not None for each in found.examples.items),
        "owner": services.workflows.named(asked.workflow).owners.workflow,
    }  # fmt: skip


def importing(services: Services) -> Importing:
    return Importing(services.workflows, services.evals.pool, services.evals.redactor)


def published(services: Services, call: Call) -> Any:
    workflow = workflow_of(call)
    services.workflows.named(workflow)
    found = services.evals.evals.current(workflow)
    return {"publication": msgspec.to_builtins(found.publication), "items": msgspec.to_builtins(found.examples.items)}


def planned(services: Services, call: Call) -> Any:
    return _sample(services.evals.capture.look(call.body))


def capture(services: Services, call: Call) -> Any:
    sample, taken = services.evals.capture.take(call.body, call.actor)
    return {**_sample(sample), **_taken(taken)}


def pool(services: Services, call: Call) -> Any:
    found = services.evals.pool.look(workflow_of(call), replace=call.query.get("replace") == "true")
    return msgspec.to_builtins(found)


def mark(services: Services, call: Call) -> Any:
    asked: Marked = call.body
    if asked.critical is None and not asked.tags and not asked.expected and asked.text is None:
        known = "'critical', 'tags', 'expected' or 'text'"
        raise Invalid(f"critical: nothing is said of the examples; give {known}", param="critical")
    changed = services.evals.pool.mark(
        asked.workflow, asked.examples, call.actor, critical=asked.critical, tags=asked.tags, expected=asked.expected,
        text=asked.text,
    )  # fmt: skip
    return {"items": msgspec.to_builtins(changed)}


def drop(services: Services, call: Call) -> Any:
    pooled, gone = services.evals.pool.drop(call.body.workflow, call.body.examples, call.actor)
    return {"pooled": pooled, "published": gone}


def publish(services: Services, call: Call) -> Any:
    asked: Publish = call.body
    made = services.evals.pool.publish(asked.workflow, call.actor, reason=asked.reason, replace=asked.replace)
    return msgspec.to_builtins(made)


def workflow_of(call: Call) -> str:
    workflow = call.query.get("workflow")
    if not workflow:
        raise Invalid("workflow: is missing, expected the name of a workflow", param="workflow")
    return workflow


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "publication": msgspec.to_builtins(taken.publication), "waiting": taken.waiting, "known": taken.known,
    }  # fmt: skip


def _sample(sample: Sample) -> dict[str, Any]:
    found = [
        {"example": msgspec.to_builtins(example), "answered": captured is not None}
        for example, captured in sample.found
    ]
    told: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(sample, found=[]))
    return {**told, "found": found}


ENDPOINTS = [
    Endpoint("POST", "/v1/evals/sets", "configure", take, Rows, publishes=True),
    Endpoint("GET", "/v1/evals/sets", "read_text", published),
    Endpoint("POST", "/v1/evals/capture/plan", "read", planned, Wanted),
    Endpoint("POST", "/v1/evals/capture", "configure", capture, Wanted),
    Endpoint("GET", "/v1/evals/pool", "read_text", pool),
    Endpoint("POST", "/v1/evals/pool/mark", "configure", mark, Marked),
    Endpoint("POST", "/v1/evals/pool/drop", "configure", drop, Dropped),
    Endpoint("POST", "/v1/evals/pool/publish", "approve", publish, Publish, publishes=True),
]
