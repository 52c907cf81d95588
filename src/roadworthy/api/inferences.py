"""The inference log.

GET  /v1/log               ?FILTER&limit=&after=&before=&tz= → {items, next, previous}, newest first, without bodies
GET  /v1/inferences/{id}   → {inference, feedback}
GET  /v1/stats             ?by=workflow,hour&FILTER&tz= → {by, rows, source, relative_error}
GET  /v1/export            ?format=json|csv|parquet&bodies=true&FILTER&tz= → the document, streamed
GET  /v1/anomalies         ?workflow= → {items}
POST /v1/forget            {unit} → {deleted, left, waiting, complete, note}: rows, and what a search still finds
POST /v1/journal/flush     → what one shipment did, and the lag after it

FILTER: the fields of ``inference_log.model.Filter``; instants are Unix seconds or ISO 8601, read in ``tz``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

import msgspec
from starlette.responses import StreamingResponse

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid, NotFound
from roadworthy.inference_log.analysis import Bounds
from roadworthy.inference_log.model import Filter, parse_filter
from roadworthy.operations import looking
from roadworthy.operations.forget import UnitRefused
from roadworthy.operations.services import Services
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import Policy

MEDIA = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


class Forget(msgspec.Struct, forbid_unknown_fields=True):
    unit: str


def find(services: Services, call: Call) -> Any:
    where, rest = _filter(services, call, "limit", "after", "before")
    return services.log.find(
        where, _limit(rest.get("limit")), after=rest.get("after") or None, before=rest.get("before") or None
    )


def get(services: Services, call: Call) -> Any:
    name = call.path["id"]
    entry = services.log.get(name)
    if entry is None:
        raise NotFound(
            f"no inference {name[:80]!r} in the log; one that ended in the last second may still be on its way, "
            "and facts older than the retention are gone"
        )
    return entry


def stats(services: Services, call: Call) -> Any:
    where, rest = _filter(services, call, "by")
    return services.log.stats(rest.get("by") or "workflow", where, _zone(services, call.query))


def export(services: Services, call: Call) -> Any:
    where, rest = _filter(services, call, "format", "bodies")
    kind = rest.get("format") or "json"
    if kind not in MEDIA:
        raise Invalid(f"format: found {kind!r}, expected one of {', '.join(MEDIA)}", param="format")
    bodies = (rest.get("bodies") or "").lower() in ("1", "true", "yes")
    if bodies:
        if call.standing is not None:
            where = looking.readable(where, call.standing, "read_text")
        looking.record_reading(services, call.actor, "inference.export", "inferences", looking.asked(services, where))
    chunks = services.log.export(where, cast(Literal["json", "csv", "parquet"], kind), bodies=bodies)
    return StreamingResponse(chunks, media_type=MEDIA[kind])


def anomalies(services: Services, call: Call) -> Any:
    applied = services.workflows.configuration()
    workflows = {} if applied is None else applied.configuration.workflows
    bounds = {name: bounds_of(workflow.policy) for name, workflow in workflows.items()}
    return {"items": services.log.anomalies(bounds, call.query.get("workflow") or None)}


def bounds_of(policy: Policy) -> Bounds:
    return Bounds(
        calls_per_second=policy.projected_peak,
        error_share=policy.objective.error_share,
        latency_p95=policy.objective.latency_p95,
    )


def forget(services: Services, call: Call) -> Any:
    try:
        done = services.forgetter.forget(call.body.unit)
    except UnitRefused as error:
        raise Invalid(f"unit: {error}", param="unit") from error
    facts = {"deleted": done.deleted, "left": done.found, "waiting": done.waiting}
    event = Event(
        actor=call.actor.id,
        on_behalf_of=call.actor.on_behalf_of,
        action="unit.forget",
        target=f"unit/{services.keys.hash(call.body.unit)[:16]}",
        after=facts,
    )
    with services.state.write() as tx:
        tx.append_audit(chain(tx.last_audit(), event, services.clock()))
    return {**facts, "complete": done.complete, "note": done.note}


def flush(services: Services, call: Call) -> Any:
    shipped = services.shipper.ship()
    return {**msgspec.structs.asdict(shipped), "lag": services.log.lag()}


def _filter(services: Services, call: Call, *others: str) -> tuple[Filter, dict[str, str]]:
    """The filter of a query string, narrowed to what the caller may read, and those of its parameters that are not part
    of it."""
    query = call.query
    rest = {name: query[name] for name in (*others, "tz") if name in query}
    values = {name: value for name, value in query.items() if name not in rest}
    where = parse_filter(values, _zone(services, query))
    return where if call.standing is None else looking.readable(where, call.standing), rest


def _zone(services: Services, query: Mapping[str, str]) -> ZoneInfo:
    name = query.get("tz")
    if not name:
        return services.zone()
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Invalid(f"tz: found {name[:80]!r}, expected a time zone such as Europe/Berlin", param="tz") from error


def _limit(text: str | None) -> int:
    if text is None:
        return 50
    if not text.isdigit():
        raise Invalid(f"limit: found {text[:20]!r}, expected a number", param="limit")
    return int(text)


ENDPOINTS = [
    Endpoint("GET", "/v1/log", "read", find),
    Endpoint("GET", "/v1/inferences/{id}", "read_text", get),
    Endpoint("GET", "/v1/stats", "read", stats),
    Endpoint("GET", "/v1/export", "read", export),
    Endpoint("GET", "/v1/anomalies", "read", anomalies),
    Endpoint("POST", "/v1/forget", "tools", forget, Forget),
    Endpoint("POST", "/v1/journal/flush", "tools", flush),
]
