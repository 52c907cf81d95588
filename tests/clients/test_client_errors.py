"""Every error is the official client's own class with a stable code, asked for once, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import openai
import pytest

from support.provider import Exchange, Sent
from support.waiting import until

from .client_service import Service, ask, told

Case = tuple[dict[str, Any], type[openai.APIStatusError], str]
ERRORS: list[Case] = [
    ({"model": "nobody"}, openai.NotFoundError, "model_not_found"),
    ({"model": "vectors"}, openai.BadRequestError, "bad_request"),
    ({"temperature": 0.3}, openai.BadRequestError, "override_refused"),
    ({"messages": [{"role": "system", "content": "Mine."}]}, openai.BadRequestError, "system_messages_refused"),
    ({"model": "triage"}, openai.BadRequestError, "inputs_missing"),
    ({"messages": "hello"}, openai.BadRequestError, "invalid_type"),
    ({"extra_body": {"n": "two"}}, openai.BadRequestError, "invalid_type"),
    ({"messages": ask("[[fault status code=400]]")}, openai.BadRequestError, "bad_request"),
    (
        {"messages": ask("[[fault status code=400 error=context_length]]")},
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    ({"messages": ask("[[fault status code=422]]")}, openai.UnprocessableEntityError, "bad_request"),
    ({"messages": ask("[[fault status code=413]]")}, openai.APIStatusError, "bad_request"),
    ({"messages": ask("[[fault status code=401]]")}, openai.InternalServerError, "misconfigured"),
    ({"messages": ask("[[fault status code=403]]")}, openai.InternalServerError, "misconfigured"),
    ({"messages": ask("[[fault status code=404]]")}, openai.InternalServerError, "misconfigured"),
    ({"messages": ask("[[fault status code=429 retry_after=7]]")}, openai.InternalServerError, "overlimit"),
    ({"messages": ask("[[fault status code=500]]")}, openai.InternalServerError, "unavailable"),
    ({"messages": ask("[[fault status code=503 html=true]]")}, openai.InternalServerError, "unavailable"),
    ({"messages": ask("[[fault reset at=after_headers]]")}, openai.InternalServerError, "truncated"),
    ({"messages": ask("[[fault content as=refusal]]")}, openai.InternalServerError, "refused"),
    ({"model": "down"}, openai.InternalServerError, "unavailable"),
    (
        {"model": "brisk", "messages": ask("[[fault stall at=before_first_byte seconds=9]]")},
        openai.InternalServerError,
        "slow",
    ),
]
OF_WHOLE_ANSWERS: list[Case] = [
    ({"messages": ask("[[fault cut]]")}, openai.InternalServerError, "truncated"),
    ({"messages": ask("[[fault finish reason=length]]")}, openai.InternalServerError, "truncated"),
    ({"messages": ask("[[fault finish reason=content_filter]]")}, openai.InternalServerError, "refused"),
    ({"messages": ask("[[fault body as=html]]")}, openai.InternalServerError, "invalid"),
    ({"messages": ask("[[fault body as=empty]]")}, openai.InternalServerError, "invalid"),
    ({"messages": ask("[[fault body as=no_choices]]")}, openai.InternalServerError, "invalid"),
    ({"messages": ask("[[fault content as=null]]")}, openai.InternalServerError, "invalid"),
]
"""Where a stream has begun already; broken streams have a claim of their own."""


@pytest.mark.parametrize(
    ("stream", "call", "error", "code"),
    [(False, *case) for case in ERRORS + OF_WHOLE_ANSWERS] + [(True, *case) for case in ERRORS],
)
def test_an_error_has_the_clients_class_a_stable_code_and_a_record(
    service: Service, client: openai.OpenAI, call: dict[str, Any], error: type[openai.APIStatusError], code: str,
    stream: bool,
) -> None:  # fmt: skip
    asked = {"model": "plain", "messages": ask("Hello"), "stream": stream, **call}
    with pytest.raises(error) as caught:
        client.chat.completions.create(**asked)
    assert caught.value.code == code
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.response.headers["content-type"] == "application/json"
    assert caught.value.type
    record = service.up.record(told(caught.value)["inference"])
    assert (record["status"], record["code"], record["outcome"]) == (caught.value.status_code, code, "error")
    assert caught.value.request_id == record["id"]


def test_an_unknown_workflow_is_answered_with_the_names_that_exist(service: Service) -> None:
    with service.client(service.up.key("two", workflows=["plain", "open"])) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="plian", messages=ask("x"))
        assert "open, plain" in caught.value.message
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("plian")


def test_a_wrong_revoked_or_expired_key_is_an_authentication_error(service: Service) -> None:
    created = service.up.admin("POST", "/v1/keys", {"name": "short", "expires_at": time.time() + 0.3})
    revoked = service.up.key("leaked")
    service.up.admin("POST", "/v1/keys/" + _key_id(service, "leaked") + "/revoke")
    service.up.caught_up()
    until(lambda: time.time() > created["key"]["expires_at"], "end of the key's life")
    for token in ("rw-wrong", revoked, created["token"], "nonsense\u00e9".encode().hex() * 200):
        with service.client(token) as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                client.chat.completions.create(model="plain", messages=ask("x"))
            assert caught.value.code == "invalid_api_key"
            with pytest.raises(openai.AuthenticationError):
                client.models.list()


def _key_id(service: Service, name: str) -> str:
    return str(next(row["id"] for row in service.up.admin("GET", "/v1/keys")["items"] if row["name"] == name))


def test_a_key_of_other_workflows_is_a_permission_denied_error(service: Service) -> None:
    with (
        service.client(service.up.key("narrow", workflows=["vectors"])) as client,
        pytest.raises(openai.PermissionDeniedError) as caught,
    ):
        client.chat.completions.create(model="plain", messages=ask("x"))
    assert caught.value.code == "key_not_allowed"
    assert "This key may call: vectors" in caught.value.message


def test_a_closed_port_is_a_connection_error(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    with (
        openai.OpenAI(base_url=url, api_key=service.token, max_retries=0) as client,
        pytest.raises(openai.APIConnectionError),
    ):
        client.models.list()


@pytest.mark.parametrize("status", [429, 500, 503, 409, 408])
def test_the_clients_own_retries_do_not_multiply_the_call(service: Service, client: openai.OpenAI, status: int) -> None:
    body = b'{"error":{"message":"no","type":"server_error"}}'
    service.recorder.answer = lambda sent, exchange: exchange.whole(body, status=status)
    assert client.max_retries > 0
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model="wire", messages=ask("once"))
    assert len(service.recorder.sent) == 1


def test_a_limited_call_says_when_to_come_back(service: Service) -> None:
    with service.client(service.up.key("thrifty", requests_per_minute=1)) as client:
        client.chat.completions.create(model="plain", messages=ask("first"))
        began = time.monotonic()
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="plain", messages=ask("second"))
        assert time.monotonic() - began < 5  # the client did not wait and try again
    assert caught.value.code == "throttled"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 120
    assert service.up.record(told(caught.value)["inference"])["outcome"] == "limited"


def test_the_providers_retry_after_is_passed_on(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="plain", messages=ask("[[fault status code=429 retry_after=9]] later"))
    assert caught.value.response.headers["retry-after"] == "9"


def test_a_tester_who_used_the_day_up_is_limited_until_tomorrow(service: Service) -> None:
    tester = service.up.key("ada's", kind="tester", person="ada")
    assert tester.startswith("rwt-")
    with service.client(tester) as client:
        answer = client.chat.completions.create(model="tested", messages=ask("hello"))
        assert service.up.record(told(answer)["inference"])["traffic"] == "tester"
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="tested", messages=ask("hello"))  # one worker's half of two calls
        assert "for today (UTC)" in caught.value.message
        with pytest.raises(openai.PermissionDeniedError):
            client.chat.completions.create(model="plain", messages=ask("hello"))


# Streams that break


@pytest.mark.parametrize(
    "fault", ["cut", "reset at=mid_body", "error_event", "malformed_chunk", "finish reason=length"]
)
def test_a_broken_stream_raises_and_is_never_whole(service: Service, client: openai.OpenAI, fault: str) -> None:
    stream = client.chat.completions.create(model="plain", messages=ask(f"[[fault {fault}]]"), stream=True)
    inference = stream.response.headers["x-request-id"]
    pieces: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        pieces.extend(stream)
    assert not [part for piece in pieces for part in piece.choices if part.finish_reason]
    assert caught.value.code in ("truncated", "unavailable", "invalid")
    assert service.up.record(inference)["outcome"] == "error"


# Time-outs and callers that leave


def held_stream(sent: Sent, exchange: Exchange) -> None:
    """Two words, then nothing until the caller hangs up."""
    exchange.begin()
    for word in ("Once", " upon"):
        delta = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
        exchange.event(json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                                   "choices": [delta]}).encode())  # fmt: skip
    HUNG_UP.append(exchange.hung_up())


def held_answer(sent: Sent, exchange: Exchange) -> None:
    HUNG_UP.append(exchange.hung_up())


HUNG_UP: list[bool] = []


@pytest.fixture(autouse=True)
def _nobody_hung_up() -> None:
    HUNG_UP.clear()


def released(service: Service) -> None:
    """Nothing of an abandoned call is left: no slot, no call under way, no upstream connection."""
    until(lambda: HUNG_UP == [True], "end of the upstream connection")
    until(service.up.idle, "free slot")
    newest = service.up.records(workflow="wire")[0]
    assert newest["outcome"] == "abandoned"
    attempt = service.up.record(newest["id"])["attempts"][0]
    assert attempt["detail"] == "the client left"


def test_a_client_time_out_ends_the_call_at_the_provider_too(service: Service, client: openai.OpenAI) -> None:
    service.recorder.answer = held_answer
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3, max_retries=0).chat.completions.create(model="wire", messages=ask("late"))
    released(service)


def test_a_stream_closed_in_the_middle_is_closed_at_the_provider_too(service: Service, client: openai.OpenAI) -> None:
    service.recorder.answer = held_stream
    stream = client.chat.completions.create(model="wire", messages=ask("story"), stream=True)
    assert next(iter(stream)).choices[0].delta.content == "Once"
    assert service.up.metric("target_in_flight")['target="wire"'] == 1
    stream.close()
    released(service)


@pytest.mark.parametrize("stream", [False, True])
def test_a_cancelled_task_ends_the_call_at_the_provider_too(service: Service, stream: bool) -> None:
    service.recorder.answer = held_stream if stream else held_answer

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=service.up.base_url, api_key=service.token) as client:
            begun = asyncio.Event()

            async def one() -> None:
                if not stream:
                    await client.chat.completions.create(model="wire", messages=ask("late"))
                    return
                async for _ in await client.chat.completions.create(model="wire", messages=ask("s"), stream=True):
                    begun.set()

            task = asyncio.create_task(one())
            if stream:
                await begun.wait()
            await asyncio.to_thread(until, lambda: service.recorder.sent, "call at the provider")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    released(service)


def test_a_hundred_callers_that_leave_free_a_hundred_slots(service: Service) -> None:
    service.recorder.answer = held_answer

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=service.up.base_url, api_key=service.token, max_retries=0) as client:
            tasks = [
                asyncio.create_task(client.chat.completions.create(model="wire", messages=ask(f"call {number}")))
                for number in range(100)
            ]
            await asyncio.to_thread(until, lambda: len(service.recorder.sent) == 100, "hundred calls at the provider")
            assert service.up.metric("target_in_flight")['target="wire"'] == 100
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    until(lambda: len(HUNG_UP) == 100 and all(HUNG_UP), "end of every upstream connection")
    until(service.up.idle, "free slots")
