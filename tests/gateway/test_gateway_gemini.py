"""Claims about a Gemini target behind the gateway: its caller reads OpenAI, and a ladder falls from it and to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gateway_support import PRICE, SALT, Bench, chat, completion, events, on_loop, release, said, target, text_of

from roadworthy.adapters.providers.registry import wire_for
from roadworthy.gateway.admission.proofs import Memory
from roadworthy.gateway.snapshot import Endpoint, Snapshot
from roadworthy.gateway.world import World
from roadworthy.http1.errors import Disconnected
from roadworthy.workflow.inference import Failure, Tokens
from roadworthy.workflow.model import Canned, Handling, Step, Target, TargetIdentity
from support.earning import proven

CASSETTES = Path(__file__).parents[1] / "providers" / "cassettes"
HOST = "generativelanguage.googleapis.com"
GEMINI = Target("main", "gemini", "gemini-3-flash-preview", f"https://{HOST}/v1beta", "env:UP")
FAILURES: list[Failure] = ["unavailable", "refused", "invalid", "overlimit", "truncated"]
HANDLING = Handling(
    ladder={failure: [Step("target", target="backup"), Step("canned")] for failure in FAILURES},
    canned=Canned("Later."),
    stream="passthrough",
)
OVERRIDES = ["tools", "n", "max_tokens"]


class Served(Bench):
    """``main`` at Gemini, ``backup`` at an OpenAI-compatible endpoint."""

    def __init__(self, folder: Path) -> None:
        at = {"main": TargetIdentity("gemini", GEMINI.model, HOST)}
        super().__init__(
            folder, served=release(behaviour={"targets": at, "caller_overrides": OVERRIDES}, handling=HANDLING),
            snapshot={
                "targets": {"main": GEMINI, "backup": target("backup")},
                "endpoints": {"main": Endpoint(f"https://{HOST}/v1beta"), "backup": Endpoint("http://backup.test/v1")},
                "prices": {"main": PRICE, "backup": PRICE},
            },
        )  # fmt: skip

    def serve(self, snapshot: Snapshot, memory: Memory | None = None) -> None:
        self.gateway.world = World(
            snapshot, wires=wire_for, secret=lambda name: "AIza-key", slots=self.gateway.slots,
            proofs=proven(snapshot, memory), salt=SALT, sessions=self.sessions,
        )  # fmt: skip


def gemini(text: str | None, reason: str = "STOP", **more: Any) -> bytes:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 6, "totalTokenCount": 20}
    content = {"role": "model", "parts": [{"text": text}] if text is not None else []}
    made = {"candidates": [{"content": content, "finishReason": reason}], "usageMetadata": usage}
    return json.dumps({**made, "modelVersion": "gemini-3-flash-001", "responseId": "r-1", **more}).encode()


@on_loop
async def test_an_answer_is_read_in_openais_words_and_recorded_with_googles_facts(tmp_path: Path) -> None:
    bench = Served(tmp_path)
    bench.upstream.will(gemini("Hello"))
    answer = said(await bench.post(chat(max_tokens=50)))
    assert answer["choices"][0]["message"]["content"] == "Hello"
    [sent] = bench.upstream.sent
    assert sent.head.startswith(b"POST /v1beta/models/gemini-3-flash-preview:generateContent HTTP/1.1\r\n")
    assert b"x-goog-api-key: AIza-key\r\n" in sent.head
    assert sent.body["generationConfig"] == {"maxOutputTokens": 50}
    record = bench.record()
    [attempt] = record.attempts
    assert (record.outcome, attempt.model_answered, attempt.provider_request_id) == (
        "answered", "gemini-3-flash-001", "r-1",
    )  # fmt: skip
    assert attempt.tokens == Tokens(input=10, output=10, reasoning=6)
    assert attempt.cost_usd == pytest.approx(10 * PRICE.input + 10 * PRICE.output)


BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}
FALLS: list[tuple[str, Any]] = [
    ("unavailable", (503, [], b'{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}')),
    ("overlimit", (429, [], b'{"error":{"code":429,"message":"Resource exhausted","status":"RESOURCE_EXHAUSTED",'
                            b'"details":[{"retryDelay":"7s"}]}}')),
    ("refused", json.dumps(BLOCKED).encode()),
    ("refused", gemini(None, "SAFETY")),
    ("invalid", gemini(None, "MALFORMED_FUNCTION_CALL")),
    ("truncated", gemini("Hel", "MAX_TOKENS")),
    ("unavailable", Disconnected("gone", "before_response")),
]  # fmt: skip


@pytest.mark.parametrize(("failure", "reply"), FALLS, ids=map(str, range(len(FALLS))))
def test_a_ladder_falls_from_gemini_to_another_provider(tmp_path: Path, failure: str, reply: Any) -> None:
    @on_loop
    async def ask() -> None:
        bench = Served(tmp_path)
        bench.upstream.will(reply, completion("From the backup"))
        answer = said(await bench.post(chat()))
        assert answer["choices"][0]["message"]["content"] == "From the backup"
        record = bench.record()
        assert (record.outcome, [attempt.failure for attempt in record.attempts]) == ("recovered", [failure, None])
        assert b"x-goog-api-key" not in bench.upstream.sent[1].head

    ask()


@on_loop
async def test_what_gemini_cannot_be_asked_is_the_callers_to_mend(tmp_path: Path) -> None:
    bench = Served(tmp_path)
    url = "https://example.com/a.png"
    content = [{"type": "image_url", "image_url": {"url": url}}]
    answer = await bench.post(chat(messages=[{"role": "user", "content": content}]))
    assert (answer.status, said(answer)["error"]["param"]) == (400, "messages[0].content[0].image_url.url")
    assert bench.upstream.sent == []


@on_loop
async def test_a_stream_reads_as_openais_and_is_charged_as_it_was_told(tmp_path: Path) -> None:
    bench = Served(tmp_path)
    data = (CASSETTES / "gemini_stream.sse").read_bytes()
    bench.upstream.will([data[:400], data[400:700], data[700:]])
    found = await events(await bench.post(chat(stream=True, stream_options={"include_usage": True})))
    assert text_of(found) == "It takes 24 minutes – naïve, but true."
    assert found[-1] == "[DONE]"
    assert found[-2]["usage"]["completion_tokens"] == 91
    assert b":streamGenerateContent?alt=sse HTTP/1.1" in bench.upstream.sent[0].head
    record = bench.record()
    assert record.outcome == "answered"
    assert record.attempts[0].tokens == Tokens(input=18, output=91, reasoning=79)
    assert record.attempts[0].provider_request_id == "Ju1yaNa5MtXVz7IPx5-J6Ak"


@on_loop
async def test_a_stream_without_a_finish_reason_is_no_answer(tmp_path: Path) -> None:
    bench = Served(tmp_path)
    data = (CASSETTES / "gemini_stream.sse").read_bytes()
    bench.upstream.will([data[: data.rindex(b"data: ")]])
    found = await events(await bench.post(chat(stream=True)))
    assert any("error" in event for event in found if isinstance(event, dict))
    assert [attempt.failure for attempt in bench.record().attempts] == ["truncated"]
