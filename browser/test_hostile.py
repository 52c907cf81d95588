"""What a model, a caller, or a colleague wrote is text on every page, whatever it looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

import house
import pages
from installed import Installed, Person
from support.waiting import until

FLOW = "hostile"


@pytest.fixture(scope="module")
def spoken(chromium: Any, installed: Installed) -> str:
    """A call with markup in the message, the user's name, a tag, the system prompt and the answer; one that waits for a
    person; a report; a reason of a stop.  Its id."""
    evil, up = house.EVIL, installed.up
    with openai.OpenAI(base_url=up.base_url, api_key=up.key("hostile"), max_retries=0) as app:
        for extra in ("", " [[fault status code=503]]"):
            said = app.chat.completions.with_raw_response.create(
                model=FLOW, messages=[{"role": "user", "content": evil.format("message") + extra}],
                extra_body={
                    "user": evil.format("user"),
                    "roadworthy": {"tags": {"topic": evil.format("tag")}, "session": evil.format("session")[:100]},
                },
            )  # fmt: skip
    up.admin("POST", "/v1/journal/flush")
    rows = up.records(workflow=FLOW, traffic="live")
    [ident] = [each["id"] for each in rows if each["outcome"] == "answered"]
    assert {each["outcome"] for each in rows} == {"answered", "escalated"}
    ada = Person(chromium, installed, "ada")
    ada.reports(ident, evil.format("report"))
    ada.close()
    up.admin("POST", "/v1/kill", {"workflow": FLOW, "to": "guarded", "reason": evil.format("reason")})
    until(lambda: up.admin("GET", f"/v1/escalations?workflow={FLOW}")["items"], "escalation")
    assert said.headers
    return str(ident)


def test_markup_of_models_callers_and_colleagues_never_runs_on_any_page(
    person: Callable[..., Person], installed: Installed, spoken: str
) -> None:
    known = pages.held(installed, FLOW)
    assert known["/inferences/{id}"]
    shown: set[str] = set()
    visitor = person("ada")
    for address in pages.addresses(known).values():
        page = visitor.goto(address)
        for fold in page.locator("details:not([open]) > summary").all():
            if fold.is_visible():
                fold.click()
        assert page.evaluate("window.hacked") is None, address
        assert page.locator("img[src='x']").count() == 0, address
        text = page.locator("body").inner_text() + " ".join(page.locator("textarea").all_inner_texts())
        text += " ".join(field.input_value() for field in page.locator("textarea, input[type=search]").all())
        shown |= {where for where in WHERE if f"window.hacked='{where}'" in text}
    assert shown == set(WHERE), "each was shown as text somewhere, so each was tried"


WHERE = ("message", "output", "user", "tag", "prompt", "description", "canned", "holding", "report", "reason", "name")
"""Where the markup was put."""


def test_a_viewer_whose_own_name_is_markup_reads_it_as_text(person: Callable[..., Person]) -> None:
    page = person("eve").goto("/")
    assert page.evaluate("window.hacked") is None
    assert "window.hacked='name'" in page.locator("header").inner_text()


def test_live_parts_that_arrive_later_bring_no_markup_either(
    person: Callable[..., Person], installed: Installed, spoken: str
) -> None:
    page = person("ada").goto("/inferences")
    before = page.locator("#rows tbody tr").count()
    up = installed.up
    user = house.EVIL.format("later")
    with openai.OpenAI(base_url=up.base_url, api_key=up.key("later"), max_retries=0) as app:
        app.chat.completions.create(
            model="complaints", messages=[{"role": "user", "content": "Hello?"}], extra_body={"user": user}
        )
    page.get_by_text("window.hacked='later'").first.wait_for()
    assert page.locator("#rows tbody tr").count() != before or before >= 50
    assert page.evaluate("window.hacked") is None
