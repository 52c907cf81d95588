"""Was it good enough?  Pure: what a provider sent, or how the call broke, in the words of our failures."""

from __future__ import annotations

from collections.abc import Iterable

from roadworthy.gateway.ports import Answer, Operation, Unusable
from roadworthy.http1.errors import (
    AddressForbidden,
    BodyTooLarge,
    Disconnected,
    Http1Error,
    NotConnected,
    PoolFull,
    ReadTimeout,
)
from roadworthy.workflow.inference import Failure

BLANK = " \t\r\n\f\v\x00\x85\xa0\u200b\u200c\u200d\u2028\u2029\u2060\u3000\ufeff"
"""Characters that say nothing, however many of them there are."""


BROKEN_OFF: frozenset[str | None] = frozenset({"error", "abort", "insufficient_system_resource", "network_error"})
"""Finish reasons of answers that their provider did not finish: OpenRouter's and Mistral's, vLLM's and SGLang's,
DeepSeek's, Zhipu's (API references)."""


SPOILT: frozenset[str | None] = frozenset(
    {
        "malformed_function_call", "malformed_response", "unexpected_tool_call", "too_many_tool_calls",
        "missing_thought_signature", "no_image", "image_other", "other", "malformed_model_output", "malformed_tool_use",
    }
)  # fmt: skip
"""Finish reasons of answers that their provider itself calls no good: Gemini's (API reference, "FinishReason"),
Bedrock's (API reference, "Converse")."""


def says_nothing(text: str) -> bool:
    """Is a text empty for its reader?"""
    return not text.strip(BLANK)


def broken(error: Http1Error) -> Unusable:
    """The one place where errors of the HTTP client become failures."""
    if isinstance(error, PoolFull):
        failure: Failure = "throttled"
    elif isinstance(error, AddressForbidden):
        failure = "misconfigured"
    elif isinstance(error, NotConnected):
        failure = "unavailable"
    elif isinstance(error, ReadTimeout):
        failure = "slow"
    elif isinstance(error, Disconnected):
        failure = "truncated" if error.phase == "in_body" else "unavailable"
    else:
        failure = "invalid"  # ProtocolViolation, BodyTooLarge
    return Unusable(failure, f"{type(error).__name__}: {error}")


def may_be_charged(error: Http1Error) -> bool:
    """Did the request reach the provider, so that it may charge for it?"""
    return isinstance(error, Disconnected | ReadTimeout | BodyTooLarge)


def judge(operation: Operation, answer: Answer, choices: int) -> Unusable | None:
    """What is wrong with a whole answer; ``None``: it is good."""
    if operation == "embeddings":
        return Unusable("invalid", "the answer holds no embedding") if answer.empty else None
    if answer.finishes == ("stop",) and choices == 1 and not answer.empty and not answer.refused:
        return None  # nearly every answer
    if not answer.finishes:
        return Unusable("invalid", "the answer holds no choices")
    return judge_end(answer.finishes, choices, empty=answer.empty, refused=answer.refused)


def judge_end(finishes: Iterable[str | None], choices: int, *, empty: bool, refused: bool) -> Unusable | None:
    """The same for an answer of which only the ends of its choices are known (a stream's)."""
    ends = list(finishes)
    if "content_filter" in ends:
        return Unusable("refused", "the provider's content filter withheld the answer")
    if None in ends or len(ends) < choices:
        return Unusable(
            "truncated", f"{sum(end is not None for end in ends)} of {max(choices, len(ends))} choices finished"
        )
    if not BROKEN_OFF.isdisjoint(ends):
        why = next(end for end in ends if end in BROKEN_OFF)
        return Unusable("truncated", f"the provider broke off (finish_reason: {why})")
    if not SPOILT.isdisjoint(ends):
        why = next(end for end in ends if end in SPOILT)
        return Unusable("invalid", f"the provider says that the answer is no good (finish_reason: {why})")
    if "length" in ends:
        return Unusable("truncated", "the answer reached its token limit (finish_reason: length)")
    if refused:
        return Unusable("refused", "the model refused to answer")
    if empty:
        return Unusable("invalid", "the answer is empty")
    return None


def repeatable(finishes: Iterable[str | None], unusable: Unusable) -> bool:
    """May the same target be asked again?  Not for an answer that met its own token limit."""
    return not (unusable.failure == "truncated" and "length" in finishes)
