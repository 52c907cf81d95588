"""What a release decides about a call, as its caller sees it: prompts, overrides, repeats, headers and our object."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx2
import openai
import pytest

from support.provider import completion

from .client_service import Service, ask, text_of, told


def system(text: str, role: str = "system") -> list[Any]:
    return [{"role": role, "content": text}]


def inputs(**given: Any) -> dict[str, Any]:
    return {"roadworthy": {"inputs": given}}


# Managed prompts


def test_a_managed_prompt_is_rendered_from_the_callers_inputs(service: Service, client: openai.OpenAI) -> None:
    said: Any = [*ask("first"), {"role": "assistant", "content": "yes?"}, *ask("second")]
    answer = client.chat.completions.create(model="triage", messages=said, extra_body=inputs(text='a "bill" {{ x }}'))
    [sent] = service.recorder.sent
    assert sent.json["messages"] == [*system('Be kind. The customer says: a "bill" {{ x }}'), *said]
    assert "roadworthy" not in sent.json
    record = service.up.record(told(answer)["inference"])
    assert record["prompt"] == 'Be kind. The customer says: a "bill" {{ x }}'


@pytest.mark.parametrize(
    ("given", "code", "named"),
    [
        ({}, "inputs_missing", "'text'"),
        ({"text": "x", "txet": "y"}, "invalid_type", "'txet'"),
        ({"text": "x" * 51}, "invalid_type", "at most 50"),
        ({"text": 7}, "invalid_type", "roadworthy"),
    ],
)
def test_wrong_inputs_are_named_and_reach_no_model(
    service: Service, client: openai.OpenAI, given: dict[str, Any], code: str, named: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="triage", messages=ask("x"), extra_body=inputs(**given))
    assert caught.value.code == code
    assert named in caught.value.message
    assert service.recorder.sent == []


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_managed_prompt_refuses_the_callers_own(client: openai.OpenAI, role: str) -> None:
    messages = [*ask("x"), *system("Obey me.", role)]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="triage", messages=messages, extra_body=inputs(text="x"))
    assert (caught.value.code, caught.value.param) == ("system_messages_refused", "messages[1].role")


# App-held prompts


def test_an_app_held_prompt_is_served_while_it_fills_the_frozen_template(client: openai.OpenAI) -> None:
    for customer in ("Ada", "Bo of Example & Sons"):
        messages = [*system(f"You help {customer} politely."), *ask("x")]
        assert told(client.chat.completions.create(model="held", messages=messages))["outcome"] == "answered"


@pytest.mark.parametrize("prompt", ["You help Ada rudely.", "", None])
def test_another_prompt_takes_the_bypass_under_enforce(
    service: Service, client: openai.OpenAI, prompt: str | None
) -> None:
    messages = [*(system(prompt) if prompt is not None else []), *ask("x")]
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="held", messages=messages)
    assert caught.value.code == "bypassed"
    assert (told(caught.value)["outcome"], told(caught.value)["route"]) == ("bypassed", "bypass")
    assert told(caught.value)["notes"] == ["prompt_unreleased"]
    assert not service.up.record(told(caught.value)["inference"]).get("attempts")


def test_under_observe_another_prompt_is_served_and_recorded(service: Service, client: openai.OpenAI) -> None:
    messages = [*system("You help nobody."), *ask("x")]
    answer = client.chat.completions.create(model="watched", messages=messages, temperature=0.4)
    assert told(answer)["outcome"] == "answered"
    record = service.up.record(told(answer)["inference"])
    assert (record["notes"], record["overrides"]) == (["prompt_unreleased"], ["temperature"])


# Overrides


def test_ignored_overrides_never_reach_the_model_and_are_recorded(service: Service, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="ignoring", messages=ask("x"), temperature=0.9, max_tokens=30, top_p=0.1, user="u-1"
    )
    [sent] = service.recorder.sent
    assert sent.json == {
        "model": "wire-1", "messages": ask("x"), "temperature": 0.5, "max_tokens": 30, "user": "u-1",
    }  # fmt: skip
    assert sorted(told(answer)["overrides"]) == ["temperature", "top_p"]


def test_listed_overrides_reach_the_model_and_others_are_refused_by_name(
    service: Service, client: openai.OpenAI
) -> None:
    answer = client.chat.completions.create(model="wire", messages=ask("x"), temperature=0.9)
    assert service.recorder.sent[0].json["temperature"] == 0.9
    assert told(answer)["overrides"] == ["temperature"]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="wire", messages=ask("x"), temperature=0.9, top_p=0.1)
    assert (caught.value.code, caught.value.param) == ("override_refused", "top_p")


# Repeated calls


def repeated(service: Service, key: str, **body: Any) -> httpx2.Response:
    """Over a connection of its own, which either worker may get."""
    headers = {"authorization": f"Bearer {service.token}", "idempotency-key": key, "connection": "close"}
    asked = {"model": "wire", "messages": ask(key), **body}
    return httpx2.post(
        f"{service.up.base_url}/chat/completions", json=asked, headers=headers, trust_env=False, verify=False
    )


def test_an_idempotency_key_gets_one_answer_whichever_worker_is_asked(service: Service) -> None:
    for order in range(4):
        answers = [repeated(service, f"order-{order}") for _ in range(6)]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert len({answer.headers["x-request-id"] for answer in answers}) == 1
        assert [answer.headers.get("x-roadworthy-replayed") for answer in answers] == [None] + ["true"] * 5
    assert len(service.recorder.sent) == 4


def test_calls_at_once_with_one_idempotency_key_are_one_call(service: Service) -> None:
    async def main() -> set[str | None]:
        async with openai.AsyncOpenAI(base_url=service.up.base_url, api_key=service.token) as client:
            answers = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="wire", messages=ask("at once"), extra_headers={"Idempotency-Key": "at-once"}
                    )
                    for _ in range(20)
                )
            )
        return {answer._request_id for answer in answers}

    assert len(asyncio.run(main())) == 1
    assert len(service.recorder.sent) == 1


def test_a_repeated_stream_tells_the_same_story(client: openai.OpenAI) -> None:
    told_twice = [
        list(
            client.chat.completions.create(
                model="plain", messages=ask("again"), stream=True, extra_headers={"Idempotency-Key": "story"}
            )
        )
        for _ in range(2)
    ]
    assert text_of(told_twice[0]) == text_of(told_twice[1]) != ""
    assert told(told_twice[0][-1]) == told(told_twice[1][-1])


def test_another_body_under_the_same_idempotency_key_is_refused(service: Service, client: openai.OpenAI) -> None:
    repeated(service, "mine")
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.chat.completions.create(
            model="wire", messages=ask("something else"), extra_headers={"Idempotency-Key": "mine"}
        )
    assert caught.value.code == "idempotency_mismatch"
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_an_error_is_not_kept_for_an_idempotency_key(service: Service) -> None:
    service.recorder.answer = lambda sent, exchange: exchange.whole(b"{}", status=500)
    assert repeated(service, "unlucky").status_code == 503
    service.recorder.answer = lambda sent, exchange: exchange.whole(completion())
    assert repeated(service, "unlucky").status_code == 200


# What an answer says about itself

OURS = re.compile("x-roadworthy-|x-request-id|traceparent")


def raw(service: Service, token: str, **body: Any) -> httpx2.Response:
    asked = {"model": "plain", "messages": ask("x"), **body}
    headers = {"authorization": f"Bearer {token}"}
    return httpx2.post(
        f"{service.up.base_url}/chat/completions", json=asked, headers=headers, trust_env=False, verify=False
    )


def test_headers_and_object_say_what_served_the_call(service: Service) -> None:
    answer = raw(service, service.token)
    body = answer.json()["roadworthy"]
    assert answer.headers["x-roadworthy-inference"] == answer.headers["x-request-id"] == body["inference"]
    assert answer.headers["x-roadworthy-workflow"] == body["workflow"] == "plain"
    assert answer.headers["x-roadworthy-release"] == body["release"]
    assert (answer.headers["x-roadworthy-route"], answer.headers["x-roadworthy-outcome"]) == ("release", "answered")
    assert (body["target"], body["outcome"], body["route"]) == ("main", "answered", "release")
    assert body["cost_usd"] > 0
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", answer.headers["traceparent"])


def test_a_trace_is_continued_through_to_the_provider(service: Service, client: openai.OpenAI) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    answer = client.chat.completions.create(
        model="wire", messages=ask("x"), extra_headers={"traceparent": f"00-{trace}-{parent}-01"}
    )
    _, sent_trace, sent_span, _ = service.recorder.sent[0].headers["traceparent"].split("-")
    record = service.up.record(str(answer._request_id))
    assert (sent_trace, sent_span) == (trace, record["span"])
    assert (record["trace"], record["parent_span"]) == (trace, parent)


@pytest.mark.parametrize("stream", [False, True])
def test_a_key_may_opt_out_of_the_object(service: Service, stream: bool) -> None:
    quiet = service.up.key(f"quiet {stream}", body_object=False)
    assert "roadworthy" not in raw(service, quiet, stream=stream).text
    assert "roadworthy" not in raw(service, quiet, stream=stream, model="nobody").text.replace("'roadworthy ", "")
    assert raw(service, quiet).headers["x-roadworthy-outcome"] == "answered"


@pytest.mark.parametrize("stream", [False, True])
def test_a_minimal_key_is_told_the_request_id_only(service: Service, stream: bool) -> None:
    minimal = service.up.key(f"minimal {stream}", headers="minimal")
    for model, status in (("plain", 200), ("nobody", 404)):
        answer = raw(service, minimal, stream=stream, model=model)
        assert answer.status_code == status
        assert [name for name in answer.headers if OURS.match(name)] == ["x-request-id"]


def test_unit_session_and_tags_are_recorded_and_stay_with_us(service: Service, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="wire",
        messages=ask("x"),
        extra_body={"roadworthy": {"tags": {"screen": "inbox"}, "session": "s-1"}},
        extra_headers={"x-roadworthy-user": "u-7", "x-roadworthy-tag-plan": "gold"},
    )
    record = service.up.record(told(answer)["inference"])
    assert (record["unit"], record["unit_source"], record["session"]) == ("u-7", "header", "s-1")
    assert record["tags"] == {"screen": "inbox", "plan": "gold"}
    [sent] = service.recorder.sent
    assert "roadworthy" not in sent.body.decode() + " ".join(sent.headers)
    found = service.up.records(unit="u-7")
    assert [row["id"] for row in found] == [record["id"]]
