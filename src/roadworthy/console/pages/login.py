"""Signing in and out.

GET  /login    a form for a one-time code (``?code=`` fills it in: a GET never signs anybody in)
POST /login    {code} → the page that was asked for
POST /logout   ends the session
"""

from __future__ import annotations

from roadworthy.console.access import SESSION, Visit, local_path
from roadworthy.console.app import Answer, Page, Redirect, View
from roadworthy.console.refusals import refusal_of
from roadworthy.operations.services import Services
from roadworthy.people.service import SignInRefused


def form(services: Services, visit: Visit) -> Answer:
    if visit.person is not None:
        return Redirect("/")
    return View("login.html", {"code": visit.query.get("code", ""), "next": visit.query.get("next", "/"), "wrong": ""})


def sign_in(services: Services, visit: Visit) -> Answer:
    try:
        signed_in = services.sign_in.exchange(visit.text("code"), f"console:{visit.address}")
    except SignInRefused as error:
        refusal = refusal_of(error)
        assert refusal is not None
        context = {"code": "", "next": visit.text("next", "/"), "wrong": refusal.message}
        return View("login.html", context, refusal.status)
    return Redirect(local_path(visit.text("next", "/")), cookies={SESSION: signed_in.token})


def sign_out(services: Services, visit: Visit) -> Answer:
    services.sign_in.end(visit.token, visit.actor.id)
    return Redirect("/login", "You are signed out.", cookies={SESSION: None})


PAGES = [
    Page("GET", "/login", "anyone", form),
    Page("POST", "/login", "anyone", sign_in),
    Page("POST", "/logout", "read", sign_out, anywhere=True),
]
