"""The console as an ASGI application: one table of pages, each with its permission, wrapped in one way.

A request passes the guard (host, origin), is identified by its session cookie, permitted, decoded, and handled in a
thread.  GET shows and changes nothing (that a text was read is audited); POST acts, and answers with a redirect that
carries what was done, or why not, to the page that it came from.  Default deny: a page without a permission that its
visitor has does not exist for them, and a denied write of a known person is audited.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

from roadworthy.console.access import Access, Visit, local_path
from roadworthy.console.guard import Guard
from roadworthy.console.live import Live
from roadworthy.console.refusals import Refusal, refusal_of
from roadworthy.console.rendering import Renderer
from roadworthy.console.static import Static
from roadworthy.operations.services import Services
from roadworthy.people.roles import Permission
from roadworthy.workflow.audit import Event, chain

log = logging.getLogger("roadworthy.console")

LARGEST_FORM = 8 * 1024 * 1024
"""Bytes of a posted form, files included."""
LARGEST_OPEN = 256 * 1024
"""Bytes of one that whoever reached us may post."""
MOST_FIELDS = 2000
PATIENCE = 60.0
"""Seconds in which a form must have come."""


@dataclass(frozen=True)
class View:
    """A page to render: a template and what it shows."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True)
class Redirect:
    """Where to go after a write, and what to say there.

    ``to``: a path of this console; empty: back where the form was.
    """

    to: str = ""
    said: str = ""
    cookies: Mapping[str, str | None] = field(default_factory=dict)
    """Name → value of the session's cookies to set; ``None``: remove.  For signing in and out only."""


Answer = View | Redirect | Response
Handler = Callable[[Services, Visit], Answer]


@dataclass(frozen=True)
class Page:
    method: str
    path: str
    permission: Permission
    handler: Handler
    publishes: bool = False
    """May change what gateways are told: the snapshot is published before the answer leaves."""
    foreign: bool = False
    """Posted to by machines elsewhere that sign what they send: no session, no origin, the body as it came
    (``visit.body``)."""
    anywhere: bool = False
    """The permission is wanted somewhere, on one workflow or in one team: for lists, which hold only what may be read.
    Otherwise it is wanted on the workflow in the path, else on the whole install."""


def make_console(
    services: Services, key: bytes, address: Callable[[], str], pages: Sequence[Page]
) -> tuple[Starlette, Live]:
    """``key`` signs forms and messages; ``address``: what people type, such as ``http://127.0.0.1:8402``.

    Returns the application and what holds its open streams, to be closed before it is stopped.
    """
    access = Access(services, key, address)
    renderer = Renderer(services, access)
    live = Live(services)
    wrap = _Wrap(services, access, renderer)
    routes: list[Route | Mount] = [Mount("/static", Static())]
    by_path: dict[str, dict[str, Page]] = {}
    for page in pages:
        by_path.setdefault(page.path, {})[page.method] = page
    routes += [Route(path, wrap.serve(methods), methods=list(methods)) for path, methods in by_path.items()]
    routes.append(Route("/live", live.endpoint(access.visitor), methods=["GET"]))
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, address=address, foreign=[page.path for page in pages if page.foreign])],
        exception_handlers={HTTPException: wrap.http_error, Exception: wrap.failed},
    )
    return app, live


