"""Periods of reviews, when one is overdue, and what may become of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from roadworthy.operations.reviewing import document
from roadworthy.people.review import rules
from roadworthy.people.review.model import Change, Facts, Figure, Review
from roadworthy.people.review.rules import TRANSITIONS, Refused, before, ended, ident, line, overdue, running, step

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


def review(**more: Any) -> Review:
    fields: dict[str, Any] = {
        "id": "rev_1", "team": "default", "workflow": "support", "kind": "weekly", "period": "2026-W47", "since": 0.0,
        "until": 10 * DAY, "drafted_at": 10 * DAY, "overdue_at": 17 * DAY,
        "facts": Facts("9 calls", decide=["Who mends it?"]),
    }  # fmt: skip
    return Review(**{**fields, **more})


def test_a_week_with_a_change_of_clocks_has_an_hour_more_or_less() -> None:
    spring, autumn = (running("weekly", at(day), BERLIN) for day in ("2026-03-29T12:00", "2026-10-25T12:00"))
    assert (spring.until - spring.since) / 3600 == 167
    assert (autumn.until - autumn.since) / 3600 == 169


@pytest.mark.parametrize(
    ("now", "names"),
    [
        ("2026-11-23T00:10", ["2026-W44", "2026-W45", "2026-W46", "2026-W47", "2026-09", "2026-10", "2026-Q3"]),
        ("2027-01-01T00:10", ["2026-W49", "2026-W50", "2026-W51", "2026-W52", "2026-11", "2026-12", "2026-Q4"]),
        ("2027-01-04T00:10", ["2026-W50", "2026-W51", "2026-W52", "2026-W53", "2026-11", "2026-12", "2026-Q4"]),
    ],
)
def test_the_periods_that_are_over_reach_back_as_far_as_a_control_that_was_down_catches_up(
    now: str, names: list[str]
) -> None:
    assert [period.name for period in ended(at(now), BERLIN)] == names


@pytest.mark.parametrize("kind", ["weekly", "monthly", "quarterly"])
def test_periods_follow_one_another_without_a_gap_for_years(kind: Any) -> None:
    period = running(kind, at("2029-01-15T12:00"), BERLIN)
    names = set()
    while period.since > at("2025-12-01T00:00"):
        names.add(period.name)
        earlier = before(period, BERLIN)
        assert earlier.until == period.since
        assert earlier.name not in names
        period = earlier


def test_the_same_period_of_the_same_workflow_is_one_review() -> None:
    period = running("weekly", at("2026-11-23T12:00"), BERLIN)
    assert ident("support", period) == ident("support", running("weekly", at("2026-11-29T23:59"), BERLIN))
    assert ident("support", period) != ident("other", period)


def test_a_review_is_overdue_after_seven_fourteen_and_thirty_days_and_says_for_how_long() -> None:
    late = {kind: rules.LATE[kind] / DAY for kind in rules.LATE}
    assert late == {"weekly": 7, "monthly": 14, "quarterly": 30}
    mine, other = review(), review(id="rev_2", overdue_at=16 * DAY, period="2026-W46")
    assert overdue([mine, other, review(state="signed")], 18 * DAY) == [other, mine]
    assert overdue([mine], 17 * DAY - 1) == []
    told = "weekly review 2026-W47 is overdue for a day: roadworthy review support --kind weekly"
    assert line(mine, 18 * DAY) == told


def test_what_is_signed_stays_and_open_questions_are_answered_first() -> None:
    assert set(TRANSITIONS) == {("drafted", "decide"), ("drafted", "sign")}
    with pytest.raises(Refused, match="a question is open"):
        step(review(), "sign", "ada", [" "], 1.0)
    signed = step(review(), "sign", "ada", ["Bo does.", ""], 1.0)
    assert (signed.state, signed.decisions, signed.signed_by, signed.signed_at) == ("signed", ["Bo does."], "ada", 1.0)
    for event in ("sign", "decide"):
        with pytest.raises(Refused, match="what is signed stays"):
            step(signed, event, "ada", ["Otherwise."], 2.0)  # type: ignore[arg-type]
    assert step(review(facts=Facts("quiet")), "sign", "ada", [], 1.0).state == "signed"
    with pytest.raises(Refused, match="expected at most 2,000"):
        step(review(), "decide", "ada", ["x" * 2001], 1.0)


def test_the_page_shows_what_moved_and_makes_no_markdown_of_what_others_wrote() -> None:
    facts = Facts(
        "9 calls",
        figures=[
            Figure("Failed", "share", 0.021, 0.005, "less", "objective 1 %", missed=True),
            Figure("Calls", "count", 120.0, 100.0),
            Figure("Cost", "usd", None, 3.0),
        ],
        changes=[Change("Failed calls rose", "about 38 more attempts at [main](http://x) failed")],
    )
    page = document.markdown(replace(review(), facts=facts), BERLIN)
    assert "| Failed | **2.1 %** | 0.5 % | +1.6 points | objective 1 % |" in page
    assert "| Calls | 120 | 100 | +20 % |" in page
    assert "| Cost | – | $3.00 |  |" in page
    assert "\\[main\\](http://x)" in page
    assert "Not signed." in page
