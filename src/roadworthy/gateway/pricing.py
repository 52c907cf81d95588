"""What an attempt costs: tokens times price, or ``None`` with the reason.  Unknown is never zero."""

from __future__ import annotations

from roadworthy.cost.rules import settle
from roadworthy.workflow.inference import Attempt, Tokens
from roadworthy.workflow.model import Price

BYTES_PER_TOKEN = 4
"""Rule of thumb for English and JSON, used only where a provider reported nothing and may have charged."""


def charge(attempt: Attempt, tokens: Tokens | None, price: Price | None) -> None:
    """Settle an attempt whose provider answered with ``tokens`` (``None``: it reported no usage)."""
    attempt.tokens = tokens
    attempt.cost_usd, attempt.cost_unknown = settle(tokens, price, attempt.target)


def charge_nothing(attempt: Attempt) -> None:
    """The provider refused or was not reached: nothing is charged."""
    attempt.cost_usd = 0.0


def charge_estimate(attempt: Attempt, body_bytes: int, output: int, price: Price | None) -> None:
    """The attempt was cut before its usage came: the provider charges all the same, so it is estimated."""
    charge(attempt, Tokens(input=max(1, body_bytes // BYTES_PER_TOKEN), output=output), price)
    attempt.tokens_estimated = True


def total(attempts: list[Attempt]) -> tuple[Tokens, float | None, str]:
    """(tokens, dollars or ``None``, why they are ``None``) over all attempts of an inference."""
    if len(attempts) == 1:
        only = attempts[0]
        return only.tokens or Tokens(), only.cost_usd, only.cost_unknown
    tokens, dollars, unknown = Tokens(), 0.0, ""
    for attempt in attempts:
        if attempt.tokens is not None:
            tokens = tokens + attempt.tokens
        if attempt.cost_usd is None:
            unknown = unknown or attempt.cost_unknown or "an attempt of unknown cost"
        else:
            dollars += attempt.cost_usd
    return (tokens, None, unknown) if unknown else (tokens, dollars, "")
