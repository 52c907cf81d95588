"""One registry of items: the page, the README and the command line say what stands in it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from msgspec.structs import replace

from roadworthy.cli.main import root
from roadworthy.evidence.kinds import DAY, KINDS
from roadworthy.evidence.rules import GRACE, LONGEST_GRACE, LONGEST_WAIVER, WORD_CAP, WORD_LIFE
from roadworthy.operations.drills.canary import DOLLARS
from roadworthy.readiness.items import ITEMS, NEVER_WAIVED
from roadworthy.readiness.published import items_table, with_tables
from roadworthy.readiness.rules import PILOT_CALLS, PILOT_SHARE, readiness
from roadworthy.readiness.sequence import FASTEST, SLOWEST, STEPS
from support.evidence import NOW, waiver
from support.readiness import shown, subject

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "readiness.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")

PROPERTIES = ("Latency", "Cost", "Observability", "Fallback", "Human", "Evaluation", "Kill switch")
"""Items 1 to 7 are the seven properties of production AI; 8 to 10 are about people and money around them."""


def test_the_page_s_tables_are_the_registry_s() -> None:
    assert with_tables(PAGE) == PAGE


def test_every_item_every_kind_and_every_step_is_on_the_page() -> None:
    for item in ITEMS:
        assert f"| {item.number} | {item.name} |" in PAGE
    for kind in KINDS:
        assert f"`{kind}`" in PAGE
    for step in STEPS:
        assert f"| {step.name} |" in PAGE


def test_the_readme_s_seven_rows_are_the_first_seven_items_in_their_order() -> None:
    rows = re.findall(r"^\| (\d) \| ([^|]+?) \|", README, re.MULTILINE)
    assert [int(number) for number, _ in rows] == [item.number for item in ITEMS[:7]]
    for number, name in rows:
        assert name.startswith(PROPERTIES[int(number) - 1])


def test_every_command_that_an_item_a_step_or_the_page_names_exists() -> None:
    said = items_table() + PAGE + " ".join(step.command for step in STEPS)
    named = set(re.findall(r"roadworthy ([a-z]+)", said))
    assert {"accept", "waive", "evidence", "ready", "canary", "drill"} <= named
    assert named <= set(root.list_commands(None))  # type: ignore[arg-type]


def test_the_page_s_numbers_are_the_rules() -> None:
    assert f"{GRACE / DAY:.0f} days unless declared, {LONGEST_GRACE / DAY:.0f} at most" in PAGE
    assert f"{WORD_CAP * 100:.0f} % of traffic at most, {WORD_LIFE / DAY:.0f} days" in PAGE
    assert f"for {LONGEST_WAIVER / DAY:.0f} days at most" in PAGE
    assert (
        f"`policy.pilot_share` ({PILOT_SHARE:.0%} at most) and {PILOT_CALLS:.0f} calls a day".replace("1%", "1 %")
        in PAGE
    )
    assert f"never {', '.join(map(str, NEVER_WAIVED))}" in PAGE
    assert f"${DOLLARS:.2f} at most" in PAGE
    assert (FASTEST, SLOWEST) == (3, 6)
    assert "three to six times" in PAGE


def test_the_worked_example_is_what_the_rules_say() -> None:
    evidence = shown()
    figures = evidence["load_test"].figures
    evidence["load_test"] = replace(
        evidence["load_test"], mode="mocked", figures=msgspec.structs.replace(figures, live_probe=True)
    )
    schedule = evidence["on_call_schedule"]
    evidence["on_call_schedule"] = replace(schedule, made_at=NOW - 20 * DAY, lapses_at=NOW - 3 * DAY)
    evidence["cost_forecast"] = replace(evidence["cost_forecast"], accepted=[])
    del evidence["cost_alert_test"]
    about = subject(share=0.25, calls_a_day=2000.0)
    rest = [waiver(9, ends=NOW + 10 * DAY)]
    before = readiness(list(evidence.values()), rest, about, NOW)
    assert (before.ceiling, before.held_by) == (0.0125, [2])
    evidence["cost_forecast"] = shown()["cost_forecast"]
    accepted = readiness(list(evidence.values()), rest, about, NOW)
    assert (accepted.ceiling, accepted.held_by) == (0.25, [1, 8])
    later = readiness(list(evidence.values()), [waiver(9, ends=NOW + 20 * DAY)], about, NOW + 11 * DAY)
    assert (later.items[7].cap, later.items[7].age) == (0.0125, "lapsed")
