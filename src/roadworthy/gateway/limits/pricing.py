"""What an attempt costs: tokens times price, or ``None`` with the reason.  Unknown is never zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from roadworthy.cost.rules import UNSEEN_TOKENS, believable, settle
from roadworthy.workflow.inference import Attempt, Check, Tokens
from roadworthy.workflow.model import Price

if TYPE_CHECKING:
    from roadworthy.gateway.call import Call

TOKENS_PER_FILE = 3000
"""What an image, a page or a minute of sound that a request holds is taken to cost, where nothing is known yet."""
_INLINE = b";base64,"
BYTES_PER_CHUNK = 16
"""What a chunk of a stream is taken to hold where usage is judged; providers put one token into it, or some dozens."""
MOST_LINKED_INPUT = 2_000_000
"""Tokens that images, files and sound behind short links may amount to."""
BYTES_PER_TOKEN = 4
"""Rule of thumb for English and JSON, used only where a provider reported nothing and may have charged."""


USAGE_IMPLAUSIBLE = "usage_implausible"
"""Note on a record whose provider reported a usage that cannot be: it is charged by estimate."""


def tokens_in(data: bytes) -> int:
    """About how many tokens ``data`` has: four bytes of ASCII a token, two of anything else, and some thousands for an
    image or file that is in it."""
    begin = data.find(_INLINE)
    if begin >= 0:
        return _tokens_beside(data, begin)
    if data.isascii():
        return len(data) // BYTES_PER_TOKEN + 1
    plain = len(data.decode("utf-8", "ignore").encode("ascii", "ignore"))
    return plain // BYTES_PER_TOKEN + (len(data) - plain) // 2 + 1


def _tokens_beside(data: bytes, begin: int) -> int:
    """The same of a body with inlined files, the first at ``begin``: their base64 is not read as text."""
    parts, count, at = [], 0, 0
    while begin >= 0:
        parts.append(data[at:begin])
        at = data.find(b'"', begin)
        count += 1
        if at < 0:
            break
        begin = data.find(_INLINE, at)
    else:
        parts.append(data[at:])
    return tokens_in(b"".join(parts)) + count * TOKENS_PER_FILE


def credible(call: Call, attempt: Attempt, tokens: Tokens, answer_bytes: int) -> bool:
    """May the reported ``tokens`` be charged?  What cannot be is noted; the caller of this then estimates.

    ``answer_bytes``: size of what the tokens wrote.
    """
    if tokens.output <= UNSEEN_TOKENS and tokens.total <= UNSEEN_TOKENS:
        return True  # most calls are too small to be wrong by much
    body = call.request.body
    if believable(tokens, len(body), answer_bytes):
        return True
    if b"image" in body or b"file" in body or b"audio" in body:  # a short link to much input
        told = Tokens(0, 0, 0, tokens.output, tokens.reasoning)
        if tokens.total - tokens.output <= MOST_LINKED_INPUT and believable(told, len(body), answer_bytes):
            return True
    attempt.detail = f"the provider reported {tokens.total:,} tokens for {len(body):,} bytes; charged by estimate"
    if USAGE_IMPLAUSIBLE not in call.notes:
        call.notes = [*call.notes, USAGE_IMPLAUSIBLE]
    return False


class ModelPrices:
    """What the models of a provider cost, of which nobody knows beforehand which one will be asked for."""

    def __init__(self, by_name: Mapping[str, Price]) -> None:
        """A name that ends in ``*`` stands for all that begin so; the longest that fits counts."""
        self._exact = {name: price for name, price in by_name.items() if not name.endswith("*")}
        stems = sorted((name[:-1] for name in by_name if name.endswith("*")), key=len, reverse=True)
        self._stems = [(stem, by_name[f"{stem}*"]) for stem in stems]

    def of(self, attempt: Attempt) -> Price | None:
        """The price of the model that answered, else of the one that was asked for."""
        for model in (attempt.model_answered, attempt.model_asked):
            if model:
                found = self._exact.get(model) or self._beginning(model)
                if found is not None:
                    return found
        return None

    def _beginning(self, model: str) -> Price | None:
        return next((price for stem, price in self._stems if model.startswith(stem)), None)


def charge(attempt: Attempt, tokens: Tokens | None, price: Price | None) -> None:
    """Settle an attempt whose provider answered with ``tokens`` (``None``: it reported no usage)."""
    attempt.tokens = tokens
    attempt.cost_usd, attempt.cost_unknown = settle(tokens, price, attempt.target)
    if price is None:
        model = attempt.model_answered or attempt.model_asked
        attempt.cost_unknown = f"no price for {model} (target {attempt.target})"


def charge_nothing(attempt: Attempt) -> None:
    """The provider refused or was not reached: nothing is charged."""
    attempt.cost_usd = 0.0


def charge_estimate(
    attempt: Attempt, body_bytes: int, output: int, price: Price | None, told: Tokens | None = None
) -> None:
    """The attempt was cut before its usage came: the provider charges all the same, so it is estimated.

    ``told``: what it had reported by then; ``output`` is what it wrote beside.
    """
    if told is None or told.total == told.output:
        output += 0 if told is None else told.output
        told = Tokens(input=max(1, body_bytes // BYTES_PER_TOKEN))
    charge(attempt, told + Tokens(output=output), price)
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


def with_checks(cost: float | None, unknown: str, checks: list[Check]) -> tuple[float | None, str]:
    """(dollars, why they are unknown) of an inference whose attempts cost ``cost``, its checks included."""
    for check in checks:
        if check.cost_usd is None:
            cost, unknown = None, unknown or f"no price for the check {check.name}"
        elif cost is not None:
            cost += check.cost_usd
    return cost, unknown
