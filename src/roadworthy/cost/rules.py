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
        cache_write=tokens.cache_write * cache_write,
        output=tokens.output * price.output,
        request=price.per_request,
    )


def cost_of(tokens: Tokens, price: Price) -> float:
    """US dollars: the total of ``breakdown``, without making one (hot path)."""
    cache_read = price.input if price.cache_read is None else price.cache_read
    cache_write = price.input if price.cache_write is None else price.cache_write
    return (
        tokens.input * price.input
        + tokens.cache_read * cache_read
        + tokens.cache_write * cache_write
        + tokens.output * price.output
        + price.per_request
    )


def settle(tokens: Tokens | None, price: Price | None, target: str) -> tuple[float | None, str]:
    """(US dollars, "") of an attempt that ``target`` answered, or (``None``, why they are not known)."""
    if price is None:
        return None, f"no price for target {target}"
    if tokens is None:
        return None, NO_USAGE
    return cost_of(tokens, price), ""
