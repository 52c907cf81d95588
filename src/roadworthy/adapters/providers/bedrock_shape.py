"""The answers and events of Bedrock's Converse, read as far as the gateway must know them.

Source: Amazon Bedrock API reference, "Converse" and "ConverseStream"; service model 2023-09-30.
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.formats.chat import MOST_TOKENS
from roadworthy.workflow.inference import Tokens

FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
"""``stopReason`` → OpenAI's word; others are passed on as they are."""


class _Camel(msgspec.Struct, rename="camel", gc=False):
    pass


class CacheDetail(_Camel):
    ttl: str = ""
    input_tokens: int = 0


class Usage(_Camel):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[CacheDetail] | None = None


class ToolUse(_Camel):
    tool_use_id: str = ""
    name: str = ""
    input: Any = None
    type: str | None = None
    """``server_tool_use``: Bedrock calls this tool itself."""


class ReasoningText(_Camel):
    text: str = ""
    signature: str | None = None


class Reasoning(_Camel):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None
    """Base64."""
    text: str = ""
    """In deltas only, as is the next."""
    signature: str | None = None


class Cited(_Camel):
    text: str = ""


class Citations(_Camel):
    content: list[Cited] | None = None


class Block(_Camel):
    text: str = ""
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Citations | None = None


class Message(_Camel):
    content: list[Block]


class Output(_Camel):
    message: Message | None = None


class Router(_Camel):
    invoked_model_id: str | None = None


class Trace(_Camel):
    prompt_router: Router | None = None

    @property
    def model(self) -> str | None:
        return None if self.prompt_router is None else self.prompt_router.invoked_model_id


class Response(_Camel):
    output: Output
    stop_reason: str | None = None
    usage: Usage | None = None
    trace: Trace | None = None


class ToolInput(_Camel):
    input: str = ""


class Delta(_Camel):
    text: str = ""
    tool_use: ToolInput | None = None
    reasoning_content: Reasoning | None = None


class Start(_Camel):
    tool_use: ToolUse | None = None


class Event(_Camel):
    """The payload of any event; its kind is in a header."""

    content_block_index: int = 0
    start: Start | None = None
    delta: Delta | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    trace: Trace | None = None
    message: str | None = None
    """Of an exception."""


response = msgspec.json.Decoder(Response)
event = msgspec.json.Decoder(Event)


def tokens_of(usage: Usage | None) -> Tokens | None:
    """``inputTokens`` leaves out what was read from and written to the cache; output includes reasoning, uncounted."""
    if usage is None or usage.input_tokens is None:
        return None
    counts = (usage.input_tokens, usage.cache_read_input_tokens or 0, usage.cache_write_input_tokens or 0)
    output = usage.output_tokens or 0
    hour = sum(each.input_tokens for each in usage.cache_details or () if each.ttl == "1h")
    if min(*counts, output) < 0 or not 0 < sum(counts) + output <= MOST_TOKENS:
        return None
    return Tokens(counts[0], counts[1], counts[2], output, 0, min(max(hour, 0), counts[2]))


def finish_of(stop_reason: str | None) -> str | None:
    return None if stop_reason is None else FINISHES.get(stop_reason, stop_reason)


def thought(text: str, signature: str | None, redacted: str | None) -> dict[str, str] | None:
    """A thinking block in Anthropic's words, as it must come back with the next turn; ``None``: nobody signed it."""
    if redacted is not None:
        return {"type": "redacted_thinking", "data": redacted}
    return {"type": "thinking", "thinking": text, "signature": signature} if signature else None
