"""docs/paging.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from roadworthy.people.alerts.registry import ALERTS
from roadworthy.people.paging import rendering
from roadworthy.people.paging.rules import PROVE_BY, TRANSITIONS
from roadworthy.people.paging.service import LINK_LIFE
from roadworthy.people.paging.writing import LABELS
from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.model import PagingSettings

PAGE = (Path(__file__).parents[2] / "docs" / "paging.md").read_text(encoding="utf-8")
TARGETS = "version: 1\ntargets: {main: {provider: simulated, model: sim, price: {input: 1, output: 2}}}\n"


def test_its_table_of_transitions_is_the_one_that_acts() -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)
    assert {(state, event): end for state, event, end in rows if state != "page"} == TRANSITIONS


def test_its_figures_and_words_are_those_of_the_code() -> None:
    assert f"within {PROVE_BY:.0f} seconds" in PAGE
    assert f"for {LINK_LIFE / 3600:.0f} hours" in PAGE
    assert f"At most {PagingSettings().most_an_hour} pages a person an hour" in PAGE
    assert f"at most {rendering.LINE} characters" in PAGE
    assert {4: "four", 8: "eight"}[sum(alert.pages for alert in ALERTS.values())] in PAGE
    assert all(f"**{label}**" in PAGE for label in LABELS.values())


def test_its_configuration_can_be_applied_as_it_stands() -> None:
    install, people, hours = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for text in (people, "people:\n" + hours + "  bo: {name: Bo, email: bo@x.org}\n"):
        done = read_configuration({"roadworthy.yaml": TARGETS + install, "people.yaml": text})
        assert done.problems == []
