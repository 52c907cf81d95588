"""An order is reached when every gateway has confirmed it, and never before."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from roadworthy.kill_switch.confirming import Confirmations, Gateway, Order, begin, confirm, ended, report, seen
from roadworthy.kill_switch.model import STATES, severity

NAMES = ["gw-1", "gw-2", "gw-3"]
ORDER = Order("support", "off", 7, 100.0)


def gateway(name: str, seen_at: float = 99.0) -> Gateway:
    return Gateway(name, f"/data/{name}", seen_at)


def book(*names: str) -> Confirmations:
    return begin(ORDER, {name: gateway(name) for name in names})


def test_it_is_reached_when_the_last_gateway_has_confirmed() -> None:
    one = confirm(book("gw-1", "gw-2"), "gw-1", 7, "off", 100.2)
    assert not report(one, 101.0).reached
    both = report(confirm(one, "gw-2", 8, "off", 100.4), 101.0)
    assert (both.reached, both.missing) == (True, [])
    assert (round(both.p50 or 0, 3), round(both.max or 0, 3)) == (0.3, 0.4)


def test_a_missing_gateway_is_named_with_what_to_run_there() -> None:
    found = report(confirm(book("gw-1", "gw-2"), "gw-1", 7, "off", 100.2), 130.0)
    assert [(each.gateway, each.silent_for, each.run) for each in found.missing] == [
        ("gw-2", 31.0, "echo off > /data/gw-2/KILL.support")
    ]


def test_with_no_gateway_known_nothing_is_reached() -> None:
    assert not report(book(), 101.0).reached


def test_a_gateway_that_joins_or_goes_on_again_is_missing_and_one_that_ended_is_not() -> None:
    done = confirm(book("gw-1"), "gw-1", 7, "off", 100.2)
    assert not report(seen(done, gateway("gw-2")), 101.0).reached
    assert report(ended(seen(done, gateway("gw-2")), "gw-2"), 101.0).reached
    assert not report(confirm(done, "gw-1", 8, "on", 100.5), 101.0).reached
    assert report(confirm(done, "gw-1", 6, "on", 100.5), 101.0).reached, "an old word, come late"


def test_the_first_confirmation_is_the_time_that_is_told() -> None:
    twice = confirm(confirm(book("gw-1"), "gw-1", 7, "off", 100.2), "gw-1", 7, "off", 150.0)
    assert round(report(twice, 200.0).max or 0, 3) == 0.2


@given(
    st.sets(st.sampled_from(NAMES)),
    st.lists(
        st.one_of(
            st.tuples(st.just("confirm"), st.sampled_from(NAMES), st.integers(5, 9), st.sampled_from(STATES)),
            st.tuples(st.just("seen"), st.sampled_from(NAMES), st.just(0), st.just("on")),
            st.tuples(st.just("ended"), st.sampled_from(NAMES), st.just(0), st.just("on")),
        ),
        max_size=20,
    ),
    st.sampled_from(["guarded", "assist", "off"]),
)
def test_off_is_never_reported_while_one_is_missing(known: set[str], story: list[Any], to: Any) -> None:
    order = Order("support", to, 7, 100.0)
    state = begin(order, {name: gateway(name) for name in known})
    alive, last = set(known), dict.fromkeys(NAMES, "on")
    for kind, name, seq, said in story:
        if kind == "confirm":
            state = confirm(state, name, seq, said, 101.0)
            last[name] = said if seq >= 7 else last[name]
        elif kind == "seen":
            state = seen(state, gateway(name))
            alive.add(name)
        else:
            state = ended(state, name)
            alive.discard(name)
            last[name] = "on"
        found = report(state, 102.0)
        fulfilled = {each for each in alive if severity(last[each]) >= severity(to)}  # type: ignore[arg-type]
        assert found.reached == (bool(alive) and fulfilled == alive)
        assert {each.gateway for each in found.missing} == alive - fulfilled
