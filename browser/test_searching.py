"""What did the model do on that day at two for user X?"""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import expect

import house
from installed import Person


def test_one_line_finds_what_the_model_told_a_user_that_afternoon_and_reading_it_is_audited(
    person: Callable[..., Person],
) -> None:
    weekday = f"{house.at_two(2, time.time()):%A}".lower()
    page = person("vi").goto("/inferences")
    page.keyboard.press("/")
    page.keyboard.type(f"user u-42 {weekday} 2pm")
    page.keyboard.press("Enter")
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(1)
    rows.get_by_role("link").first.click()
    expect(page.get_by_text("Can I return a lamp that I have lit once?")).to_be_visible()
    expect(page.get_by_text("Yes: within thirty days, lit or not.")).to_be_visible()
    ident = page.url.rpartition("/")[2]
    page = person("ada").goto("/audit?action=inference.read&person=vi")
    expect(page.locator("tbody tr").filter(has_text=ident)).to_have_count(1)
