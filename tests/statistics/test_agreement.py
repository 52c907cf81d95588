"""Agreement of raters: published figures, what chance is worth, and intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest

from roadworthy.statistics.agreement import alpha_interval, cohen_kappa, kappa_interval, krippendorff_alpha


def spelled(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """A table of counts as two lists of ratings."""
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in pairs], [j for _, j in pairs]


def test_kappa_is_what_the_text_books_say() -> None:
    # J. Fleiss, Statistical Methods for Rates and Proportions (3rd ed., 2003), table 18.1: 0.6765
    assert cohen_kappa(*spelled([[75, 1, 4], [5, 4, 1], [0, 0, 10]])) == pytest.approx(0.6765, abs=5e-5)
    # 20 and 15 of 50 together, 5 and 10 apart: (0.7 - 0.5) / (1 - 0.5)
    assert cohen_kappa(*spelled([[20, 5], [10, 15]])) == pytest.approx(0.4)


def test_weighted_kappa_forgives_what_is_near() -> None:
    near, far = [[20, 5, 0], [5, 20, 5], [0, 5, 20]], [[20, 0, 5], [5, 20, 5], [5, 0, 20]]
    by_hand = 1 - (20 / 80) / ((25 * 30 + 30 * 25 + 30 * 25 + 25 * 30 + 4 * (25 * 25 + 25 * 25)) / 80**2)
    assert cohen_kappa(*spelled(near), weights="quadratic") == pytest.approx(by_hand)
    assert cohen_kappa(*spelled(near), weights="linear") > cohen_kappa(*spelled(near))
    assert cohen_kappa(*spelled(far), weights="quadratic") < cohen_kappa(*spelled(far))


def test_words_are_weighted_by_the_positions_that_they_are_given() -> None:
    scores = {"bad": 0.0, "fair": 0.5, "good": 1.0}
    one, other = ["good", "fair", "bad", "good"], ["good", "good", "bad", "fair"]
    numbers = [[scores[each] for each in said] for said in (one, other)]
    same = cohen_kappa(*numbers, weights="quadratic")
    assert cohen_kappa(one, other, weights="quadratic", scores=scores) == pytest.approx(same)
    with pytest.raises(ValueError, match="give `scores`"):
        cohen_kappa(one, other, weights="linear")
    with pytest.raises(ValueError, match="'odd' has no position"):
        cohen_kappa(["odd"], ["good"], scores=scores)


def test_alpha_is_krippendorffs_own_example() -> None:
    # K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: four observers with gaps
    rows = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    units = list(zip(*rows, strict=True))
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(units, weights="quadratic") == pytest.approx(0.849, abs=5e-4)


@pytest.mark.parametrize("measure", [cohen_kappa, lambda a, b: krippendorff_alpha(list(zip(a, b, strict=True)))])
def test_who_always_says_the_same_agrees_as_chance_has_it(measure: object) -> None:
    assert callable(measure)
    assert measure(["good"] * 9, ["good"] * 9) == 0.0


def test_one_value_alone_says_nothing_of_agreement() -> None:
    for found in (kappa_interval(["good"] * 9, ["good"] * 9), alpha_interval([("good", "good")] * 9)):
        assert (found.lower, found.upper) == (-1.0, 1.0)


def test_agreement_without_an_exception_is_not_taken_for_certain() -> None:
    for found in (kappa_interval([0, 1] * 25, [0, 1] * 25), alpha_interval([(0, 0), (1, 1)] * 25)):
        assert (found.value, found.upper) == (1.0, 1.0)
        assert 0.75 < found.lower < 0.95


def test_an_interval_is_the_same_for_the_same_seed_and_holds_the_point() -> None:
    one, other = spelled([[20, 5], [10, 15]])
    found = kappa_interval(one, other, seed=3)
    assert found == kappa_interval(one, other, seed=3)
    assert found.lower < found.value < found.upper


def test_intervals_hold_the_truth_about_as_often_as_they_claim() -> None:
    rng, truth = np.random.default_rng(4), np.array([[0.45, 0.05], [0.10, 0.40]])
    by_chance = truth.sum(0) @ truth.sum(1)
    kappa = (np.trace(truth) - by_chance) / (1 - by_chance)
    held = 0
    for seed in range(200):
        table = rng.multinomial(80, truth.ravel()).reshape(2, 2)
        found = kappa_interval(*spelled(table.tolist()), seed=seed, draws=300)
        held += found.lower <= kappa <= found.upper
    assert held / 200 >= 0.90


@pytest.mark.parametrize(("one", "other"), [([], []), ([1], [1, 2])])
def test_ratings_that_cannot_be_paired_are_refused(one: list[int], other: list[int]) -> None:
    with pytest.raises(ValueError, match="expected as many of each"):
        cohen_kappa(one, other)
    with pytest.raises(ValueError, match="rated twice"):
        krippendorff_alpha([(1, None), (None, None)])
