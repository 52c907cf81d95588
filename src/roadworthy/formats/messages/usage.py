"""What was read and written, as each side counts it: Messages leave the cache out of the input, chat includes it.

Source: Anthropic API reference, "Create a Message", "Prompt caching".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from roadworthy.formats import chat
from roadworthy.formats.chat import MOST_TOKENS


class Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: dict[str, Any] | None = None
    output_tokens_details: dict[str, Any] | None = None


class Counts(NamedTuple):
    """Tokens; ``cache_write_1h`` is part of ``cache_write``, ``reasoning`` of ``output``."""

    input: int
    cache_read: int
    cache_write: int
    output: int
    reasoning: int
    cache_write_1h: int


class PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class ChatUsage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


def counts(usage: Usage | None) -> Counts | None:
    """Anthropic's ``input_tokens`` leaves out what was read from and written to the cache; output includes thinking.

    ``None``: not reported, absurd, or nothing at all.
    """
    if usage is None or usage.input_tokens is None:
        return None
    prompt, read, written = usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    read, written, output = read or 0, written or 0, usage.output_tokens or 0
    if not (read or written) and usage.output_tokens_details is None and 0 < prompt <= MOST_TOKENS >= output > 0:
        return Counts(prompt, 0, 0, output, 0, 0)  # nearly every answer
    reasoning = _told_count(usage.output_tokens_details, "thinking_tokens")
    hour = max(0, _told_count(usage.cache_creation, "ephemeral_1h_input_tokens"))
    if min(prompt, read, written, output, reasoning) < 0 or not 0 < prompt + read + written + output <= MOST_TOKENS:
        return None
    return Counts(prompt, read, written, output, min(reasoning, output), min(hour, written))


def _told_count(details: dict[str, Any] | None, name: str) -> int:
    """A count that no struct has looked at; ``true`` is none, and a record with it could not be read again."""
    told = (details or {}).get(name)
    return told if type(told) is int else 0


def chat_usage(found: Counts) -> dict[str, Any]:
    return chat.usage(
        prompt=found.input + found.cache_read + found.cache_write, completion=found.output,
        cached=found.cache_read, written=found.cache_write, reasoning=found.reasoning,
    )  # fmt: skip


def own_usage(found: ChatUsage | None) -> dict[str, Any]:
    """Anthropic's usage; zeros where nothing was reported, for its clients take no answer without."""
    found = found or ChatUsage()
    details = found.prompt_tokens_details or PromptDetails()
    prompt = max(found.prompt_tokens or 0, 0)
    read = min(max(details.cached_tokens or 0, 0), prompt)
    written = min(max(details.cache_write_tokens or 0, 0), prompt - read)
    made: dict[str, Any] = {
        "input_tokens": prompt - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": max(found.completion_tokens or 0, 0),
    }
    thought = found.completion_tokens_details
    if thought is not None and thought.reasoning_tokens:
        made["output_tokens_details"] = {"thinking_tokens": thought.reasoning_tokens}
    return made
