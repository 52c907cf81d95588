"""Breakers, limits, the retry budget and the cache in the serving path."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway_support import (
    HELLO,
    JSON_TYPE,
    Bench,
    chat,
    completion,
    events,
    header,
    on_loop,
    release,
    said,
    target,
    text_of,
)

from roadworthy.gateway.messages import Request
from roadworthy.http1.errors import NotConnected, ReadTimeout
from roadworthy.workflow.model import (
    Breaker,
    CacheSpec,
    Canned,
    Capabilities,
    Clocks,
    Handling,
    Step,
    TargetIdentity,
    TargetLimits,
)

CANNED = Canned("Please call us.")
DOWN = NotConnected("refused")
USER = [(b"x-roadworthy-user", b"u-1")]


def bench(folder: Path, *, main: dict[str, Any] | None = None, **handling: Any) -> Bench:
    targets = {"main": target("main", **(main or {})), "backup": target("backup")}
    identities = {name: TargetIdentity("openai", f"{name}-model", f"{name}.test") for name in targets}
    served = release(behaviour={"targets": identities}, handling=Handling(**handling))
    return Bench(folder, served=served, snapshot={"targets": targets})


def outcome(answer: Any) -> str:
    return (header(answer, b"x-roadworthy-outcome") or b"").decode()


@on_loop
async def test_an_open_breaker_answers_by_the_ladder_without_a_call(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": [Step("retry"), Step("canned")]}, canned=CANNED,
                 main={"breaker": Breaker(calls=4)})  # fmt: skip
    made.upstream.will(DOWN)
    for _ in range(2):
        assert outcome(await made.post()) == "canned"
    assert len(made.upstream.sent) == 4
    assert outcome(await made.post()) == "canned"
    assert len(made.upstream.sent) == 4, "nothing was called"
    [attempt] = made.records()[-1].attempts
    assert attempt.failure == "unavailable"
    assert "breaker of main is open, next probe in 5.0 s" in attempt.detail
    assert attempt.cost_usd == 0.0


@on_loop
async def test_a_caller_without_a_ladder_is_told_when_the_next_probe_is_made(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": []}, main={"breaker": Breaker(calls=1, cooldown=7.0)})
    made.upstream.will(DOWN)
    await made.post()
    refused = await made.post()
    assert refused.status == 503
    assert header(refused, b"retry-after") == b"7"
    assert header(refused, b"x-should-retry") == b"false"


@on_loop
async def test_an_open_breaker_leaves_the_other_target_to_the_ladder(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": [Step("target", target="backup")]},
                 main={"breaker": Breaker(calls=1)})  # fmt: skip
    made.upstream.will(DOWN, completion())
    for _ in range(3):
        assert outcome(await made.post()) == "recovered"
    assert [attempt.target for attempt in made.records()[-1].attempts] == ["main", "backup"]
    assert sum("main.test" in sent.origin.host for sent in made.upstream.sent) == 1


@on_loop
async def test_a_ladder_passes_over_a_target_whose_breaker_is_open(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"invalid": [Step("target", target="backup"), Step("canned")]}, canned=CANNED)
    breaker = made.gateway.slots["backup"].breaker
    for _ in range(10):
        breaker.ended(object(), made.clock.monotonic(), made.clock.monotonic(), "unavailable")
    made.upstream.will(completion(text=""))
    assert outcome(await made.post()) == "canned"
    assert len(made.upstream.sent) == 1


@on_loop
async def test_a_probe_that_is_answered_closes_the_breaker(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": []}, main={"breaker": Breaker(calls=1)})
    made.upstream.will(DOWN, completion())
    await made.post()
    made.clock.time += 5.0
    gate = made.upstream.gate = asyncio.Event()
    probe = asyncio.ensure_future(made.post())
    await asyncio.sleep(0)
    shed = await made.post()
    assert shed.status == 503, "one probe at a time"
    gate.set()
    assert (await probe).status == 200
    assert (await made.post()).status == 200
    assert made.gateway.slots["main"].breaker.state == "closed"


@on_loop
async def test_a_probe_whose_client_left_does_not_hold_the_breaker(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": []}, main={"breaker": Breaker(calls=1)})
    made.upstream.will(DOWN, completion())
    await made.post()
    made.clock.time += 5.0
    made.upstream.gate = asyncio.Event()
    probe = asyncio.ensure_future(made.post())
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    made.upstream.gate = None
    assert (await made.post()).status == 200
    assert made.taken() == 0


@on_loop
async def test_a_provider_that_names_a_time_is_left_alone_until_then(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"overlimit": []}, main={"breaker": Breaker(calls=1, cooldown=1.0)})
    made.upstream.will((429, [*JSON_TYPE, (b"retry-after", b"30")], b'{"error":{"message":"slow down"}}'), completion())
    await made.post()
    made.clock.time += 29.0
    assert (await made.post()).status == 503
    made.clock.time += 1.0
    assert (await made.post()).status == 200


@on_loop
async def test_a_breaker_outlives_the_snapshot(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": []}, main={"breaker": Breaker(calls=1)})
    made.upstream.will(DOWN)
    await made.post()
    world = made.gateway.world
    assert world is not None
    made.load(workflows=world.snapshot.workflows, releases=world.snapshot.releases, keys=world.snapshot.keys)
    assert (await made.post()).status == 503
    assert len(made.upstream.sent) == 1


@on_loop
async def test_a_call_that_finds_no_slot_is_shed_to_its_ladder_and_told_when_to_come_again(tmp_path: Path) -> None:
    limits = TargetLimits(concurrency=1, queue=0)
    made = bench(tmp_path, ladder={"throttled": []}, main={"limits": limits}, clocks=Clocks(connect=1.0))
    gate = made.upstream.gate = asyncio.Event()
    first = asyncio.ensure_future(made.post())
    await asyncio.sleep(0)
    shed = await made.post()
    gate.set()
    await first
    assert (shed.status, said(shed)["error"]["code"]) == (429, "throttled")
    assert header(shed, b"retry-after") == b"1"
    assert made.gateway.slots["main"].shed == 1
    assert made.taken() == 0


@on_loop
async def test_retries_of_a_target_that_keeps_failing_die_away(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": [Step("retry", times=2, backoff=0.0), Step("canned")]},
                 canned=CANNED, main={"breaker": Breaker(calls=1_000_000)})  # fmt: skip
    made.upstream.will(DOWN)
    for _ in range(50):
        assert outcome(await made.post()) == "canned"
    retries = made.gateway.slots["main"].retries.spent
    assert len(made.upstream.sent) == 50 + retries
    assert retries <= 11
    assert [rung.step for rung in made.records()[-1].ladder] == ["canned"]


@on_loop
async def test_amplification_stays_below_1_3_while_a_fifth_of_the_calls_fails(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": [Step("retry", times=2, backoff=0.0), Step("canned")]}, canned=CANNED)
    count = 0

    def sometimes() -> None:
        nonlocal count
        count += 1
        made.clock.time += 0.01
        made.upstream.script = [DOWN if count % 5 == 0 else completion()]

    made.upstream.on_call = sometimes
    answers = [outcome(await made.post()) for _ in range(500)]
    assert len(made.upstream.sent) / 500 <= 1.3
    assert answers.count("canned") <= 5


STEP = {"cache": CacheSpec("step", 60.0), "ladder": {"unavailable": [Step("cache"), Step("canned")]}, "canned": CANNED}
ALWAYS = {"cache": CacheSpec("always", 60.0)}


@on_loop
async def test_a_cached_answer_helps_when_the_target_is_down_and_says_its_age(tmp_path: Path) -> None:
    made = bench(tmp_path, **STEP)
    made.upstream.will(completion("Reset it."), DOWN)
    first = await made.post(headers=USER)
    made.clock.time += 12.0
    again = await made.post(headers=USER)
    assert outcome(again) == "cached"
    body = said(again)
    assert body["choices"] == said(first)["choices"]
    assert body["roadworthy"]["age_seconds"] == 12
    record = made.records()[-1]
    assert (record.cached_age, record.cached_from) == (12.0, made.records()[0].id)
    assert (record.outcome, record.failure, record.cost_usd) == ("cached", "unavailable", 0.0)


@on_loop
async def test_a_cached_answer_is_nobody_elses(tmp_path: Path) -> None:
    made = bench(tmp_path, **STEP)
    made.upstream.will(completion("Your balance is 5."), DOWN)
    await made.post(headers=USER)
    assert outcome(await made.post(headers=[(b"x-roadworthy-user", b"u-2")])) == "canned"
    assert outcome(await made.post()) == "canned"


@on_loop
async def test_a_cached_answer_is_never_older_than_declared(tmp_path: Path) -> None:
    made = bench(tmp_path, **STEP)
    made.upstream.will(completion(), DOWN)
    await made.post(headers=USER)
    made.clock.time += 60.0
    assert outcome(await made.post(headers=USER)) == "canned"


@on_loop
async def test_use_always_calls_the_target_once(tmp_path: Path) -> None:
    made = bench(tmp_path, **ALWAYS)
    for _ in range(3):
        await made.post(headers=USER)
    assert len(made.upstream.sent) == 1
    assert [record.outcome for record in made.records()] == ["answered", "cached", "cached"]
    assert made.records()[-1].attempts == []
    assert made.records()[-1].cost_usd == 0.0


@on_loop
async def test_a_stream_is_told_a_cached_answer(tmp_path: Path) -> None:
    made = bench(tmp_path, **ALWAYS)
    made.upstream.will(completion("Reset it."))
    await made.post(headers=USER)
    found = await events(await made.post(chat(stream=True), headers=USER))
    assert text_of(found) == "Reset it."
    assert found[-1] == "[DONE]"
    assert found[-2]["roadworthy"]["outcome"] == "cached"
    assert len(made.upstream.sent) == 1


@on_loop
async def test_a_streamed_answer_is_kept_whole(tmp_path: Path) -> None:
    made = bench(tmp_path, **ALWAYS)
    made.upstream.will(HELLO)
    await events(await made.post(chat(stream=True), headers=USER))
    again = await made.post(headers=USER)
    assert outcome(again) == "cached"
    assert said(again)["choices"][0]["message"]["content"] == "Hello"
    assert said(again)["object"] == "chat.completion"


@on_loop
async def test_an_answer_that_was_not_good_is_not_kept(tmp_path: Path) -> None:
    made = bench(tmp_path, **ALWAYS)
    made.upstream.will(completion("", finish="length"), completion("Hi"))
    await made.post(headers=USER)
    await made.post(headers=USER)
    assert len(made.upstream.sent) == 2


@on_loop
async def test_a_workflow_without_a_cache_keeps_nothing(tmp_path: Path) -> None:
    made = bench(tmp_path)
    await made.post(headers=USER)
    assert len(made.gateway.cache) == 0


@on_loop
async def test_forgetting_a_user_over_the_private_socket_purges_its_answers(tmp_path: Path) -> None:
    made = bench(tmp_path, **ALWAYS)
    await made.post(headers=USER)

    async def ask(path: str, internal: bool = True) -> Any:
        request = Request("POST", path, "", [], b'{"unit":"u-1"}', "", internal)
        return await made.gateway.handle(request)

    assert said(await ask("/internal/cache/count")) == {"answers": 1}
    assert said(await ask("/internal/cache/purge")) == {"answers": 1}
    assert said(await ask("/internal/cache/count")) == {"answers": 0}
    assert (await ask("/internal/cache/purge", internal=False)).status == 404


@pytest.mark.parametrize("stream", [False, True])
@on_loop
async def test_counters_tell_how_a_target_is_found(tmp_path: Path, stream: bool) -> None:
    made = bench(tmp_path, ladder={"unavailable": []}, main={"breaker": Breaker(calls=2)}, **ALWAYS)
    made.upstream.will(DOWN)
    for _ in range(3):
        await made.post(chat(stream=stream))
    [main] = [row for row in made.gateway.report().targets if row.target == "main"]
    assert (main.breaker, main.opened, main.probe_in, main.limit) == ("open", 1, 5.0, 256)


@on_loop
async def test_calls_that_fail_together_cannot_all_take_the_same_retry(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": [Step("retry", backoff=1.0), Step("canned")]}, canned=CANNED,
                 main={"breaker": Breaker(calls=1000)})  # fmt: skip
    made.upstream.will(DOWN)
    made.upstream.gate = gate = asyncio.Event()
    calls = [asyncio.ensure_future(made.post()) for _ in range(60)]
    while len(made.upstream.sent) < 60:
        await asyncio.sleep(0)
    gate.set()
    assert {outcome(answer) for answer in await asyncio.gather(*calls)} == {"canned"}
    assert len(made.upstream.sent) <= 60 + 11, "the floor of the retry budget, and what came back meanwhile"


@on_loop
async def test_a_breaker_closes_for_a_provider_whose_reports_of_usage_are_absurd(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": [Step("canned")]}, canned=CANNED, main={"breaker": Breaker(calls=1)})
    made.upstream.will(DOWN)
    await made.post()
    made.upstream.will(
        completion(usage={"prompt_tokens": 10**6, "completion_tokens": 10**6, "total_tokens": 2 * 10**6})
    )
    made.clock.an_hour()
    assert outcome(await made.post()) == "answered"
    assert made.gateway.slots["main"].breaker.state == "closed"


@on_loop
async def test_a_request_that_never_leaves_is_no_probe(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unavailable": [], "bad_request": []},
                 main={"breaker": Breaker(calls=1), "capabilities": Capabilities(images=False)})  # fmt: skip
    made.upstream.will(DOWN)
    await made.post()
    made.clock.an_hour()
    seen = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]
    assert (await made.post(chat(messages=seen))).status == 400
    assert made.gateway.slots["main"].breaker.state == "half_open", "nobody asked the target"
    made.upstream.will(completion())
    assert outcome(await made.post()) == "answered"
    assert made.gateway.slots["main"].breaker.state == "closed"


@on_loop
async def test_a_target_that_is_left_the_last_moments_of_a_deadline_is_not_blamed(tmp_path: Path) -> None:
    identities = {name: TargetIdentity("openai", f"{name}-model", f"{name}.test") for name in ("main", "backup")}
    rules = Handling(ladder={"slow": [Step("target", target="backup"), Step("canned")]}, canned=CANNED, deadline=10.0)
    strict = Breaker(calls=1)
    made = Bench(
        tmp_path, served=release(behaviour={"targets": identities}, handling=rules),
        snapshot={"targets": {name: target(name, breaker=strict) for name in identities}},
    )  # fmt: skip

    def silent() -> None:
        made.clock.time += made.upstream.sent[-1].clocks.total - (0.2 if len(made.upstream.sent) == 1 else 0.0)

    made.upstream.on_call = silent
    made.upstream.will(ReadTimeout("total", 10.0))
    assert outcome(await made.post()) == "canned"
    assert [attempt.failure for attempt in made.record().attempts] == ["slow", "slow"]
    states = {name: made.gateway.slots[name].breaker.state for name in ("main", "backup")}
    assert states == {"main": "open", "backup": "closed"}


@on_loop
async def test_a_caller_is_not_told_to_wait_for_as_long_as_a_provider_likes(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"overlimit": []})
    made.upstream.will((429, [*JSON_TYPE, (b"retry-after", b"1e300")], b"{}"))
    assert header(await made.post(), b"retry-after") == b"86400"