class _Wrap:
    def __init__(self, services: Services, access: Access, renderer: Renderer) -> None:
        self._services = services
        self._access = access
        self._renderer = renderer

    def serve(self, methods: Mapping[str, Page]) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            page = methods["GET" if request.method == "HEAD" else request.method]
            known = page.method == "GET" or page.permission == "anyone"
            if not known and await run_in_threadpool(self._access.visitor, request) is None:
                return RedirectResponse("/login?next=/", 303)  # a stranger's form is not even read
            form, body = await _posted(request, page)
            return await run_in_threadpool(self._answered, page, request, form, body)

        return serve

    def _answered(self, page: Page, request: Request, form: FormData, body: bytes) -> Response:
        visit = self._access.visit(request, form, body)
        if page.permission != "anyone":
            if visit.person is None:
                return RedirectResponse(f"/login?next={quote(visit.url if page.method == 'GET' else '/')}", 303)
            if page.method == "POST" and not visit.genuine:
                return self._refused(visit, Refusal(403, "This form is too old or not ours. Load the page again."))
            if not visit.may(page.permission, anywhere=page.anywhere):
                self._audit_denial(page, visit)
                return self._refused(visit, Refusal(403, visit.why_not(page.permission)))
        try:
            answer = page.handler(self._services, visit)
            if page.publishes:
                self._services.publish()
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            if page.method == "POST":
                return self._back(visit, Redirect(), refusal.message, good=False)
            return self._refused(visit, refusal)
        return self._response(visit, answer)

    def _response(self, visit: Visit, answer: Answer) -> Response:
        if isinstance(answer, Response):
            return answer
        if isinstance(answer, Redirect):
            return self._back(visit, answer, answer.said, good=True)
        response = self._renderer.page(visit, answer.template, answer.context, answer.status)
        if visit.flash is not None:
            self._access.forget_flash(response)
        return response

    def _back(self, visit: Visit, redirect: Redirect, said: str, *, good: bool) -> Response:
        to = local_path(redirect.to or visit.came_from)
        response = RedirectResponse(to, 303)
        if said:
            self._access.flash(response, said, good=good)
        for name, value in redirect.cookies.items():
            self._access.cookie(response, name, value)
        return response

    def _refused(self, visit: Visit, refusal: Refusal) -> Response:
        return self._renderer.page(
            visit, "refused.html", {"status": refusal.status, "message": refusal.message}, refusal.status
        )

    def _audit_denial(self, page: Page, visit: Visit) -> None:
        target = f"workflow/{visit.path['workflow']}" if "workflow" in visit.path else page.path
        event = Event(
            actor=visit.actor.id,
            on_behalf_of=visit.actor.on_behalf_of,
            action=f"{page.method} {page.path}",
            target=target[:200],
            outcome="denied",
            reason=f"needs the permission {page.permission}",
        )
        with self._services.state.write() as tx:
            tx.append_audit(chain(tx.last_audit(), event, self._services.clock()))
        log.warning("denied", extra={"actor": visit.actor.id, "route": f"{page.method} {page.path}"})

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = {404: "There is no such page.", 405: "This page cannot be used that way."}
        return await self._error(request, Refusal(error.status_code, said.get(error.status_code, str(error.detail))))

    async def failed(self, request: Request, error: Exception) -> Response:
        """What nobody foresaw; Starlette raises it again for the log."""
        return await self._error(request, Refusal(500, "Roadworthy failed here; control's log on stderr says where."))

    async def _error(self, request: Request, refusal: Refusal) -> Response:
        visit = await run_in_threadpool(self._access.visit, request, FormData(), b"")
        return await run_in_threadpool(self._refused, visit, refusal)


async def _posted(request: Request, page: Page) -> tuple[FormData, bytes]:
    if page.method == "GET":
        return FormData(), b""
    length, most = request.headers.get("content-length", ""), LARGEST_FORM
    if page.permission == "anyone":
        most = LARGEST_OPEN
    if not length.isdigit() or int(length) > most:
        raise HTTPException(413, f"A form may have {most:,} bytes, and must say how many it has.")
    try:
        async with asyncio.timeout(PATIENCE):
            if page.foreign:
                return FormData(), await request.body()
            form = await request.form(max_fields=MOST_FIELDS, max_files=4)
    except TimeoutError:
        raise HTTPException(408, f"The form had not come after {PATIENCE:.0f} s.") from None
    kept = [
        (name, await value.read() if isinstance(value, UploadFile) else value) for name, value in form.multi_items()
    ]
    return FormData([(name, value) for name, value in kept]), b""  # type: ignore[misc]
