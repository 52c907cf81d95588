"""Who looks at a page: the person of a session cookie, what they may do, and forms that are really ours.

The cookie holds the login session's token (``people.service.SignIn``), is ``HttpOnly`` and ``SameSite=Lax``, and
``Secure`` where people type https.  Every form carries a token bound to the session.  Messages of one page to the next
travel in a signed cookie of half a minute.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.datastructures import FormData
from starlette.requests import HTTPConnection
from starlette.responses import Response

from roadworthy.operations.services import Services
from roadworthy.people.roles import Permission, Standing
from roadworthy.people.service import From
from roadworthy.workflow.model import Person
from roadworthy.workflow.service import Actor

SESSION = "roadworthy"
"""Name of the session's cookie."""
FLASH = "roadworthy-said"
THEME = "roadworthy-theme"
"""``light`` or ``dark``; without it, as the device is set."""
CSRF = "csrf"
UTC = ZoneInfo("UTC")
NOBODY = Standing("")
"""May do nothing."""
FLASH_LIFE = 30
LONGEST_FLASH = 800


@dataclass(frozen=True)
class Flash:
    text: str
    good: bool


@dataclass(frozen=True)
class Visit:
    """One request."""

    person: Person | None
    """``None``: nobody is signed in."""
    actor: Actor
    url: str = field(repr=False)
    """Path and query.  What a request brought is in no ``repr``: there are codes, passwords and tokens in it."""
    path: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    form: FormData = field(repr=False)
    """Of a POST; an uploaded file is its bytes."""
    body: bytes = field(repr=False)
    """Of a page that machines post to, as it came."""
    headers: Mapping[str, str] = field(repr=False)
    token: str = field(repr=False)
    """Of the session; empty: none."""
    csrf: str = field(repr=False)
    now: float = 0.0
    zone: ZoneInfo = UTC
    flash: Flash | None = None
    theme: str = ""
    address: str = ""
    """Of whoever asks: for rate limits and the audit trail."""
    standing: Standing = NOBODY
    """What the person may do, where."""
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)

    def may(self, permission: Permission, workflow: str | None = None, *, anywhere: bool = False) -> bool:
        """Fails closed.  ``workflow``: the page's own by default, else the whole install; ``anywhere``: on one workflow
        or in one team at least, which opens a list that holds only what may be read."""
        if anywhere:
            return permission in self.standing.anywhere()
        return self.standing.may(permission, workflow or self.path.get("workflow"))

    def why_not(self, permission: Permission) -> str:
        who = "You are" if self.person is None else f"{self.person.name}, you are"
        return f"{who} not allowed to do this here: it needs the permission “{permission}”. Your admin can grant it."

    def text(self, name: str, default: str = "") -> str:
        """A field of the form, stripped; a file or nothing is the default."""
        value: Any = self.form.get(name)
        return value.strip() if isinstance(value, str) else default

    def file(self, name: str) -> bytes:
        """An uploaded file; empty: none."""
        value: Any = self.form.get(name)
        return value if isinstance(value, bytes) else b""

    @property
    def genuine(self) -> bool:
        """Does the form carry its session's own token?"""
        return bool(self.csrf) and hmac.compare_digest(self.text(CSRF).encode(), self.csrf.encode())

    @property
    def place(self) -> From:
        """Where whoever asks is, for signing in and the audit trail."""
        return From(self.address, self.headers.get("user-agent", ""), f"console:{self.address}")

    @property
    def came_from(self) -> str:
        """The page of ours that a form was on."""
        return self.text("back") or "/"


class Access:
    def __init__(self, services: Services, key: bytes, address: Callable[[], str]) -> None:
        self._services = services
        self._key = hmac.digest(key, b"console", "sha256")
        self._address = address
        self._flashes = URLSafeTimedSerializer(self._key, salt="flash")

    def visit(self, request: HTTPConnection, form: FormData, body: bytes) -> Visit:
        token = request.cookies.get(SESSION, "")
        person = self._services.sign_in.person(token) if token else None
        url = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        who = person.id if person is not None else "nobody"
        client = request.client
        theme = request.cookies.get(THEME, "")
        return Visit(
            person=person, actor=Actor(who, on_behalf_of="console"), url=url, path=request.path_params,
            query=request.query_params, form=form, body=body, headers=request.headers,
            token=token if person is not None else "", csrf=self.csrf(token) if person is not None else "",
            now=self._services.clock(), zone=self._services.zone(), flash=self._flash(request),
            theme=theme if theme in ("light", "dark") else "", address=client.host if client is not None else "",
            standing=NOBODY if person is None else self._services.rights.standing(person.id), cookies=request.cookies,
        )  # fmt: skip

    def visitor(self, request: HTTPConnection) -> Person | None:
        token = request.cookies.get(SESSION, "")
        return self._services.sign_in.person(token) if token else None

    def csrf(self, token: str) -> str:
        return hmac.new(self._key, b"csrf/" + token.encode(), hashlib.sha256).hexdigest()

    # --- cookies

    def cookie(self, response: Response, name: str, value: str | None, *, life: int | None = None) -> None:
        """``None`` removes it."""
        secure = self._address().startswith("https://")
        if value is None:
            response.delete_cookie(name, httponly=True, samesite="lax", secure=secure)
        else:
            response.set_cookie(name, value, max_age=life, httponly=True, samesite="lax", secure=secure)

    def flash(self, response: Response, text: str, *, good: bool) -> None:
        said = self._flashes.dumps({"text": text[:LONGEST_FLASH], "good": good})
        self.cookie(response, FLASH, str(said), life=FLASH_LIFE)

    def forget_flash(self, response: Response) -> None:
        self.cookie(response, FLASH, None)

    def _flash(self, request: HTTPConnection) -> Flash | None:
        try:
            said = self._flashes.loads(request.cookies.get(FLASH, ""), max_age=FLASH_LIFE)
        except BadSignature:
            return None
        return Flash(str(said["text"]), bool(said["good"]))


def local_path(to: str) -> str:
    """A path of ours, never another host: ``//elsewhere``, ``/\\elsewhere`` and full URLs become ``/``."""
    fine = to.startswith("/") and not to.startswith(("//", "/\\")) and "\r" not in to and "\n" not in to
    return to if fine else "/"
