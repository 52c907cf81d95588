"""Every item of the go-live checklist is completed from the console, on the demo's install and its real model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadworthy.adapters.providers import weights
from roadworthy.cli.demo import proving
from roadworthy.cli.demo.system import WORKFLOW, System, lay_out

pytestmark = pytest.mark.timeout(1200)  # 50 examples and all drills, answered by a model on this machine

EXAMPLES = 50
"""The fewest with which a gate may pass."""
PATIENCE = 600_000
"""Milliseconds that a run may take."""
SECONDS = "6s"
"""Of the load test: too short to prove anything, which item 1 then says."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The demo's system before its story: the second release's files are applied, and nothing is frozen."""
    place = lay_out(tmp_path_factory.mktemp("demo") / "roadworthy-demo")
    if weights.find(place.data) is None:
        pytest.skip("the weights of the local model are not installed: requirements/weights.txt")
    with System(place, say=lambda text: None) as running:
        running._lay_out("second")
        running.apply()
        yield running


def go_in(chromium: Any, system: System, name: str) -> Any:
    page = chromium.new_context(base_url=system.console).new_page()
    page.set_default_timeout(60_000)
    page.goto("/")
    page.get_by_role("button", name=f"Go in as {name}").click()
    page.wait_for_url("**/")
    return page


def overview(page: Any) -> Any:
    page.goto(f"/workflows/{WORKFLOW}")
    return page


def press(page: Any, name: str) -> str:
    """Press a button → what the console says then."""
    page.get_by_role("button", name=name).first.click()
    return str(page.locator(".flash").first.inner_text())


def follow(page: Any, name: str) -> None:
    page.locator("main").get_by_role("link", name=name, exact=True).last.click()
    page.wait_for_load_state()


def until_over(page: Any) -> None:
    """Until the run that the page follows is over; the page is live."""
    page.get_by_text("Under way", exact=True).first.wait_for(state="hidden", timeout=PATIENCE)


def verdict(page: Any, number: int) -> str:
    """How an item stands, as its line says."""
    row = overview(page).locator(f"#item-{number}")
    return " ".join(row.inner_text().split())


def test_all_ten_items_are_completed_from_the_console(chromium: Any, system: System, tmp_path: Path) -> None:
    ines, tom, mia = (go_in(chromium, system, name) for name in ("Ines Roth", "Tom Adeyemi", "Mia Okafor"))

    tom.goto(f"/workflows/{WORKFLOW}/releases")
    tom.locator("summary", has_text="Freeze the files").click()
    assert "Froze release 1" in press(tom, "Freeze")

    for page, roles in ((ines, 2), (tom, 1)):  # item 5
        for _ in range(roles):
            assert "on record" in press(overview(page), "I answer for it")
    assert "found in log, metrics, trace" in press(overview(ines), "Send a test call")  # item 3
    assert "taken (204)" in press(overview(ines), "Send a test alert")  # item 9

    follow(overview(ines), "On-call")  # item 8
    press(ines, "Send a test page")
    mia.goto("/")
    mia.locator("main a.button", has_text="Acknowledge").click()
    assert "It is yours" in press(mia, "I'm on it")

    follow(overview(ines), "Kill drill")  # item 7
    ines.get_by_role("button", name="Run it now").click()
    until_over(ines)

    rows = tmp_path / "messages.jsonl"  # item 6
    rows.write_text(proving.examples(EXAMPLES))
    ines.goto(f"/evals/{WORKFLOW}/import")
    ines.locator("input[type=file]").set_input_files(rows)
    ines.locator("[name=input]").fill("message")
    ines.locator("[name=expect]").fill("topic, urgency")
    ines.get_by_role("button", name="See what it would become").click()
    assert f"Published {EXAMPLES} examples" in press(ines, "Publish them")
    ines.goto(f"/evals/{WORKFLOW}/rubric")
    assert "You signed the rubric" in press(ines, "Sign it")
    for _ in range(proving.ATTEMPTS):  # a busy machine loses answers: the gate goes on with those
        follow(overview(ines), "Evals")
        follow(ines, "Run the gate")
        ines.get_by_role("button", name=re.compile("gate|Go on", re.IGNORECASE)).first.click()
        until_over(ines)
        if "Not shown yet" not in verdict(ines, 6):
            break

    follow(overview(ines), "Drills")  # items 4 and 10
    ines.get_by_role("button", name="Run all").first.click()
    until_over(ines)
    ines.goto(f"/failures/{WORKFLOW}")
    assert "on record" in press(ines, "I have read it, and accept it")

    follow(overview(ines), "Forecast")  # item 2
    ines.locator("[name=volume]").fill("2500/day")
    ines.locator("form:has([name=volume]) button").click()
    assert "on record" in press(ines, "accept")

    follow(overview(ines), "Load test")  # item 1
    ines.locator("[name=duration]").fill(SECONDS)
    ines.get_by_role("button", name="What would it do and cost?").click()
    ines.get_by_role("button", name="Begin the test").click()
    until_over(ines)

    stands = {number: verdict(ines, number) for number in range(1, 11)}
    short = {number: said for number, said in stands.items() if "Good" not in said}
    assert set(short) <= {1, 6}, short  # an hour of load, and what the gate makes of so small a model
    assert "Not enough yet" in short[1]
    assert "Not shown yet" not in " ".join(stands.values())
