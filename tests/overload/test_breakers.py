"""Breakers: a target that keeps failing is left alone, and asked again by one call at a time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from roadworthy.gateway.limits.breakers import (
    BAD,
    LONGEST_COOLDOWN,
    LONGEST_WAIT,
    SILENT,
    STATES,
    TRANSITIONS,
    Breaker,
    Tally,
)
from roadworthy.workflow.inference import FAILURES, Failure
from roadworthy.workflow.model import Breaker as Settings

PAGE = (Path(__file__).parents[2] / "docs" / "overload.md").read_text()
NOW = 1000.0


def ended(breaker: Breaker, failure: Failure | None, now: float = NOW, times: int = 1) -> None:
    for _ in range(times):
        call = object()
        if breaker.begin(call, now):
            breaker.ended(call, now, now, failure)


def open_breaker(**settings: float) -> Breaker:
    breaker = Breaker(Settings(**settings))  # type: ignore[arg-type]
    ended(breaker, "unavailable", times=10)
    assert breaker.state == "open"
    return breaker


def test_it_opens_when_half_of_ten_calls_failed() -> None:
    breaker = Breaker(Settings())
    ended(breaker, None, times=5)
    ended(breaker, "slow", times=4)
    assert breaker.state == "closed"
    ended(breaker, "unavailable")
    assert breaker.state == "open"
    assert breaker.opened == 1
    assert not breaker.may_call(NOW)


def test_it_needs_enough_calls() -> None:
    breaker = Breaker(Settings(calls=10))
    ended(breaker, "unavailable", times=9)
    assert breaker.state == "closed"


def test_failures_of_before_the_window_are_forgotten() -> None:
    breaker = Breaker(Settings(window=10.0))
    ended(breaker, "unavailable", NOW, times=9)
    ended(breaker, "unavailable", NOW + 11.0, times=9)
    assert breaker.state == "closed"


@pytest.mark.parametrize("failure", sorted(set(FAILURES) - BAD))
def test_a_failure_that_says_nothing_bad_about_the_target_never_opens_it(failure: Failure) -> None:
    breaker = Breaker(Settings())
    ended(breaker, failure, times=100)
    assert breaker.state == "closed"


@pytest.mark.parametrize("failure", sorted(BAD))
def test_a_failure_of_the_target_opens_it(failure: Failure) -> None:
    breaker = Breaker(Settings())
    ended(breaker, failure, times=10)
    assert breaker.state == "open"


def test_half_open_lets_exactly_one_probe_through() -> None:
    breaker = open_breaker(cooldown=5.0)
    probe = object()
    assert not breaker.begin(object(), NOW + 4.9)
    assert breaker.begin(probe, NOW + 5.0)
    assert breaker.state == "half_open"
    assert not breaker.begin(object(), NOW + 60.0)
    breaker.ended(probe, NOW + 5.0, NOW + 61.0, None)
    assert breaker.state == "closed"
    assert breaker.begin(object(), NOW + 61.0)


def test_a_probe_that_fails_doubles_the_cooldown_up_to_a_minute() -> None:
    breaker = open_breaker(cooldown=5.0)
    waits = []
    for _ in range(6):
        now = breaker.until
        ended(breaker, "unavailable", now)
        waits.append(breaker.until - now)
    assert waits == [10.0, 20.0, 40.0, LONGEST_COOLDOWN, LONGEST_COOLDOWN, LONGEST_COOLDOWN]
    ended(breaker, None, breaker.until)
    ended(breaker, "unavailable", breaker.until, times=10)
    assert breaker.wait(breaker.until - 5.0) == 5.0, "once closed it begins with the declared cooldown again"


def test_a_bad_answer_of_a_probe_shows_that_the_target_answers() -> None:
    breaker = open_breaker()
    ended(breaker, "invalid", breaker.until)
    assert breaker.state == "closed"


def test_a_probe_whose_client_left_makes_way_for_the_next() -> None:
    breaker = open_breaker()
    probe = object()
    assert breaker.begin(probe, breaker.until)
    breaker.lost(probe)
    assert breaker.state == "half_open"
    assert breaker.begin(object(), breaker.until)


def test_an_answer_to_a_call_of_before_is_not_taken_for_the_probes() -> None:
    breaker = Breaker(Settings())
    old = object()
    assert breaker.begin(old, NOW)
    ended(breaker, "unavailable", NOW, times=10)
    probe = object()
    assert breaker.begin(probe, breaker.until)
    breaker.ended(old, NOW, breaker.until, None)
    assert breaker.state == "half_open"
    breaker.ended(probe, breaker.until, breaker.until + 1.0, None)
    for _ in range(50):
        breaker.ended(object(), NOW, breaker.until + 2.0, "slow")
    assert breaker.state == "closed", "time-outs of calls from before it closed do not open it again"


def test_a_wish_to_be_left_alone_is_respected_but_not_for_ever() -> None:
    breaker = Breaker(Settings(cooldown=5.0))
    breaker.asked_to_wait(42.0, NOW)
    ended(breaker, "overlimit", times=10)
    assert breaker.wait(NOW) == 42.0
    breaker.asked_to_wait(86_400.0, NOW)
    assert breaker.wait(NOW) == LONGEST_WAIT


def test_other_settings_hold_at_once_and_what_is_open_stays_open() -> None:
    breaker = open_breaker(cooldown=5.0)
    breaker.follow(Settings(calls=1, window=1.0, cooldown=1.0))
    assert breaker.wait(NOW) == 5.0
    ended(breaker, None, NOW + 5.0)
    ended(breaker, "slow", NOW + 6.0)
    assert breaker.state == "open"


def test_words_and_table_name_the_same_states() -> None:
    named = {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values())
    assert named == set(STATES)
    assert not BAD & SILENT


def test_the_diagram_in_the_docs_is_the_table() -> None:
    drawn = {
        (before, event): after
        for before, after, event in re.findall(r"^    (\w+) --> (\w+): (\w+)$", PAGE, re.MULTILINE)
    }
    assert drawn == dict(TRANSITIONS)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.booleans()), max_size=200), st.floats(0.1, 20.0))
def test_a_tally_holds_what_happened_in_its_window(events: list[tuple[float, bool]], window: float) -> None:
    tally, now, seen = Tally(window), 0.0, []
    for passed, bad in events:
        now += passed
        tally.add(bad, now)
        seen.append((now, bad))
        inside = [bad for at, bad in seen if at > now - window * 0.9]
        within = [bad for at, bad in seen if at > now - window * 1.0001]
        assert len(inside) <= tally.calls <= len(within)
        assert sum(inside) <= tally.bad <= sum(within)


class AnyTraffic(RuleBasedStateMachine):
    """Calls begin, end and are lost in any order while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(Settings(calls=3, window=10.0, cooldown=2.0))
        self.now = 0.0
        self.under_way: list[tuple[object, float]] = []
        self.let_through_half_open: list[object] = []

    @rule(seconds=st.floats(0.0, 30.0))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        call = object()
        was_open_until = self.breaker.until if self.breaker.state == "open" else None
        may = self.breaker.may_call(self.now)
        let = self.breaker.begin(call, self.now)
        assert let == may
        if was_open_until is not None:
            assert let == (self.now >= was_open_until)
        if let:
            self.under_way.append((call, self.now))
            if self.breaker.state == "half_open":
                self.let_through_half_open.append(call)

    @precondition(lambda self: self.under_way)
    @rule(index=st.integers(0, 50), failure=st.sampled_from([None, *FAILURES]))
    def end(self, index: int, failure: Failure | None) -> None:
        call, began = self.under_way.pop(index % len(self.under_way))
        before = self.breaker.state
        self.breaker.ended(call, began, self.now, failure)
        probe = call in self.let_through_half_open
        if probe:
            self.let_through_half_open.remove(call)
        if before != "closed" and self.breaker.state == "closed":
            assert probe
            assert failure not in BAD | SILENT

    @precondition(lambda self: self.under_way)
    @rule(index=st.integers(0, 50))
    def lose(self, index: int) -> None:
        call, _ = self.under_way.pop(index % len(self.under_way))
        before = self.breaker.state
        self.breaker.lost(call)
        assert self.breaker.state == before
        if call in self.let_through_half_open:
            self.let_through_half_open.remove(call)

    @invariant()
    def at_most_one_probe(self) -> None:
        assert len(self.let_through_half_open) <= 1
        assert self.breaker.shut == (self.breaker.state != "closed")

    @invariant()
    def never_shut_for_ever(self) -> None:
        if not self.let_through_half_open:
            assert self.breaker.may_call(self.now + LONGEST_COOLDOWN)


AnyTraffic.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
test_any_traffic = AnyTraffic.TestCase
