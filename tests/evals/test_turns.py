"""Claims about turns: two people never score the same answer at once, and nobody waits for somebody who has left."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from examples_bench import ADA, BO, CY, ExampleBench

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evals.hand import PACE, pace
from roadworthy.evals.model import HandScore
from roadworthy.evals.sealed import Sealed
from roadworthy.evals.service import Refused
from roadworthy.evals.tokens import HAND_SCORE
from roadworthy.evals.turns import LIFE, SITTING, Turns
from roadworthy.operations.proving.tasks import wanted
from roadworthy.workflow.model import GatePolicy, Policy
from roadworthy.workflow.service import Unknown


class Watch:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


KEYS = [("exm_a", "ans_1"), ("exm_b", "ans_2")]


def test_the_first_to_come_has_it_and_the_next_person_gets_the_next_one() -> None:
    turns = Turns(Watch())
    assert turns.next("support", "ada", KEYS) == KEYS[0]
    assert turns.next("support", "bo", KEYS) == KEYS[1]
    assert turns.next("support", "cy", KEYS) is None
    assert turns.next("other", "cy", KEYS) == KEYS[0], "turns are of a workflow"
    assert turns.others("support", "cy") == ["ada", "bo"]
    assert turns.take("support", "cy", KEYS[0]) == "ada", "and cy is told who has it"


def test_looking_again_keeps_the_turn_and_silence_gives_it_back() -> None:
    watch = Watch()
    turns = Turns(watch)
    turns.next("support", "ada", KEYS)
    watch.now += LIFE - 1
    assert turns.next("support", "ada", KEYS) == KEYS[0]
    watch.now += LIFE - 1
    assert turns.other("support", "bo", KEYS[0]) == "ada"
    watch.now += 2
    assert turns.next("support", "bo", KEYS) == KEYS[0]
    assert turns.take("support", "ada", KEYS[0]) == "bo", "whoever went away does not take it back"


def test_a_person_has_one_turn_so_that_a_forgotten_tab_keeps_nothing_from_others() -> None:
    turns = Turns(Watch())
    turns.take("support", "ada", KEYS[0])
    turns.take("support", "ada", KEYS[1])
    assert turns.other("support", "bo", KEYS[0]) == ""
    turns.leave("support", "ada")
    assert turns.others("support", "bo") == []


@pytest.fixture
def bench() -> ExampleBench:
    made = ExampleBench()
    made.take(3)
    made.evals.sign("support", ADA)
    made.answered()
    return made


def test_three_people_at_one_desk_have_three_answers_before_them_and_the_fourth_is_told_who_they_are(
    bench: ExampleBench,
) -> None:
    found = [bench.hand.turn("support", actor).question for actor in (ADA, BO, CY)]
    assert len({each.example.id for each in found if each is not None}) == 3
    assert bench.hand.turn("support", ADA).question == found[0], "the page may be loaded again"
    late = bench.hand.turn("support", type(ADA)("dee"))
    assert (late.question, late.left, late.others) == (None, 3, ["ada", "bo", "cy"])


def test_what_another_has_before_them_cannot_be_scored_until_they_have_gone(bench: ExampleBench) -> None:
    taken = bench.hand.turn("support", ADA).question
    assert taken is not None
    with pytest.raises(Refused, match="ada is scoring this answer now, and two never score one at once"):
        bench.hand.score("support", taken.example.id, taken.answer, "good", BO)
    assert bench.hand.hold("support", taken.example.id, taken.answer, BO) == "ada is scoring this answer now"
    bench.hand.score("support", taken.example.id, taken.answer, "good", ADA)
    said = bench.hand.hold("support", taken.example.id, taken.answer, BO, share=0.0)
    assert said == "ada scored this answer meanwhile"
    assert bench.hand.hold("support", taken.example.id, taken.answer, BO, share=1.0) == "", "a second person may"


def test_what_is_skipped_is_free_for_others_and_comes_back_when_it_is_taken_back(bench: ExampleBench) -> None:
    first = bench.hand.turn("support", ADA).question
    assert first is not None
    bench.hand.skip("support", first.example.id, first.answer, ADA)
    second = bench.hand.turn("support", ADA)
    assert second.left == 2
    assert second.question is not None
    assert second.question.example.id != first.example.id
    assert bench.hand.hold("support", first.example.id, first.answer, BO) == ""
    bench.hand.turns.leave("support", "bo")
    assert bench.hand.back("support", ADA) == ""
    assert bench.hand.turn("support", ADA).question == first
    for each in second.desk.items:
        bench.hand.skip("support", each.example.id, each.answer, CY)
    done = bench.hand.turn("support", CY)
    assert (done.question, done.left, len(done.desk.items)) == (None, 0, 3)


def test_taking_back_goes_through_a_sitting_from_its_end(bench: ExampleBench) -> None:
    seen = []
    for value in ("good", "", "bad"):
        bench.now += 1
        question = bench.hand.turn("support", ADA).question
        assert question is not None
        seen.append(question)
        key = (question.example.id, question.answer)
        bench.hand.score("support", *key, value, ADA) if value else bench.hand.skip("support", *key, ADA)
    assert bench.hand.turn("support", ADA).question is None
    for value, question in zip(("bad", "", "good"), reversed(seen), strict=True):
        assert bench.hand.back("support", ADA) == value
        assert bench.hand.turn("support", ADA).question == question
    with pytest.raises(Unknown, match="nothing of this sitting to take back"):
        bench.hand.back("support", ADA)


def test_a_score_of_yesterday_is_not_taken_back_by_a_key(bench: ExampleBench) -> None:
    question = bench.hand.turn("support", ADA).question
    assert question is not None
    bench.hand.score("support", question.example.id, question.answer, "good", ADA)
    bench.now += SITTING + 1
    with pytest.raises(Unknown):
        bench.hand.back("support", ADA)


def test_how_long_it_takes_is_learned_from_the_rater_and_a_break_is_no_work() -> None:
    assert pace([]) == PACE
    assert pace([0.0, 10.0]) == PACE, "one gap says nothing"
    assert pace([0.0, 10.0, 20.0, 32.0, 5_000.0, 5_010.0]) == 10.0


def test_nobody_is_asked_to_score_more_than_tells_anybody_anything(bench: ExampleBench) -> None:
    with bench.state.read() as tx:
        applied = tx.applied()
    assert applied is not None
    flow = applied.configuration.workflows["support"]
    desk = msgspec.structs.replace(bench.hand.desk("support", ADA), items=[None] * 200, seconds=8)
    assert wanted(flow, desk, scored=0) == (50, False)
    assert wanted(flow, desk, scored=38) == (12, False)
    assert wanted(flow, desk, scored=50) == (8, True), "then what others scored, so that agreement is known"
    assert wanted(flow, msgspec.structs.replace(desk, seconds=0), scored=60) == (0, True)
    by_hand = msgspec.structs.replace(flow, policy=Policy(gate=GatePolicy(floors={"hand": 0.8})))
    assert wanted(by_hand, desk, scored=150) == (50, False), "a floor of hand scores wants every answer"


def test_a_signature_is_checked_once_and_another_message_under_it_is_forged() -> None:
    asked: list[bytes] = []

    class Counting(Ed25519Verifier):
        def verify(self, public_keys: Sequence[str], message: bytes, signature: bytes) -> bool:
            asked.append(message)
            return super().verify(public_keys, message, signature)

    signer = Ed25519Signer(b"s" * 32)
    sealed = Sealed(signer, Counting())
    score = HandScore(
        team="d", workflow="w", example="e", answer="a", rubric="r", rater="ada", value="good", score=1.0, at=1.0
    )
    token = sealed.seal(HAND_SCORE, score)
    other = sealed.seal(HAND_SCORE, msgspec.structs.replace(score, score=0.0))
    for _ in range(3):
        assert sealed.opened(HAND_SCORE, [token]) == [score]
    assert len(asked) == 1
    mixed = other.partition(".")[0] + "." + token.partition(".")[2]
    for _ in range(2):
        assert sealed.opened(HAND_SCORE, [mixed]) == [], "what was not good is never remembered as good"
