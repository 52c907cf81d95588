"""Claims about calls that no model answers: what ends them, what the caller is told, what is recorded and charged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import (
    DONE,
    TOKEN,
    Bench,
    chat,
    chunk,
    completion,
    events,
    header,
    key,
    on_loop,
    release,
    said,
)

from roadworthy.fallback.words import BLOCKED
from roadworthy.gateway.limits.pricing import BYTES_PER_TOKEN
from roadworthy.gateway.messages import Response
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Disconnected, ReadTimeout
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.origin import Origin
from roadworthy.workflow.inference import Escalation
from roadworthy.workflow.model import (
    Bypass,
    CacheSpec,
    Canned,
    CheckSpec,
    EscalationPolicy,
    Handling,
    Policy,
    Prompt,
    Step,
)

HURRIED = "rw-" + "h" * 40
HOLDING = Canned("A colleague looks at it.")
FILTERED = completion("", "content_filter")


def ladder(**steps: list[Step]) -> Any:
    return dict(steps)


# --- blocked


@on_loop
async def test_a_dropped_answer_without_a_further_step_is_blocked(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(ladder=ladder(refused=[Step("drop")]))))
    bench.upstream.will(FILTERED)
    answer = said(await bench.post())
    assert answer["choices"][0]["message"]["content"] == BLOCKED.text
    assert answer["roadworthy"]["failure"] == "refused"
    record = bench.record()
    assert (record.outcome, record.failure, record.status, record.target) == ("blocked", "refused", 200, None)
    assert [rung.step for rung in record.ladder] == ["drop"]


@on_loop
async def test_after_a_drop_the_ladder_goes_on_and_nobody_reads_what_was_dropped(tmp_path: Path) -> None:
    steps = ladder(refused=[Step("drop"), Step("target", target="backup")], unavailable=[Step("escalate")])
    bench = Bench(tmp_path, served=release(handling=Handling(ladder=steps, holding=HOLDING)))
    bench.upstream.will(completion("a dangerous recipe", "content_filter"), (500, [], b"{}"))
    assert said(await bench.post())["roadworthy"]["outcome"] == "escalated"
    assert [rung.step for rung in bench.record().ladder] == ["drop", "target", "escalate"]
    [handed_over] = [line for line in bench.lines() if isinstance(line, Escalation)]
    assert handed_over.draft is None
    assert "dangerous" not in msgspec.json.encode(bench.lines()).decode()


@on_loop
async def test_what_failed_after_a_drop_does_not_hide_that_the_answer_was_dropped(tmp_path: Path) -> None:
    steps = ladder(refused=[Step("drop"), Step("target", target="backup")], unavailable=[])
    bench = Bench(tmp_path, served=release(handling=Handling(ladder=steps)))
    bench.upstream.will(FILTERED, (500, [], b"{}"))
    assert said(await bench.post())["roadworthy"]["outcome"] == "blocked"
    assert bench.record().failure == "refused"


# --- limited and turned away


def hurried(folder: Path, handling: Handling) -> Bench:
    return Bench(folder, served=release(handling=handling), keys=[key(HURRIED, requests_per_minute=1)])


@on_loop
async def test_a_call_at_its_keys_limit_is_recorded_and_calls_nobody(tmp_path: Path) -> None:
    bench = hurried(tmp_path, Handling())
    await bench.post(token=HURRIED)
    answer = await bench.post(token=HURRIED)
    assert answer.status == 429
    assert header(answer, b"retry-after") == b"60"
    assert header(answer, b"x-should-retry") == b"false"
    assert said(answer)["error"] == {
        "message": "This key may call support 1 times a minute. Try again in 60 s.",
        "type": "rate_limit_error", "param": None, "code": "throttled",
    }  # fmt: skip
    record = bench.records()[-1]
    assert (record.outcome, record.failure, record.attempts) == ("limited", "throttled", [])
    assert record.cost_usd == 0.0
    assert len(bench.starts()) == 2
    assert len(bench.upstream.sent) == 1


@on_loop
async def test_a_call_that_is_turned_away_takes_only_steps_that_call_nobody(tmp_path: Path) -> None:
    steps = [Step("retry", times=3), Step("target", target="backup"), Step("repair"), Step("canned")]
    bench = hurried(tmp_path, Handling(ladder=ladder(throttled=steps), canned=Canned("Soon.")))
    await bench.post(token=HURRIED)
    answer = said(await bench.post(token=HURRIED))
    assert answer["choices"][0]["message"]["content"] == "Soon."
    assert bench.records()[-1].outcome == "canned"
    assert [rung.step for rung in bench.records()[-1].ladder] == ["canned"]
    assert len(bench.upstream.sent) == 1
    assert bench.clock.slept == []


@on_loop
async def test_defaults_neither_escalate_nor_can_a_call_that_is_turned_away(tmp_path: Path) -> None:
    bench = hurried(tmp_path, Handling(canned=Canned("Soon."), holding=HOLDING))
    await bench.post(token=HURRIED)
    assert (await bench.post(token=HURRIED)).status == 429
    assert not [line for line in bench.lines() if isinstance(line, Escalation)]


@on_loop
async def test_a_target_that_is_full_at_the_end_of_the_ladder_is_429_and_says_when_to_come_again(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(ladder=ladder(throttled=[]))))
    slots = bench.gateway.slots["main"]
    slots.taken, slots.queue = slots.limit, 0
    answer = await bench.post()
    assert (answer.status, said(answer)["error"]["code"]) == (429, "throttled")
    assert int(header(answer, b"retry-after") or b"0") >= 1
    assert bench.record().outcome == "limited"
    slots.taken = 0
    assert (await bench.post()).status == 200


@on_loop
async def test_the_providers_429_at_the_end_of_the_ladder_passes_its_wait_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will((429, [(b"retry-after", b"3600")], b"{}"))
    answer = await bench.post()
    assert (answer.status, said(answer)["error"]["code"]) == (503, "overlimit")
    assert header(answer, b"retry-after") == b"3600"
    assert len(bench.upstream.sent) == 1  # an hour does not fit into the deadline
    bench.upstream.will((429, [(b"retry-after", b"2")], b"{}"), completion())
    bench.clock.an_hour()
    assert (await bench.post()).status == 200
    assert bench.clock.slept[-1] >= 2.0


# --- cached


def caching(folder: Path, **more: Any) -> Bench:
    spec = CacheSpec(**more)
    return Bench(
        folder,
        served=release(
            handling=Handling(cache=spec, ladder=ladder(unavailable=[Step("cache")], truncated=[Step("cache")]))
        ),
    )


@on_loop
async def test_a_cached_answer_says_its_age_and_whose_answer_it_is(tmp_path: Path) -> None:
    bench = caching(tmp_path)
    first = said(await bench.post(chat(user="u")))
    bench.clock.time += 90.0
    bench.upstream.will((500, [], b"{}"))
    answer = await bench.post(chat(user="u"))
    told = said(answer)
    assert told["choices"] == first["choices"]
    assert (told["roadworthy"]["outcome"], told["roadworthy"]["age_seconds"]) == ("cached", 90)
    assert told["roadworthy"]["cost_usd"] == 0.0
    assert header(answer, b"age") == header(answer, b"x-roadworthy-age") == b"90"
    record = bench.records()[-1]
    assert (record.cached_age, record.cached_from) == (90.0, bench.records()[0].id)
    assert (record.failure, record.target) == ("unavailable", None)
    other = await bench.post(chat(user="v"))
    assert (other.status, said(other)["error"]["code"]) == (503, "unavailable")


@on_loop
async def test_a_cache_that_is_always_used_calls_nobody_while_it_is_fresh(tmp_path: Path) -> None:
    bench = caching(tmp_path, use="always", max_age=60.0)
    for _ in range(2):
        await bench.post(chat(user="u"))
    assert [record.outcome for record in bench.records()] == ["answered", "cached"]
    assert bench.records()[1].failure is None
    assert len(bench.upstream.sent) == 1
    streamed = await events(await bench.post(chat(user="u", stream=True)))
    assert "".join(event["choices"][0]["delta"].get("content") or "" for event in streamed[:1]) == "Hello"
    bench.clock.time += 61.0
    await bench.post(chat(user="u"))
    assert len(bench.upstream.sent) == 2


@on_loop
async def test_a_stream_is_kept_for_who_asks_without_one(tmp_path: Path) -> None:
    bench = caching(tmp_path)
    bench.upstream.will([chunk("Hel"), chunk("lo"), chunk(finish="stop"), DONE])
    await events(await bench.post(chat(user="u", stream=True)))
    bench.upstream.will(Disconnected("cut", "in_body"))
    assert said(await bench.post(chat(user="u")))["choices"][0]["message"]["content"] == "Hello"


# --- escalated


@on_loop
async def test_a_human_whose_queue_is_full_is_passed_over(tmp_path: Path) -> None:
    steps = ladder(slow=[Step("escalate"), Step("canned")])
    handling = Handling(ladder=steps, holding=HOLDING, canned=Canned("Sorry."))
    bench = Bench(tmp_path, served=release(handling=handling), policy=Policy(escalation=EscalationPolicy(capacity=1)))
    bench.upstream.will(ReadTimeout("total", 1.0))
    outcomes = [said(await bench.post())["roadworthy"]["outcome"] for _ in range(2)]
    assert outcomes == ["escalated", "canned"]
    assert [rung.step for rung in bench.records()[1].ladder] == ["canned"]


@on_loop
async def test_an_escalation_that_cannot_be_written_is_not_promised(tmp_path: Path) -> None:
    steps = ladder(slow=[Step("escalate"), Step("canned")])
    handling = Handling(ladder=steps, holding=HOLDING, canned=Canned("Sorry."))
    bench = Bench(tmp_path, served=release(handling=handling))

    async def full(line: Escalation, patience: float) -> bool:
        return False

    bench.journal.escalation = full  # type: ignore[method-assign]
    bench.upstream.will(ReadTimeout("total", 1.0))
    assert said(await bench.post())["roadworthy"]["outcome"] == "canned"


@on_loop
async def test_a_target_that_was_silent_until_the_deadline_is_escalated_all_the_same(tmp_path: Path) -> None:
    handling = Handling(ladder=ladder(slow=[Step("retry"), Step("escalate")]), holding=HOLDING, deadline=5.0)
    bench = Bench(tmp_path, served=release(handling=handling))
    bench.upstream.will(ReadTimeout("total", 5.0))

    def pass_time() -> None:
        bench.clock.time += 5.0

    bench.upstream.on_call = pass_time
    assert said(await bench.post())["roadworthy"]["outcome"] == "escalated"
    assert bench.record().latency == 5.0
    assert len(bench.upstream.sent) == 1


@on_loop
async def test_a_human_bypass_without_room_is_the_apps_old_path(tmp_path: Path) -> None:
    made = release(
        behaviour={"prompt": Prompt("app", "You help.")}, handling=Handling(bypass=Bypass("human"), holding=HOLDING)
    )
    bench = Bench(tmp_path, served=made, policy=Policy(escalation=EscalationPolicy(capacity=1)))
    answer = said(await bench.post())
    assert answer["choices"][0]["message"]["content"] == HOLDING.text
    assert answer["roadworthy"]["escalation"]["id"] == bench.record().id
    assert (await bench.post()).status == 503
    assert [(record.outcome, record.route) for record in bench.records()] == [
        ("escalated", "bypass"), ("bypassed", "bypass"),
    ]  # fmt: skip


@on_loop
async def test_a_refused_answer_goes_to_the_human_as_a_draft(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["topic"]}
    handling = Handling(ladder=ladder(invalid=[Step("escalate")]), holding=HOLDING)
    bench = Bench(tmp_path, served=release(behaviour={"schema": schema}, handling=handling))
    bench.upstream.will(completion("The topic is bill."))
    answer = said(await bench.post())
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": None, "refusal": HOLDING.text}
    [handed_over] = [line for line in bench.lines() if isinstance(line, Escalation)]
    assert (handed_over.draft, handed_over.failure, handed_over.holding) == (
        "The topic is bill.", "invalid", HOLDING.text,
    )  # fmt: skip


# --- what is charged


@on_loop
async def test_a_whole_answer_without_usage_is_charged_by_estimate(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(completion("x" * 400, usage=None))
    await bench.post()
    attempt = bench.record().attempts[0]
    assert attempt.tokens_estimated
    assert attempt.tokens is not None
    assert attempt.tokens.output == 400 // BYTES_PER_TOKEN
    assert attempt.cost_usd


@on_loop
async def test_what_a_provider_reported_stays_charged_when_the_client_leaves_during_a_check(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(behaviour={"schema": {"type": "object"}}))
    reached = asyncio.Event()

    async def for_ever(*_: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    assert bench.gateway.world is not None
    checking: Any = bench.gateway.world.workflows["support"].checking
    checking.verdict = for_ever
    task = asyncio.ensure_future(bench.post())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    record = bench.record()
    assert record.outcome == "abandoned"
    assert (record.tokens.input, record.tokens.output) == (10, 5)
    assert not record.attempts[0].tokens_estimated
    assert bench.taken() == 0


@asynccontextmanager
async def deaf() -> AsyncIterator[Origin]:
    """A server that takes connections and never says anything: TLS handshakes with it do not end."""
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Origin.from_url(f"https://127.0.0.1:{port}")
    finally:
        server.close()


@pytest.mark.parametrize("stream", [False, True])
@on_loop
async def test_a_client_that_leaves_while_we_connect_is_charged_nothing(tmp_path: Path, stream: bool) -> None:
    bench = Bench(tmp_path)
    async with deaf() as origin:
        client = Client(guard=AddressGuard(allowed=[origin]))
        bench.upstream.fetch = lambda _, *args, **more: client.fetch(origin, *args, **more)  # type: ignore[method-assign]
        bench.upstream.open = lambda _, *args, **more: client.open(origin, *args, **more)  # type: ignore[method-assign, assignment, return-value]
        task = asyncio.ensure_future(bench.post(chat(stream=stream)))
        while client.open_connections == 0:
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()
    record = bench.record()
    assert (record.outcome, record.cost_usd, record.attempts[0].tokens) == ("abandoned", 0.0, None)
    assert bench.taken() == 0


# --- the old path


@on_loop
async def test_an_old_path_is_asked_for_plain_bytes_and_what_it_encodes_stays_readable(tmp_path: Path) -> None:
    made = release(
        behaviour={"prompt": Prompt("app", "You help.")},
        handling=Handling(bypass=Bypass("http", url="http://old.test/")),
    )
    bench = Bench(tmp_path, served=made)
    bench.upstream.will((200, [(b"content-encoding", b"gzip"), (b"content-type", b"text/plain")], b"\x1f\x8b"))
    answer = await bench.post()
    assert isinstance(answer, Response)
    assert b"accept-encoding: identity\r\n" in bench.upstream.sent[0].head
    assert header(answer, b"content-encoding") == b"gzip"
    assert answer.body == b"\x1f\x8b"


@pytest.mark.parametrize("status", [301, 304, 401, 402, 403, 404, 405, 406, 410, 451, 501])
@on_loop
async def test_any_status_that_says_no_for_good_is_misconfigured_and_asked_once(tmp_path: Path, status: int) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will((status, [], b"{}"))
    assert said(await bench.post())["error"]["code"] == "misconfigured"
    assert len(bench.upstream.sent) == 1
    assert TOKEN not in bench.record().attempts[0].detail


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 520, 529])
@on_loop
async def test_any_status_that_may_pass_is_unavailable_and_asked_again(tmp_path: Path, status: int) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will((status, [], b"{}"))
    assert said(await bench.post())["error"]["code"] == "unavailable"
    assert len(bench.upstream.sent) == 3


# --- what a check refuses

PROMISE = CheckSpec(kind="forbidden", failure="unsafe", options={"patterns": ["(?i)we guarantee"]})


@on_loop
async def test_an_unsafe_answer_is_never_shown_and_by_default_a_human_gets_no_draft_of_it(tmp_path: Path) -> None:
    checks = {"promises": PROMISE}
    for name, holding, outcome in (("human", HOLDING, "escalated"), ("nobody", None, "blocked")):
        bench = Bench(tmp_path / name, served=release(handling=Handling(checks=checks, holding=holding)))
        bench.upstream.will(completion("We guarantee a refund."))
        answer = await bench.post()
        assert b"guarantee" not in answer.body  # type: ignore[union-attr]
        assert said(answer)["roadworthy"]["outcome"] == outcome
        record = bench.record()
        assert (record.failure, record.attempts[0].failure) == ("unsafe", "unsafe")
        assert [rung.step for rung in record.ladder] == ["drop", "escalate"][: 2 if holding else 1]
        assert "guarantee a refund" not in msgspec.json.encode(bench.lines()).decode()
        assert len(bench.upstream.sent) == 1


@on_loop
async def test_an_unsafe_answer_without_any_step_is_an_error(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path, served=release(handling=Handling(checks={"promises": PROMISE}, ladder=ladder(unsafe=[])))
    )  # fmt: skip
    bench.upstream.will(completion("We guarantee a refund."))
    answer = await bench.post()
    assert (answer.status, said(answer)["error"]["code"]) == (503, "unsafe")
    assert b"guarantee" not in answer.body  # type: ignore[union-attr]


@on_loop
async def test_a_tool_call_that_cannot_be_carried_out_is_sent_back(tmp_path: Path) -> None:
    parameters = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
    tools = [{"type": "function", "function": {"name": "look", "parameters": parameters}}]
    bench = Bench(tmp_path, served=release(behaviour={"tools": tools}))

    def calling(arguments: str) -> bytes:
        call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}}
        return completion(None, "tool_calls", message={"tool_calls": [call]})

    bench.upstream.will(calling('{"id": '), calling('{"id": 1}'))
    answer = said(await bench.post())
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"id": 1}'
    again = bench.upstream.sent[1].body["messages"]
    assert again[-2] == {"role": "assistant", "content": 'look({"id": )'}
    assert "look" in again[-1]["content"]
    assert bench.record().outcome == "recovered"
