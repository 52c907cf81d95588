"""Claims about a Bedrock target behind the gateway: signed as it is sent, read as OpenAI, left by its ladder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from gateway_support import (
    HELLO,
    NOW,
    PRICE,
    SALT,
    Bench,
    chat,
    completion,
    events,
    on_loop,
    release,
    said,
    target,
    text_of,
)  # fmt: skip

from providers.bedrock_support import ENDPOINT, MODEL, frame, frames
from roadworthy.adapters.providers.bedrock import BedrockWire
from roadworthy.adapters.providers.registry import wire_for
from roadworthy.gateway.admission.proofs import Memory
from roadworthy.gateway.ports import Wire
from roadworthy.gateway.snapshot import Endpoint, Snapshot
from roadworthy.gateway.world import World
from roadworthy.http1.errors import Disconnected
from roadworthy.workflow.inference import Failure, Tokens
from roadworthy.workflow.model import Canned, Handling, Step, Target, TargetIdentity
from support.earning import proven

BEDROCK = Target("main", "bedrock", MODEL, ENDPOINT, "env:UP")
HOST = ENDPOINT.removeprefix("https://")
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
FAILURES: list[Failure] = ["unavailable", "refused", "invalid", "overlimit", "truncated", "misconfigured"]
HANDLING = Handling(
    ladder={failure: [Step("target", target="backup"), Step("canned")] for failure in FAILURES},
    canned=Canned("Later."),
    stream="passthrough",
)
STREAM_TYPE = [(b"content-type", b"application/vnd.amazon.eventstream"), (b"x-amzn-requestid", b"r-1")]
BEGUN: list[dict[str, Any]] = [
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hel"}}},
]
ENDED: list[dict[str, Any]] = [
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "lo"}}},
    {"contentBlockStop": {"contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "end_turn"}},
    {"metadata": {"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}, "metrics": {"latencyMs": 1}}},
]
THROTTLED = frame("throttlingException", {"message": "Too many requests"}, how="exception")


class Served(Bench):
    """``main`` at Bedrock, with an AWS key and the bench's clock; ``backup`` at an OpenAI-compatible endpoint."""

    def __init__(self, folder: Path, key: str = f"AKIDEXAMPLE:{SECRET}:session") -> None:
        self.key = key
        at = {"main": TargetIdentity("bedrock", MODEL, HOST)}
        super().__init__(
            folder, served=release(behaviour={"targets": at, "caller_overrides": ["max_tokens"]}, handling=HANDLING),
            snapshot={
                "targets": {"main": BEDROCK, "backup": target("backup")},
                "endpoints": {"main": Endpoint(ENDPOINT), "backup": Endpoint("http://backup.test/v1")},
                "prices": {"main": PRICE, "backup": PRICE},
            },
        )  # fmt: skip

    def serve(self, snapshot: Snapshot, memory: Memory | None = None) -> None:
        def wires(served: Target, base: bytes, secret: str | None) -> Wire:
            if served.provider == "bedrock":
                return BedrockWire(served, base, secret, now=self.clock.now)
            return wire_for(served, base, secret)

        self.gateway.world = World(
            snapshot, wires=wires, secret=lambda name: self.key, slots=self.gateway.slots,
            proofs=proven(snapshot, memory), salt=SALT, sessions=self.sessions,
        )  # fmt: skip


def converse(text: str, stop: str = "end_turn") -> bytes:
    message = {"role": "assistant", "content": [{"text": text}]}
    usage = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
    return json.dumps({"output": {"message": message}, "stopReason": stop, "usage": usage}).encode()


def stream(*pieces: Any) -> tuple[int, Any, list[Any]]:
    return 200, STREAM_TYPE, list(pieces)


def signed_by_botocore(head: bytes, body: bytes) -> str:
    """The ``Authorization`` that AWS would reckon for these very bytes."""
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    authorization = headers["authorization"]
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest(
        "POST", f"https://{headers['Host']}{lines[0].split(' ')[1]}",
        {name: value for name, value in headers.items() if name.lower() in names}, body,
    )  # fmt: skip
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", SECRET), "bedrock", "eu-central-1")
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return f"{authorization.rpartition('=')[0]}={signature}"


@on_loop
async def test_each_call_is_signed_over_the_bytes_that_leave(tmp_path: Path) -> None:
    bench = Served(tmp_path)
    bench.upstream.will(converse("Hello"))
    for number, question in enumerate(["Hi", "Grüß Gott"]):
        bench.clock.time = NOW + number
        answer = said(await bench.post({"model": "support", "messages": [{"role": "user", "content": question}]}))
        assert answer["choices"][0]["message"]["content"] == "Hello"
        sent = bench.upstream.sent[-1]
        assert sent.head.startswith(b"POST /model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse HTTP/1.1\r\n")
        assert f"authorization: {signed_by_botocore(sent.head, sent.raw)}\r\n".encode() in sent.head
        assert b"x-amz-security-token: session\r\n" in sent.head
        assert b"\r\ntraceparent: " in sent.head
    assert bench.upstream.sent[0].head != bench.upstream.sent[1].head
    [attempt] = bench.records()[0].attempts
    assert (attempt.tokens, attempt.cost_usd) == (Tokens(10, 0, 0, 5), pytest.approx(0.02))


