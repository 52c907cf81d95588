"""Whatever a release declares and whatever targets do: one record, inside the deadline, nothing left taken."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from gateway_support import (
    DONE,
    JSON_TYPE,
    USAGE,
    Bench,
    FakeStream,
    FakeUpstream,
    Sent,
    chat,
    chunk,
    completion,
    release,
    target,
)
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from roadworthy.gateway.limits.ledger import _WORDS, RESERVED
from roadworthy.gateway.limits.slots import Slots
from roadworthy.gateway.messages import Response, StreamResponse
from roadworthy.http1.errors import ConnectTimeout, Disconnected, ProtocolViolation, ReadTimeout, Refused
from roadworthy.http1.messages import Clocks, Reply
from roadworthy.workflow.inference import Escalation, Failure
from roadworthy.workflow.model import (
    Breaker,
    Budget,
    Budgets,
    CacheSpec,
    Canned,
    CheckSpec,
    EscalationPolicy,
    Handling,
    Hedge,
    Ladder,
    Policy,
    Step,
)
from roadworthy.workflow.model import Clocks as ReleaseClocks

DEADLINE = 10.0
SLACK = 0.25
SCHEMA = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}
GOOD = '{"topic": "bill"}'

WHOLE: dict[str, Any] = {
    "good": lambda: completion(GOOD),
    "prose": lambda: completion("The topic is bill"),
    "empty": lambda: completion(""),
    "no choices": lambda: completion(choices=[]),
    "no usage": lambda: completion(GOOD, usage=None),
    "filtered": lambda: completion("", "content_filter"),
    "refusal": lambda: completion(None, message={"refusal": "I cannot."}),
    "length": lambda: completion("half an", "length"),
    "html": lambda: (200, [(b"content-type", b"text/html")], b"<html>"),
    "500": lambda: (500, JSON_TYPE, b"{}"),
    "400": lambda: (400, JSON_TYPE, b'{"error":{"message":"no"}}'),
    "401": lambda: (401, JSON_TYPE, b"{}"),
    "429": lambda: (429, [(b"retry-after", b"2")], b"{}"),
    "429 for long": lambda: (429, [(b"retry-after", b"86400")], b"{}"),
    "refused": lambda: Refused("nobody listens"),
    "no connection": lambda: ConnectTimeout("too late"),
    "reset": lambda: Disconnected("reset", "before_first_byte"),
    "cut": lambda: Disconnected("cut", "in_body"),
    "silence": lambda: ReadTimeout("total", 1.0),
    "garbage": lambda: ProtocolViolation("not HTTP"),
}
BROKEN_STREAMS: dict[str, Any] = {
    "good": lambda: [chunk(GOOD), chunk(finish="stop"), USAGE, DONE],
    "no content": lambda: [chunk(finish="stop"), DONE],
    "cut at once": lambda: [Disconnected("cut", "in_body")],
    "cut later": lambda: [chunk("Hel"), Disconnected("cut", "in_body")],
    "not finished": lambda: [chunk("Hel"), DONE],
    "malformed": lambda: [b"data: {\n\n"],
    "malformed later": lambda: [chunk("Hel"), b"data: {\n\n"],
    "stalls": lambda: [chunk("Hel"), ReadTimeout("idle", 1.0)],
}

CHECKS = {
    "unsafe": CheckSpec(kind="forbidden", failure="unsafe", options={"patterns": ["bill"]}),
    "recorded": CheckSpec(kind="forbidden", failure="unsafe", options={"patterns": ["bill"]}, record_only=True),
}

steps = st.one_of(
    st.builds(Step, kind=st.just("retry"), times=st.integers(1, 3), backoff=st.sampled_from([0.0, 0.2, 4.0])),
    st.builds(Step, kind=st.just("repair"), times=st.integers(1, 2)),
    st.builds(Step, kind=st.just("target"), target=st.sampled_from(["main", "backup"])),
    st.sampled_from([Step("cache"), Step("canned"), Step("escalate"), Step("drop")]),
)
FAILING: list[Failure] = [
    "unavailable", "slow", "truncated", "invalid", "refused", "overlimit", "throttled", "overspent", "misconfigured",
    "bad_request", "unsafe",
]  # fmt: skip
ladders = st.dictionaries(st.sampled_from(FAILING), st.lists(steps, max_size=5), max_size=10)


class Plan(msgspec.Struct):
    """One example."""

    ladder: Ladder
    replies: list[tuple[str, str, float]]
    """(whole, stream, seconds) of each call; the last for ever."""
    canned: bool
    holding: bool
    cache: str
    hedge: bool
    stream: str
    """How the caller asks and the release streams: ``""`` for not at all."""
    choices: int
    allowance: float | None
    day: float | None
    """Dollars that the workflow may spend today."""
    capacity: int
    check: str
    enforcement: str
    full: bool
    """Every slot of ``main`` is taken by others."""
    leaves: int | None
    """Turns of the loop after which the client leaves."""
    reads: int
    """Pieces of a stream that the client reads before it leaves."""


plans = st.builds(
    Plan,
    ladder=st.one_of(st.just({}), ladders),
    replies=st.lists(
        st.tuples(
            st.sampled_from(["good"] * 10 + sorted(WHOLE)),
            st.sampled_from(["good"] * 5 + sorted(BROKEN_STREAMS)),
            st.sampled_from([0.0, 0.0, 0.3, 3.0, 20.0]),
        ),
        min_size=1,
        max_size=5,
    ),
    canned=st.booleans(),
    holding=st.booleans(),
    cache=st.sampled_from(["", "step", "always"]),
    hedge=st.booleans(),
    stream=st.sampled_from(["", "", "passthrough", "buffered"]),
    choices=st.sampled_from([1, 1, 1, 1, 2]),
    allowance=st.sampled_from([None, None, None, None, 100.0, 100.0, 100.0, 0.05]),
    day=st.sampled_from([None, None, None, None, 100.0, 100.0, 100.0, 0.02]),
    capacity=st.sampled_from([0, 200, 200]),
    check=st.sampled_from(["", "", "", "unsafe", "recorded"]),
    enforcement=st.sampled_from(["enforce", "enforce", "enforce", "observe"]),
    full=st.sampled_from([False] * 7 + [True]),
    leaves=st.one_of(st.none(), st.integers(1, 14)),
    reads=st.integers(0, 4),
)  # fmt: skip


class TimedUpstream(FakeUpstream):
    """Replies take time on the fake clock and keep the clocks that they were given, as ``http1.Client`` does."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.bench: Bench | None = None
        self.under_way = 0

    async def _timed(self, origin: Any, head: bytes, body: bytes, clocks: Clocks) -> tuple[str, str]:
        assert self.bench is not None
        self.sent.append(Sent(origin, head, msgspec.json.decode(body), clocks, body))
        number = min(len(self.sent), len(self.plan.replies)) - 1
        whole, stream, seconds = self.plan.replies[number]
        self.under_way += 1
        try:
            await asyncio.sleep(0)
            patience = min(clocks.total, clocks.first_byte)
            self.bench.clock.time += min(seconds, patience)
            if seconds > patience:
                raise ReadTimeout("total", patience)
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        return whole, stream

    async def fetch(
        self, origin: Any, head: bytes, body: bytes, clocks: Clocks, *, max_body: int, ready: Any = None
    ) -> Reply:
        whole, _ = await self._timed(origin, head, body, clocks)
        reply = WHOLE[whole]()
        if isinstance(reply, BaseException):
            raise reply
        status, headers, content = reply if isinstance(reply, tuple) else (200, JSON_TYPE, reply)
        return Reply(status, headers, content, None, 0.0, True)

    async def open(self, origin: Any, head: bytes, body: bytes, clocks: Clocks, *, ready: Any = None) -> FakeStream:
        whole, stream = await self._timed(origin, head, body, clocks)
        reply = WHOLE[whole]()
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, tuple):
            made = FakeStream(reply[0], reply[1], [reply[2]])
        else:
            made = FakeStream(200, [(b"content-type", b"text/event-stream")], BROKEN_STREAMS[stream]())
        self.streams.append(made)
        return made


