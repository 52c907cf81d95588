"""Journeys of people through the console of a real install, in headless Chromium: ``make test-browser``.

One install for all of them (``house``): gateway, control, console, targets that answer by script; a workflow for each.
A browser of one person is a context of its own.  Whatever a page's script throws, or a browser refuses to load, fails
the journey.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import httpx2
import openai
import pytest

import house
from chromium import CHROMIUM, FLAGS
from installed import Installed, Person
from support.inbox import Inbox


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        reason = "no Chromium here: install it (Debian: apt-get install chromium) or name it in CHROMIUM"
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # a busy machine is no finding
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def bridge() -> Iterator[Inbox]:
    """Takes the pages of whoever is on call."""
    made = Inbox()
    yield made
    made.close()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, bridge: Inbox) -> Iterator[Installed]:
    """One for all journeys: each has a workflow of its own."""
    env = {"BRIDGE_SECRET": house.SECRET}
    with Installed(tmp_path_factory.mktemp("installed"), house.files(bridge.url), house.prepare, env) as made:
        yield made


@pytest.fixture
def client(installed: Installed) -> Iterator[openai.OpenAI]:
    """A caller, with a key of its own for all workflows."""
    key = installed.up.key(f"app {secrets.token_hex(4)}")
    with openai.OpenAI(
        base_url=installed.up.base_url, api_key=key, max_retries=0,
        http_client=httpx2.Client(trust_env=False, timeout=60),
    ) as made:  # fmt: skip
        yield made


@pytest.fixture
def person(chromium: object, installed: Installed) -> Iterator[Callable[..., Person]]:
    """``person("ada")``: a browser in which Ada has signed in; ``person("ada", phone=True, dark=True)``."""
    opened: list[Person] = []

    def open_one(who: str | None, *, phone: bool = False, dark: bool = False) -> Person:
        opened.append(Person(chromium, installed, who, phone=phone, dark=dark))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()
    assert not [wrong for one in opened for wrong in one.wrong]
