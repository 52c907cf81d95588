"""Feature flags after the OpenFeature Remote Evaluation Protocol (OFREP): is the AI of a workflow on for this user?

A flag is a workflow, its value is true where a call would be answered by a model or (``assist``) by a person with a
model's draft, and false where it would take the bypass.  An app that hides its AI feature while the flag is false needs
no other kill switch.  The user is the context's ``targetingKey``: the same text as in ``x-roadworthy-user``.

Nothing is counted or recorded here, and no session keeps its side: a flag says what a first call would get.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

from roadworthy.gateway.admission.body import LONGEST_VALUE
from roadworthy.gateway.admission.resolve import is_welcome
from roadworthy.gateway.admission.sides import Side
from roadworthy.gateway.messages import Headers, Request, Response
from roadworthy.gateway.stopping.board import Board
from roadworthy.gateway.world import ServedKey, World
from roadworthy.kill_switch.model import State

PATH = "/ofrep/v1/evaluate/flags"

Reason = Literal["STATIC", "SPLIT", "TARGETING_MATCH", "DISABLED"]
ErrorCode = Literal["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"]

_JSON: Headers = [(b"content-type", b"application/json")]
_encode = msgspec.json.encode


class _Asked(msgspec.Struct):
    context: msgspec.Raw = msgspec.Raw(b"{}")


class _Context(msgspec.Struct):
    targetingKey: str | None = None  # noqa: N815 - the protocol's name


_asked = msgspec.json.Decoder(_Asked)
_context = msgspec.json.Decoder(_Context)


class Flag(msgspec.Struct, frozen=True):
    """``evaluationSuccess`` of the protocol."""

    key: str
    value: bool
    reason: Reason
    variant: str
    """The route that a call would take: ``release``, ``previous``, ``passthrough``, ``bypass``, ``off``."""
    metadata: dict[str, str]
    """``state`` of the kill switch, ``route``, and where they are known ``stage`` and ``release``."""


class Fault(msgspec.Struct, frozen=True):
    """``evaluationFailure`` of the protocol."""

    key: str
    errorCode: ErrorCode  # noqa: N815 - the protocol's name
    errorDetails: str  # noqa: N815 - the protocol's name


class _BulkFault(msgspec.Struct, frozen=True):
    errorCode: ErrorCode  # noqa: N815 - the protocol's name
    errorDetails: str  # noqa: N815 - the protocol's name


class _Misread(Exception):
    def __init__(self, code: ErrorCode, details: str) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


def evaluate(request: Request, key: ServedKey, world: World, board: Board, name: str, now: float) -> Response:
    """``POST /ofrep/v1/evaluate/flags/{key}``."""
    try:
        unit = _unit(request.body)
    except _Misread as misread:
        return _answer(400, Fault(name, misread.code, misread.details))
    names = _names(key, world)
    if name not in names:
        known = ", ".join(names[:50]) or "none"
        return _answer(404, Fault(name[:100], "FLAG_NOT_FOUND", f"This key knows these workflows: {known}."))
    flag = _flag(key, world, board, name, unit, now)
    return _answer(400 if isinstance(flag, Fault) else 200, flag)


def evaluate_all(request: Request, key: ServedKey, world: World, board: Board, now: float) -> Response:
    """``POST /ofrep/v1/evaluate/flags``: every workflow of the key; 304 when nothing changed (``If-None-Match``)."""
    try:
        unit = _unit(request.body)
    except _Misread as misread:
        return _answer(400, _BulkFault(misread.code, misread.details))
    body = _encode({"flags": [_flag(key, world, board, name, unit, now) for name in _names(key, world)]})
    mark = b'"' + blake2b(body, digest_size=12).hexdigest().encode() + b'"'
    known = next((value for header, value in request.headers if header == b"if-none-match"), b"")
    etag = (b"etag", mark)
    if mark in [each.strip().removeprefix(b"W/") for each in known.split(b",")]:
        return Response(304, [etag], b"")
    return Response(200, [*_JSON, etag, (b"cache-control", b"private, no-cache")], body)


def _names(key: ServedKey, world: World) -> list[str]:
    """Of the workflows that the key may call."""
    return [name for name in key.names if is_welcome(key, world.workflows[name])]


def _flag(key: ServedKey, world: World, board: Board, name: str, unit: str | None, now: float) -> Flag | Fault:
    serving = world.workflows[name]
    state = board.state_of(serving)
    side = world.routers[name].foretold(unit, key.traffic, now, state)
    if side is None:
        missing = f"'{name}' is on for a share of its users: name one as the context's targetingKey."
        return Fault(name, "TARGETING_KEY_MISSING", missing)
    told: dict[str, str] = {"state": state, "route": side.route}
    if side.stage:
        told["stage"] = side.stage
    served = world.routers[name].servings[side.serves]
    if served.digest is not None and not side.why:
        told["release"] = served.digest
    value = not side.why and served.target is not None
    return Flag(name, value, _reason(key, world, name, state, side, now), side.route, told)


def _reason(key: ServedKey, world: World, name: str, state: State, side: Side, now: float) -> Reason:
    if state == "off" or (side.why and state != "on"):
        return "DISABLED"
    if key.traffic == "tester":
        return "TARGETING_MATCH"
    return "SPLIT" if world.routers[name].foretold(None, key.traffic, now, state) is None else "STATIC"


def _unit(body: bytes) -> str | None:
    """The user, read as ``x-roadworthy-user`` is; ``None``: none is named."""
    try:
        asked = _asked.decode(body) if body else _Asked()
    except (ValueError, RecursionError):
        raise _Misread("PARSE_ERROR", 'Send JSON such as {"context": {"targetingKey": "user-1"}}.') from None
    try:
        named = _context.decode(asked.context).targetingKey
    except (ValueError, RecursionError):
        raise _Misread("INVALID_CONTEXT", "'context' must be an object whose targetingKey is a string.") from None
    return named[:LONGEST_VALUE] if named else None


def _answer(status: int, found: object) -> Response:
    return Response(status, _JSON, _encode(found))
