"""Whoever operates turns the AI off from the login page within a minute, and takes it back."""

from __future__ import annotations

import time
from collections.abc import Callable

import openai
import pytest
from playwright.sync_api import Page, expect

from installed import Installed, Person
from support.waiting import until

Open = Callable[..., Person]


def ask(client: openai.OpenAI, workflow: str) -> str:
    """What the app reads; a stopped workflow's ``bypass: app`` is an error that says so."""
    try:
        said = client.chat.completions.create(model=workflow, messages=[{"role": "user", "content": "Hello?"}])
    except openai.APIStatusError as error:
        return f"{error.status_code} {error.code}"
    return said.choices[0].message.content or ""


def signs_in(page: Page, installed: Installed, who: str) -> None:
    """From the login page, by the code that somebody read to them."""
    page.goto("/login")
    page.get_by_text("With a one-time code").click()
    page.get_by_label("One-time code").fill(installed.code(who))
    page.get_by_role("button", name="Sign in with the code").click()


def test_an_operator_with_no_other_role_stops_the_ai_within_a_minute_of_the_login_page(
    person: Open, installed: Installed, client: openai.OpenAI
) -> None:
    assert not ask(client, "refunds").startswith("503")
    page, began = person(None).page, time.monotonic()
    signs_in(page, installed, "otto")
    page.get_by_role("article").filter(has_text="refunds").get_by_role("link", name="Stop").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("refunds")
    page.get_by_role("button", name="Turn AI off").click(delay=1400)
    expect(page.get_by_text("Gateways that confirmed")).to_be_visible()
    expect(page.get_by_text("1 of 1")).to_be_visible()
    took = time.monotonic() - began
    assert ask(client, "refunds").startswith("503"), "the gateway answers the bypass"
    assert took < 60
    page.get_by_label("In a sentence").fill("it promised refunds")
    page.get_by_role("button", name="Keep the reason").click()
    expect(page.get_by_text("it promised refunds").first).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Stop refunds")
    until(lambda: not ask(client, "refunds").startswith("503"), "a model that answers again")


def test_the_same_operator_stops_it_on_a_phone_by_two_taps(
    person: Open, installed: Installed, client: openai.OpenAI
) -> None:
    page, began = person(None, phone=True).page, time.monotonic()
    signs_in(page, installed, "olga")
    page.goto("/stop")
    page.get_by_role("link", name="invoices").click()
    page.get_by_role("button", name="Turn the AI off now").click()
    expect(page.get_by_text("Confirmed by 1 gateway")).to_be_visible()
    took = time.monotonic() - began
    assert ask(client, "invoices").startswith("503")
    assert took < 60
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Turn the AI off now")).to_be_visible()
    until(lambda: not ask(client, "invoices").startswith("503"), "a model that answers again")


@pytest.mark.parametrize("key", [" ", "Enter"])
def test_a_key_that_is_pressed_shortly_stops_nothing(person: Open, key: str) -> None:
    page = person("ola").goto("/workflows/complaints/stop")
    page.get_by_role("button", name="Turn AI off").press(key)
    expect(page.get_by_role("button", name="Turn AI off")).not_to_have_class("holding")
    assert page.reload().ok
    expect(page.get_by_role("heading", level=1)).to_have_text("Stop complaints")
