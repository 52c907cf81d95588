"""What a call says of itself, whole and streamed, from the gateway and from a provider."""

import asyncio
import json
import time
from typing import Any

import pytest

from http1.http1_support import Peer, on_loop, scripted
from roadworthy.http1.messages import Clocks
from roadworthy.latency.model import Arrival, Body, Sample
from roadworthy.latency.sending import Sending, client_for, question

CLOCKS = Clocks(connect=10, first_byte=10, idle=10, total=20)
TOLD = {"inference": "inf_1", "route": "release", "outcome": "answered", "cost_usd": 0.002}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}


def _http(body: bytes, status: int = 200, kind: str = "application/json", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _whole(**fields: Any) -> bytes:
    return json.dumps({"choices": [CHOICE], "usage": {"completion_tokens": 5}, **fields}).encode()


def _event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def _said(text: str) -> bytes:
    return _event(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


async def _call(
    *parts: bytes, stream: bool = False, pause: float = 0.0, tokens: int | None = None, body: Body | None = None
) -> tuple[Sample, bytes, bytes]:
    """One call of a server that says ``parts`` with ``pause`` between them; and the head and the body it got."""
    got: list[bytes] = []

    async def script(peer: Peer) -> None:
        got.append(await peer.request())
        got.append(peer.body)
        for part in parts:
            await peer.say(part)
            await asyncio.sleep(pause)

    asked = body or Body([{"role": "user", "content": "hello"}], user="u-1", inputs={"name": "Ann"})
    async with scripted(script) as server:
        url = f"http://127.0.0.1:{server.origin.port}/v1/chat/completions"
        client = client_for(url, 4)
        made = question(asked, url, model="triage", headers={"authorization": "Bearer k"}, stream=stream,
                        fields={"temperature": 0, "max_tokens": 99})  # fmt: skip
        send = Sending(client, url, [made], stream=stream, clocks=CLOCKS)
        try:
            sample = await send(Arrival(7.0, 0, tokens), time.monotonic() - 0.5)
        finally:
            await client.close()
    return sample, got[0], got[1]


@on_loop
async def test_a_whole_answer_of_the_gateway_is_read_from_its_object() -> None:
    sample, _, _ = await _call(_http(_whole(roadworthy=TOLD)))
    assert (sample.at, sample.status, sample.outcome, sample.inference) == (7.0, 200, "answered", "inf_1")
    assert (sample.output_tokens, sample.usd, sample.failure, sample.code) == (5, 0.002, None, "")
    assert sample.first_token == sample.ended


@on_loop
async def test_every_clock_counts_from_the_intended_start() -> None:
    sample, _, _ = await _call(_http(_whole(roadworthy=TOLD)))
    assert sample.sent is not None
    assert sample.ended is not None
    assert 0.5 <= sample.late <= sample.sent <= sample.ended < 5


@on_loop
async def test_the_request_carries_model_user_inputs_and_the_calls_own_length() -> None:
    _, head, body = await _call(_http(_whole()), tokens=17)
    sent = json.loads(body)
    assert b"authorization: Bearer k" in head
    assert b"x-roadworthy-user: u-1" in head
    assert (sent["model"], sent["max_tokens"], sent["roadworthy"]) == ("triage", 17, {"inputs": {"name": "Ann"}})
    assert body.count(b"max_tokens") == 1
    _, _, body = await _call(_http(_whole()))
    assert json.loads(body)["max_tokens"] == 99


@on_loop
async def test_a_stream_tells_its_first_token_and_the_time_between_tokens() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    role = _event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    end = _event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
    last = _event(choices=[], usage={"completion_tokens": 3}, roadworthy=TOLD) + b"data: [DONE]\n\n"
    sample, _, body = await _call(
        head + role, _said("a")[:20], _said("a")[20:], _said("b") + _said("c"), end, last, stream=True, pause=0.02
    )
    assert json.loads(body)["stream_options"] == {"include_usage": True}
    assert (sample.outcome, sample.output_tokens, sample.usd, sample.inference) == ("answered", 3, 0.002, "inf_1")
    assert sample.first_token is not None
    assert sample.ended is not None
    assert sample.between is not None
    assert sample.late < sample.first_token < sample.ended
    assert 0 < sample.between < sample.ended - sample.first_token


@on_loop
async def test_an_error_in_the_middle_of_a_stream_is_no_answer() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    told = {**TOLD, "outcome": "error", "failure": "truncated"}
    sample, _, _ = await _call(
        head, _said("a"), _event(error={"code": "truncated", "message": "x"}, roadworthy=told), stream=True
    )
    assert (sample.status, sample.outcome, sample.failure, sample.code) == (200, "error", "truncated", "truncated")


@on_loop
async def test_a_stream_that_just_stops_is_truncated() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n"
    sample, _, _ = await _call(head, _said("a"), stream=True)
    assert (sample.outcome, sample.failure, sample.code) == ("error", "truncated", "Disconnected")
    assert sample.first_token is not None


@on_loop
async def test_a_refusal_to_stream_is_read_as_what_it_is() -> None:
    told = {"inference": "inf_2", "outcome": "limited", "failure": "throttled", "cost_usd": 0.0}
    body = json.dumps({"error": {"code": "throttled", "message": "x"}, "roadworthy": told}).encode()
    sample, _, _ = await _call(_http(body, 429), stream=True)
    assert (sample.status, sample.outcome, sample.failure, sample.code) == (429, "limited", "throttled", "throttled")
    assert sample.usd == 0.0


@pytest.mark.parametrize(
    ("body", "status", "outcome", "failure"),
    [
        (_whole(), 200, "answered", None),
        (b'{"choices":[]}', 200, "error", "truncated"),
        (b'{"error":{"code":"x"}}', 500, "error", "unavailable"),
        (b'{"error":{"type":"x"}}', 400, "error", "bad_request"),
        (b'{"error":{}}', 429, "limited", "overlimit"),
        (b"<html>", 200, "error", "invalid"),
        (b"[]", 200, "error", "invalid"),
        (b"\xff\xfe", 200, "error", "invalid"),
        (b"", 502, "error", "invalid"),
    ],
)
def test_a_provider_called_directly_is_judged_by_its_answer(
    body: bytes, status: int, outcome: str, failure: str | None
) -> None:
    @on_loop
    async def scene() -> None:
        sample, _, _ = await _call(_http(body, status))
        assert (sample.status, sample.outcome, sample.failure) == (status, outcome, failure)
        assert sample.usd is None

    scene()


@on_loop
async def test_headers_tell_of_a_key_that_opted_out_of_the_object() -> None:
    more = ("x-roadworthy-inference: inf_9", "x-roadworthy-outcome: cached")
    sample, _, _ = await _call(_http(_whole(), 200, "application/json", *more))
    assert (sample.inference, sample.outcome) == ("inf_9", "cached")


@on_loop
async def test_no_server_is_a_sample_too() -> None:
    async with scripted(lambda peer: peer.request()) as server:  # type: ignore[arg-type,return-value]
        port = server.origin.port
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    client = client_for(url, 4)
    made = question(Body([]), url, model="m", headers={}, stream=False)
    sample = await Sending(client, url, [made], stream=False, clocks=CLOCKS)(Arrival(0.0, 0), time.monotonic())
    await client.close()
    assert (sample.status, sample.outcome, sample.failure, sample.code) == (None, "error", "unavailable", "Refused")


@on_loop
async def test_connections_lie_ready_before_the_first_call() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(_http(_whole()))

    async with scripted(script) as server:
        url = f"http://127.0.0.1:{server.origin.port}/v1/chat/completions"
        client = client_for(url, 100)
        made = question(Body([]), url, model="m", headers={}, stream=False)
        send = Sending(client, url, [made], stream=False, clocks=CLOCKS)
        await send.open_ahead(70)
        assert (client.idle, client.opened) == (70, 70)
        await send.open_ahead(1000)
        assert (client.idle, client.opened) == (100, 100)
        sample = await send(Arrival(0.0, 0), time.monotonic())
        assert sample.outcome == "answered"
        assert client.opened == 100
        await client.close()


def test_a_header_that_could_split_the_request_is_refused() -> None:
    with pytest.raises(ValueError):
        question(Body([], user="a\r\nx: y"), "http://h/v1", model="m", headers={}, stream=False)
