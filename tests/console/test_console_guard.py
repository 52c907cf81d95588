"""What stands in front of every page: who is let in, from where, and what a browser may do with what it gets."""

from __future__ import annotations

import re

import pytest

from roadworthy.console import static
from roadworthy.console.access import local_path
from roadworthy.console.guard import is_ours
from roadworthy.console.rendering import island
from roadworthy.console.routes import PAGES
from support.console import HOST, Console, text_of


def test_whoever_is_not_signed_in_is_sent_to_the_login_page_and_back(console: Console) -> None:
    response = console.browser().request("GET", "/?q=a b")
    assert (response.status_code, response.headers["location"]) == (303, "/login?next=/%3Fq%3Da%2520b")


def test_no_page_shows_anything_to_a_stranger(console: Console) -> None:
    browser = console.browser()
    for page in PAGES:
        if page.permission == "anyone":
            continue
        path = re.sub(r"\{[^}]*\}", "x", page.path)
        response = browser.request(page.method, path, data={"a": "b"} if page.method == "POST" else None)
        assert response.status_code == 303, page
        assert response.headers["location"].startswith("/login"), page


def test_a_person_signs_in_with_a_code_and_out_again(console: Console) -> None:
    browser = console.browser()
    code = console.services.sign_in.code("ada", "test")
    assert code in browser.get(f"/login?code={code}"), "a GET fills the form in and signs nobody in"
    assert not browser.cookies
    signed_in = browser.request("POST", "/login", data={"code": code, "next": "/"})
    cookie = signed_in.headers["set-cookie"].lower()
    assert signed_in.headers["location"] == "/"
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "Ada Lovelace" in browser.get("/")
    token = browser.cookies["roadworthy"]
    assert "You are signed out" in browser.done("/logout")
    browser.cookies["roadworthy"] = token
    assert browser.request("GET", "/").status_code == 303, "the session has ended, not only its cookie"


def test_a_wrong_code_says_so_and_no_more(console: Console) -> None:
    response = console.browser().request("POST", "/login", data={"code": "AAAA-BBBB-CCCC"})
    assert response.status_code == 401
    assert "unknown, used or older" in text_of(response.text)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8402", "127.0.0.1:1", "", "127.0.0.1.evil.example:8402"]
)
def test_a_foreign_host_is_turned_away(console: Console, host: str) -> None:
    response = console.browser("ada").request("GET", "/", headers={"host": host})
    assert response.status_code == 421


def test_our_addresses_are_ours() -> None:
    assert is_ours("ai.example.com", "ai.example.com", None)
    assert is_ours("localhost:8402", HOST, ("127.0.0.1", 8402))
    assert is_ours("[::1]:8402", HOST, ("::1", 8402))
    assert is_ours("10.1.2.3:8402", HOST, ("10.1.2.3", 8402))
    assert not is_ours("localhost:99999999", HOST, ("127.0.0.1", 8402))


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:1"}]
)
def test_a_form_on_another_site_cannot_post_here(console: Console, headers: dict[str, str]) -> None:
    response = console.browser("ada").post("/logout", headers=headers)
    assert response.status_code == 403


def test_a_form_without_its_token_changes_nothing(console: Console) -> None:
    browser = console.browser("ada")
    for token in ("", "0" * 64):
        response = browser.request("POST", "/logout", data={"csrf": token})
        assert response.status_code == 403
    assert "Ada Lovelace" in browser.get("/")


def test_every_answer_forbids_what_is_not_ours(console: Console) -> None:
    for path in ("/login", "/", "/nothing", static.url("console.css")):
        headers = console.browser("ada").request("GET", path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/static/0/console.css", "/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"]
)
def test_only_our_own_files_can_be_named(console: Console, path: str) -> None:
    assert console.browser().request("GET", path).status_code == 404


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "/x\r\ny: z", ""])
def test_nobody_is_redirected_elsewhere(to: str) -> None:
    assert local_path(to) == "/"
    assert local_path("/inferences?q=1") == "/inferences?q=1"


def test_data_for_the_script_cannot_end_its_element() -> None:
    said = island({"a": "</script><script>alert(1)</script>\u2028&"})
    assert not set("<>&\u2028") & set(said)


def test_templates_hold_no_inline_script_or_style() -> None:
    from roadworthy.console.rendering import FOLDER

    for path in FOLDER.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"\son[a-z]+=|\sstyle=|<style|javascript:|\|\s*safe", text), path.name
        scripts = re.findall(r"<script\b([^>]*)>", text)
        assert all("src=" in each or 'type="application/json"' in each for each in scripts), path.name
