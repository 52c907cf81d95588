"""The life of an escalation, whatever happens to it in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_support import NOON, escalation

from roadworthy.people.escalation.model import CLOSED_STATES, OPEN_STATES, Answer, Escalation
from roadworthy.people.escalation.rules import LEASE, TRANSITIONS, Event, Refused, due, step

KINDS = ("claim", "answer", "return", "lapse", "expire", "cancel")
PEOPLE = ("ada", "bo", "helpdesk:desk")


def answer(by: str = "ada", text: str = "It is on its way.") -> Event:
    return Event("answer", by, Answer(text, "edited", by))


def event(kind: str, by: str) -> Event:
    return answer(by) if kind == "answer" else Event(kind, by)  # type: ignore[arg-type]


happenings = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(PEOPLE), st.floats(0.0, 1500.0)), max_size=12)


@given(happenings)
def test_a_closed_escalation_never_changes_again(told: list[tuple[str, str, float]]) -> None:
    now, state = NOON, escalation()
    for kind, by, passed in told:
        now += passed
        try:
            after, effects = step(state, event(kind, by), now)
        except Refused:
            continue
        assert state.open
        assert (after.state in CLOSED_STATES) == bool(after.closed_at)
        assert ("tell_caller" in effects) == (after.state in CLOSED_STATES)
        state = after


@given(happenings)
def test_at_most_one_answer_is_ever_told(told: list[tuple[str, str, float]]) -> None:
    now, state, answered = NOON, escalation(), 0
    for kind, by, passed in told:
        now += passed
        try:
            state, _ = step(state, event(kind, by), now)
        except Refused:
            continue
        answered += state.state == "answered"
        if state.state == "answered":
            break
    assert answered <= 1


@given(happenings)
def test_while_a_claim_holds_only_its_holder_acts(told: list[tuple[str, str, float]]) -> None:
    now, state = NOON, escalation()
    for kind, by, passed in told:
        now += passed
        held = state.state == "claimed" and now < (state.claimed_until or 0.0)
        try:
            after, _ = step(state, event(kind, by), now)
        except Refused:
            continue
        if held and kind in ("claim", "answer", "return"):
            assert by == state.claimed_by
        state = after


def test_the_first_claim_wins() -> None:
    claimed, _ = step(escalation(), Event("claim", "ada"), NOON)
    with pytest.raises(Refused, match="ada has claimed it for another 30 min"):
        step(claimed, Event("claim", "bo"), NOON + 1)
    with pytest.raises(Refused, match="ada has claimed it"):
        step(claimed, answer("helpdesk:desk"), NOON + 1)


def test_a_lease_that_is_over_binds_nobody_even_before_it_was_noticed() -> None:
    claimed, _ = step(escalation(), Event("claim", "ada"), NOON)
    after, _ = step(claimed, answer("bo"), NOON + LEASE)
    assert (after.state, after.closed_by, after.returned) == ("answered", "bo", 1)


def test_a_claim_never_holds_past_the_deadline() -> None:
    claimed, _ = step(escalation(answer_by=NOON + 60), Event("claim", "ada"), NOON)
    assert claimed.claimed_until == NOON + 60
    assert due(claimed, NOON + 60) == Event("expire", "engine")


def test_what_is_returned_is_anybodys_again() -> None:
    claimed, _ = step(escalation(), Event("claim", "ada"), NOON)
    back, effects = step(claimed, Event("return", "ada", reason="not mine"), NOON + 1)
    assert (back.state, back.claimed_by, back.returned, back.reason, effects) == ("queue", None, 1, "not mine", ())
    assert step(back, Event("claim", "bo"), NOON + 2)[0].claimed_by == "bo"


def test_an_answer_after_the_promised_time_is_refused() -> None:
    with pytest.raises(Refused, match="time to be answered is over"):
        step(escalation(), answer(), NOON + 3600)


def test_an_empty_answer_is_none() -> None:
    with pytest.raises(Refused, match="empty"):
        step(escalation(), answer(text="  \n"), NOON)


def test_an_expired_one_is_told_to_its_owner_but_not_when_a_drill_made_it() -> None:
    expire = Event("expire", "engine")
    assert "tell_owner" in step(escalation(), expire, NOON + 3600)[1]
    assert "tell_owner" not in step(escalation(traffic="drill"), expire, NOON + 3600)[1]


def test_time_alone_gives_back_then_expires_then_does_nothing() -> None:
    claimed, _ = step(escalation(), Event("claim", "ada"), NOON)
    assert due(claimed, NOON + LEASE - 1) is None
    assert due(claimed, NOON + LEASE) == Event("lapse", "engine")
    assert due(escalation(), NOON + 3600) == Event("expire", "engine")
    assert due(step(escalation(), answer(), NOON)[0], NOON + 9999) is None


def test_every_open_state_can_be_answered_expired_and_cancelled_and_no_closed_one_leads_anywhere() -> None:
    for state in OPEN_STATES:
        for kind, end in (("answer", "answered"), ("expire", "expired"), ("cancel", "cancelled")):
            assert TRANSITIONS[state, kind] == end  # type: ignore[index]
    assert not [pair for pair in TRANSITIONS if pair[0] in CLOSED_STATES]


def test_the_state_of_a_new_one_is_the_queue() -> None:
    assert isinstance(escalation(), Escalation)
    assert escalation().state == "queue"
