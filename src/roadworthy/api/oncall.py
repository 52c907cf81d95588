"""Who is on call.

GET  /v1/oncall           ?at=&workflow= → {at, items}: a line a workflow
GET  /v1/oncall/rotations ?at=&weeks=6 → {at, items}: every rotation with its shifts
GET  /v1/oncall/gaps      ?days=14&workflow= → {start, end, items}: spans in which nobody is on call
GET  /v1/oncall/calendar  ?rotation=&weeks= → {name, text}: an iCalendar file
POST /v1/oncall/read      {text, zone, days} → {items}: who would be on call by a calendar; nothing is kept
POST /v1/oncall/override  {rotation, person, start, end, why} → the override
POST /v1/oncall/override/{id}/take-back {why} → the override
POST /v1/oncall/test      {workflow} → a page that whoever is on call must acknowledge
GET  /v1/oncall/test/{id} → how it goes; ``verdict`` is empty until somebody did, or nobody did in time
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from roadworthy.api.app import Call, Endpoint
from roadworthy.api.errors import Invalid, NotFound, Unprocessable
from roadworthy.operations import duties
from roadworthy.operations.costing.alert_test import NothingToTest
from roadworthy.operations.services import Services
from roadworthy.people.oncall.rules import DAY


class Override(msgspec.Struct, forbid_unknown_fields=True):
    person: str
    start: float
    end: float
    rotation: str = ""
    """Empty: the only one there is."""
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Why(msgspec.Struct, forbid_unknown_fields=True):
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Test(msgspec.Struct, forbid_unknown_fields=True):
    workflow: str


class Calendar(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(max_length=1_000_000)]
    zone: str = ""
    """Empty: the install's."""
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 42


def on_duty(services: Services, call: Call) -> Any:
    on_call = services.on_duty.on_call
    at = _number(call, "at", services.clock())
    named = call.query.get("workflow")
    names = [named] if named else on_call.workflows()
    rows = [duties.on_duty(on_call, name, at) for name in names]
    return {"at": at, "items": rows}


def rotations(services: Services, call: Call) -> Any:
    at, weeks = _number(call, "at", services.clock()), _number(call, "weeks", duties.WEEKS)
    return {"at": at, "items": duties.watches(services.on_duty.on_call, at, at + weeks * 7 * DAY)}


def gaps(services: Services, call: Call) -> Any:
    days = _number(call, "days", 14)
    if not 0 < days <= 366:
        raise Invalid(f"days: found {days:g}, expected more than 0 and at most 366", param="days")
    start = services.clock()
    named = call.query.get("workflow")
    if named:
        services.on_duty.on_call.duty(named)  # raises Unknown
    found = duties.gaps(services.on_duty.on_call, start, start + days * DAY)
    return {
        "start": start, "end": start + days * DAY,
        "items": [each for each in found if not named or each.workflow == named],
    }  # fmt: skip


def calendar(services: Services, call: Call) -> Any:
    weeks, name = int(_number(call, "weeks", 12)), _rotation(services, call.query.get("rotation", ""))
    if not 1 <= weeks <= duties.MOST_WEEKS:
        raise Invalid(f"weeks: found {weeks}, expected 1 to {duties.MOST_WEEKS}", param="weeks")
    now = services.clock()
    return {"name": name, "text": duties.calendar(services.on_duty.on_call, name, now, now + weeks * 7 * DAY, now)}


def read(services: Services, call: Call) -> Any:
    now, body = services.clock(), call.body
    zone = body.zone or services.zone().key
    return {"items": services.on_duty.on_call.told_by(body.text, zone, now, now + body.days * DAY)}


def override(services: Services, call: Call) -> Any:
    body = call.body
    name = _rotation(services, body.rotation)
    made = services.on_duty.on_call.override(name, body.person, body.start, body.end, call.actor, body.why)
    services.on_duty.check.round()
    return made


def take_back(services: Services, call: Call) -> Any:
    ended = services.on_duty.on_call.take_back(call.path["id"], call.actor, call.body.why)
    services.on_duty.check.round()
    return ended


def test(services: Services, call: Call) -> Any:
    try:
        return services.reaching.tests.start(call.body.workflow, call.actor)
    except NothingToTest as error:
        raise Unprocessable(str(error)) from error


def tested(services: Services, call: Call) -> Any:
    return services.reaching.tests.find(call.path["id"])


def _rotation(services: Services, named: str) -> str:
    known = sorted(services.on_duty.on_call.rotations())
    if named:
        return named
    if not known:
        raise NotFound("no rotation is configured; docs/on-call.md says how people.yaml has one")
    if len(known) > 1:
        raise Invalid(f"there are several rotations; name one of them: {', '.join(known)}", param="rotation")
    return known[0]


def _number(call: Call, name: str, default: float) -> float:
    text = call.query.get(name)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e11:
        raise Invalid(f"{name}: found {text[:40]!r}, expected a number", param=name)
    return number


ENDPOINTS = [
    Endpoint("GET", "/v1/oncall", "read", on_duty),
    Endpoint("GET", "/v1/oncall/rotations", "read", rotations),
    Endpoint("GET", "/v1/oncall/gaps", "read", gaps),
    Endpoint("GET", "/v1/oncall/calendar", "read", calendar),
    Endpoint("POST", "/v1/oncall/read", "read", read, Calendar),
    Endpoint("POST", "/v1/oncall/override", "approve", override, Override),
    Endpoint("POST", "/v1/oncall/override/{id}/take-back", "approve", take_back, Why),
    Endpoint("POST", "/v1/oncall/test", "tools", test, Test),
    Endpoint("GET", "/v1/oncall/test/{id}", "read", tested),
]
