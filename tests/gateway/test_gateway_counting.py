"""``POST /v1/messages/count_tokens``: counted by a target that can, estimated otherwise, and never past the switch."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import Bench, header, managed, on_loop, release, said
from gateway_support import target as openai_target
from stopping_support import stop

from roadworthy.formats.messages import counting
from roadworthy.http1.errors import NotConnected
from roadworthy.workflow.model import Target, TargetIdentity, TargetLimits

PATH = "/v1/messages/count_tokens"
COUNTED = b'{"input_tokens":42}'


def claude(**more: Any) -> Any:
    return msgspec.structs.replace(openai_target("main", **more), provider="anthropic")


def bench(folder: Path, main: Target | None = None, **behaviour: Any) -> Bench:
    fixed = {"targets": {"main": TargetIdentity("anthropic", "main-model", "main.test")}, **behaviour}
    served = release(behaviour=fixed)
    made = Bench(
        folder, served=served, snapshot={"targets": {"main": main or claude(), "backup": openai_target("backup")}}
    )
    made.upstream.will(COUNTED)
    return made


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "support", "messages": [{"role": "user", "content": "How long is this?"}], **more}


@on_loop
async def test_a_target_that_counts_is_asked_with_all_that_a_model_would_read(tmp_path: Path) -> None:
    made = bench(tmp_path, prompt=managed("Be kind."), tools=[])
    headers = [(b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", b"a-beta")]
    answer = await made.post(asked(), PATH, headers=headers)
    assert (answer.status, said(answer)) == (200, {"input_tokens": 42})
    (sent,) = made.upstream.sent
    assert sent.head.startswith(b"POST /v1/messages/count_tokens ")
    assert b"anthropic-beta: a-beta\r\n" in sent.head
    assert sent.body == {"model": "main-model", "system": "Be kind.", "messages": asked()["messages"]}


@on_loop
async def test_it_is_no_inference(tmp_path: Path) -> None:
    made = bench(tmp_path)
    await made.post(asked(), PATH)
    assert made.records() == []
    assert made.starts() == []
    assert made.taken() == 0


@on_loop
async def test_what_cannot_count_is_stood_in_for_by_an_estimate_that_says_so(tmp_path: Path) -> None:
    made = bench(tmp_path)
    for reply in ((404, [], b"{}"), b"nonsense", b'{"input_tokens":-1}', NotConnected("no")):
        made.upstream.will(reply)
        found = said(await made.post(asked(), PATH))
        assert found == {"input_tokens": found["input_tokens"], "roadworthy": {"estimated": True}}
        assert 5 < found["input_tokens"] < 50
    assert said(await Bench(tmp_path / "b").post(asked(), PATH))["roadworthy"] == {"estimated": True}


@on_loop
async def test_counting_never_opens_the_breaker_of_those_who_do_not_count(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.will((404, [], b"{}"))
    for _ in range(30):
        await made.post(asked(), PATH)
    assert made.gateway.slots["main"].breaker.may_call(made.clock.monotonic())


@on_loop
async def test_with_the_ai_off_nothing_reaches_a_provider_to_be_counted(tmp_path: Path) -> None:
    made = bench(tmp_path)
    await stop(made, "off")
    found = said(await made.post(asked(), PATH))
    assert found["roadworthy"] == {"estimated": True}
    assert made.upstream.sent == []


@on_loop
async def test_a_request_that_is_none_is_refused_in_anthropics_shape(tmp_path: Path) -> None:
    made = bench(tmp_path)
    for body, token, status, code in (
        (asked(messages=7), None, 400, "bad_request"),
        (asked(), "rw-unknown", 401, "invalid_api_key"),
        (asked(model="nope"), None, 404, "model_not_found"),
    ):
        answer = await (made.post(body, PATH) if token is None else made.post(body, PATH, token))
        told = said(answer)
        assert (answer.status, told["type"], told["error"]["code"]) == (status, "error", code)
        assert header(answer, b"x-should-retry") == b"false"
    answer = await made.get(PATH)
    assert (answer.status, said(answer)["type"]) == (405, "error")


@on_loop
async def test_a_target_is_asked_no_more_at_once_than_for_answers(tmp_path: Path) -> None:
    limited = claude(limits=TargetLimits(concurrency=2, adaptive=False))
    made = bench(tmp_path, limited)
    made.upstream.gate = asyncio.Event()
    burst = [asyncio.create_task(made.post(asked(), PATH)) for _ in range(20)]
    await asyncio.sleep(0)
    assert made.taken() == 2
    done, counting = await asyncio.wait(burst, timeout=0)
    while len(done) < 18:
        done, counting = await asyncio.wait(burst, return_when=asyncio.FIRST_COMPLETED)
    assert {said(each.result())["roadworthy"]["estimated"] for each in done} == {True}
    assert len(made.upstream.sent) == 2
    made.upstream.gate.set()
    assert [said(await each) for each in counting] == [{"input_tokens": 42}] * 2
    assert made.taken() == 0


@on_loop
async def test_whatever_comes_of_it_the_slot_is_given_back(tmp_path: Path) -> None:
    made = bench(tmp_path)
    for reply in ((500, [], b"{}"), b"nonsense", NotConnected("no")):
        made.upstream.will(reply)
        await made.post(asked(), PATH)
        assert made.taken() == 0
    made.upstream.gate = asyncio.Event()
    left = asyncio.create_task(made.post(asked(), PATH))
    while not made.taken():
        await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    assert made.taken() == 0


PICTURE = b'{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}'


@pytest.mark.parametrize("levels", [100, 300, 600, 900, 2_000, 100_000])
@pytest.mark.parametrize(
    ("before", "inner", "after"),
    [
        (b'"messages":[{"role":"user","content":[' + PICTURE + b',{"type":"text","text":"Hi","x":', b"[", b"}]}]"),
        (b'"messages":[{"role":"user","content":[' + PICTURE + b",", b"[", b"]}]"),
        (b'"messages":[{"role":"user","content":[' + PICTURE + b'],"x":', b'{"content":', b"}]"),
        (b'"messages":[{"role":"user","content":"Hi"}],"tools":', b'[{"content":', b""),
        (b'"messages":[{"role":"user","content":"Hi"}],"x":', b'{"a":', b""),
    ],
)
@on_loop
async def test_nesting_is_counted_or_refused_and_never_our_fault(
    tmp_path: Path, levels: int, before: bytes, inner: bytes, after: bytes
) -> None:
    made = bench(tmp_path, prompt=managed("Be kind."))
    ends = b"".join(b"]" if each == ord("[") else b"}" for each in reversed(inner) if each in b"[{")
    body = b'{"model":"support",' + before + inner * levels + b"1" + ends * levels + after + b"}"
    answer = await made.post(body, PATH)
    assert answer.status in (200, 400)
    if levels >= 2_000:
        assert (answer.status, said(answer)["error"]["code"]) == (400, "invalid_json")


@on_loop
async def test_pictures_are_estimated_however_deep_they_lie(tmp_path: Path) -> None:
    nested = msgspec.json.decode(b"[" * 500 + PICTURE + b"]" * 500)
    assert counting.estimate({"messages": msgspec.Raw(msgspec.json.encode(nested))}) > 1600


@on_loop
async def test_what_the_stack_does_not_hold_is_a_request_nested_too_deeply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflows(_: object) -> int:
        raise RecursionError

    monkeypatch.setattr(counting, "estimate", overflows)
    answer = await Bench(tmp_path).post(asked(), PATH)
    assert (answer.status, said(answer)["type"], said(answer)["error"]["code"]) == (400, "error", "invalid_json")
    assert "nested too deeply" in said(answer)["error"]["message"]
