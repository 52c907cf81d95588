"""A draft that is hidden is told to nobody before they have written an answer of their own."""

from __future__ import annotations

import msgspec
import pytest
from people_support import ADA, BO, NOON, Desk, ident, line

from roadworthy.people.escalation.rules import Refused, hides, last_of_user, reading_time
from roadworthy.workflow.model import EscalationPolicy, Policy
from roadworthy.workflow.ports import AppliedConfiguration

ONE = ident(1)


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    with made.state.write() as tx:
        applied = tx.applied()
        assert applied is not None
        support = applied.configuration.workflows["support"]
        policy = Policy(escalation=EscalationPolicy(helpdesk="desk", hide_draft=1.0))
        hiding = msgspec.structs.replace(support, policy=policy)
        configuration = msgspec.structs.replace(applied.configuration, workflows={"support": hiding})
        tx.add_configuration(AppliedConfiguration(2, NOON, "ada", {}, configuration))
    made.open(line())
    return made


def test_neither_reading_nor_claiming_nor_the_helpdesk_gets_it(desk: Desk) -> None:
    assert desk.queue.read(ONE, ADA).draft is None
    assert desk.queue.claim(ONE, ADA).draft is None
    assert desk.messages()[0]["data"]["draft"] is None


def test_who_has_written_sees_it_and_what_they_wrote_is_kept(desk: Desk) -> None:
    desk.queue.claim(ONE, ADA)
    seen = desk.queue.commit(ONE, ADA, "It arrives tomorrow.")
    assert seen.draft == "I cannot say."
    assert desk.queue.read(ONE, BO).draft is None
    done = desk.queue.answer(ONE, ADA, "", "sent")
    assert done.answer is not None
    assert (done.answer.text, done.answer.hidden) == ("I cannot say.", True)
    assert done.committed is not None
    assert (done.committed.text, done.committed.by) == ("It arrives tomorrow.", "ada")


def test_nobody_sends_it_unseen(desk: Desk) -> None:
    desk.queue.claim(ONE, ADA)
    with pytest.raises(Refused, match="hidden until you have written"):
        desk.queue.answer(ONE, ADA, "", "sent")
    assert desk.queue.find(ONE).state == "claimed"


def test_only_the_holder_commits_and_not_nothing(desk: Desk) -> None:
    with pytest.raises(Refused, match="in the queue, claimed by nobody"):
        desk.queue.commit(ONE, ADA, "Tomorrow.")
    desk.queue.claim(ONE, ADA)
    with pytest.raises(Refused, match="ada has claimed it"):
        desk.queue.commit(ONE, BO, "Tomorrow.")
    with pytest.raises(Refused, match="write your own answer first"):
        desk.queue.commit(ONE, ADA, "  ")


def test_an_answer_of_ones_own_shows_it_and_compares(desk: Desk) -> None:
    desk.queue.claim(ONE, ADA)
    done = desk.queue.answer(ONE, ADA, "Your parcel arrives tomorrow, we are sorry.")
    assert done.answer is not None
    assert (done.answer.action, done.draft) == ("discarded", "I cannot say.")


def test_the_next_agent_writes_for_themselves(desk: Desk) -> None:
    desk.queue.claim(ONE, ADA)
    desk.queue.commit(ONE, ADA, "Tomorrow.")
    desk.queue.give_back(ONE, ADA)
    assert desk.queue.claim(ONE, BO).draft is None


def test_a_share_hides_the_same_ones_for_everybody_always() -> None:
    desk = Desk()
    desk.open(*(line(number) for number in range(1, 401)))
    rows = [desk.queue.find(ident(number)) for number in range(1, 401)]
    hidden = [row.id for row in rows if hides(row, 0.25)]
    assert 70 < len(hidden) < 130
    assert hidden == [row.id for row in rows if hides(row, 0.25)]
    assert not any(hides(row, 0.0) for row in rows)


def test_renewing_a_claim_does_not_hide_how_long_it_took() -> None:
    desk = Desk()
    desk.open(line())
    desk.queue.claim(ONE, ADA)
    desk.clock.now += 600
    assert desk.queue.claim(ONE, ADA).claimed_at == NOON
    desk.clock.now += 60
    done = desk.queue.answer(ONE, ADA, "Tomorrow.")
    assert (done.claimed_at, done.closed_at) == (NOON, NOON + 660)
    assert done.answer is not None
    assert done.answer.reading == round(reading_time("Where is my parcel?", "I cannot say."), 1)


def test_reading_time_counts_words_and_texts_without_spaces() -> None:
    assert reading_time(" ".join(["word"] * 238)) == pytest.approx(60.0)
    assert reading_time("字" * 2380) == pytest.approx(60.0)
    parts = msgspec.Raw(b'[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"}]}]')
    assert last_of_user(parts) == "b"
    assert last_of_user(msgspec.Raw(b"{")) == ""
