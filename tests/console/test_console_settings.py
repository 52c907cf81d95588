"""Signing in, invitations and settings, as a browser sees them."""

from __future__ import annotations

import re

import pytest
from argon2 import PasswordHasher

from roadworthy.console.routes import PAGES
from roadworthy.operations.targets import Tried
from roadworthy.people.accounts.attempts import Attempts
from roadworthy.people.accounts.passwords import Passwords
from roadworthy.people.roles import GRANTS, ROLES
from roadworthy.workflow.model import Role
from roadworthy.workflow.service import Actor
from support.console import FILES, Console, text_of

GOOD = "four old wooden boats"


@pytest.fixture(scope="module", autouse=True)
def quick(console: Console) -> None:
    console.services.sign_in._passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    extra = "".join(f"  {role}1: {{name: {role}, email: {role}1@example.com, roles: [{role}]}}\n" for role in ROLES)
    files = {**FILES, "people.yaml": FILES["people.yaml"].replace("Ada Lovelace,", "Ada Lovelace, roles: [admin],")}
    files["people.yaml"] += extra
    assert console.control.workflows.apply(files, Actor("os:0"), reason="test").applied


@pytest.fixture(autouse=True)
def patient(console: Console) -> None:
    console.services.sign_in._attempts = Attempts(console.clock)


def invited(console: Console, email: str, role: str = "scorer", where: str = "team:default") -> str:
    page = console.browser("ada").post(
        "/settings/people/invite", {"email": email, "role": role, "where": where}, on="/settings/people"
    )
    found = re.search(r"/invite/[\w-]+", page.text)
    assert found is not None, text_of(page.text)
    return found.group(0)


@pytest.mark.parametrize("role", ROLES)
def test_every_page_refuses_every_role_that_lacks_its_permission(console: Console, role: Role) -> None:
    browser = console.browser(f"{role}1")
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.get("/settings"))
    assert csrf is not None
    denied = [each for each in PAGES if each.permission != "anyone" and each.permission not in GRANTS[role]]
    for page in denied:
        path = re.sub(r"\{workflow[^}]*\}", "triage", page.path)
        path = re.sub(r"\{[^}]+\}", "x", path)
        answer = browser.request(page.method, path, data={"csrf": csrf.group(1)} if page.method == "POST" else None)
        assert (page.method, page.path, answer.status_code) == (page.method, page.path, 403)


def test_nobody_who_is_not_signed_in_sees_a_page(console: Console) -> None:
    for page in [each for each in PAGES if each.permission != "anyone"]:
        path = re.sub(r"\{[^}]+\}", "x", page.path)
        answer = console.browser().request(page.method, path, data={} if page.method == "POST" else None)
        assert (page.path, answer.status_code) == (page.path, 303)
        assert answer.headers["location"].startswith("/login?next=")


