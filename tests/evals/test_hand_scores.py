"""Claims about scoring by hand: a signed rubric first, one score a person and answer, a second person on a share."""

from __future__ import annotations

import msgspec
import pytest
from examples_bench import ADA, BO, CY, RUBRIC, ExampleBench

from roadworthy.evals.hand import Desk, agreed, digest_of, wanted
from roadworthy.evals.model import Captured, HandScore
from roadworthy.evals.service import Refused
from roadworthy.workflow.service import Actor, Unknown


@pytest.fixture
def bench() -> ExampleBench:
    made = ExampleBench()
    made.take(40)
    made.evals.sign("support", ADA)
    return made


def score_all(bench: ExampleBench, actor: Actor, value: str = "good", share: float = 0.2) -> Desk:
    desk = bench.hand.desk("support", actor, share=share)
    for each in desk.items:
        bench.hand.score("support", each.example.id, each.answer, value, actor)
    return desk


def test_nobody_scores_before_the_owner_has_signed_the_rubric_as_it_is() -> None:
    bench = ExampleBench()
    bench.take(3)
    bench.answered()
    with pytest.raises(Refused, match="ada has not signed the rubric of support as it is now"):
        bench.hand.desk("support", BO)
    bench.evals.sign("support", ADA)
    [question, *_] = bench.hand.desk("support", BO).items
    bench.apply(RUBRIC + "\nMore.\n")
    with pytest.raises(Refused, match="ada has not signed"):
        bench.hand.score("support", question.example.id, question.answer, "good", BO)


@pytest.mark.parametrize(("rubric", "why"), [(None, "support has no rubric"), ("Be nice.", "has 0 named values")])
def test_without_named_values_nobody_scores(bench: ExampleBench, rubric: str | None, why: str) -> None:
    bench.apply(rubric)
    with pytest.raises(Refused, match=why):
        bench.hand.desk("support", ADA)


def test_every_answer_is_scored_once_and_what_is_left_comes_in_the_same_order(bench: ExampleBench) -> None:
    bench.answered()
    desk = bench.hand.desk("support", ADA)
    assert (len(desk.items), desk.mine, desk.of) == (40, 0, 40)
    for each in desk.items[:3]:
        bench.hand.score("support", each.example.id, each.answer, "bad", ADA)
    again = bench.hand.desk("support", ADA)
    assert (again.items, again.mine, again.of) == (desk.items[3:], 3, 40)
    assert bench.hand.desk("support", BO).items != desk.items


def test_a_second_person_scores_a_share_without_being_told_what_the_first_thought(bench: ExampleBench) -> None:
    bench.answered()
    score_all(bench, ADA)
    desk = bench.hand.desk("support", BO)
    assert 2 <= len(desk.items) == desk.seconds <= 16
    assert not {"good", "score"} & set(msgspec.to_builtins(desk.items[0]))
    assert len(bench.hand.desk("support", BO, share=1.0).items) == 40
    assert bench.hand.desk("support", BO, share=0.0).items == []
    score_all(bench, BO, "bad")
    assert all(each.blind for each in bench.hand.of("support") if each.rater == "bo")
    assert not any(each.blind for each in bench.hand.of("support") if each.rater == "ada")
    assert bench.hand.desk("support", CY, share=1.0).seconds == 40 - len(desk.items), "two are enough"


def test_a_score_can_be_taken_back_by_whoever_gave_it_and_is_audited(bench: ExampleBench) -> None:
    bench.answered()
    first = bench.hand.desk("support", ADA).items[0]
    bench.hand.score("support", first.example.id, first.answer, "bad", ADA)
    with pytest.raises(Unknown, match="bo has not scored"):
        bench.hand.undo("support", first.example.id, first.answer, BO)
    assert bench.hand.undo("support", first.example.id, first.answer, ADA).value == "bad"
    assert bench.hand.of("support") == []
    assert bench.hand.desk("support", ADA).items[0] == first
    assert [action for action, _ in bench.audited()][-2:] == ["evals.score", "evals.unscore"]


