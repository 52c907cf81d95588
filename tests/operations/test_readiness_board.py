"""What readiness takes from the log."""

from __future__ import annotations

import pytest

from roadworthy.operations.readiness import coarse


def test_what_a_pilot_follows_does_not_move_with_every_call() -> None:
    rounded = [coarse(calls) for calls in (0.3, 1.0, 20.0, 21.0, 499.9, 500.0, 500.1, 9_100.0)]
    assert rounded == pytest.approx([0.3, 1.0, 20.0, 30.0, 500.0, 500.0, 600.0, 10_000.0])
    assert len({coarse(calls) for calls in range(1, 10_001)}) == 37
