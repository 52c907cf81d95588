"""One registry says which alerts there are; sources, notices and pages agree with it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from roadworthy.people.alerts import document
from roadworthy.people.alerts.registry import ALERTS, alert_of

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
DOCS = ROOT / "docs"
MAKERS = {"Notice": None, "_notice": 2}
"""What makes a notice → the place of the alert's name among its arguments, where it has one."""
PAGING = {
    "error_burn_fast", "error_burn", "latency_burn", "unsafe_share", "hard_limit", "targets_down", "kill_unconfirmed",
    "journal_disk_full",
}  # fmt: skip


def names_given() -> dict[str, list[str]]:
    """Where a notice is made → the names that it may be given; a name that is computed is left to its own literals."""
    found: dict[str, list[str]] = {}
    for path in SOURCES:
        text = path.read_text("utf-8")
        if "Notice(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS):
                continue
            given = [word.value for word in node.keywords if word.arg == "alert"]
            place = MAKERS[node.func.id]
            if place is not None and len(node.args) > place:
                given.append(node.args[place])
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            assert given, f"{where} makes a notice and names no alert: give alert=…"
            found[where] = [each.value for each in given if isinstance(each, ast.Constant)]
    return found


def test_every_notice_in_the_sources_names_an_alert_of_the_registry() -> None:
    found = names_given()
    assert len(found) >= 12
    assert {name for names in found.values() for name in names} <= set(ALERTS)


def test_every_alert_is_raised_somewhere() -> None:
    own = ROOT / "src/roadworthy/people/alerts"
    text = "\n".join(path.read_text("utf-8") for path in SOURCES if own not in path.parents)
    assert [name for name in ALERTS if f'"{name}"' not in text] == []


def test_only_what_cannot_wait_wakes_somebody() -> None:
    assert {alert.name for alert in ALERTS.values() if alert.pages} == PAGING
    assert alert_of("of_another_version").cls == "notify"


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_has_its_page(name: str) -> None:
    text = (DOCS / "alerts" / f"{name}.md").read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Means", "## Check", "## Do"]
    assert text == document.page(ALERTS[name]), "run: python -m roadworthy.people.alerts.document docs"


def test_there_is_no_page_of_an_alert_that_is_gone_and_the_index_has_all() -> None:
    assert {path.stem for path in (DOCS / "alerts").iterdir()} == set(ALERTS)
    index, incidents = ((DOCS / name).read_text("utf-8") for name in ("alerts.md", "incidents.md"))
    assert index == document.redrawn(index, document.ALL, document.table())
    assert incidents == document.redrawn(incidents, document.LIFE, document.life())


def test_what_wakes_somebody_says_where_to_look_and_what_to_type() -> None:
    for alert in ALERTS.values():
        assert all((alert.means, alert.check, alert.do)), alert.name
        if alert.pages:
            assert any("`roadworthy " in line for line in (*alert.check, *alert.do)), alert.name
