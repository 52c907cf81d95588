"""The ASGI application: one table of routes, each with its permission, wrapped in one way.

A request is identified, permitted, decoded into its type, handled in a thread, and answered in JSON; after a handler
that changes something the snapshot is published before the answer leaves, so what was acknowledged acts within the
gateways' polling time.  A denial of a known caller is audited.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from roadworthy.api import errors, scoping
from roadworthy.api.access import Caller, identify
from roadworthy.api.encoding import json_bytes
from roadworthy.evidence.rules import Refused as EvidenceRefused
from roadworthy.inference_log.model import FilterRefused
from roadworthy.operations.drills.canary import CanaryRefused
from roadworthy.operations.drills.drill_runs import DrillRefused
from roadworthy.operations.drills.kill_drill_runs import KillDrillRefused
from roadworthy.operations.keys import KeyRefused
from roadworthy.operations.loading.model import LoadRefused
from roadworthy.operations.proving.vouching import NotYours
from roadworthy.operations.services import Services
from roadworthy.people.accounts.attempts import TooManyAttempts
from roadworthy.people.accounts.service import NotAdmin, PeopleRefused
from roadworthy.people.escalation.rules import Refused as EscalationRefused
from roadworthy.people.escalation.service import NotAllowed
from roadworthy.people.incident.rules import Refused as IncidentRefused
from roadworthy.people.oncall.moments import NoMoment
from roadworthy.people.oncall.rules import SpanRefused
from roadworthy.people.oncall.service import OverrideRefused
from roadworthy.people.review.rules import Refused as ReviewRefused
from roadworthy.people.review.service import NotTheOwner
from roadworthy.people.roles import Permission, Standing
from roadworthy.people.service import NoSuchPerson, SignInRefused
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.calendars import CalendarUnreadable
from roadworthy.workflow.ports import StateConflict
from roadworthy.workflow.service import Actor, Refused, Unknown

log = logging.getLogger("roadworthy.api")

PATIENCE_WITH_DENIED = 1.0
"""Seconds for the body of a denied call, which is read for the audit trail alone."""

LARGEST_BODY = 32 * 1024 * 1024
"""Bytes; an applied folder of 2,000 files fits."""


@dataclass(frozen=True)
class Call:
    """One request, decoded."""

    actor: Actor
    path: Mapping[str, str]
    query: Mapping[str, str]
    token: str
    """The login session's token, empty for an OS user."""
    body: Any
    """An instance of the endpoint's ``body`` type; the bytes as they came where it is ``raw``; ``None`` when it takes
    none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    standing: Standing | None = None
    """What a person may do, where; ``None``: an OS user."""


Handler = Callable[[Services, Call], Any]
"""Returns what is encoded as JSON, or a ``Response``."""


@dataclass(frozen=True)
class Endpoint:
    method: str
    path: str
    permission: Permission
    handler: Handler
    body: type[msgspec.Struct] | None = None
    publishes: bool = False
    """May change what gateways are told."""
    raw: bool = False
    """Takes the body's very bytes: their signature is verified."""


def make_app(services: Services, endpoints: Sequence[Endpoint]) -> Starlette:
    return Starlette(
        routes=_routes(services, endpoints),
        exception_handlers={HTTPException: _http_error, errors.ApiError: _api_error, Exception: _internal_error},
    )


