"""Cost forecasts hold what came about as often as they claim."""

from __future__ import annotations

import pytest
from bench.forecasting import simulate


def test_forecasts_of_200_made_traces_hold_about_as_often_as_they_claim() -> None:
    found = simulate(200, seed=11)
    assert found["forecasts"] == 200
    assert found["low"] <= 0.8 <= found["high"], found
    assert 0.1 < found["median_width"] < 0.6
    assert found["median_ratio"] == pytest.approx(1.0, abs=0.06)
