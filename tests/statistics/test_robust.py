"""Median and MAD shrug off what a mean would follow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roadworthy.statistics.robust import MAD_TO_SIGMA, mad, median, percentile, robust_score


def test_a_wild_tenth_of_the_values_does_not_move_the_score_of_the_rest() -> None:
    calm = [10.0, 11.0, 9.0, 10.5, 9.5, 10.0, 10.2, 9.8, 10.1]
    score, middle, _ = robust_score(30.0, [*calm, 1e9])
    assert middle == pytest.approx(10.05)
    assert score > 3.5


def test_mad_estimates_sigma_of_normal_data() -> None:
    values = np.random.default_rng(7).normal(5.0, 2.0, 20_000).tolist()
    assert mad(values) * MAD_TO_SIGMA == pytest.approx(2.0, rel=0.03)


def test_a_constant_history_is_scored_by_the_least_spread() -> None:
    assert robust_score(11.0, [10.0] * 5, least_spread=0.5) == (2.0, 10.0, 0.5)
    assert robust_score(10.0, [10.0] * 5)[0] == 0.0
    assert robust_score(9.0, [10.0] * 5)[0] == -math.inf


def test_nothing_has_no_median_and_no_percentile() -> None:
    with pytest.raises(ValueError, match="at least one"):
        median([])
    assert percentile([], 0.5) is None
