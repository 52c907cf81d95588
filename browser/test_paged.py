"""Whoever is woken presses one button; a mail scanner that opens the link first changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import openai
from playwright.sync_api import expect

from installed import Installed, Person
from support.inbox import Inbox
from support.waiting import until


def test_a_page_is_acknowledged_from_its_link_although_a_scanner_opened_it_twice(
    person: Callable[..., Person], installed: Installed, bridge: Inbox, client: openai.OpenAI
) -> None:
    for number in range(6):  # its target is down, and it has no other
        client.chat.completions.create(
            model="parcels", messages=[{"role": "user", "content": "Where is it?"}], user=f"u-{number}"
        )

    def pages() -> list[dict[str, object]]:
        told = [body["data"] for body in bridge.bodies() if body["type"] == "page.trigger"]
        return [each for each in told if "parcels" in str(each["line"])]

    until(pages, "page about parcels", patience=90)
    [page_of, *_] = pages()
    links = {each["label"]: each["url"] for each in page_of["links"]}  # type: ignore[attr-defined]
    link, incident = links["I'm on it"], page_of["incident"]

    def state() -> str:
        found = installed.up.admin("GET", f"/v1/incidents/{incident}")
        return str(found.get("incident", found)["state"])

    with httpx2.Client(trust_env=False) as scanner:
        assert [scanner.get(link).status_code for _ in range(2)] == [200, 200]
    assert state() == "open"
    page = person(None, phone=True).page
    page.goto(link)
    page.get_by_role("button", name="I'm on it").click()
    expect(page.get_by_role("heading", name="You have it")).to_be_visible()
    assert state() == "acknowledged"
    page.goto(link)
    expect(page.get_by_text("was used, has expired or never was")).to_be_visible()
    page.goto("/")
    assert "/login" in page.url, "the link signs nobody in"