def test_a_value_that_the_rubric_has_not_and_an_answer_that_nobody_gave_are_refused(bench: ExampleBench) -> None:
    bench.answered()
    first = bench.hand.desk("support", ADA).items[0]
    with pytest.raises(Refused, match="no value 'god'; did you mean 'good'"):
        bench.hand.score("support", first.example.id, first.answer, "god", ADA)
    with pytest.raises(Unknown, match="there is no such answer"):
        bench.hand.score("support", first.example.id, digest_of("something else"), "good", ADA)
    with pytest.raises(Unknown):
        bench.hand.desk("support", ADA, run="evr_none")


def test_an_answer_that_says_the_same_to_the_letter_has_its_score_already(bench: ExampleBench) -> None:
    bench.answered()
    score_all(bench, ADA)
    bench.answered("evr_2")
    assert bench.hand.desk("support", ADA, share=0).items == []
    bench.answered("evr_3", "another answer to {}")
    assert len(bench.hand.desk("support", ADA, share=0).items) == 40


def test_scores_are_found_by_the_answers_of_a_run_and_averaged_over_people(bench: ExampleBench) -> None:
    bench.answered(n=2)
    one, two = bench.hand.desk("support", ADA).items
    bench.hand.score("support", one.example.id, one.answer, "good", ADA)
    bench.hand.score("support", one.example.id, one.answer, "partly", BO)
    answers = bench.evals.answers("evr_1")
    assert bench.hand.by_slot("support", answers) == {one.example.id: 0.75}
    bench.hand.score("support", two.example.id, two.answer, "bad", ADA)
    assert bench.hand.by_slot("support", answers) == {one.example.id: 0.75, two.example.id: 0.0}
    bench.apply(RUBRIC + "\nMore.\n")
    assert bench.hand.by_slot("support", answers) == {}, "it was by another rubric"


def test_what_a_model_answered_in_traffic_is_scored_beside_what_it_answered_in_a_run(bench: ExampleBench) -> None:
    example = bench.current().items[0]
    captured = Captured(
        team="default", workflow="support", example=example.id, text="as it was", at=1.0, inference="inf_1"
    )
    bench.pool.add("support", [(example, captured)], ADA, "captured")
    [question] = bench.hand.desk("support", ADA).items
    assert (question.text, question.run, question.inference) == ("as it was", "", "inf_1")
    assert bench.hand.score("support", example.id, question.answer, "good", ADA).run == ""


def test_a_score_that_somebody_else_wrote_counts_for_nothing(bench: ExampleBench) -> None:
    bench.answered(n=1)
    score_all(bench, ADA)
    with bench.state.write() as tx:
        rows = tx._trials_change.hand
        [(key, (score, token))] = rows.items()
        rows[key] = msgspec.structs.replace(score, value="bad"), token[:-4] + "AAAA"
    assert bench.hand.of("support") == []


def pairs(*values: str) -> list[list[HandScore]]:
    def one(at: int, rater: str, value: str) -> HandScore:
        return HandScore(
            team="t", workflow="w", example=f"exm_{at}", answer="ans", rubric="rub", rater=rater, value=value, score=0,
            at=0,
        )  # fmt: skip

    return [[one(at, "ada", both[0]), one(at, "bo", both[1])] for at, both in enumerate(values)]


def test_agreement_is_told_as_a_share_and_beyond_chance_with_intervals() -> None:
    found = agreed(pairs(*["gg"] * 20, *["bb"] * 15, *["gb"] * 5))
    assert found is not None
    assert (found.answers, found.same, found.raters, len(found.differ)) == (40, 35, ["ada", "bo"], 5)
    assert found.share[1] < 35 / 40 < found.share[2]
    assert found.kappa[0] == pytest.approx(0.75)  # chance: (25·20 + 15·20)/1600 = .5
    assert found.kappa[1] < 0.75 < found.kappa[2]
    assert agreed(pairs("gg")) is None


def test_who_scores_what_is_drawn_by_the_answer_and_not_by_the_rater() -> None:
    answers = [(f"exm_{at}", "ans") for at in range(1000)]
    seconds = [key for key in answers if wanted(key, {"ada"}, "bo", 0.2)]
    assert 150 < len(seconds) < 250
    assert seconds == [key for key in answers if wanted(key, {"ada"}, "cy", 0.2)]
    assert not any(wanted(key, {"ada", "bo"}, "cy", 1.0) for key in answers)
    assert not any(wanted(key, {"ada"}, "ada", 1.0) for key in answers)
