"""A judge that errs: published figures, corrections, and intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy.statistics.judged import (
    Unusable,
    mcnemar,
    mean_errors,
    prediction_powered,
    recognises,
    rogan_gladen,
    swap_consistency,
    worth_labels,
)


def test_mcnemar_is_exact_for_few_and_corrected_for_many() -> None:
    many = mcnemar(145, 115)
    assert many.chi2 == pytest.approx(3.2346, abs=5e-5)
    assert many.p == pytest.approx(0.0721, abs=5e-5)
    # A. Agresti, Categorical Data Analysis (2nd ed., 2002), 10.1: 150 and 86, without correction 17.36
    assert mcnemar(150, 86).chi2 == pytest.approx(63**2 / 236)
    few = mcnemar(1, 7)
    assert few.chi2 is None
    assert few.p == pytest.approx(2 * 9 / 256)
    assert (mcnemar(0, 0).p, mcnemar(12, 12).p) == (1.0, 1.0)
    assert mcnemar(12, 13).chi2 == 0.0


def test_pairs_tell_more_than_two_samples_do() -> None:
    # 145 gained, 115 lost of 999, 552 good in both: what two judges came to on 999 comparisons
    new = [1.0] * (145 + 552) + [0.0] * (115 + 187)
    old = [0.0] * 145 + [1.0] * 552 + [1.0] * 115 + [0.0] * 187
    paired, unpaired = mean_errors(new, old)
    assert (round(paired, 4), round(unpaired, 4)) == (0.0161, 0.0208)


def test_a_judge_is_seen_by_what_it_makes_of_good_and_of_bad_answers() -> None:
    people = [True] * 40 + [False] * 10
    judge = [True] * 36 + [False] * 4 + [True] * 5 + [False] * 5
    found = recognises(people, judge)
    assert (found.good, found.bad) == (40, 10)
    assert (found.sensitivity.value, found.specificity.value) == (0.9, 0.5)
    assert found.sensitivity.lower == pytest.approx(0.7695, abs=5e-5)
    only_good = recognises([True], [True])
    assert (only_good.specificity.lower, only_good.specificity.upper) == (0.0, 1.0)


def test_a_judge_that_prefers_a_place_is_caught() -> None:
    fair = swap_consistency(["first", "second", "tie"], ["second", "first", "tie"])
    assert (fair.consistent.value, fair.first, fair.second) == (1.0, 0, 0)
    biased = swap_consistency(["first"] * 12 + ["second"] * 4, ["first"] * 10 + ["second", "tie"] + ["first"] * 4)
    assert (biased.pairs, biased.first, biased.second) == (16, 10, 0)
    assert biased.consistent.value == 5 / 16
    assert biased.p < 0.01
    with pytest.raises(ValueError, match="'left' is no place"):
        swap_consistency(["left"], ["first"])


def test_what_a_judge_says_is_corrected_for_how_it_errs() -> None:
    # 60 % called good by a judge with sensitivity .9 and specificity .8: (.6 + .8 - 1) / .7
    found = rogan_gladen(120, 200, (80, 100), (90, 100))
    assert found.value == pytest.approx(0.4 / 0.7)
    assert found.lower < found.value < found.upper
    assert found.upper - found.lower > 2 * 1.96 * (0.6 * 0.4 / 200) ** 0.5
    assert rogan_gladen(0, 50, (40, 50), (45, 50)).value == 0.0
    with pytest.raises(Unusable, match="no better than a coin"):
        rogan_gladen(10, 20, (5, 10), (4, 10))
    with pytest.raises(ValueError, match="are not shares"):
        rogan_gladen(21, 20, (5, 10), (9, 10))


def test_the_corrected_interval_holds_the_truth() -> None:
    rng, held = np.random.default_rng(2), 0
    for _ in range(400):
        good = rng.binomial(100, 0.8)
        right1, right0 = rng.binomial(good, 0.9), rng.binomial(100 - good, 0.85)
        said = rng.binomial(200, 0.8 * 0.9 + 0.2 * 0.15)
        found = rogan_gladen(int(said), 200, (int(right0), int(100 - good)), (int(right1), int(good)))
        held += found.lower <= 0.8 <= found.upper
    assert held / 400 >= 0.92


def test_a_judge_adds_as_much_as_it_agrees_and_never_harms() -> None:
    rng = np.random.default_rng(3)
    truth = (rng.random(1060) < 0.7).astype(float)
    right = np.where(rng.random(1060) < 0.9, truth, 1 - truth)
    coin = (rng.random(1060) < 0.5).astype(float)
    hand = truth[:60].tolist()
    good = prediction_powered(hand, right[:60].tolist(), right[60:].tolist())
    none = prediction_powered(hand, coin[:60].tolist(), coin[60:].tolist())
    alone = prediction_powered(hand, right[:60].tolist(), [])
    assert good.worth > 80 > none.worth >= 60
    assert good.mean.upper - good.mean.lower < none.mean.upper - none.mean.lower
    assert (alone.trust, alone.worth, alone.mean.value) == (0.0, pytest.approx(60), pytest.approx(np.mean(hand)))


def test_worth_in_labels_is_everything_for_a_perfect_judge_and_nothing_for_a_constant_one() -> None:
    hand = [1.0, 0.0, 1.0, 1.0] * 5
    assert worth_labels(hand, hand, 1000) == pytest.approx(1020)
    assert worth_labels(hand, [1.0] * 20, 1000) == 20
    assert worth_labels(hand, [1 - each for each in hand], 1000) == 20


def test_the_powered_interval_holds_the_truth() -> None:
    rng, held = np.random.default_rng(5), 0
    for _ in range(300):
        truth = (rng.random(360) < 0.7).astype(float)
        judge = np.where(rng.random(360) < 0.85, truth, 1 - truth)
        found = prediction_powered(truth[:60].tolist(), judge[:60].tolist(), judge[60:].tolist())
        held += found.mean.lower <= 0.7 <= found.mean.upper
    assert held / 300 >= 0.91
