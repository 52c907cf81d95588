"""What we charge for a recorded usage is what the public price list's own reader and calculator make of it."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest
from genai_prices import extract_usage

from roadworthy.adapters.providers.anthropic import AnthropicWire
from roadworthy.adapters.providers.gemini import GeminiWire
from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.cost.rules import cost_of
from roadworthy.cost.service import PriceList
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Target

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
OPENAI = {
    "plain": {"prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163},
    "cached": {
        "prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0},
    },
    "reasoning": {
        "prompt_tokens": 81, "completion_tokens": 1035, "total_tokens": 1116,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 832},
    },
}  # fmt: skip
ANTHROPIC = {
    "plain": {"input_tokens": 2095, "output_tokens": 503},
    "cache read": {
        "input_tokens": 4, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 188_086, "output_tokens": 393,
    },
    "five minutes": {
        "input_tokens": 21, "cache_creation_input_tokens": 1880, "cache_read_input_tokens": 12, "output_tokens": 393,
        "cache_creation": {"ephemeral_5m_input_tokens": 1880, "ephemeral_1h_input_tokens": 0},
    },
    "an hour and five minutes": {
        "input_tokens": 2048, "cache_creation_input_tokens": 248, "cache_read_input_tokens": 1800, "output_tokens": 503,
        "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
    },
    "thinking": {"input_tokens": 50, "output_tokens": 900, "output_tokens_details": {"thinking_tokens": 700}},
}  # fmt: skip

GEMINI = {
    "plain": {"promptTokenCount": 1117, "candidatesTokenCount": 46, "totalTokenCount": 1163},
    "cached and thinking": {
        "promptTokenCount": 2006, "cachedContentTokenCount": 1920, "candidatesTokenCount": 300,
        "thoughtsTokenCount": 512, "totalTokenCount": 2818,
    },
    "tools of Google's": {
        "promptTokenCount": 81, "toolUsePromptTokenCount": 400, "candidatesTokenCount": 35, "totalTokenCount": 516,
    },
}  # fmt: skip


def listed(body: dict[str, Any], provider: str, flavor: str) -> float:
    found = extract_usage(body, provider_id=provider, api_flavor=flavor)
    return float(found.calc_price(genai_request_timestamp=NOW).total_price)


def ours(target: Target, tokens: Tokens | None) -> float:
    price = PriceList(lambda: NOW).price_of(target)
    assert tokens is not None
    assert price is not None
    return cost_of(tokens, price)


@pytest.mark.parametrize("usage", OPENAI.values(), ids=OPENAI)
@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4.1", "o3"])
def test_openais_accounting_costs_what_the_list_says(model: str, usage: dict[str, Any]) -> None:
    message = {"role": "assistant", "content": "Hello"}
    body = {"model": model, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    target = Target("t", "openai", model, "https://api.openai.com/v1")
    answer = OpenAIWire(target, b"/v1", None).answer("chat", [], msgspec.json.encode(body))
    assert ours(target, answer.tokens) == pytest.approx(listed(body, "openai", "chat"), rel=1e-9)


@pytest.mark.parametrize("usage", ANTHROPIC.values(), ids=ANTHROPIC)
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-3-5-haiku-latest"])
def test_anthropics_accounting_costs_what_the_list_says(model: str, usage: dict[str, Any]) -> None:
    content = [{"type": "text", "text": "Hello"}]
    body = {"id": "m", "model": model, "content": content, "stop_reason": "end_turn", "usage": usage}
    target = Target("t", "anthropic", model)
    answer = AnthropicWire(target, b"/v1", None).answer("chat", [], msgspec.json.encode(body))
    assert ours(target, answer.tokens) == pytest.approx(listed(body, "anthropic", "default"), rel=1e-9)


@pytest.mark.parametrize("usage", GEMINI.values(), ids=GEMINI)
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-2.5-flash-lite"])
@pytest.mark.parametrize("stream", [False, True])
def test_geminis_accounting_costs_what_the_list_says(model: str, usage: dict[str, Any], stream: bool) -> None:
    candidate = {"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}
    body = {"candidates": [candidate], "modelVersion": model, "usageMetadata": usage}
    target = Target("t", "gemini", model, "https://generativelanguage.googleapis.com/v1beta")
    wire, data = GeminiWire(target, b"/v1beta", None), msgspec.json.encode(body)
    if stream:
        tokens = wire.events().feed(b"data: %b\r\n\r\n" % data)[-1].tokens
    else:
        tokens = wire.answer("chat", [], data).tokens
    assert ours(target, tokens) == pytest.approx(listed(body, "google", "default"), rel=1e-9)


@pytest.mark.parametrize("usage", ANTHROPIC.values(), ids=ANTHROPIC)
def test_anthropics_streams_are_charged_as_its_whole_answers(usage: dict[str, Any]) -> None:
    target = Target("t", "anthropic", "claude-sonnet-4-5")
    wire = AnthropicWire(target, b"/v1", None)
    start = {
        "type": "message_start",
        "message": {"id": "m", "model": target.model, "usage": {**usage, "output_tokens": 1}},
    }
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": usage["output_tokens"]},
    }
    events = [start, end, {"type": "message_stop"}]
    data = b"".join(b"event: x\ndata: %b\n\n" % msgspec.json.encode(event) for event in events)
    tokens = [chunk.tokens for chunk in wire.events().feed(data) if chunk.tokens is not None][-1]
    body = {"model": target.model, "usage": usage}
    assert ours(target, tokens) == pytest.approx(listed(body, "anthropic", "default"), rel=1e-9)


def test_an_hour_in_the_cache_is_charged_as_minutes_where_no_price_says_otherwise() -> None:
    target = Target("t", "anthropic", "claude-sonnet-4-5")
    price = PriceList(lambda: NOW).price_of(target)
    assert price is not None
    minutes = msgspec.structs.replace(price, cache_write_1h=None)
    hour = Tokens(cache_write=100, cache_write_1h=100)
    assert cost_of(hour, minutes) == pytest.approx(100 * (price.cache_write or 0.0))
    assert cost_of(hour, price) == pytest.approx(100 * (price.cache_write_1h or 0.0))
