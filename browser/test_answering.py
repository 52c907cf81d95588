"""A customer who waits reads what a person wrote."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import openai
from playwright.sync_api import expect

from installed import Person


def test_an_agent_answers_by_keyboard_and_the_waiting_caller_reads_it(
    person: Callable[..., Person], client: openai.OpenAI
) -> None:
    page = person("agnes").goto("/inbox")

    def waits() -> str:
        said = client.chat.completions.create(
            model="returns", messages=[{"role": "user", "content": "It came broken. [[fault status code=503]]"}],
            user="u-7", extra_body={"roadworthy": {"wait": 60}},
        )  # fmt: skip
        return said.choices[0].message.content or ""

    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(waits)
        expect(page.get_by_role("cell", name="returns")).to_be_visible()
        page.keyboard.press("n")
        expect(page.get_by_role("heading", level=1)).to_have_text("returns: u-7")
        expect(page.get_by_text("It came broken.").first).to_be_visible()
        expect(page.get_by_label("Your answer")).to_be_focused()
        page.keyboard.type("Keep it; a new one leaves tonight.")
        page.keyboard.press("Control+Enter")
        assert waiting.result(timeout=30) == "Keep it; a new one leaves tonight."
    expect(page.get_by_text("Answered: whoever asked has it.")).to_be_visible()
