"""Claims about usage that no model can have: it is as good as not reported, and never keeps a record out of the log."""

from __future__ import annotations

import pytest

from roadworthy.adapters.providers import openai_shape as shape
from roadworthy.adapters.providers.anthropic_events import tokens_of
from roadworthy.formats.messages.usage import Usage


@pytest.mark.parametrize("count", [2**63, 10**30])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_absurd_openai_counts_are_no_usage(name: str, count: int) -> None:
    counts = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, name: count}
    assert shape.tokens_of(shape.Usage(**counts)) is None


def test_absurd_sums_that_agree_are_no_usage() -> None:
    assert shape.tokens_of(shape.Usage(10**30, 10**30, 2 * 10**30)) is None


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cache_read_input_tokens"])
def test_absurd_anthropic_counts_are_no_usage(name: str) -> None:
    assert tokens_of(Usage(**{"input_tokens": 10, "output_tokens": 5, name: 2**63})) is None