def bench_of(plan: Plan, folder: Path) -> Bench:
    handling = Handling(
        ladder=plan.ladder,
        canned=Canned("Sorry.") if plan.canned else None,
        holding=Canned("Wait.") if plan.holding else None,
        cache=CacheSpec(use="always" if plan.cache == "always" else "step") if plan.cache else None,
        hedge=Hedge(after=0.5, share=1.0) if plan.hedge else None,
        stream="passthrough" if plan.stream == "passthrough" else "buffered",
        deadline=DEADLINE,
        checks={"words": CHECKS[plan.check]} if plan.check else {},
        clocks=ReleaseClocks(connect=0.05, total=8.0, first_token=8.0),
    )
    policy = Policy(
        budgets=Budgets(inference=plan.allowance, workflow=Budget(day=plan.day)),
        escalation=EscalationPolicy(capacity=plan.capacity),
    )  # fmt: skip
    behaviour = {} if plan.stream == "passthrough" else {"schema": SCHEMA}
    upstream = TimedUpstream(plan)
    touchy = {name: target(name, breaker=Breaker(calls=2, share=0.9, cooldown=1.0)) for name in ("main", "backup")}
    bench = Bench(
        folder, served=release(handling=handling, behaviour=behaviour), policy=policy, upstream=upstream,
        enforcement=plan.enforcement, snapshot={"targets": touchy},
    )  # fmt: skip
    upstream.bench = bench
    if plan.full:
        bench.gateway.slots["main"].taken = bench.gateway.slots["main"].limit
    return bench


