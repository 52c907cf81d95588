"""The demo's login: one click on this machine under `roadworthy demo`, and nothing at all anywhere else."""

from __future__ import annotations

import socket

import pytest

from roadworthy.console.app import make_console
from roadworthy.console.pages import demo
from roadworthy.console.routes import PAGES
from roadworthy.wiring.processes.sockets import on_loopback
from support.console import HOST, Browser, Console, text_of


def demo_browser(console: Console, address: str = f"http://{HOST}") -> Browser:
    app, _ = make_console(console.services, b"k" * 32, lambda: address, [*PAGES, *demo.PAGES])
    return Browser(app)


def test_under_the_demo_one_click_signs_in_whom_one_chooses(console: Console, monkeypatch) -> None:
    monkeypatch.setattr(demo, "_here", lambda services, visit: demo._loopback(visit.address))
    browser = demo_browser(console)
    assert browser.request("GET", "/").headers["location"].startswith("/login")
    page = text_of(browser.get("/login?next=/inferences"))
    assert "Go in as Ada Lovelace" in page
    assert "Owns triage and pays for it." in page
    assert "Looks." in page
    done = browser.request("POST", "/login/demo", data={"person": "bo", "next": "/inferences"})
    assert (done.status_code, done.headers["location"]) == (303, "/inferences")
    assert "Bo Lee" in browser.get("/")
    assert any(line.startswith("demo login.code person/bo") for line in console.audit())


@pytest.mark.parametrize("fields", [{"person": "nobody"}, {}], ids=["stranger", "nobody named"])
def test_nobody_goes_in_as_a_stranger(console: Console, monkeypatch, fields) -> None:
    monkeypatch.setattr(demo, "_here", lambda services, visit: True)
    browser = demo_browser(console)
    browser.request("POST", "/login/demo", data=fields)
    assert "roadworthy" not in browser.cookies


def test_a_page_elsewhere_cannot_press_the_button(console: Console, monkeypatch) -> None:
    monkeypatch.setattr(demo, "_here", lambda services, visit: True)
    browser = demo_browser(console)
    done = browser.request("POST", "/login/demo", data={"person": "ada"}, headers={"origin": "http://evil.example"})
    assert done.status_code == 403
    assert "roadworthy" not in browser.cookies


def test_without_an_address_on_loopback_the_demos_login_refuses(console: Console) -> None:
    """This console is served nowhere, as behind a proxy: its address is not one of this machine."""
    browser = demo_browser(console)
    browser.get("/login", 403)
    browser.request("POST", "/login/demo", data={"person": "ada"})
    assert "roadworthy" not in browser.cookies


def test_every_other_console_has_no_such_login(console: Console) -> None:
    browser = console.browser()
    assert browser.request("POST", "/login/demo", data={"person": "ada"}).status_code == 404
    assert "Ada" not in browser.get("/login")


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("10.0.0.7", False),
        ("ai.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_known_by_its_address(host: str, ours: bool) -> None:
    assert demo._loopback(host) is ours


@pytest.mark.parametrize(("address", "ours"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_control_serves_it_on_a_socket_of_loopback_alone(address: str, ours: bool) -> None:
    with socket.socket() as listener:
        listener.bind((address, 0))
        assert on_loopback(listener) is ours
