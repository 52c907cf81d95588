"""How much people can carry, from what was counted; and who waves drafts through."""

from __future__ import annotations

from typing import Any

import pytest
from people_support import NOON, escalation

from roadworthy.people.escalation.capacity import OCCUPANCY, Seen, busy_hours, forecast
from roadworthy.people.escalation.model import Answer, Worked
from roadworthy.people.escalation.stamping import stamping
from roadworthy.statistics.rates import poisson_interval


def seen(**more: Any) -> Seen:
    fields: dict[str, Any] = {
        "by_hour": (500.0,) * 24, "calls": 400, "escalated": 128, "agents": 2, "agents_from": "roles",
        "answered": 60, "hours": 60 / 14.2,
    }  # fmt: skip
    return Seen(**{**fields, **more})


def worked(number: int, seconds: float, *, agent: str = "bo", action: Any = "sent", **more: Any) -> Worked:
    at = NOON + 1000.0 * number
    answer = Answer(
        "", action, agent, at=at + seconds, reading=more.pop("reading", 20.0), hidden=more.pop("own", False)
    )
    fields = {"opened_at": at, "claimed_at": at, "closed_at": at + seconds, "state": "answered", "answer": answer}
    return Worked(escalation(number, **{**fields, **more}), drafted=True)


def test_it_says_how_many_arrive_how_many_are_answered_and_where_it_holds() -> None:
    found = forecast(seen(), 0.25)
    assert found.verdict == "FAIL"
    assert found.text == "at 25 % about 40 an hour arrive in the busiest 4 hours, 2 people answer 24: holds at 15 %"
    assert found.arrive.low < found.arrive.point < found.arrive.high
    assert forecast(seen(), found.holds_at * 0.99).verdict == "PASS"


def test_what_is_not_proven_to_be_too_much_is_insufficient() -> None:
    found = forecast(seen(calls=20, escalated=6, answered=12, hours=1.0), 0.2)
    assert found.verdict == "INSUFFICIENT"
    assert "may come" in found.text


def test_nothing_escalated_is_no_reason_to_hold() -> None:
    found = forecast(seen(escalated=0), 1.0)
    assert (found.verdict, found.holds_at) == ("PASS", 1.0)


def test_of_a_release_that_nobody_called_yet_nothing_is_known() -> None:
    found = forecast(seen(calls=0, escalated=0), 0.1)
    assert found.verdict == "INSUFFICIENT"
    assert "no live call of the release yet" in found.text


def test_the_busiest_hours_decide_and_a_longer_promise_evens_them_out() -> None:
    day = tuple(1000.0 if hour == 23 else 40.0 for hour in range(24))
    at_once = forecast(seen(by_hour=day, within=3600.0), 0.25)
    in_four_hours = forecast(seen(by_hour=day, within=4 * 3600.0), 0.25)
    assert at_once.arrive.point == pytest.approx(1000 * 0.25 * 0.32)
    assert in_four_hours.arrive.point == pytest.approx((1000 + 3 * 40) / 4 * 0.25 * 0.32)


def test_until_answers_were_timed_it_says_that_it_assumes() -> None:
    found = forecast(seen(answered=9, hours=0.1, agents=1, agents_from="assumed"), 0.25)
    assert found.answer.point == pytest.approx(12 * OCCUPANCY)
    assert "1 person (assumed) answers" in found.text
    assert "assumed: 12 an hour each until 10 answers were timed" in found.text


def test_what_the_rest_escalates_takes_room_too() -> None:
    found = forecast(seen(other_calls=1000, other_escalated=60, by_hour=(1000.0,) * 24), 0.01)
    assert (found.verdict, found.holds_at) == ("FAIL", 0.0)


def test_hours_of_work_are_counted_once_and_for_at_most_a_lease() -> None:
    both = [worked(1, 600.0), worked(2, 600.0, claimed_at=NOON + 2000, closed_at=NOON + 2600)]
    assert busy_hours(both) == (2, pytest.approx(1200 / 3600))
    at_once = [worked(1, 600.0), worked(1, 600.0)]
    assert busy_hours(at_once) == (2, pytest.approx(600 / 3600))
    slept = worked(1, 6 * 3600.0)
    assert busy_hours([slept]) == (1, pytest.approx(0.5))
    assert busy_hours([worked(1, 600.0, claimed_at=None)]) == (0, 0)


def test_byars_interval_is_close_to_the_exact_one() -> None:
    assert poisson_interval(10) == pytest.approx((4.795, 18.39), rel=0.01)
    assert poisson_interval(0) == pytest.approx((0.0, 3.689), rel=0.01)


def test_drafts_sent_faster_than_they_can_be_read_are_rubber_stamped() -> None:
    (hasty,) = stamping([worked(number, 4.0) for number in range(20)])
    assert (hasty.verdict, hasty.share) == ("FAIL", 1.0)
    assert hasty.text == "bo sent 20 of 20 drafts as they were, after 4 s; reading takes about 20 s"


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([worked(number, 30.0) for number in range(20)], "PASS"),
        ([worked(number, 4.0, action="edited" if number % 4 == 0 else "sent") for number in range(20)], "PASS"),
        ([worked(number, 4.0) for number in range(19)], "INSUFFICIENT"),
        ([worked(number, 4.0, own=True) for number in range(40)], "INSUFFICIENT"),
    ],
    ids=["read", "judged", "few", "hidden"],
)
def test_good_drafts_and_few_drafts_accuse_nobody(rows: list[Worked], verdict: str) -> None:
    assert [each.verdict for each in stamping(rows)] == [verdict]


def test_agents_are_judged_apart_and_the_hasty_come_first() -> None:
    rows = [worked(number, 4.0, agent="eve") for number in range(20)]
    rows += [worked(number, 40.0, agent="bo") for number in range(20)]
    assert [each.agent for each in stamping(rows)] == ["eve", "bo"]
