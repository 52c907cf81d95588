"""Signing in and out, and taking an invitation.

GET  /login                  a form for address and password, or a one-time code (``?code=`` fills it in)
POST /login                  {name, password} or {code} → the page that was asked for
GET  /login/provider         → the identity provider
GET  /login/provider/done    where it sends the browser back
GET  /invite/{token}         what an invitation gives; changes nothing, however often it is fetched
POST /invite/{token}         {name?, password?} → signed in
POST /logout                 ends the session

Every way in makes a new session, and ends the one that the browser had.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from starlette.responses import RedirectResponse

from roadworthy.console.access import SESSION, Visit, local_path
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import refusal_of
from roadworthy.operations.services import Services
from roadworthy.people.accounts.attempts import TooManyAttempts
from roadworthy.people.accounts.identity import IdentityRefused
from roadworthy.people.accounts.service import InvitationRefused, ProviderRefused, WrongPerson
from roadworthy.people.service import PasswordRefused, SignedIn, SignInRefused

PROVIDER: Final = "roadworthy-provider"
"""Cookie: only the browser that began a sign-in with the identity provider may finish it."""
DONE: Final = "/login/provider/done"


def form(services: Services, visit: Visit) -> Answer:
    to = local_path(visit.query.get("next", "/"))
    if visit.person is not None and not visit.query.get("code"):
        return Redirect(to)
    return _form(services, to, code=visit.query.get("code", "")[:40])


def sign_in(services: Services, visit: Visit) -> Answer:
    to, code = local_path(visit.text("next", "/")), visit.text("code")
    try:
        if code:
            done = services.sign_in.exchange(code, visit.place.actor, visit.place)
        else:
            done = services.sign_in.by_password(visit.text("name"), str(visit.form.get("password", "")), visit.place)
    except (SignInRefused, TooManyAttempts) as error:
        return _wrong(services, error, to, name=visit.text("name"), by_code=bool(code))
    return entered(services, visit, done, to)


def to_provider(services: Services, visit: Visit) -> Answer:
    to = local_path(visit.query.get("next", "/"))
    try:
        begun = services.identity.begin(_back_here(services), to)
    except IdentityRefused as error:
        return _wrong(services, error, to)
    response = RedirectResponse(begun.url, 303)
    secure = services.console_url().startswith("https://")
    response.set_cookie(PROVIDER, begun.browser, max_age=600, httponly=True, samesite="lax", secure=secure, path=DONE)
    return response


def from_provider(services: Services, visit: Visit) -> Answer:
    try:
        browser = visit.cookies.get(PROVIDER, "")
        claims, to = services.identity.finish(visit.query, browser, _back_here(services))
        done = services.accounts.by_provider(claims.email, claims.subject, claims.name, visit.place)
    except (IdentityRefused, ProviderRefused) as error:
        return _wrong(services, error, "/")
    return entered(services, visit, done, local_path(to))


def invitation(services: Services, visit: Visit) -> Answer:
    return _invitation(services, visit, "")


def accept(services: Services, visit: Visit) -> Answer:
    person = None if visit.person is None else visit.person.id
    if person is not None and not visit.genuine:
        return _invitation(services, visit, "This form is too old or not ours. Load the page again.")
    password = str(visit.form.get("password", ""))
    if person is None and "again" in visit.form and password != visit.form.get("again"):
        return _invitation(services, visit, "The two passwords differ.")
    try:
        done = services.accounts.accept(
            visit.path["token"], visit.place, name=visit.text("name"), password=password, signed_in=person
        )
    except (InvitationRefused, PasswordRefused, WrongPerson) as error:
        return _invitation(services, visit, str(error))
    return entered(services, visit, done, "/", f"Welcome, {done.person.name}.")


def sign_out(services: Services, visit: Visit) -> Answer:
    if visit.person is not None and not visit.genuine:
        said = "This form is too old or not ours. Load the page again."
        return View("refused.html", {"status": 403, "message": said}, 403)
    services.sign_in.end(visit.token, visit.actor.id)
    return Redirect("/login", "You are signed out.", cookies={SESSION: None})


# --- inside


def _form(
    services: Services, to: str, *, code: str = "", wrong: str = "", status: int = 200, name: str = "",
    by_code: bool = False,
) -> View:  # fmt: skip
    context = {
        "code": code, "next": to, "wrong": wrong, "name": name, "by_code": by_code or bool(code),
        "provider": services.identity.name(), "provider_href": f"/login/provider?next={quote(to)}",
    }  # fmt: skip
    return View("login.html", context, status)


def _wrong(services: Services, error: Exception, to: str, *, name: str = "", by_code: bool = False) -> View:
    refusal = refusal_of(error)
    assert refusal is not None
    return _form(services, to, wrong=refusal.message, status=refusal.status, name=name, by_code=by_code)


def entered(services: Services, visit: Visit, done: SignedIn, to: str, said: str = "") -> Redirect:
    if visit.token:
        services.sign_in.end(visit.token, visit.actor.id)
    return Redirect(to, said, cookies={SESSION: done.token})


def _invitation(services: Services, visit: Visit, wrong: str) -> View:
    try:
        looked = services.accounts.look(visit.path["token"])
    except InvitationRefused as error:
        return View("invitation.html", {"looked": None, "wrong": str(error)}, 404)
    roles = [f"{grant.role} {grant.where()}" for grant in looked.invitation.grants]
    mine = visit.person is not None and looked.person is not None and visit.person.id == looked.person.id
    context = {
        "looked": looked, "roles": roles, "wrong": wrong, "mine": mine, "action": f"/invite/{visit.path['token']}",
        "name": visit.text("name"), "provider": services.identity.name(),
    }  # fmt: skip
    return View("invitation.html", context, 422 if wrong else 200)


def _back_here(services: Services) -> str:
    return f"{services.console_url()}{DONE}"


PAGES = [
    Page("GET", "/login", "anyone", form),
    Page("POST", "/login", "anyone", sign_in),
    Page("GET", "/login/provider", "anyone", to_provider),
    Page("GET", DONE, "anyone", from_provider),
    Page("GET", "/invite/{token}", "anyone", invitation),
    Page("POST", "/invite/{token}", "anyone", accept),
    Page("POST", "/logout", "anyone", sign_out),
]