def _routes(services: Services, endpoints: Sequence[Endpoint]) -> list[Route]:
    """One Starlette route a path, so that a wrong method is a 405 and says which are right."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [Route(path, _serve(services, methods), methods=list(methods)) for path, methods in by_path.items()]


def _serve(services: Services, methods: Mapping[str, Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        endpoint = methods["GET" if request.method == "HEAD" else request.method]
        caller = await run_in_threadpool(_identified, services, request)
        try:
            caller.require(endpoint.permission)
        except errors.Denied:
            target = await _meant(caller, request, endpoint)
            await run_in_threadpool(_audit_denial, services, caller, endpoint, target)
            raise
        body = await _decoded(request, endpoint)
        token = request.headers.get("authorization", "").partition(" ")[2].strip()
        call = Call(
            caller.actor, request.path_params, request.query_params, token, body, request.headers, caller.standing
        )
        result = await run_in_threadpool(_handled, services, endpoint, call, caller)
        if isinstance(result, Response):
            return result
        return Response(json_bytes(result), media_type="application/json")

    return serve


async def _meant(caller: Caller, request: Request, endpoint: Endpoint) -> str:
    """What a denied call was about, for the audit trail: its workflow, where it names one, else its path.  The body of
    a caller who may not even look is not read, and nobody who holds theirs back goes without a record."""
    named = request.path_params.get("workflow")
    if named is None and "read" in caller.granted:
        try:
            async with asyncio.timeout(PATIENCE_WITH_DENIED):
                named = getattr(await _decoded(request, endpoint), "workflow", None)
        except (errors.ApiError, ClientDisconnect, TimeoutError):
            named = None
    return f"workflow/{named}" if isinstance(named, str) and named else request.url.path


def _identified(services: Services, request: Request) -> Caller:
    client = request.scope.get("client")
    peer = client[0] if client and str(client[0]).startswith("os:") else None
    return identify(request.headers, peer, services.sign_in, services.rights, services.uids)


async def _decoded(request: Request, endpoint: Endpoint) -> Any:
    if endpoint.body is None and not endpoint.raw:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise errors.TooLarge(f"the body is larger than {LARGEST_BODY:,} bytes")
    if endpoint.body is None:
        return bytes(body)
    try:
        return msgspec.json.decode(bytes(body) or b"{}", type=endpoint.body)
    except msgspec.ValidationError as error:
        raise errors.Invalid(f"body: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"the body is not JSON: {error}", code="invalid_json") from error


def _handled(services: Services, endpoint: Endpoint, call: Call, caller: Caller) -> Any:
    """Run the handler where the caller may; the services' own errors become ours here, once."""
    try:
        result = _scoped(services, endpoint, call, caller)
    except Unknown as error:
        raise errors.NotFound(str(error)) from error
    except Refused as error:
        raise errors.Unprocessable(str(error), errors=error.problems) from error
    except KeyRefused as error:
        raise errors.Invalid(f"{error.field}: {error}", param=error.field) from error
    except FilterRefused as error:
        raise errors.Invalid(str(error)) from error
    except NoSuchPerson as error:
        raise errors.NotFound(str(error)) from error
    except PeopleRefused as error:
        raise errors.Invalid(str(error), param=error.field) from error
    except (SignInRefused, TooManyAttempts) as error:
        raise errors.Unauthenticated(str(error)) from error
    except (NotAllowed, NotYours, NotAdmin, NotTheOwner) as error:
        raise errors.Denied(str(error)) from error
    except (
        EscalationRefused, IncidentRefused, ReviewRefused, DrillRefused, KillDrillRefused, EvidenceRefused,
        CanaryRefused, LoadRefused, OverrideRefused,
    ) as error:  # fmt: skip
        raise errors.Conflict(str(error)) from error
    except (SpanRefused, NoMoment) as error:
        raise errors.Invalid(str(error)) from error
    except CalendarUnreadable as error:
        raise errors.Unprocessable(f"the calendar: {error}") from error
    except StateConflict as error:
        raise errors.Conflict(f"somebody else was faster: {error}; try again") from error
    if endpoint.publishes:
        services.publish()
    return result


def _scoped(services: Services, endpoint: Endpoint, call: Call, caller: Caller) -> Any:
    """The handler's result: a person needs the permission on what the call is about, of a list they get what they may
    read, and that a text was read is audited."""
    method, path, permission = endpoint.method, endpoint.path, endpoint.permission
    standing = caller.standing
    everywhere = permission == "anyone" or standing is None or permission in standing.everywhere()
    reading = scoping.READS.get((method, path))
    about = scoping.INSTALL if everywhere and reading is None else scoping.about(services, call, method, path)
    if not everywhere and standing is not None and about is not None and not about.allowed(standing, permission):
        target = f"workflow/{about.workflows[0]}" if about.workflows else path
        _audit_denial(services, caller, endpoint, target)
        raise caller.denied(permission)
    result = endpoint.handler(services, call)
    if reading is not None:
        scoping.record_reading(services, call, reading, about or scoping.INSTALL)
    if about is None and not everywhere and standing is not None:
        return scoping.kept(result, standing, permission)
    return result


def _audit_denial(services: Services, caller: Caller, endpoint: Endpoint, target: str) -> None:
    event = Event(
        actor=caller.actor.id,
        on_behalf_of=caller.actor.on_behalf_of,
        action=f"{endpoint.method} {endpoint.path}",
        target=target[:200],
        outcome="denied",
        reason=f"needs the permission {endpoint.permission}",
    )
    with services.state.write() as tx:
        tx.append_audit(chain(tx.last_audit(), event, services.clock()))
    log.warning("denied", extra={"actor": caller.actor.id, "route": f"{endpoint.method} {endpoint.path}"})


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.ApiError)
    return errors.response(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return errors.response(errors.NotFound(f"the admin API has no route {request.url.path}"))
    wrong = errors.Invalid(f"{request.method} is not served at {request.url.path}", code="method_not_allowed")
    wrong.status = error.status_code
    return errors.response(wrong)


async def _internal_error(request: Request, error: Exception) -> Response:
    """What nobody foresaw: said in our shape; Starlette raises it again for the log."""
    return errors.response(errors.ApiError(f"control failed ({type(error).__name__}); its log on stderr says where"))
