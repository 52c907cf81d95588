"""docs/gateway.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from roadworthy.evidence.kinds import DAY
from roadworthy.evidence.receipt.model import Receipt
from roadworthy.fallback.words import BLOCKED
from roadworthy.gateway.admission.prompting import FREE_FIELDS
from roadworthy.gateway.admission.sessions import IDLE, RECORDS
from roadworthy.gateway.admission.sides import Candidate, Flow, side_of, sides_at
from roadworthy.gateway.answers.repair import MOST_ANSWER_CHARS
from roadworthy.workflow.inference import OUTCOMES
from roadworthy.workflow.ladder import DEFAULT_LADDER
from roadworthy.workflow.shares import RESOLUTION

COUNTED = ("retry", "repair")
WORDS = {1: "once", 2: "twice"}
PAGE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()


def test_the_fields_that_a_caller_may_always_set_are_listed() -> None:
    [sentence] = re.findall(r"which a caller may always set: (.*?)\.\n", PAGE)
    assert set(re.findall(r"`([a-z_]+)`", sentence)) == FREE_FIELDS


def test_every_default_step_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| ((?:retry|repair|drop|cache|escalate|none).*) \|$", PAGE, re.MULTILINE)
    told = {failure: steps for names, steps in rows for failure in re.findall(r"`([a-z_]+)`", names)}
    assert set(told) == set(DEFAULT_LADDER)
    for failure, steps in DEFAULT_LADDER.items():
        shown = [f"{step.kind} {WORDS[step.times]}" if step.kind in COUNTED else step.kind for step in steps]
        assert told[failure].split(":")[0].split(", ") == (shown or ["none"]), failure


def test_every_outcome_is_in_the_table_of_answers() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (\d\d\d|.*\d\d\d.*) \|", PAGE, re.MULTILINE)
    assert {name for names, _ in rows for name in re.findall(r"`([a-z_]+)`", names)} >= set(OUTCOMES) - {"abandoned"}


def test_every_code_that_the_gateway_answers_with_is_listed() -> None:
    source = Path(__file__).parents[2] / "src" / "roadworthy" / "gateway"
    codes = {
        code
        for file in source.rglob("*.py")
        for code in re.findall(r'Refused\(\s*\d{3},\s*"([a-z_]+)"', file.read_text())
    }
    assert len(codes) > 15
    missing = {code for code in codes if f"`{code}`" not in PAGE}
    assert not missing


def test_what_the_page_quotes_is_what_is_said() -> None:
    assert f'"{BLOCKED.text}"' in PAGE
    passed = Receipt(
        id="r", team="t", workflow="support", behaviour="b", verdict="PASS", floors_met=True, evidence="e", run="r",
        epoch=1, issued=0.0, expires=DAY,
    )  # fmt: skip
    flow = Flow("support", Candidate("rel_1f6be02a99", "b", 0.1, "10 %", receipt=passed))
    assert f'"message": "{side_of(sides_at(flow, 1.0), "live", RESOLUTION - 1).why}"' in PAGE
    assert f"{RECORDS // 1000:,},000 sessions" in PAGE
    assert IDLE == 3600.0
    assert f"over {MOST_ANSWER_CHARS:,} characters" in PAGE
