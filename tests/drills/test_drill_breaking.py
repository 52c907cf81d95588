"""Claims about the texts that a drill makes up from a workflow's own rules."""

from __future__ import annotations

import msgspec
import pytest
import re2
from drill_support import CASES

from roadworthy.fallback.drills import rules
from roadworthy.fallback.drills.breaking import _Pattern, breaking
from roadworthy.fallback.drills.registry import drills
from roadworthy.workflow.model import CheckSpec, Policy, Release

PATTERNS = [
    "full refund within an hour",
    "(?i)we (?:guarantee|promise) .{0,40}refund",
    r"\b(?P<who>you|they) will (never|always) pay\b",
    r"(?i:lifetime)\s+warranty[.!]",
    r"[$€]\s?\d{2,5}(?:\.\d\d)? (back|off)",
    r"a{3}b*c+?d?[\]x]",
    "^100% (free|safe)$",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_an_example_is_read_off_a_pattern(pattern: str) -> None:
    assert re2.search(pattern, _Pattern(pattern).said())


def with_checks(**checks: CheckSpec) -> Release:
    made = CASES["checked"].release
    return msgspec.structs.replace(made, handling=msgspec.structs.replace(made.handling, checks=checks))


def why(fault: str, release: Release) -> str:
    return rules.not_applicable(drills()[fault], release, Policy(), stream=False)


def forbidden(*patterns: str, phrases: tuple[str, ...] = (), record_only: bool = False) -> CheckSpec:
    return CheckSpec(
        "forbidden", "unsafe", options={"patterns": list(patterns), "phrases": list(phrases)}, record_only=record_only
    )


def test_a_rule_that_no_example_can_be_made_of_is_passed_over_for_one_that_can() -> None:
    release = with_checks(promises=forbidden("[^a-z]{4}", phrases=("money back",)))
    assert breaking(release) == {"forbidden": "Good news: money back."}
    assert why("forbidden-promise", release) == ""
    assert "no text could be made up" in why("forbidden-promise", with_checks(promises=forbidden("[^a-z]{4}")))


def test_the_language_is_one_that_the_workflow_does_not_speak() -> None:
    release = with_checks(tongue=CheckSpec("language", "invalid", options={"allowed": ["de", "fr", "en"]}))
    assert breaking(release)["language"].startswith("Hemos")


def test_a_check_that_is_only_recorded_or_bounds_nothing_is_not_drilled() -> None:
    assert "only recorded" in why("forbidden-promise", with_checks(promises=forbidden("refund", record_only=True)))
    assert "megabyte" in why("one-megabyte", with_checks(length=CheckSpec("length", "invalid")))


def test_a_drill_expects_what_the_workflow_makes_of_a_finding() -> None:
    mild = with_checks(promises=msgspec.structs.replace(forbidden("refund"), failure="invalid"))
    drill = drills()["forbidden-promise"]
    assert rules.expected(drill, CASES["checked"].release, stream=False).told == "incident"
    must = rules.expected(drill, mild, stream=False)
    assert (must.failure, must.told) == ("invalid", "none")
