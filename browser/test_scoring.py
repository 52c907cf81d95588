"""Whoever scores needs no mouse."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from installed import Installed, Person

COUNT = 10


def test_the_owner_brings_in_examples_and_a_scorer_scores_ten_by_keyboard_alone(
    person: Callable[..., Person], installed: Installed
) -> None:
    page = person("ada").goto("/evals/letters/import")
    page.get_by_text("Or paste rows").click()
    rows = "".join(f"m{number},Where is parcel number {number}?\n" for number in range(COUNT))
    page.get_by_label("Rows").fill("id,message\n" + rows)
    page.get_by_role("button", name="See what it would become").click()
    page.get_by_role("button", name="Publish them: they are the first").click()
    expect(page.get_by_text(f"Published {COUNT} examples")).to_be_visible()
    page.goto("/evals/letters/rubric")
    page.get_by_role("button", name="Sign it").click()
    expect(page.get_by_text("Signed", exact=True)).to_be_visible()
    installed.up.freeze("letters")
    page.goto("/evals/letters/plan?purpose=answers")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/evals/letters/runs/*")
    expect(page.get_by_role("link", name="Score these answers")).to_be_visible()

    page = person("sam").goto("/evals/letters")
    expect(page.get_by_text(f"{COUNT} answers")).to_be_visible()
    page.keyboard.press("s")
    for number in range(1, COUNT + 1):
        expect(page.get_by_text(re.compile(rf"^{number} of {COUNT}"))).to_be_visible()
        page.keyboard.press("1" if number % 2 else "2")
        page.keyboard.press("Enter")
    expect(page.get_by_text(f"You scored {COUNT} answers of letters")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("was taken back")).to_be_visible()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"You scored {COUNT} answers of letters")).to_be_visible()
