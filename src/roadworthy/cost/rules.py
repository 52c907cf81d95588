"""Tokens times price.  Unknown is ``None`` with a reason, never zero."""

from __future__ import annotations

from roadworthy.cost.model import Breakdown
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Price

NO_USAGE = "no usage reported"


def breakdown(tokens: Tokens, price: Price) -> Breakdown:
    """US dollars by kind.  Cached tokens without a price of their own are charged as input."""
    cache_read = price.input if price.cache_read is None else price.cache_read
    cache_write = price.input if price.cache_write is None else price.cache_write
    return Breakdown(
        input=tokens.input * price.input,
        cache_read=tokens.cache_read * cache_read,
        cache_write=tokens.cache_write * cache_write + _hour_extra(tokens, price, cache_write),
        output=tokens.output * price.output,
        request=price.per_request,
    )


def cost_of(tokens: Tokens, price: Price) -> float:
    """US dollars: the total of ``breakdown``, without making one (hot path)."""
    total = tokens.input * price.input + tokens.output * price.output + price.per_request
    if tokens.cache_read:
        total += tokens.cache_read * (price.input if price.cache_read is None else price.cache_read)
    if tokens.cache_write:
        cache_write = price.input if price.cache_write is None else price.cache_write
        total += tokens.cache_write * cache_write + _hour_extra(tokens, price, cache_write)
    return total


def _hour_extra(tokens: Tokens, price: Price, cache_write: float) -> float:
    """What an hour in the cache costs more than the usual minutes."""
    return 0.0 if price.cache_write_1h is None else tokens.cache_write_1h * (price.cache_write_1h - cache_write)


def settle(tokens: Tokens | None, price: Price | None, target: str) -> tuple[float | None, str]:
    """(US dollars, "") of an attempt that ``target`` answered, or (``None``, why they are not known)."""
    if price is None:
        return None, f"no price for target {target}"
    if tokens is None:
        return None, NO_USAGE
    return cost_of(tokens, price), ""


MOST_PER_BYTE = 25
"""A report of more than so many times the tokens that the bytes make likely cannot be (a token is about 4 bytes)."""
UNSEEN_TOKENS = 1000
"""What a provider may add to a request that we do not see (its own prompt for tools)."""


def believable(tokens: Tokens, request_bytes: int, answer_bytes: int) -> bool:
    """Can a request and an answer of these sizes have had so many tokens?  Reasoning is not in the answer, so of it
    any amount is believed."""
    given = tokens.input + tokens.cache_read + tokens.cache_write
    written = tokens.output - tokens.reasoning
    return (
        given <= UNSEEN_TOKENS + MOST_PER_BYTE * request_bytes // 4
        and written <= UNSEEN_TOKENS + MOST_PER_BYTE * answer_bytes // 4
    )
