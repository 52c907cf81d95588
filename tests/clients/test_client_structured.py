"""``.parse()`` and ``.stream()`` of the official client over every outcome: an object, a refusal, or an error class."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from .client_service import CANNED, Service, Topic, ask, told


class LookUp(BaseModel):
    """Finds an order."""

    order: int


TOOLS: Any = [openai.pydantic_function_tool(LookUp, name="look_up")]


def parsed(client: openai.OpenAI, how: str, model: str, text: str, **more: Any) -> Any:
    """The parsed completion, read whole or from a stream."""
    asked: dict[str, Any] = {"model": model, "messages": ask(text), **more}
    if how == "parse":
        return client.chat.completions.parse(**asked)
    with client.chat.completions.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        assert kinds[-1] in ("chunk", "content.done", "refusal.done", "tool_calls.function.arguments.done")
        return stream.get_final_completion()


def outcome_of(service: Service, answer: Any) -> str:
    """The stream helper keeps no field of ours, but the id of a canned answer and the log do."""
    extra = answer.model_extra or {}
    if "roadworthy" in extra:
        return str(extra["roadworthy"]["outcome"])
    newest = service.up.records()[0]
    return str(newest["outcome"])


@pytest.mark.parametrize("how", ["parse", "stream"])
class TestEveryOutcome:
    def test_answered(self, service: Service, client: openai.OpenAI, how: str) -> None:
        answer = parsed(client, how, "ladder", f"my bill {how}", response_format=Topic)
        assert isinstance(answer.choices[0].message.parsed, Topic)
        assert outcome_of(service, answer) == "answered"

    @pytest.mark.parametrize(
        "fault",
        [
            "status code=503 times=1",
            "status code=429 times=1",
            "reset at=after_headers",
        ],
    )
    def test_recovered(self, service: Service, client: openai.OpenAI, how: str, fault: str) -> None:
        answer = parsed(client, how, "ladder", f"my bill [[fault {fault}]] {how}", response_format=Topic)
        assert isinstance(answer.choices[0].message.parsed, Topic)
        assert outcome_of(service, answer) == "recovered"

    def test_canned_without_declared_json_is_a_refusal(self, service: Service, client: openai.OpenAI, how: str) -> None:
        answer = parsed(client, how, "ladder", f"[[fault status code=500]] {how}", response_format=Topic)
        assert answer.choices[0].message.parsed is None
        assert answer.choices[0].message.refusal == CANNED
        assert outcome_of(service, answer) == "canned"

    def test_canned_instead_of_a_strict_tool_call_is_a_refusal(
        self, service: Service, client: openai.OpenAI, how: str
    ) -> None:
        answer = parsed(client, how, "ladder", f"[[fault status code=500]] {how}", tools=TOOLS)
        assert not answer.choices[0].message.tool_calls
        assert answer.choices[0].message.refusal == CANNED
        assert outcome_of(service, answer) == "canned"

    def test_a_strict_tool_call_is_parsed(self, service: Service, client: openai.OpenAI, how: str) -> None:
        answer = parsed(client, how, "ladder", f"order 7? {how}", tools=TOOLS)
        [call] = answer.choices[0].message.tool_calls
        assert isinstance(call.function.parsed_arguments, LookUp)
        assert outcome_of(service, answer) == "answered"

    def test_the_releases_own_schema_answers_the_class_it_was_made_from(
        self, service: Service, client: openai.OpenAI, how: str
    ) -> None:
        answer = parsed(client, how, "given", f"my bill {how}", response_format=Topic)
        assert isinstance(answer.choices[0].message.parsed, Topic)
        assert outcome_of(service, answer) == "answered"

    @pytest.mark.parametrize("fault", ["[[fault status code=500]]", "break main", "[[fault content as=refusal]]"])
    def test_canned_with_declared_json_is_parsed(
        self, service: Service, client: openai.OpenAI, how: str, fault: str
    ) -> None:
        answer = parsed(client, how, "given", f"{fault} {how}", response_format=Topic)
        assert answer.choices[0].message.parsed == Topic(topic="unknown", urgent=False)
        assert outcome_of(service, answer) == "canned"

    def test_an_error_is_the_clients_error(self, client: openai.OpenAI, how: str) -> None:
        with pytest.raises(openai.InternalServerError) as caught:
            parsed(client, how, "open", f"[[fault status code=500]] {how}", response_format=Topic)
        assert caught.value.code == "unavailable"
        assert told(caught.value)["outcome"] == "error"

    def test_limited_is_the_clients_rate_limit_error(self, service: Service, how: str) -> None:
        slow = service.up.key(f"slow {how}", requests_per_minute=1)
        with service.client(slow) as client, pytest.raises(openai.RateLimitError) as caught:  # noqa: PT012
            for _ in range(3):  # each of the two workers grants its share, which is at least one call
                parsed(client, how, "ladder", f"limited {how}", response_format=Topic)
        assert caught.value.code == "throttled"
        assert told(caught.value)["outcome"] == "limited"


@pytest.mark.parametrize("fault", ["cut main", "[[fault body as=truncated_json]]", "[[fault content as=null]]"])
def test_a_whole_answer_that_is_not_good_enough_is_replaced_by_another_targets(
    service: Service, client: openai.OpenAI, fault: str
) -> None:
    answer = parsed(client, "parse", "ladder", f"my bill {fault}", response_format=Topic)
    assert isinstance(answer.choices[0].message.parsed, Topic)
    assert (told(answer)["outcome"], told(answer)["target"]) == ("recovered", "backup")


@pytest.mark.parametrize("fault", ["cut main", "[[fault cut]]", "[[fault reset at=mid_body]]", "[[fault error_event]]"])
def test_a_stream_that_breaks_after_its_first_word_raises(client: openai.OpenAI, fault: str) -> None:
    with pytest.raises(openai.APIError) as caught:
        parsed(client, "stream", "ladder", f"my bill {fault}", response_format=Topic)
    assert caught.value.code in ("truncated", "unavailable")


def test_several_choices_are_canned_alike(client: openai.OpenAI) -> None:
    answer = parsed(client, "stream", "ladder", "[[fault status code=500]] twice", response_format=Topic, n=2)
    assert [choice.message.refusal for choice in answer.choices] == [CANNED, CANNED]


def test_several_tool_calls_of_a_buffered_answer_stream_in_order(client: openai.OpenAI, service: Service) -> None:
    calls = [
        {
            "id": f"call_{order}",
            "type": "function",
            "function": {"name": "look_up", "arguments": f'{{"order":{order}}}'},
        }
        for order in (7, 8)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    body = (
        b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":%b,'
        b'"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    ) % json.dumps(message).encode()
    service.recorder.answer = lambda sent, exchange: exchange.whole(body)
    answer = parsed(client, "stream", "whole", "both", tools=TOOLS)
    orders = [call.function.parsed_arguments for call in answer.choices[0].message.tool_calls]
    assert orders == [LookUp(order=7), LookUp(order=8)]


def test_the_bundled_model_fills_a_schema(service: Service, client: openai.OpenAI) -> None:
    service.up.ready("tiny")
    answer = client.chat.completions.parse(model="tiny", messages=ask("My bill is wrong, help!"))
    assert told(answer)["outcome"] == "answered"
    assert isinstance(Topic.model_validate_json(answer.choices[0].message.content or ""), Topic)
    record = service.up.record(told(answer)["inference"])
    assert (record["model_answered"], record["cost_usd"]) == ("SmolLM2-135M-Instruct", 0)