async def ask(plan: Plan, bench: Bench) -> tuple[int, list[bytes]] | None:
    """(status, what came) or ``None``: the client left before its answer."""
    body = chat(user="u", n=plan.choices, **({"stream": True} if plan.stream else {}))
    task = asyncio.ensure_future(bench.post(body))
    if plan.leaves is not None:
        for _ in range(plan.leaves):
            await asyncio.sleep(0)
        task.cancel()
    try:
        answer = await task
    except asyncio.CancelledError:
        return None
    if isinstance(answer, Response):
        if answer.status >= 300:
            assert (b"x-should-retry", b"false") in answer.headers
        assert msgspec.json.decode(answer.body)
        return answer.status, [answer.body]
    assert isinstance(answer, StreamResponse)
    pieces: list[bytes] = []
    async for piece in answer.chunks:
        pieces.append(piece)
        if plan.leaves is not None and len(pieces) >= plan.reads:
            break
    await answer.chunks.aclose()  # type: ignore[attr-defined]
    return answer.status, pieces


def reserved(bench: Bench) -> int:
    """Billionths of a dollar, of all budgets together."""
    return int(sum(bench.gateway.purses.ledger.words[_WORDS + RESERVED :: _WORDS].tolist()))


def left_over(bench: Bench) -> dict[str, Any]:
    gateway = bench.gateway
    slots: dict[str, Slots] = gateway.slots
    return {
        "slots": {name: held.taken for name, held in slots.items() if held.taken},
        "probes": [name for name, held in slots.items() if held.breaker._probe is not None],
        "in flight": gateway.counters.in_flight,
        "waiting for a human": len(gateway.escalations._waiting),
        "streams": [stream for stream in bench.upstream.streams if not (stream.complete or stream.aborted)],
        "calls": bench.upstream.under_way,  # type: ignore[attr-defined]
        "reserved": reserved(bench),
    }


NOTHING = {
    "slots": {},
    "probes": [],
    "in flight": 0,
    "waiting for a human": 0,
    "streams": [],
    "calls": 0,
    "reserved": 0,
}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans)
def test_any_climb_ends_in_one_record_inside_its_deadline_with_nothing_left_taken(plan: Plan) -> None:
    async def run(folder: Path) -> None:
        bench = bench_of(plan, folder)
        try:
            read = await ask(plan, bench)
            for _ in range(3):  # what was cancelled unwinds
                await asyncio.sleep(0)
            if plan.full:
                bench.gateway.slots["main"].taken -= bench.gateway.slots["main"].ceiling
            check(plan, bench, read)
        finally:
            bench.journal.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


def check(plan: Plan, bench: Bench, read: tuple[int, list[bytes]] | None) -> None:
    assert len(bench.starts()) <= 1  # left before it was admitted: only the end
    [record] = bench.records()
    event(record.outcome)
    assert record.latency <= DEADLINE + SLACK
    assert left_over(bench) == NOTHING
    handed_over = [line for line in bench.lines() if isinstance(line, Escalation)]
    if record.outcome == "escalated":
        assert len(handed_over) == 1
    if read is None:
        assert record.outcome == "abandoned"
        return
    if record.outcome != "abandoned":
        assert record.status == read[0]
    assert len(record.attempts) == len({id(attempt) for attempt in record.attempts})
    assert all(attempt.ended >= attempt.started for attempt in record.attempts)
    assert all(attempt.cost_usd is not None or attempt.cost_unknown for attempt in record.attempts)
    assert sum(1 for attempt in record.attempts if attempt.step == "first") <= 1
    if record.outcome in ("answered", "recovered"):
        assert record.target in ("main", "backup")
    if record.outcome in ("canned", "cached", "escalated", "blocked"):
        assert record.ladder or record.outcome == "cached"
