"""Examples: brought in, captured from traffic, waiting in the pool, published.

POST /v1/evals/sets            {workflow, rows, columns, source?, redact?} → published, or waiting
GET  /v1/evals/sets            ?workflow= → {publication, items}: the set in force
POST /v1/evals/capture/plan    {workflow, count?, source?, days?, seed?} → the sample and what it covers
POST /v1/evals/capture         the same → the sample, and how many of it wait now
GET  /v1/evals/pool            ?workflow=&replace= → {items, …}: what waits, and what publishing it would make
POST /v1/evals/pool/mark       {workflow, examples, critical?, tags?} → {items}: they wait, changed
POST /v1/evals/pool/drop       {workflow, examples} → {pooled, published}: how many will not be in the next version
POST /v1/evals/pool/publish    {workflow, reason?, replace?} → the version in force from now on
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid
from roadworthy.api.services import Services
from roadworthy.evals.examples import identified
from roadworthy.evals.importing import Columns, NotImported
from roadworthy.evals.model import Example
from roadworthy.evals.pool import Taken
from roadworthy.operations.proving.capture import Redactor, Sample, Wanted
from roadworthy.workflow.service import Unknown

LARGEST = 24 * 1024 * 1024
"""Characters of a file."""


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    rows: str
    """The file's text."""
    columns: Columns
    source: str = ""
    """Its name."""
    redact: bool = False
    """By the rules that the workflow's policy names."""


class Marked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    examples: list[str]
    """Ids, beginnings of ids, or labels."""
    critical: bool | None = None
    tags: dict[str, str] = {}
    """An empty value takes a tag away."""


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
    if len(asked.rows) > LARGEST:
        raise Invalid(f"rows: {len(asked.rows):,} characters, expected at most {LARGEST:,}", param="rows")
    columns, managed = asked.columns, _managed(services, asked.workflow)
    if managed and columns.keep_system:
        columns = msgspec.structs.replace(columns, keep_system=False)
    redacted = _redacting(services, asked.workflow) if asked.redact else None
    try:
        taken = services.evals.pool.take(
            asked.workflow, asked.rows, columns, call.actor, asked.source, redacted=redacted
        )
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
    if asked.critical is None and not asked.tags:
        raise Invalid("critical: nothing is said of the examples; give 'critical' or 'tags'", param="critical")
    changed = services.evals.pool.mark(
        asked.workflow, asked.examples, call.actor, critical=asked.critical, tags=asked.tags
    )
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


def _managed(services: Services, workflow: str) -> bool:
    """Does the release render its own system messages?  The draft's word counts before there is one."""
    services.workflows.named(workflow)
    frozen = services.workflows.candidates().get(workflow)
    try:
        release = frozen.release if frozen is not None else services.workflows.find(workflow, "draft")[0]
    except Unknown:
        return False
    prompt = release.behaviour.prompt
    return prompt is not None and prompt.mode == "managed"


def _redacting(services: Services, workflow: str) -> Callable[[Example], Example] | None:
    redactor = services.evals.redactor(services.workflows.named(workflow))
    if redactor is None:
        raise Invalid(
            f"redact: the policy of {workflow} names no rule; write policy: {{redact: [email, phone]}} and apply",
            param="redact",
        )
    return lambda example: _redacted(example, redactor)


def _redacted(example: Example, redactor: Redactor) -> Example:
    """What is asked; what is expected stays."""
    raw = redactor.json(msgspec.json.encode([example.messages, example.inputs]))
    if raw is None:
        raise Invalid(f"rows: '{example.label or example.id}' cannot be redacted; leave it out", param="rows")
    messages, inputs = msgspec.json.decode(raw, type=tuple[list[dict[str, Any]], dict[str, str]])
    return identified(msgspec.structs.replace(example, messages=messages, inputs=inputs))


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
    Endpoint("GET", "/v1/evals/sets", "read", published),
    Endpoint("POST", "/v1/evals/capture/plan", "read", planned, Wanted),
    Endpoint("POST", "/v1/evals/capture", "configure", capture, Wanted),
    Endpoint("GET", "/v1/evals/pool", "read", pool),
    Endpoint("POST", "/v1/evals/pool/mark", "configure", mark, Marked),
    Endpoint("POST", "/v1/evals/pool/drop", "configure", drop, Dropped),
    Endpoint("POST", "/v1/evals/pool/publish", "approve", publish, Publish, publishes=True),
]
