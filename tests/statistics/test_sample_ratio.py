"""Users who go missing on one side are noticed, and a healthy ratio is proven, not assumed."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from roadworthy.statistics.sample_ratio import log_healthy, log_mismatch, one_look_p

THRESHOLD = log(1 / 0.05)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_true_ratio_is_hardly_ever_called_a_mismatch_whatever_the_number_of_looks(share: float) -> None:
    treated = (np.random.default_rng(5).random((400, 4000), dtype=np.float32) < share).cumsum(axis=1)
    looks = range(50, 4001, 50)
    alarms = [
        any(log_mismatch(int(run[n - 1]), n - int(run[n - 1]), share) >= THRESHOLD for n in looks) for run in treated
    ]
    assert np.mean(alarms) <= 0.05


def test_a_quarter_of_the_users_missing_is_found() -> None:
    treated = int(np.random.default_rng(6).binomial(20_000, 0.075))
    assert log_mismatch(treated, 20_000 - treated, 0.1) >= THRESHOLD
    assert one_look_p(treated, 20_000 - treated, 0.1) < 1e-6


def test_a_healthy_ratio_is_proven_with_some_50_users_on_the_smaller_side() -> None:
    assert log_healthy(5, 495, 0.01) < THRESHOLD
    assert log_healthy(50, 4950, 0.01) >= THRESHOLD
    assert log_healthy(50, 50, 0.5) >= THRESHOLD
    assert log_healthy(0, 5000, 0.01) < 0


def test_chi_squared_is_the_textbook_figure() -> None:
    assert one_look_p(821, 815, 0.5) == pytest.approx(0.8821, abs=1e-4)
    assert one_look_p(0, 0, 0.5) == 1.0


def test_one_side_alone_is_no_ratio() -> None:
    with pytest.raises(ValueError, match="no two sides"):
        log_mismatch(10, 0, 1.0)
    with pytest.raises(ValueError, match="not counts"):
        log_mismatch(-1, 0, 0.5)
