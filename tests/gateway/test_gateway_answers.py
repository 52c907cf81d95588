"""Claims about one whole (non-streamed) inference: answers, failures, the ladder, records."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import (
    HELLO,
    PRICE,
    TESTER,
    Bench,
    chat,
    completion,
    header,
    key,
    on_loop,
    release,
    said,
    target,
)

from roadworthy.adapters.providers.registry import wire_for
from roadworthy.gateway.messages import Response
from roadworthy.gateway.snapshot import Endpoint
from roadworthy.gateway.world import World
from roadworthy.http1.errors import Disconnected, ProtocolViolation, ReadTimeout, Refused
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Canned, Handling, Policy, RedactionRule, Step, TargetLimits
from support.earning import proven


@on_loop
async def test_an_answer_is_recorded_with_its_price_before_it_is_returned(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    answer = await bench.post()
    assert answer.status == 200
    body = said(answer)
    assert body["choices"][0]["message"]["content"] == "Hello"
    record = bench.record()
    assert record.outcome == "answered"
    assert record.cost_usd == pytest.approx(10 * 0.001 + 5 * 0.002)
    assert body["roadworthy"] == {
        "inference": record.id, "workflow": "support", "release": record.digest, "route": "release",
        "outcome": "answered", "target": "main", "cost_usd": pytest.approx(0.02),
    }  # fmt: skip
    assert record.model_asked == "main-model"
    assert record.model_answered == "exact-model-2025"
    assert record.provider_request_id == "req-up-1"
    assert header(answer, b"x-request-id") == record.id.encode()
    assert header(answer, b"x-roadworthy-outcome") == b"answered"
    [start] = bench.starts()
    assert start.id == record.id
    assert bench.taken() == 0


@on_loop
async def test_what_the_gateway_does_not_change_goes_out_byte_for_byte(tmp_path: Path) -> None:
    bench = Bench(tmp_path, passthrough="main")
    messages = b'[ {"role":"user" , "content":[{"type":"image_url","image_url":{"url":"data:x"}}]} ]'
    raw = b'{"model":"gpt-4o","messages":' + messages + b',"n":1,"logprobs":true,"future_field":{"a": 1e0}}'
    await bench.post(raw.replace(b"gpt-4o", b"support"))
    sent = bench.upstream.sent[0]
    assert messages in sent.raw
    assert b'{"a": 1e0}' in sent.raw
    assert sent.body["model"] == "main-model"
    assert sent.head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nHost: main.test\r\n")
    assert b"authorization: Bearer sk-up\r\n" in sent.head
    assert b"\r\ntraceparent: 00-" in sent.head
    assert sent.head.endswith(b"Content-Length: ")


@on_loop
async def test_a_retry_that_succeeds_is_recovered_and_names_the_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will((503, [], b"no"), Refused("nobody"), completion())
    answer = await bench.post()
    assert said(answer)["roadworthy"]["outcome"] == "recovered"
    record = bench.record()
    assert record.failure == "unavailable"
    assert [attempt.step for attempt in record.attempts] == ["first", "retry", "retry"]
    assert [attempt.failure for attempt in record.attempts] == ["unavailable", "unavailable", None]
    assert record.attempts[0].cost_usd == 0.0
    assert record.cost_usd == pytest.approx(0.02)
    assert len(bench.clock.slept) == 2


@on_loop
async def test_the_ladder_goes_to_another_target_and_then_to_the_canned_answer(tmp_path: Path) -> None:
    steps = [Step("target", target="backup"), Step("canned")]
    handling = Handling(ladder={"unavailable": steps}, canned=Canned("We will call you back."))
    bench = Bench(tmp_path, served=release(handling=handling))
    bench.upstream.will((500, [], b""), completion())
    assert said(await bench.post())["roadworthy"]["target"] == "backup"
    assert bench.upstream.sent[1].body["model"] == "backup-model"
    bench.upstream.will((500, [], b""))
    answer = await bench.post()
    assert answer.status == 200
    body = said(answer)
    assert body["choices"][0]["message"]["content"] == "We will call you back."
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["roadworthy"]["outcome"] == "canned"
    assert body["roadworthy"]["failure"] == "unavailable"
    assert bench.records()[1].target is None


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        ((200, [(b"content-type", b"text/html")], b"<html>busy</html>"), "invalid"),
        ((200, [], b"{}"), "invalid"),
        (completion(choices=[]), "invalid"),
        (completion(""), "invalid"),
        (completion("Hel", "length"), "truncated"),
        (completion("Hel", None), "truncated"),
        (completion("Hel", "error"), "truncated"),
        (completion("Hel", "insufficient_system_resource"), "truncated"),
        (completion("", "content_filter"), "refused"),
        (completion(None, message={"refusal": "I cannot"}), "refused"),
        ((429, [(b"retry-after", b"3600")], b"{}"), "overlimit"),
        ((401, [], b"{}"), "misconfigured"),
        ((404, [], b"{}"), "misconfigured"),
        (ReadTimeout("first_byte", 1), "slow"),
        (Disconnected("cut", "in_body"), "truncated"),
        (Disconnected("cut", "before_first_byte"), "unavailable"),
        (ProtocolViolation("what"), "invalid"),
    ],
)
@on_loop
async def test_nothing_less_than_a_whole_answer_is_a_success(tmp_path: Path, reply: Any, failure: str) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(reply)
    answer = await bench.post()
    assert answer.status == 503
    assert said(answer)["error"]["code"] == failure
    assert said(answer)["error"]["type"] == "api_error"
    assert header(answer, b"x-should-retry") == b"false"
    record = bench.record()
    assert (record.outcome, record.failure, record.status) == ("error", failure, 503)
    assert bench.taken() == 0


@on_loop
async def test_a_bad_request_keeps_the_providers_status_and_words(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(canned=Canned("x"))))
    error = {"message": "'temperature' must be below 2", "type": "invalid_request_error", "param": "temperature"}

    bench.upstream.will((422, [], msgspec.json.encode({"error": error})))
    answer = await bench.post()
    assert answer.status == 422
    assert said(answer)["error"]["message"] == "'temperature' must be below 2"
    assert said(answer)["error"]["code"] == "bad_request"
    assert len(bench.upstream.sent) == 1
    error = {"message": "maximum context length is 8", "code": "context_length_exceeded"}
    bench.upstream.will((400, [], msgspec.json.encode({"error": error})))
    assert said(await bench.post())["error"]["code"] == "context_length_exceeded"


@on_loop
async def test_one_deadline_bounds_all_attempts(tmp_path: Path) -> None:
    handling = Handling(deadline=10.0, ladder={"slow": [Step("retry", times=9, backoff=0.0)]})
    bench = Bench(tmp_path, served=release(handling=handling))

    def pass_time() -> None:
        bench.clock.time += 4.0

    bench.upstream.on_call = pass_time
    bench.upstream.will(ReadTimeout("total", 4))
    assert (await bench.post()).status == 503
    totals = [sent.clocks.total for sent in bench.upstream.sent]
    assert totals == pytest.approx([10.0, 6.0, 2.0])


@on_loop
async def test_a_client_that_leaves_is_recorded_as_abandoned_with_an_estimate(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.gate = asyncio.Event()
    task = asyncio.ensure_future(bench.post())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    record = bench.record()
    assert record.outcome == "abandoned"
    assert record.attempts[0].tokens_estimated
    assert record.cost_usd is not None
    assert record.cost_usd > 0
    assert bench.taken() == 0


@on_loop
async def test_an_adopted_workflow_is_passed_through_as_it_comes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, passthrough="main", enforcement="observe")
    bench.upstream.will(completion("Hel", "length"))
    answer = await bench.post(chat(temperature=1.5, tools=[{"type": "function"}]))
    assert answer.status == 200
    assert said(answer)["choices"][0]["finish_reason"] == "length"
    record = bench.record()
    assert (record.outcome, record.failure, record.route) == ("answered", "truncated", "passthrough")
    assert record.digest is None


@on_loop
async def test_an_unknown_price_makes_the_cost_unknown_never_zero(tmp_path: Path) -> None:
    bench = Bench(tmp_path, snapshot={"prices": {}})
    assert said(await bench.post())["roadworthy"]["cost_usd"] is None
    assert bench.record().cost_unknown == "no price for exact-model-2025 (target main)"


@on_loop
async def test_an_adopted_app_is_charged_by_the_model_that_answered(tmp_path: Path) -> None:
    any_model = msgspec.structs.replace(target("main"), model="*")
    listed = {"exact-model*": PRICE}
    snapshot = {"targets": {"main": any_model}, "prices": {}, "model_prices": {"main": listed}}
    bench = Bench(tmp_path, passthrough="main", snapshot=snapshot)
    assert said(await bench.post())["roadworthy"]["cost_usd"] == pytest.approx(0.02)
    bench.upstream.will(completion(model="another"))
    assert said(await bench.post())["roadworthy"]["cost_usd"] is None
    assert bench.records()[-1].cost_unknown == "no price for another (target main)"


@on_loop
async def test_a_target_without_endpoint_or_secret_says_so(tmp_path: Path) -> None:
    down = Bench(tmp_path / "a", snapshot={"endpoints": {}})
    assert said(await down.post())["error"]["code"] == "unavailable"
    keyed = {name: target(name, key="env:NOPE") for name in ("main", "backup")}
    bench = Bench(tmp_path / "b")
    assert bench.gateway.world is not None

    snapshot = bench.gateway.world.snapshot

    changed = msgspec.structs.replace(snapshot, targets=keyed)
    bench.gateway.world = World(
        changed, wires=wire_for, secret=lambda _: None, slots=bench.gateway.slots, proofs=proven(changed)
    )
    answer = await bench.post()
    assert said(answer)["error"]["code"] == "misconfigured"
    assert "env:NOPE" in said(answer)["error"]["message"]
    assert bench.upstream.sent == []


@on_loop
async def test_a_target_that_is_down_is_not_tried_again_and_not_switched_to(tmp_path: Path) -> None:
    steps = [Step("retry", times=3), Step("target", target="backup"), Step("canned")]
    handling = Handling(ladder={"unavailable": steps}, canned=Canned("Later."))
    one = Bench(tmp_path / "a", served=release(handling=handling), snapshot={"endpoints": {"backup": BACKUP}})
    assert said(await one.post())["roadworthy"]["target"] == "backup"
    assert [attempt.target for attempt in one.record().attempts] == ["main", "backup"]
    both = Bench(tmp_path / "b", served=release(handling=handling), snapshot={"endpoints": {}})
    assert said(await both.post())["roadworthy"]["outcome"] == "canned"
    assert len(both.record().attempts) == 1


BACKUP = Endpoint("http://backup.test/v1")


@on_loop
async def test_a_full_journal_bypasses_or_serves_unlogged(tmp_path: Path) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    bench = Bench(tmp_path / "a", write=full)
    answer = await bench.post()
    assert answer.status == 503
    assert said(answer)["error"]["code"] == "disk_full"
    assert bench.upstream.sent == []
    open_bench = Bench(tmp_path / "b", write=full, snapshot={"disk_full": "serve_unlogged"})
    assert (await open_bench.post()).status == 200
    assert open_bench.journal.counts.waiting == 1


@on_loop
async def test_bodies_are_kept_as_policy_says(tmp_path: Path) -> None:
    silent = Bench(tmp_path / "a", policy=Policy(log_bodies=False))
    await silent.post()
    assert silent.record().request is None
    assert silent.record().bodies_dropped == "policy"

    rule = RedactionRule("email", r"[a-z]+@[a-z.]+", "[email]")
    bench = Bench(tmp_path / "b", policy=Policy(redact=["email"]), snapshot={"redaction": [rule]})
    bench.upstream.will(completion("Write to bob@example.org"))
    answer = await bench.post(
        b'{"model":"support","messages":[{"role":"user","content":"I am ann\\u0040example.org"}]}'
    )
    assert b"bob@example.org" in answer.body
    record = bench.record()
    assert record.request is not None
    assert b"ann@example.org" not in bytes(record.request)
    assert b"I am [email]" in bytes(record.request)
    assert record.response is not None
    assert b"Write to [email]" in bytes(record.response)
    assert b"ann" not in (tmp_path / "b").joinpath("w0").glob("*.jsonl").__next__().read_bytes()


@on_loop
async def test_the_trace_of_the_caller_is_continued(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    given = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = await bench.post(headers=[(b"traceparent", given)])
    record = bench.record()
    assert record.trace == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert record.parent_span == "00f067aa0ba902b7"
    assert header(answer, b"traceparent") == f"00-{record.trace}-{record.span}-01".encode()
    await bench.post(headers=[(b"traceparent", b"00-zz-1-01")])
    assert bench.records()[1].parent_span == ""
    assert len(bench.records()[1].trace) == 32


@on_loop
async def test_a_minimal_key_reads_only_the_request_id_and_no_object(tmp_path: Path) -> None:

    token = "rw-" + "c" * 40
    bench = Bench(tmp_path, keys=[key(token, headers="minimal", body_object=False)])
    answer = await bench.post(token=token)
    assert isinstance(answer, Response)
    assert [name for name, _ in answer.headers] == [b"content-type", b"x-request-id"]
    assert answer.body == completion()


@on_loop
async def test_more_calls_than_slots_wait_their_turn(tmp_path: Path) -> None:

    limited = {name: target(name, limits=TargetLimits(concurrency=2)) for name in ("main", "backup")}
    bench = Bench(tmp_path, snapshot={"targets": limited})
    bench.upstream.gate = asyncio.Event()
    tasks = [asyncio.ensure_future(bench.post()) for _ in range(4)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(bench.upstream.sent) == 2
    bench.upstream.gate.set()
    assert [answer.status for answer in await asyncio.gather(*tasks)] == [200] * 4
    assert bench.taken() == 0


@on_loop
async def test_a_targets_rates_per_minute_send_calls_up_the_ladder(tmp_path: Path) -> None:
    handling = Handling(ladder={"throttled": [Step("target", target="backup")]})
    for name, limits in (("a", TargetLimits(requests_per_minute=2)), ("b", TargetLimits(tokens_per_minute=30))):
        targets = {"main": target("main", limits=limits), "backup": target("backup")}
        bench = Bench(tmp_path / name, served=release(handling=handling), snapshot={"targets": targets})
        told = [said(await bench.post())["roadworthy"]["target"] for _ in range(3)]
        assert told == ["main", "main", "backup"], name
        assert bench.records()[2].failure == "throttled"
        bench.clock.time += 60
        assert said(await bench.post())["roadworthy"]["target"] == "main"


@on_loop
async def test_embeddings_are_served_and_retried(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(behaviour={"kind": "embeddings"}))
    vectors = (
        b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],"model":"m",'
        b'"usage":{"prompt_tokens":3,"total_tokens":3}}'
    )
    bench.upstream.will((500, [], b""), vectors)
    answer = await bench.post({"model": "support", "input": "hello"}, path="/v1/embeddings")
    assert said(answer)["data"][0]["embedding"] == [0.1, 0.2]
    assert said(answer)["roadworthy"]["outcome"] == "recovered"
    assert b"POST /v1/embeddings " in bench.upstream.sent[0].head
    assert said(await bench.post())["error"]["code"] == "bad_request"


@on_loop
async def test_a_tester_key_is_its_own_traffic_class(tmp_path: Path) -> None:
    bench = Bench(tmp_path, policy=Policy(testers=["ann"], tester_calls_per_day=2))
    for _ in range(2):
        assert (await bench.post(token=TESTER)).status == 200
    answer = await bench.post(token=TESTER)
    assert answer.status == 429
    assert int(header(answer, b"retry-after") or 0) > 0
    assert [record.traffic for record in bench.records()] == ["tester"] * 3
    assert bench.records()[2].outcome == "limited"
    bench.clock.time += 86400
    assert (await bench.post(token=TESTER)).status == 200


@on_loop
async def test_a_snapshot_that_changes_leaves_calls_under_way_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.gate = asyncio.Event()
    task = asyncio.ensure_future(bench.post())
    for _ in range(3):
        await asyncio.sleep(0)
    bench.load(workflows={}, releases={}, keys={}, endpoints={"main": Endpoint("http://other.test/v1")})
    bench.upstream.gate.set()
    assert (await task).status == 200
    assert (await bench.post()).status == 401


@on_loop
async def test_streams_are_not_confused_with_whole_answers(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will((200, [(b"content-type", b"text/event-stream")], b"".join(HELLO)))
    assert said(await bench.post())["error"]["code"] == "invalid"


@on_loop
async def test_every_field_of_a_record_is_in_its_place(tmp_path: Path) -> None:
    """Records are made by position; each of these values differs from all others."""
    handling = Handling(ladder={"unavailable": [Step("target", target="backup")]})
    bench = Bench(tmp_path, served=release(handling=handling), enforcement="observe")
    bench.upstream.will((500, [], b"{}"), completion("Hello"))
    sent = {"user": "u-1", "roadworthy": {"session": "s-1", "tags": {"a": "b"}}, "temperature": 0.5}
    span, parent = "c" * 32, "d" * 16
    answer = await bench.post(chat(**sent), headers=[(b"traceparent", f"00-{span}-{parent}-01".encode())])
    record = bench.record()
    shown = {name: getattr(record, name) for name in record.__struct_fields__ if name not in ("attempts", "ladder")}
    assert shown == {
        "id": (header(answer, b"x-request-id") or b"").decode(), "ts": bench.clock.now(), "team": "default",
        "workflow": "support", "outcome": "recovered", "route": "release", "digest": release().digest, "stage": None,
        "traffic": "live", "unit": "u-1", "unit_source": "user", "session": "s-1", "trace": span,
        "span": record.span, "parent_span": parent, "key": key()[1].id, "failure": "unavailable", "code": "",
        "status": 200, "stream": False, "target": "backup", "model_asked": "backup-model",
        "model_answered": "exact-model-2025", "provider_request_id": "req-up-1", "tokens": Tokens(10, output=5),
        "cost_usd": 0.02, "cost_unknown": "", "latency": 0.0, "first_token": 0.002, "overhead": 0.0, "checks": [],
        "overrides": ["temperature"], "notes": [], "tags": {"a": "b"}, "worker": "w0",
        "request": msgspec.Raw(msgspec.json.encode(chat(**sent))), "prompt": None,
        "response": msgspec.Raw(completion("Hello")), "bodies_dropped": "", "cached_age": None, "cached_from": "",
        "permit": "", "drill": "", "would": "", "kill": "", "surface": "chat",
    }  # fmt: skip
    assert len(record.span) == 16
