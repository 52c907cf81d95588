"""docs/gateway.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from roadworthy.fallback.rules import DEFAULT_LADDER
from roadworthy.gateway.prompting import FREE_FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()


def test_the_fields_that_a_caller_may_always_set_are_listed() -> None:
    [sentence] = re.findall(r"which a caller may always set: (.*?)\.\n", PAGE)
    assert set(re.findall(r"`([a-z_]+)`", sentence)) == FREE_FIELDS


def test_every_default_step_is_in_the_table() -> None:
    table = dict(re.findall(r"^\| (`[a-z_`, ]+`) \| ((?:retry|canned|none).*) \|$", PAGE, re.MULTILINE))
    told = {failure: steps for names, steps in table.items() for failure in re.findall(r"`([a-z_]+)`", names)}
    words = {1: "once", 2: "twice"}
    for failure, steps in DEFAULT_LADDER.items():
        retries = [step.times for step in steps if step.kind == "retry"]
        assert ("canned" in told[failure]) == any(step.kind == "canned" for step in steps), failure
        assert [times for times, word in words.items() if f"retry {word}" in told[failure]] == retries, failure
    assert {failure for failure, steps in told.items() if steps.startswith("none")} == {"bad_request", "context_length"}


def test_every_code_that_the_gateway_answers_with_is_listed() -> None:
    source = Path(__file__).parents[2] / "src" / "roadworthy" / "gateway"
    codes = {
        code
        for file in source.glob("*.py")
        for code in re.findall(r'Refused\(\s*\d{3},\s*"([a-z_]+)"', file.read_text())
    }
    assert len(codes) > 15
    missing = {code for code in codes if f"`{code}`" not in PAGE}
    assert not missing
