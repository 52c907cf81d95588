"""Recorded traffic on other models."""

from __future__ import annotations

import pytest

from roadworthy.cost.comparing import Candidate, Recorded, compare
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Price

RECORDED = Recorded(100, 100.0, Tokens(input=600_000, cache_read=400_000, output=100_000), 1.0, 0, 3.0)
NOW = Candidate("now", "openai", Price(input=1e-6, output=4e-6, cache_read=1e-7), serves=True)
DEAR = Candidate("dear", "anthropic", Price(input=3e-6, output=15e-6))
CHEAP = Candidate("cheap", "groq", Price(input=1e-7, output=1e-7, per_request=1e-4))


def test_a_month_of_the_same_tokens_cheapest_first_with_unknown_prices_last() -> None:
    unknown = Candidate("unknown", "", None, "nobody lists it")
    found = compare(RECORDED, [NOW, unknown, DEAR, CHEAP])
    assert [each.candidate.name for each in found] == ["cheap", "now", "dear", "unknown"]
    now = found[1]
    assert now.month == pytest.approx((0.6 + 0.04 + 0.4) * 10)
    assert now.saved == pytest.approx(0.0)
    assert (now.low, now.high) == (now.month, now.month)  # its own tokens were counted
    assert found[2].saved == pytest.approx(1.0 - 45.0 / 10.4)


def test_without_a_cache_all_input_costs_as_input_and_a_batch_is_half_where_one_is_sold() -> None:
    now, dear = compare(RECORDED, [NOW, DEAR])
    assert now.uncached == pytest.approx((1.0 + 0.4) * 10)
    assert now.batch == pytest.approx(5.2)
    assert (dear.month, dear.uncached) == (pytest.approx(45.0), pytest.approx(45.0))
    assert compare(RECORDED, [CHEAP])[0].batch is None


def test_the_range_is_of_tokens_and_leaves_fees_alone() -> None:
    (cheap,) = compare(RECORDED, [CHEAP])
    assert cheap.month == pytest.approx((0.11 + 0.01) * 10)
    assert cheap.high == pytest.approx(1.2 + 0.15 * 1.1)
    assert cheap.saved is None  # nothing serves now
