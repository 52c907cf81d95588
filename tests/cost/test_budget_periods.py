"""Calendar days and months of the install's zone, clock changes included."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.cost.budgets import NANO, RATE, Calendar, kind_of, nano, period_at, stale

ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Australia/Lord_Howe", "Asia/Kolkata"]
instants = st.floats(0, 4e9)


@given(instants, st.sampled_from(ZONES), st.sampled_from(["day", "month"]))
def test_an_instant_is_in_its_period_and_periods_touch(now, zone, kind):
    found = period_at(kind, now, ZoneInfo(zone))
    assert found.begin <= now < found.end
    following = period_at(kind, found.end, ZoneInfo(zone))
    assert (following.begin, following.number) == (found.end, found.number + 1)
    assert following.stamp > found.stamp


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_has_the_hours_that_it_has(day, hours):
    noon = datetime.datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    found = period_at("day", noon, ZoneInfo("Europe/Berlin"))
    assert (found.end - found.begin) / 3600 == hours


def test_a_day_whose_midnight_does_not_exist_begins_at_its_first_instant():
    zone = ZoneInfo("America/Sao_Paulo")
    noon = datetime.datetime(2018, 11, 4, 12, tzinfo=zone).timestamp()
    begin = datetime.datetime.fromtimestamp(period_at("day", noon, zone).begin, zone)
    assert (begin.day, begin.hour) == (4, 1)


@given(st.lists(instants, min_size=2, max_size=6), st.sampled_from(ZONES))
def test_a_calendar_follows_a_clock_wherever_it_jumps(moments, zone):
    calendar = Calendar(ZoneInfo(zone))
    for now in moments:
        assert calendar.day(now) == period_at("day", now, ZoneInfo(zone))
        assert calendar.month(now) == period_at("month", now, ZoneInfo(zone))


@given(instants, st.integers(0, 60), st.sampled_from(["day", "month"]))
def test_yesterday_is_kept_and_what_was_before_may_go(now, back, kind):
    zone = ZoneInfo("UTC")
    today = period_at(kind, now + 6e6, zone)
    earlier = today.stamp - 4 * back
    assert stale(earlier, today.stamp) == (back > 1)
    other = period_at("month" if kind == "day" else "day", now, zone)
    assert not stale(other.stamp, today.stamp)
    assert not stale(RATE, today.stamp)
    assert kind_of(RATE) == RATE


@given(st.floats(0, 1e6))
def test_an_amount_is_rounded_up_once(dollars):
    assert dollars * NANO <= nano(dollars) <= dollars * NANO + 1


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf"), 1e300])
def test_what_is_no_amount_is_nothing(amount):
    assert nano(amount) == 0
