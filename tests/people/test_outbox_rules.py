from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from people_support import NOON, delivery

from roadworthy.people.outbox.model import Sent
from roadworthy.people.outbox.rules import PAUSES, after, again

FAILED = Sent(500, "it answered 500")


def test_what_was_taken_is_over() -> None:
    done = after(delivery(), Sent(204), NOON, 0.5)
    assert (done.state, done.ended_at, done.last_status) == ("delivered", NOON, 204)


@given(st.lists(st.floats(0.0, 0.999), min_size=len(PAUSES) + 1, max_size=len(PAUSES) + 1))
def test_every_message_is_given_up_after_the_last_pause_and_pauses_never_shrink_below_their_jitter(
    jitters: list[float],
) -> None:
    row, now = delivery(due_at=NOON), NOON
    for number, jitter in enumerate(jitters):
        assert row.state == "waiting"
        row = after(row, FAILED, now, jitter)
        if row.state == "waiting":
            pause = PAUSES[number]
            assert 0.79 * pause <= row.due_at - now <= 1.21 * pause
            now = row.due_at
    assert (row.state, row.tries, row.last_error) == ("dead", len(PAUSES) + 1, "it answered 500")


def test_a_receiver_that_is_gone_is_not_asked_again() -> None:
    assert after(delivery(), Sent(410, "it answered 410"), NOON, 0.5).state == "dead"


def test_retry_after_makes_the_pause_longer_never_shorter_and_never_absurd() -> None:
    assert after(delivery(), Sent(429, "busy", retry_after=90.0), NOON, 0.5).due_at == NOON + 90
    assert after(delivery(), Sent(429, "busy", retry_after=0.0), NOON, 0.5).due_at == NOON + PAUSES[0]
    assert after(delivery(), Sent(429, "busy", retry_after=1e9), NOON, 0.5).due_at == NOON + 6 * 3600


def test_a_message_told_anew_begins_at_the_first_pause() -> None:
    row = again(after(delivery(), Sent(410, "gone"), NOON, 0.5), NOON + 5)
    assert (row.state, row.tries, row.due_at, row.ended_at) == ("waiting", 0, NOON + 5, None)
