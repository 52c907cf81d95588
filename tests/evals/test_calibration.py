"""A judge decides only while people agree with it: what is compared, how the verdict falls, when it lapses."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from roadworthy.evals.calibration import LIFE, Rated, compare, conclude, in_force, middle
from roadworthy.statistics.estimate import Estimate

VALUES = {"good": 1.0, "fair": 0.5, "bad": 0.0}


def rated(n: int, agrees: float, *, good: float = 0.6, held_out: int = 5, seed: int = 1) -> list[Rated]:
    """Every third answer has a second rater; every ``held_out``-th is held out."""
    rng, found = random.Random(seed), []
    for at in range(n):
        people = "good" if rng.random() < good else rng.choice(["fair", "bad"])
        judge = people if rng.random() < agrees else rng.choice(list(VALUES))
        second = [people if rng.random() < 0.9 else "bad"] if at % 3 == 0 else []
        found.append(Rated(str(at), [people, *second], judge, at % held_out == 0))
    return found


def test_a_judge_that_people_agree_with_passes_and_is_said_to_be_worth_labels() -> None:
    found = conclude(rated(120, 0.92), VALUES, 0.0)
    assert (found.verdict, found.why) == ("PASS", [])
    assert found.whole.kappa.lower > 0.4
    assert found.whole.people is not None
    assert 120 < found.whole.worth < 1120
    assert found.held_out is not None
    assert found.held_out.n == 24
    assert found.lapses_at == LIFE


def test_a_judge_that_guesses_fails_whatever_it_says_most() -> None:
    guessing = conclude(rated(200, 0.0), VALUES, 0.0)
    assert guessing.verdict == "FAIL"
    assert "it does not agree with people: kappa" in guessing.why[0]
    flattering = [msgspec.structs.replace(each, judge="good") for each in rated(200, 1.0, good=0.9)]
    assert conclude(flattering, VALUES, 0.0).verdict == "FAIL"


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (rated(49, 1.0), "49 of at least 50 hand-scored answers (all)"),
        (rated(80, 1.0, good=1.0, seed=9), "of them bad; at least 10 are needed"),
        (rated(60, 0.45), "at least 0.4 must be proven"),
    ],
)
def test_too_little_to_tell_is_insufficient_and_says_what_is_missing(answers: list[Rated], why: str) -> None:
    found = conclude(answers, VALUES, 0.0)
    assert found.verdict == "INSUFFICIENT"
    assert any(why in each for each in found.why)


def test_the_number_of_hand_scores_that_would_decide_is_said() -> None:
    found = conclude(rated(60, 0.45), VALUES, 0.0)
    assert found.needed is not None
    assert 60 < found.needed < 1000
    assert found.why[-1] == f"about {found.needed} hand-scored answers would decide"


def test_the_held_out_part_decides_where_it_is_large_enough() -> None:
    """A prompt that was tuned on the rest says nothing there."""
    tuned, fresh = rated(100, 1.0, held_out=1000), rated(80, 0.1, held_out=1, seed=2)
    assert conclude(tuned, VALUES, 0.0).verdict == "PASS"
    assert conclude(tuned + fresh, VALUES, 0.0).verdict == "FAIL"
    assert conclude(tuned + fresh[:30], VALUES, 0.0).verdict == "PASS"


def test_a_judge_that_can_make_nothing_of_many_answers_fails() -> None:
    assert conclude(rated(70, 1.0), VALUES, 0.0, unscored=5).verdict == "PASS"
    assert conclude(rated(70, 1.0), VALUES, 0.0, unscored=30).why == ["it could make nothing of 30% of the answers"]


@pytest.mark.parametrize(
    ("swapped", "verdict"),
    [
        (Estimate(0.9, 0.8, 0.95), "PASS"),
        (Estimate(0.7, 0.6, 0.85), "INSUFFICIENT"),
        (Estimate(0.5, 0.4, 0.6), "FAIL"),
    ],
)
def test_a_pairwise_judge_must_not_prefer_a_place(swapped: Estimate, verdict: str) -> None:
    assert conclude(rated(120, 0.95), VALUES, 0.0, swapped=swapped).verdict == verdict


def test_leniency_is_said_with_its_direction() -> None:
    answers = [Rated(str(at), ["bad" if at % 2 else "good"], "good" if at < 70 else "bad") for at in range(100)]
    found = compare(answers, VALUES)
    assert found.lenient == pytest.approx(0.2)
    assert found.leaning_p < 0.01
    assert (found.recognises.sensitivity.value, found.recognises.specificity.value) == (0.7, 0.3)


def test_of_several_raters_the_middle_one_counts_and_of_two_the_worse() -> None:
    assert middle(["good", "bad", "fair"], VALUES) == "fair"
    assert middle(["good", "bad"], VALUES) == "bad"
    with pytest.raises(ValueError, match="'great' is no value of the rubric"):
        middle(["great"], VALUES)


def calibration(**fields: Any) -> Any:
    from roadworthy.evals.calibration import Calibration

    defaults: dict[str, Any] = {
        "id": "cal_1", "team": "default", "workflow": "support", "scorer": "tone", "identity": "jdg_1",
        "judge": "support-judge", "rubric": "rub_1", "values": VALUES, "items": [], "usd": 1.0, "began": 0.0,
        "by": "ada", "concluded": conclude(rated(120, 0.92), VALUES, 0.0),
    }  # fmt: skip
    return Calibration(**{**defaults, **fields})


def test_a_calibration_vouches_for_this_judge_this_rubric_and_ninety_days() -> None:
    made = calibration()
    assert in_force(made, "jdg_1", "rub_1", LIFE - 1) == ""
    assert "lapsed: one is good for 90 days" in in_force(made, "jdg_1", "rub_1", LIFE)
    assert "model, prompt" in in_force(made, "jdg_2", "rub_1", 1.0)
    assert "rubric was changed" in in_force(made, "jdg_1", "rub_2", 1.0)
    assert "never calibrated" in in_force(None, "jdg_1", "rub_1", 1.0)
    assert "never calibrated" in in_force(calibration(concluded=None), "jdg_1", "rub_1", 1.0)
    failed = calibration(concluded=conclude(rated(200, 0.0), VALUES, 0.0))
    assert "came to FAIL" in in_force(failed, "jdg_1", "rub_1", 1.0)
