"""The official OpenAI client gets through a real ``up`` what it would get from its provider, whole and streamed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import msgspec
import openai
import pytest

from support.provider import Exchange, Sent, completion

from .client_service import Service, ask, text_of, told

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
    },
}


def test_a_chat_is_answered_and_its_record_found_by_the_clients_request_id(
    service: Service, client: openai.OpenAI
) -> None:
    answer = client.chat.completions.create(model="plain", messages=ask("hello"), user="u-42")
    assert answer.choices[0].message.content
    assert told(answer)["outcome"] == "answered"
    assert answer._request_id == told(answer)["inference"]
    record = service.up.record(str(answer._request_id))
    assert answer.usage is not None
    assert (record["unit"], record["tokens"]["output"]) == ("u-42", answer.usage.completion_tokens)
    assert record["cost_usd"] == pytest.approx(told(answer)["cost_usd"])


def test_a_stream_is_the_whole_answer_in_pieces(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="open", messages=ask("pieces"))
    pieces = list(client.chat.completions.create(model="open", messages=ask("pieces"), stream=True))
    assert len(pieces) > 5
    assert len(text_of(pieces).split()) == len(str(whole.choices[0].message.content).split())
    assert [part.finish_reason for piece in pieces for part in piece.choices if part.finish_reason] == ["stop"]
    assert told(pieces[-1])["outcome"] == "answered"


@pytest.mark.parametrize("asked", [True, False])
def test_usage_ends_a_stream_only_where_it_was_asked_for(service: Service, client: openai.OpenAI, asked: bool) -> None:
    more: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    pieces = list(client.chat.completions.create(model="plain", messages=ask(f"usage {asked}"), stream=True, **more))
    usages = [piece.usage for piece in pieces if piece.usage is not None]
    assert len(usages) == (1 if asked else 0)
    assert all(piece.choices for piece in pieces[: -1 if asked else None])
    assert service.up.record(told(pieces[-1])["inference"])["tokens"]["output"] > 0  # known to us either way


def test_two_choices_stream_side_by_side_and_both_finish(client: openai.OpenAI) -> None:
    pieces = list(client.chat.completions.create(model="plain", messages=ask("two"), n=2, stream=True))
    assert text_of(pieces, 0)
    assert text_of(pieces, 1)
    ends = {part.index: part.finish_reason for piece in pieces for part in piece.choices if part.finish_reason}
    assert ends == {0: "stop", 1: "stop"}
    assert len(client.chat.completions.create(model="plain", messages=ask("two"), n=2).choices) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_pass(client: openai.OpenAI, stream: bool) -> None:
    if not stream:
        answer = client.chat.completions.create(model="plain", messages=ask("sure?"), logprobs=True, top_logprobs=2)
        assert answer.choices[0].logprobs is not None
        assert answer.choices[0].logprobs.content
        return
    pieces = client.chat.completions.create(model="plain", messages=ask("sure?"), logprobs=True, stream=True)
    assert sum(len(part.logprobs.content or ()) for piece in pieces for part in piece.choices if part.logprobs) > 5


def test_tools_are_called_and_their_results_answered(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="open", messages=ask("where is order 7?"), tools=[TOOL])
    assert first.choices[0].finish_reason == "tool_calls"
    [call] = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert isinstance(json.loads(call.function.arguments)["order"], int)
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "it left on Monday"}
    said: Any = first.choices[0].message.model_dump(exclude_none=True)
    second = client.chat.completions.create(
        model="open", messages=[*ask("where is order 7?"), said, result], tools=[TOOL]
    )
    assert second.choices[0].message.content


def test_a_tool_call_streams_and_adds_up(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="open", messages=ask("order 8?"), tools=[TOOL]) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    [call] = final.choices[0].message.tool_calls or []
    assert call.function.name == "look_up"
    assert "order" in json.loads(call.function.arguments)


def test_embeddings_are_served_in_both_encodings(client: openai.OpenAI) -> None:
    packed = client.embeddings.create(model="vectors", input=["a", "b"])
    plain = client.embeddings.create(model="vectors", input=["a", "b"], encoding_format="float")
    assert len(packed.data) == len(plain.data) == 2
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)
    assert told(plain)["outcome"] == "answered"
    small = client.embeddings.create(model="vectors", input="a")
    assert small.usage.prompt_tokens == 1


def test_models_are_the_workflows_of_the_key(service: Service, client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"plain", "vectors", "given"} <= set(names)
    assert client.models.retrieve("plain").id == "plain"
    bound = service.up.key("bound", workflows=["plain", "open"])
    with service.client(bound) as other:
        assert [model.id for model in other.models.list()] == ["open", "plain"]


# Byte for byte

ODD = (
    b'{"role": "user",  "content": [{"type":"text","text":"caf\\u00e9 \\/ \xf0\x9f\x99\x82 \\ud83d\\ude42"},'
    b'{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}}],"zz_in": 1.50}'
)


def _raw(body: bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()}


def test_images_and_unknown_fields_reach_the_provider_byte_for_byte(service: Service) -> None:
    body = b'{"model":"wire","messages":[' + ODD + b'],"zz":{"deep":[1.0,1e2,12345678901234567890123]},"metadata":{}}'
    headers = {"authorization": f"Bearer {service.token}", "content-type": "application/json"}
    answer = httpx2.post(
        f"{service.up.base_url}/chat/completions", content=body, headers=headers, trust_env=False
    ).raise_for_status()
    [sent] = service.recorder.sent
    mine, theirs = _raw(body), _raw(sent.body)
    assert theirs.pop("model") == b'"wire-1"'
    assert theirs == {name: value for name, value in mine.items() if name != "model"}
    assert answer.json()["roadworthy"]["overrides"] == ["zz"]
    assert sent.headers["authorization"] == "Bearer sk-wire"
    assert not [name for name in sent.headers if name.startswith("x-roadworthy") or service.token in sent.headers[name]]


def test_an_answer_comes_back_byte_for_byte_with_our_object_at_its_end(service: Service) -> None:
    odd = completion("caf\u00e9 🙂").replace(
        b'"usage"', b'"zz" :  {"n": 1.50, "big": 12345678901234567890123} ,"usage"'
    )
    service.recorder.answer = lambda sent, exchange: exchange.whole(odd)
    quiet = service.up.key("quiet", body_object=False)
    for token, whole in ((quiet, True), (service.token, False)):
        answer = httpx2.post(
            f"{service.up.base_url}/chat/completions",
            json={"model": "wire", "messages": ask("x")},
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert answer.content == odd if whole else answer.content.startswith(odd[:-1] + b',"roadworthy":{')


def test_the_chunks_of_a_stream_come_back_byte_for_byte(service: Service, client: openai.OpenAI) -> None:
    chunk = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","zz": 1.50,"choices":[%b]}'
    chunks = [
        chunk % b'{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}',
        chunk % b'{"index":0,"delta":{"content":"caf\\u00e9  ","zz_delta":[1.0]},"finish_reason":null}',
        chunk % b'{"index":0,"delta":{},"finish_reason":"stop"}',
    ]

    def answer(sent: Sent, exchange: Exchange) -> None:
        exchange.begin()
        for data in (*chunks, b"[DONE]"):
            exchange.event(data)

    service.recorder.answer = answer
    with client.chat.completions.with_streaming_response.create(
        model="wire", messages=ask("stream"), stream=True
    ) as raw:
        lines = b"".join(raw.iter_bytes()).split(b"\n\n")
    data = [line.removeprefix(b"data: ") for line in lines if line]
    assert data[:2] == chunks[:2]
    assert data[2].startswith(chunks[2][:-1] + b',"roadworthy":{')
    assert data[3:] == [b"[DONE]"]


def test_an_app_that_is_passed_through_asks_for_any_model(service: Service) -> None:
    bound = service.up.key("adopted app", workflows=["adopted"])
    with service.client(bound) as client:
        answer = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "system", "content": "Mine."}, *ask("x")], temperature=0.1, seed=3
        )
    [sent] = service.recorder.sent
    assert sent.json == {
        "model": "gpt-4o", "temperature": 0.1, "seed": 3,
        "messages": [{"role": "system", "content": "Mine."}, {"role": "user", "content": "x"}],
    }  # fmt: skip
    assert told(answer)["route"] == "passthrough"
    assert told(answer)["release"] is None
    assert service.up.record(told(answer)["inference"])["model_asked"] == "gpt-4o"


# The asynchronous client


def test_the_asynchronous_client_is_served_the_same(service: Service) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=service.up.base_url, api_key=service.token) as client:
            answer = await client.chat.completions.create(model="plain", messages=ask("async"))
            assert told(answer)["outcome"] == "answered"
            stream = await client.chat.completions.create(model="plain", messages=ask("async"), stream=True)
            pieces = [piece async for piece in stream]
            assert told(pieces[-1])["outcome"] == "answered"
            assert [model.id async for model in client.models.list()]
            async with client.chat.completions.stream(model="open", messages=ask("a"), tools=[TOOL]) as helper:
                assert (await helper.get_final_completion()).choices[0].finish_reason == "tool_calls"
            vectors = await client.embeddings.create(model="vectors", input="a")
            assert vectors.data

    asyncio.run(main())


def test_a_hundred_calls_at_once_are_a_hundred_records(service: Service) -> None:
    async def main() -> list[str]:
        async with openai.AsyncOpenAI(base_url=service.up.base_url, api_key=service.token) as client:

            async def one(number: int) -> str:
                answer = await client.chat.completions.create(model="plain", messages=ask(f"at once {number}"))
                return str(answer._request_id)

            return list(await asyncio.gather(*(one(number) for number in range(100))))

    ids = asyncio.run(main())
    assert len(set(ids)) == 100
    assert set(ids) <= {record["id"] for record in service.up.records(workflow="plain")}
