"""The owner words what customers read, and they read it: at once where traffic is observed, after the drills else."""

from __future__ import annotations

from collections.abc import Callable

import openai
from playwright.sync_api import Page, expect

from installed import Installed, Person

OLD = "Thank you. A colleague is looking at your message and answers today."
NEW = "Hello! Somebody of the shop answers you before six today."


def reads(client: openai.OpenAI, workflow: str) -> str | None:
    """What a caller reads whose call is handed to a person."""
    said = client.chat.completions.create(
        model=workflow, messages=[{"role": "user", "content": "Hello? [[fault status code=503]]"}], user="u-9"
    )
    return said.choices[0].message.content


def drafted(page: Page) -> None:
    page.get_by_role("group", name="While a person looks").get_by_label("What the customer reads").fill(NEW)
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Saved. Nobody is served it before it is published.")).to_be_visible()


def test_a_new_holding_text_is_drafted_tried_on_five_failures_published_and_read_by_the_next_escalated_caller(
    person: Callable[..., Person], client: openai.OpenAI, installed: Installed
) -> None:
    assert reads(client, "greetings") == OLD
    page = person("ada").goto("/workflows/greetings/words")
    drafted(page)
    page.get_by_role("button", name="Test on 5 failures").click()
    tried = page.locator("#tried")
    expect(tried.get_by_text("What callers of the draft read")).to_be_visible()
    expect(tried.get_by_role("button", name="Test on 5 failures")).to_be_enabled()
    expect(tried.get_by_text(NEW).first).to_be_visible()
    assert reads(client, "greetings") == OLD, "a draft is served to nobody"
    page.get_by_label("Note").fill("friendlier")
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("everybody reads it now")
    installed.up.caught_up()
    assert reads(client, "greetings") == NEW


def test_published_words_of_an_enforced_workflow_are_read_by_nobody_before_their_drills_have_passed(
    person: Callable[..., Person], client: openai.OpenAI, installed: Installed
) -> None:
    assert reads(client, "farewells") == OLD
    page = person("ada").goto("/workflows/farewells/words")
    drafted(page)
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("Its drills run")
    expect(page.locator("#published")).to_contain_text("Every failure is being drilled with them")
    assert page.get_by_role("button", name="serve it").count() == 0
    installed.up.caught_up()
    assert reads(client, "farewells") == OLD
