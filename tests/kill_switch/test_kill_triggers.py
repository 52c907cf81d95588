"""What stops a workflow without a person."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.kill_switch.model import TRIGGERS, severity
from roadworthy.kill_switch.triggers import RULES, Observed, SpendTrigger, Triggers, Window, cleared, tripped

ALL = Triggers(spend=SpendTrigger(10.0))


def names(observed: Observed, triggers: Triggers = ALL) -> list[str]:
    return [trip.trigger for trip in tripped(triggers, observed)]


def errors(hour: tuple[int, int], five: tuple[int, int], objective: float | None = 0.01) -> Observed:
    return Observed(errors_hour=Window(*hour), errors_5m=Window(*five), objective_errors=objective)


def test_every_trigger_has_its_rule() -> None:
    assert tuple(RULES) == TRIGGERS


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (Observed(), []),
        (Observed(usd_hour=10.0), []),
        (Observed(usd_hour=10.01), ["spend"]),
        (Observed(unsafe=Window(100, 5)), ["unsafe"]),
        (Observed(unsafe=Window(100, 2)), []),
        (Observed(unsafe=Window(4, 4)), []),  # a quiet hour
        (errors((1000, 150), (100, 20)), ["errors"]),
        (errors((1000, 150), (100, 1)), []),  # it is over already
        (errors((1000, 100), (100, 100)), []),  # not for long enough
        (errors((9, 9), (9, 9)), []),  # too few
        (errors((1000, 900), (100, 90), None), []),  # no objective
        (errors((1000, 600), (100, 60), 0.10), ["errors"]),  # 14.4 times 10 % is more than everything
    ],
)
def test_what_trips(observed: Observed, expected: list[str]) -> None:
    assert names(observed) == expected


def test_it_says_why_in_figures() -> None:
    said = [trip.why for trip in tripped(ALL, Observed(usd_hour=12.5, unsafe=Window(100, 5)))]
    assert said == ["$12.50 in the last hour, over $10.00", "5 of 100 answers unsafe in ten minutes, over 2.0 %"]


def test_a_trigger_that_is_not_set_never_trips() -> None:
    everything = Observed(1e9, Window(100, 100), Window(100, 100), Window(100, 100), 0.01)
    assert names(everything, Triggers(None, None, None)) == []
    assert names(everything) == list(TRIGGERS)


windows = st.integers(0, 2000).flatmap(lambda calls: st.builds(Window, st.just(calls), st.integers(0, calls)))
observed_anything = st.builds(
    Observed, st.none() | st.floats(0, 50), windows, windows, windows, st.none() | st.floats(0.0001, 1.0)
)


@given(observed_anything, st.sampled_from(TRIGGERS))
def test_what_trips_now_has_not_cleared_now(observed: Observed, trigger: Any) -> None:
    if trigger in names(observed):
        assert not cleared(trigger, ALL, observed)


@given(observed_anything)
def test_a_trigger_only_ever_tightens(observed: Observed) -> None:
    assert all(severity(trip.to) > 0 for trip in tripped(ALL, observed))


def test_without_traffic_everything_has_cleared() -> None:
    assert all(cleared(trigger, ALL, Observed(usd_hour=0.0)) for trigger in TRIGGERS)


def test_it_clears_under_half_of_what_tripped_it() -> None:
    assert not cleared("spend", ALL, Observed(usd_hour=6.0))
    assert cleared("spend", ALL, Observed(usd_hour=5.0))
