"""Configuration and releases.

POST /v1/apply            {files, dry_run?, reason?} → {plan, errors, warnings, applied, version, pending}; 422 with
                          errors
POST /v1/check            {files} → {errors, warnings}
POST /v1/freeze           {workflow, note?} → {release, digest, number, created, lapses, reaches, warnings, next}
GET  /v1/releases         ?workflow= → {items}
GET  /v1/releases/diff    ?workflow=&a=&b= → {workflow, a, b, changes, lapses}
GET  /v1/explain          ?workflow=&failure=&release= → {…, items: [what each failure does to callers]}
GET  /v1/configuration    → {version, applied_at, applied_by, files}
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from roadworthy.api import errors
from roadworthy.api.app import Call, Endpoint
from roadworthy.api.approvals import pending_in_words
from roadworthy.api.errors import Invalid, NotFound
from roadworthy.fallback.foretell import Foretold
from roadworthy.operations.publication.enforcement import comes_next
from roadworthy.operations.services import Services
from roadworthy.workflow import problems
from roadworthy.workflow.ladder import LADDER_FAILURES
from roadworthy.workflow.problems import Problem
from roadworthy.workflow.service import Applied, ListedRelease


class Apply(msgspec.Struct, forbid_unknown_fields=True):
    files: dict[str, str]
    dry_run: bool = False
    reason: str = ""


class Check(msgspec.Struct, forbid_unknown_fields=True):
    files: dict[str, str]


class Freeze(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str
    note: str = ""


def apply(services: Services, call: Call) -> Any:
    body: Apply = call.body
    done = services.workflows.apply(body.files, call.actor, dry_run=body.dry_run, reason=body.reason)
    found = applied_in_words(done)
    if found["errors"]:
        return refused(found)
    return {**found, "pending": [] if body.dry_run else pending_in_words(services.approvals.pending())}


def refused(found: dict[str, Any]) -> Response:
    """422 with every problem beside the error."""
    wrong = found["errors"]
    more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return errors.response(errors.Unprocessable(f"nothing was applied: {wrong[0]}{more}", **found))


def applied_in_words(done: Applied) -> dict[str, Any]:
    wrong = problems.errors(done.problems)
    return {
        "plan": done.plan,
        "errors": wrong,
        "warnings": _warnings(done.problems),
        "applied": done.applied,
        "version": done.version,
    }


def check(services: Services, call: Call) -> Any:
    found = services.workflows.check(call.body.files)
    return {"errors": problems.errors(found), "warnings": _warnings(found)}


def freeze(services: Services, call: Call) -> Any:
    done = services.workflows.freeze(call.body.workflow, call.actor, call.body.note)
    release = done.release.release
    return {
        "workflow": release.workflow,
        "release": release.digest,
        "digest": release.digest,
        "number": done.release.number,
        "created": done.created,
        "lapses": [] if done.diff is None else done.diff.lapses,
        "reaches": done.reach,
        "warnings": done.warnings,
        "next": comes_next(release.workflow, services.watch(services.workflows.named(release.workflow))),
    }


def releases(services: Services, call: Call) -> Any:
    rows = services.workflows.releases(call.query.get("workflow") or None)
    notices = {name: _notice(services, name) for name in {row.frozen.release.workflow for row in rows}}
    return {"items": [{**_listed(row), "notice": notices[row.frozen.release.workflow]} for row in rows]}


def _notice(services: Services, workflow: str) -> str:
    """Of a workflow that is not enforced; one that is configured no longer has none."""
    applied = services.workflows.configuration()
    flow = None if applied is None else applied.configuration.workflows.get(workflow)
    return "" if flow is None else services.notice(flow)


def diff(services: Services, call: Call) -> Any:
    a, b = call.query.get("a"), call.query.get("b")
    if not a or not b:
        raise Invalid("a and b: give two of a number, the beginning of a digest, draft, candidate or served", param="a")
    workflow = call.query.get("workflow") or _only_workflow(services)
    found = services.workflows.diff(workflow, a, b)
    changes = [
        {"facet": one.facet, "field": one.field, "before": one.before, "after": one.after, "diff": one.text}
        for one in found.differences
    ]
    return {"workflow": workflow, "a": found.a, "b": found.b, "changes": changes, "lapses": found.lapses}


def explain(services: Services, call: Call) -> Any:
    failure: Any = call.query.get("failure") or None
    if failure is not None and failure not in LADDER_FAILURES:
        expected = problems.did_you_mean(failure, LADDER_FAILURES)
        raise Invalid(f"failure: found {problems.show(failure)}, expected a failure: {expected}", param="failure")
    workflow = call.query.get("workflow") or _only_workflow(services)
    found = services.explainer.explain(workflow, call.query.get("release") or None, failure)
    hedge = None if found.hedge is None else msgspec.structs.asdict(found.hedge)
    items = [{**foretold_in_words(path.lasting), "once": foretold_in_words(path.once)} for path in found.items]
    return {**msgspec.to_builtins(found), "hedge": hedge, "items": items, "notice": _notice(services, workflow)}


def foretold_in_words(told: Foretold) -> dict[str, Any]:
    return {**msgspec.to_builtins(told), "outcome": told.outcome, "reads": msgspec.to_builtins(told.reads)}


def configuration(services: Services, call: Call) -> Any:
    applied = services.workflows.configuration()
    if applied is None:
        raise NotFound("no configuration is applied yet: run 'roadworthy apply DIR'")
    return {
        "version": applied.version,
        "applied_at": applied.applied_at,
        "applied_by": applied.applied_by,
        "files": applied.files,
    }


def _warnings(found: list[Problem]) -> list[Problem]:
    return [problem for problem in found if problem.severity == "warning"]


def _listed(row: ListedRelease) -> dict[str, Any]:
    release = row.frozen.release
    return {
        "workflow": release.workflow,
        "team": row.frozen.team,
        "number": row.frozen.number,
        "digest": release.digest,
        "behaviour_digest": release.behaviour_digest,
        "handling_digest": release.handling_digest,
        "frozen_at": row.frozen.frozen_at,
        "frozen_by": row.frozen.frozen_by,
        "note": row.frozen.note,
        "served": row.served,
        "candidate": row.candidate,
    }


def _only_workflow(services: Services) -> str:
    applied = services.workflows.configuration()
    names = sorted(applied.configuration.workflows) if applied is not None else []
    if len(names) != 1:
        known = ", ".join(names) or "none is applied yet"
        raise Invalid(f"workflow: found nothing, expected one of: {known}", param="workflow")
    return names[0]


ENDPOINTS = [
    Endpoint("POST", "/v1/apply", "configure", apply, Apply, publishes=True),
    Endpoint("POST", "/v1/check", "read", check, Check),
    Endpoint("POST", "/v1/freeze", "configure", freeze, Freeze, publishes=True),
    Endpoint("GET", "/v1/releases", "read", releases),
    Endpoint("GET", "/v1/releases/diff", "read", diff),
    Endpoint("GET", "/v1/explain", "read", explain),
    Endpoint("GET", "/v1/configuration", "read", configuration),
]
