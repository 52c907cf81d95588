"""The finance sheet, closed months, other models, and bills.

GET  /v1/finance/sheet      ?workflow= | team= | (neither: all), month= → the sheet
POST /v1/finance/mail       {workflow?, team?, month?} → the sheet, sent by e-mail to whoever owns its costs
POST /v1/finance/close      {month} → what was closed
POST /v1/finance/correct    {month, workflow, usd, reason} → the correction
GET  /v1/finance/compare    ?workflow=&to=A,B&days= → the recorded traffic priced on other models
POST /v1/finance/reconcile  {text, name} → a provider's bill against the log
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Conflict, Invalid
from roadworthy.cost.invoices import LARGEST, NotRead
from roadworthy.cost.sheet import BadMonth, Covers, Sheet
from roadworthy.operations.costing.comparing import NothingRecorded
from roadworthy.operations.costing.finance import Refused
from roadworthy.operations.costing.mailing import NotMailed
from roadworthy.operations.services import Services


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str = ""
    team: str = ""
    month: str = ""


class Month(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    month: str


class Correct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    month: str
    workflow: str
    usd: float
    reason: str


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str
    name: str = "the file"


def sheet(services: Services, call: Call) -> Any:
    which = Which(*(call.query.get(field) or "" for field in ("workflow", "team", "month")))
    return msgspec.to_builtins(_sheet(services, which))


def mail(services: Services, call: Call) -> Any:
    try:
        to = services.finance.mail(_sheet(services, call.body), call.actor)
    except NotMailed as error:
        raise Conflict(str(error)) from error
    return {"to": to}


def close(services: Services, call: Call) -> Any:
    try:
        return {"items": msgspec.to_builtins(services.finance.books.close(call.body.month, call.actor))}
    except BadMonth as error:
        raise Invalid(str(error), param="month") from error
    except Refused as error:
        raise Conflict(str(error)) from error


def correct(services: Services, call: Call) -> Any:
    asked: Correct = call.body
    books = services.finance.books
    try:
        return msgspec.to_builtins(books.correct(asked.month, asked.workflow, asked.usd, asked.reason, call.actor))
    except BadMonth as error:
        raise Invalid(str(error), param="month") from error
    except Refused as error:
        raise Conflict(str(error)) from error


def compare(services: Services, call: Call) -> Any:
    workflow = call.query.get("workflow")
    if not workflow:
        raise Invalid("workflow: is missing, expected the name of a workflow", param="workflow")
    try:
        days = float(call.query.get("days") or 30.0)
    except ValueError:
        days = 0.0
    if not 0.0 < days <= 400.0:
        raise Invalid("days: expected a number above 0 and at most 400", param="days")
    to = [each for each in (call.query.get("to") or "").split(",") if each]
    try:
        return msgspec.to_builtins(services.finance.comparer.compare(workflow, to, days))
    except NothingRecorded as error:
        raise Conflict(str(error)) from error


def reconcile(services: Services, call: Call) -> Any:
    asked: File = call.body
    if len(asked.text) > LARGEST:
        raise Invalid(f"{asked.name}: more than {LARGEST >> 20} MiB: export fewer days at once", param="text")
    try:
        found = services.finance.reconciler.file(asked.text, asked.name[:200])
    except NotRead as error:
        raise Invalid(str(error), param="text") from error
    rows = [{**msgspec.to_builtins(row), "difference": row.difference, "agrees": row.agrees} for row in found.rows]
    return {
        "maker": found.maker, "since": found.since, "until": found.until, "billed": found.billed,
        "logged": found.logged, "parts": found.parts, "agrees": found.agrees, "items": rows, "notes": found.notes,
    }  # fmt: skip


def _sheet(services: Services, which: Which) -> Sheet:
    covers: Covers = "workflow" if which.workflow else "team" if which.team else "all"
    try:
        return services.finance.books.sheet(covers, which.workflow or which.team, which.month)
    except BadMonth as error:
        raise Invalid(str(error), param="month") from error


ENDPOINTS = [
    Endpoint("GET", "/v1/finance/sheet", "read", sheet),
    Endpoint("POST", "/v1/finance/mail", "tools", mail, Which),
    Endpoint("POST", "/v1/finance/close", "approve", close, Month),
    Endpoint("POST", "/v1/finance/correct", "approve", correct, Correct),
    Endpoint("GET", "/v1/finance/compare", "read", compare),
    Endpoint("POST", "/v1/finance/reconcile", "read", reconcile, File),
]
