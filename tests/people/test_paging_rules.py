"""The table of a page, held for every state and whatever happens in whatever order."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roadworthy.people.paging import rules
from roadworthy.people.paging.model import LIVE, Page, PageState, Proof

STATES = get_args(PageState)
ENDS = {"acknowledged", "resolved"}


def fresh(**more: object) -> Page:
    return replace(Page("pag_1", "inc_1", "support", "default", "ada", 0, "sent", 0.0, "pag_1"), **more)


def test_no_state_is_left_once_somebody_has_it_or_it_is_over() -> None:
    assert {state for state, _ in rules.TRANSITIONS if state in ENDS} == set()


def test_every_state_is_reached_and_every_live_one_can_be_acknowledged_and_resolved() -> None:
    assert {*rules.TRANSITIONS.values()} == set(STATES)
    for state in LIVE:
        assert rules.TRANSITIONS[state, "acknowledge"] == "acknowledged"
        assert rules.TRANSITIONS[state, "resolve"] == "resolved"


@given(
    st.lists(st.sampled_from(["taken", "refused", "time", "acknowledge", "resolve", "again"]), max_size=30),
    st.booleans(),
    st.booleans(),
)
def test_a_page_that_has_ended_stays_as_it_is_and_a_live_one_always_has_a_next_instant_or_went_on(
    events: list[str], last: bool, test: bool
) -> None:
    now, page, gone_on = 0.0, rules.sent(fresh(last=last, test=test), [Proof("mail", "msg_1")], 300.0, 0.0), False
    for event in events:
        before, now = page, now + 45.0
        if event in ("taken", "refused"):
            page = rules.proved(page, Proof("mail", "msg_1", now, event == "taken", event), now)
        elif event == "acknowledge":
            page = rules.acknowledge(page, "ada", "link", now)
        elif event == "resolve":
            page = rules.resolve(page, now)
        elif event == "time":
            page, effect = rules.passed(page, 300.0, now)
            gone_on = gone_on or effect == "next"
            if effect == "again":
                assert last
                page = rules.sent(page, [Proof("mail", "msg_1")], 300.0, now)
        if before.state in ENDS:
            assert page.state == before.state
        if page.state in LIVE and page.ended_at is None and not gone_on:
            assert page.due_at is not None
        assert not (last and gone_on)
        assert page.ended_at is None or page.due_at is None or page.test


def test_who_is_paged_next() -> None:
    order = ["ada", "bo", "cy"]
    assert rules.who_next(order, []) == ("ada", False)
    assert rules.who_next(order, ["ada"]) == ("bo", False)
    assert rules.who_next(order, ["ada", "bo"]) == ("cy", True)
    assert rules.who_next(order, order) == ("cy", True)
    assert rules.who_next([], ["ada"]) == ("", True)


def test_so_many_an_hour_then_one_that_says_so_then_none() -> None:
    sent = [float(at) for at in range(5)]
    assert [rules.room(sent[:count], 3, 10.0) for count in range(6)] == ["page"] * 3 + ["digest"] + ["hold"] * 2
    assert rules.room(sent, 3, rules.HOUR + 100.0) == "page"