@on_loop
async def test_a_stream_is_told_in_openais_events(tmp_path: Path) -> None:
    bench = Served(tmp_path)
    whole = frames(BEGUN + ENDED)
    bench.upstream.will(stream(*(whole[at : at + 37] for at in range(0, len(whole), 37))))
    found = await events(await bench.post(chat(stream=True)))
    assert (text_of(found), found[-1]) == ("Hello", "[DONE]")
    record = bench.record()
    [attempt] = record.attempts
    assert (record.outcome, attempt.provider_request_id, attempt.finish) == ("answered", "r-1", "stop")
    assert attempt.tokens == Tokens(10, 0, 0, 5)


BEFORE_CONTENT: list[tuple[str, Any]] = [
    ("overlimit", stream(THROTTLED)),
    ("overlimit", stream(frames(BEGUN[:1]) + THROTTLED)),
    ("unavailable", stream(frames(BEGUN[:1]), frame("modelStreamErrorException", {"message": "x"}, how="exception"))),
    ("unavailable", stream(frames(BEGUN[:1]), Disconnected("cut", "before_first_byte"))),
    ("truncated", stream(frames(BEGUN[:1]))),
    ("invalid", stream(b"\x00" * 40)),
    ("invalid", (200, [(b"content-type", b"text/event-stream")], HELLO)),
    ("overlimit", (429, [(b"x-amzn-errortype", b"ThrottlingException:")], b'{"message":"Too many requests"}')),
    ("misconfigured", (403, [(b"x-amzn-errortype", b"AccessDeniedException:")], b'{"Message":"not authorized"}')),
]


@pytest.mark.parametrize(("failure", "reply"), BEFORE_CONTENT, ids=map(str, range(len(BEFORE_CONTENT))))
def test_what_breaks_before_the_first_content_falls_down_the_ladder(tmp_path: Path, failure: str, reply: Any) -> None:
    @on_loop
    async def ask() -> None:
        bench = Served(tmp_path)
        bench.upstream.will(reply, HELLO)
        found = await events(await bench.post(chat(stream=True)))
        assert text_of(found) == "Hello"
        record = bench.record()
        assert (record.outcome, [attempt.failure for attempt in record.attempts]) == ("recovered", [failure, None])
        assert b"AWS4" not in bench.upstream.sent[1].head
        assert bench.taken() == 0

    ask()


@on_loop
async def test_what_breaks_behind_the_first_content_ends_with_an_error(tmp_path: Path) -> None:
    bench = Served(tmp_path)
    bench.upstream.will(stream(frames(BEGUN), THROTTLED))
    found = await events(await bench.post(chat(stream=True)))
    assert text_of(found) == "Hel"
    assert (
        next(event["error"]["code"] for event in found if isinstance(event, dict) and "error" in event) == "overlimit"
    )
    assert bench.record().outcome == "error"


@on_loop
async def test_a_guardrail_that_steps_in_is_a_refusal(tmp_path: Path) -> None:
    bench = Served(tmp_path)
    bench.upstream.will(converse("I cannot say that.", "guardrail_intervened"), completion("From the backup"))
    assert said(await bench.post(chat()))["choices"][0]["message"]["content"] == "From the backup"
    assert [attempt.failure for attempt in bench.record().attempts] == ["refused", None]


@on_loop
async def test_a_key_that_is_none_is_a_setup_to_mend_and_the_ladder_goes_on(tmp_path: Path) -> None:
    bench = Served(tmp_path, key="AKID:")
    bench.upstream.will(completion("From the backup"))
    assert said(await bench.post(chat()))["choices"][0]["message"]["content"] == "From the backup"
    first = bench.record().attempts[0]
    assert (first.failure, "secret access key" in (first.detail or "")) == ("misconfigured", True)
    assert len(bench.upstream.sent) == 1


@on_loop
async def test_a_caller_of_messages_is_translated_there_and_back(tmp_path: Path) -> None:
    bench = Served(tmp_path)
    bench.upstream.will(converse("Hello"))
    asked = {"model": "support", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]}
    answer = said(await bench.post(asked, path="/v1/messages"))
    assert answer["content"] == [{"type": "text", "text": "Hello"}]
    assert (answer["stop_reason"], answer["usage"]["output_tokens"]) == ("end_turn", 5)
    assert bench.upstream.sent[0].body["inferenceConfig"] == {"maxTokens": 20}