def test_a_sign_in_gives_a_new_session_and_ends_the_one_that_was_planted(console: Console) -> None:
    browser = console.browser()
    browser.cookies["roadworthy"] = planted = console.session("vi")
    code = console.services.sign_in.code("ada", "test")
    answer = browser.request("POST", "/login", data={"code": code, "next": "/settings"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
    assert browser.cookies["roadworthy"] not in ("", planted)
    assert console.services.sign_in.person(planted) is None
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\r\nset-cookie: x=1"])
def test_nobody_is_sent_elsewhere_after_signing_in(console: Console, to: str) -> None:
    code = console.services.sign_in.code("ada", "test")
    answer = console.browser().request("POST", "/login", data={"code": code, "next": to})
    assert answer.headers["location"] == "/"


def test_a_link_with_a_code_signs_nobody_in_until_the_button_is_pressed(console: Console) -> None:
    code = console.services.sign_in.code("ada", "test")
    browser = console.browser()
    for _ in range(3):
        assert code in browser.get(f"/login?code={code}")
    assert "roadworthy" not in browser.cookies
    assert browser.request("POST", "/login", data={"code": code}).status_code == 303
    assert browser.request("POST", "/login", data={"code": code}).status_code == 401


def test_a_password_is_set_used_and_guesses_are_slowed_down(console: Console) -> None:
    browser = console.browser("ada")
    assert "The two passwords differ" in browser.done("/settings/password", {"password": GOOD, "again": "x"})
    assert "Your password is set" in browser.done("/settings/password", {"password": GOOD, "again": GOOD})
    fresh = console.browser()
    wrong = fresh.request("POST", "/login", data={"name": "ada@example.com", "password": "wrong"})
    assert (wrong.status_code, "do not belong together" in wrong.text) == (401, True)
    assert "wrong" not in re.sub("do not belong", "", wrong.text)
    assert fresh.request("POST", "/login", data={"name": "ADA@example.com", "password": GOOD}).status_code == 303
    for _ in range(5):
        fresh.request("POST", "/login", data={"name": "ada@example.com", "password": "wrong"})
    slow = fresh.request("POST", "/login", data={"name": "ada@example.com", "password": GOOD})
    assert (slow.status_code, "Too many tries failed" in slow.text) == (429, True)


def test_a_sign_in_from_another_page_is_refused(console: Console) -> None:
    code = console.services.sign_in.code("ada", "test")
    answer = console.browser().request(
        "POST", "/login", data={"code": code}, headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == 403


def test_an_invitation_is_looked_at_taken_once_and_names_what_it_gives(console: Console) -> None:
    link = invited(console, "zoe@example.com")
    browser = console.browser()
    assert "Ada Lovelace invites zoe@example.com" in text_of(browser.get(link))
    weak = browser.request("POST", link, data={"name": "Zoe", "password": "zoe", "again": "zoe"})
    assert (weak.status_code, "12 or more" in weak.text) == (422, True)
    done = browser.request("POST", link, data={"name": "<b>Zoe</b>", "password": GOOD, "again": GOOD})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    page = browser.get("/settings")
    assert "<b>Zoe</b>" not in page
    assert "scorer in the team" in text_of(page)
    assert "was used" in console.browser().get(link, 404)
    again = console.browser().request("POST", link, data={"name": "Eve", "password": GOOD, "again": GOOD})
    assert again.status_code == 404


def test_an_invitation_is_for_nobody_else(console: Console) -> None:
    link = invited(console, "yan@example.com")
    bo = console.browser("bo")
    assert "somebody else" in bo.get(link)
    assert bo.post(link, {"password": GOOD}, on="/").status_code == 422
    assert bo.request("POST", link, data={"password": GOOD, "csrf": "0" * 64}).status_code == 422
    console.clock.now += 8 * 86_400
    try:
        assert "has expired" in console.browser().get(link, 404)
    finally:
        console.clock.now -= 8 * 86_400


def test_a_leaver_is_out_with_the_next_click(console: Console) -> None:
    link = invited(console, "wim@example.com")
    browser = console.browser()
    browser.request("POST", link, data={"name": "Wim", "password": GOOD, "again": GOOD})
    assert "Wim" in browser.get("/settings")
    ada = console.browser("ada")
    assert "may do nothing any more" in ada.done("/settings/people/leave", {"person": "wim"}, on="/settings/people")
    assert browser.request("GET", "/settings").status_code == 303
    assert "wim is back" not in ada.get("/settings/people")
    assert "is back" in ada.done("/settings/people/return", {"person": "wim"}, on="/settings/people")
    assert browser.request("GET", "/settings").status_code == 303


def test_a_leavers_workflows_show_at_once(console: Console) -> None:
    ada = console.browser("ada")
    ada.get("/workflows/triage")
    ada.done("/settings/people/leave", {"person": "bo"}, on="/settings/people")
    try:
        assert "has left and is still prompt owner of triage" in text_of(ada.get("/"))
        assert "has left: name somebody else in owners" in text_of(ada.get("/workflows/triage"))
    finally:
        ada.done("/settings/people/return", {"person": "bo"}, on="/settings/people")
    assert "has left" not in text_of(ada.get("/")) + text_of(ada.get("/workflows/triage"))


def test_sessions_are_listed_and_ended(console: Console) -> None:
    one, two = console.browser("bo"), console.browser("bo")
    assert "Sign out everywhere else" in one.get("/settings")
    assert "other sessions are over" in one.done("/settings/sessions/end", {}, on="/settings")
    assert two.request("GET", "/settings").status_code == 303
    assert "this one" in one.get("/settings")


def test_colours_are_kept_for_this_browser(console: Console) -> None:
    browser = console.browser("bo")
    browser.done("/settings/theme", {"theme": "dark"}, on="/settings")
    assert 'data-theme="dark"' in browser.get("/settings")
    browser.done("/settings/theme", {"theme": "device"}, on="/settings")
    assert "data-theme" not in browser.get("/settings")


def test_a_key_is_shown_once_and_revoked(console: Console) -> None:
    ada = console.browser("ada")
    made = ada.post("/settings/keys", {"name": "shop", "workflow": "triage", "days": "30"}, on="/settings/keys")
    token = re.search(r"rw-[\w-]+", made.text)
    assert token is not None
    assert made.headers["cache-control"] == "no-store"
    page = ada.get("/settings/keys")
    assert token.group(0) not in page
    [key] = [each for each in console.services.keys.all() if each.name == "shop"]
    assert "opens nothing any more" in ada.done(f"/settings/keys/{key.id}/revoke", on="/settings/keys")
    assert "whole number of days" in ada.done("/settings/keys", {"name": "x", "days": "soon"}, on="/settings/keys")


def test_a_role_is_given_and_taken(console: Console) -> None:
    ada = console.browser("ada")
    asked = {"person": "vi", "role": "agent", "where": "workflow:triage"}
    assert "vi is agent of triage now" in ada.done("/settings/people/grant", asked, on="/settings/people")
    assert "Take away: agent of triage" in ada.get("/settings/people")
    assert "no more" in ada.done("/settings/people/revoke", asked, on="/settings/people")
    assert "expected one of viewer" in ada.done(
        "/settings/people/grant", {**asked, "role": "king"}, on="/settings/people"
    )


def test_a_target_is_tried_with_one_call_and_that_is_on_record(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answers:
        def call(self, target: object, most_tokens: int) -> Tried:
            return Tried("main", True, 0.2, "<script>ready</script>", "sim")

    monkeypatch.setattr(console.services.targets, "_caller", Answers())
    page = console.browser("ada").post("/settings/targets/main/try", on="/settings/targets").text
    assert "main answers" in text_of(page)
    assert "<script>ready" not in page
    assert "ada target.try target/main done" in console.audit()
