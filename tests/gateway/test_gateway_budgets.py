"""Money on the path: reserved before every attempt, settled after it, on every way that a call can end."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from gateway_support import HELLO, TESTER, Bench, Pause, chat, chunk, completion, events, header, on_loop, release, said
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadworthy.cost.budgets import NANO
from roadworthy.gateway.messages import Response
from roadworthy.http1.errors import Disconnected, ReadTimeout
from roadworthy.workflow.model import (
    Budget,
    Budgets,
    Canned,
    CheckSpec,
    Handling,
    Policy,
    Step,
    TargetIdentity,
)

COST = 10 * 0.001 + 5 * 0.002
"""Of a usual answer here."""
JSON = [(b"content-type", b"application/json")]


def policy(**budgets: Any) -> Policy:
    return Policy(testers=["ann"], budgets=Budgets(**budgets))


def served(**handling: Any) -> Any:
    targets = {name: TargetIdentity("openai", f"{name}-model", f"{name}.test") for name in ("main", "backup")}
    free = ["max_tokens", "max_completion_tokens"]
    return release(behaviour={"targets": targets, "caller_overrides": free}, handling=Handling(**handling))


def bench(folder: Path, budgets: Policy, **more: Any) -> Bench:
    more.setdefault("served", served())
    folder.mkdir(exist_ok=True)
    made = Bench(folder, policy=budgets, **more)
    assert made.gateway.world is not None
    made.gateway.purses.follow(made.gateway.world)
    return made


def asked(user: str = "u1", most: int | None = 5, **more: Any) -> dict[str, Any]:
    """A small call: 5 tokens of output at most."""
    return chat(user=user, **({} if most is None else {"max_tokens": most}), **more)


def booked(made: Bench) -> tuple[int, int]:
    """(spent, reserved) in all records, in nanodollars."""
    ledger = made.gateway.purses.ledger
    words = ledger.words
    return sum(words[6 + 3 :: 6].tolist()), sum(words[6 + 4 :: 6].tolist())


@on_loop
async def test_a_call_costs_its_user_what_it_cost_and_no_more(tmp_path: Path) -> None:
    made = bench(tmp_path, policy(user=Budget(day=1.0)))
    await made.post(asked())
    assert booked(made) == (round(COST * NANO), 0)


@pytest.mark.parametrize(
    ("budget", "calls", "told"),
    [
        (0.001, 1, "more than the whole of this user's budget of 0.001 dollars a day"),
        (COST * 2.5, 2, "more than what is left of this user's budget of 0.05 dollars a day"),
    ],
)
@on_loop
async def test_a_caller_is_told_whether_a_budget_or_what_is_left_of_it_is_too_small_for_the_call(
    tmp_path: Path, budget: float, calls: int, told: str
) -> None:
    made = bench(tmp_path, policy(user=Budget(day=budget)))
    short = [{"role": "user", "content": "Hi"}]
    answers = [await made.post(asked(messages=short)) for _ in range(calls)]
    assert answers[-1].status == 429
    assert told in said(answers[-1])["error"]["message"]


@on_loop
async def test_a_user_whose_budget_is_spent_is_limited_until_midnight_in_the_installs_zone(tmp_path: Path) -> None:
    made = bench(tmp_path, policy(user=Budget(day=0.15)), snapshot={"timezone": "Europe/Berlin"}, enforcement="enforce")
    answers = [await made.post(asked()) for _ in range(12)]
    good = [answer for answer in answers if answer.status == 200]
    assert 1 <= len(good) < 12
    last = answers[-1]
    assert (last.status, said(last)["error"]["code"]) == (429, "overspent")
    assert header(last, b"x-should-retry") == b"false"
    now = datetime.datetime.fromtimestamp(made.clock.now(), ZoneInfo("Europe/Berlin"))
    midnight = (now + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert int(header(last, b"retry-after") or 0) == pytest.approx((midnight - now).total_seconds(), abs=1)
    record = made.records()[-1]
    assert (record.outcome, record.failure, record.notes) == ("limited", "overspent", ["budget:user:day"])
    assert (await made.post(asked("u2"))).status == 200  # another user's budget is another one
    spent, reserved = booked(made)
    assert reserved == 0
    assert spent <= (0.15 + COST) * NANO


@on_loop
async def test_the_next_day_has_a_budget_of_its_own_and_a_clock_that_jumps_back_spends_none_twice(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path, policy(user=Budget(day=0.15)))

    async def until_limited() -> int:
        for count in range(50):
            if (await made.post(asked())).status == 429:
                return count
        raise AssertionError("never limited")

    first = await until_limited()
    made.clock.time += 86_400
    assert await until_limited() == first
    made.clock.time -= 86_400
    assert await until_limited() == 0
    made.clock.time += 86_400
    assert await until_limited() == 0


@on_loop
async def test_spend_is_within_every_budget_that_holds(tmp_path: Path) -> None:
    made = bench(
        tmp_path,
        policy(user=Budget(month=9.0), key=Budget(day=9.0), workflow=Budget(day=9.0)),
        snapshot={"team_budgets": {"default": Budget(day=0.2)}},
    )
    for number in range(20):
        await made.post(asked(f"u{number}"))
    records = made.records()
    assert sum(record.cost_usd or 0.0 for record in records) <= 0.2
    assert records[-1].notes[-1] == "budget:team:day"


@on_loop
async def test_calls_under_way_together_cannot_spend_the_same_dollar(tmp_path: Path) -> None:
    made = bench(tmp_path, policy(workflow=Budget(day=0.2)))
    made.upstream.gate = asyncio.Event()
    calls = [asyncio.ensure_future(made.post(asked(f"u{number}"))) for number in range(50)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    made.upstream.gate.set()
    answers = await asyncio.gather(*calls)
    assert {answer.status for answer in answers} == {200, 429}
    assert sum(record.cost_usd or 0.0 for record in made.records()) <= 0.2


@on_loop
async def test_an_overspent_call_gets_what_its_release_declares(tmp_path: Path) -> None:
    made = bench(
        tmp_path,
        policy(user=Budget(day=0.000001)),
        served=served(canned=Canned("Later."), ladder={"overspent": [Step("canned")]}),
    )
    answer = await made.post(asked())
    assert said(answer)["choices"][0]["message"]["content"] == "Later."
    assert made.upstream.sent == []
    assert made.record().outcome == "canned"


@on_loop
async def test_a_dearer_target_that_no_budget_grants_is_stepped_over(tmp_path: Path) -> None:
    from gateway_support import PRICE

    made = bench(
        tmp_path,
        policy(inference=0.2),
        served=served(ladder={"unavailable": [Step("target", "backup"), Step("canned")]}, canned=Canned("Later.")),
        snapshot={"prices": {"main": PRICE, "backup": type(PRICE)(input=1.0, output=1.0)}},
    )
    made.upstream.will((503, JSON, b"{}"))
    answer = await made.post(asked())
    assert said(answer)["roadworthy"]["outcome"] == "canned"
    assert [attempt.target for attempt in made.record().attempts] == ["main"]


@on_loop
async def test_the_allowance_of_one_call_bounds_all_of_its_attempts(tmp_path: Path) -> None:
    retries = {"invalid": [Step("retry", times=9, backoff=0.0)]}
    made = bench(tmp_path, policy(inference=0.15), served=served(ladder=retries))
    made.upstream.will(completion(""))
    assert (await made.post(asked())).status in (429, 503)
    record = made.record()
    assert 1 < len(record.attempts) < 9
    assert (record.cost_usd or 0.0) <= 0.15
    assert booked(made) == (0, 0)  # no budget, only an allowance


@on_loop
async def test_an_unknown_price_reserves_at_the_dearest_known_and_stays_so(tmp_path: Path) -> None:
    from gateway_support import PRICE

    made = bench(tmp_path, policy(workflow=Budget(day=1.0)), snapshot={"prices": {"backup": PRICE}})
    await made.post(asked())
    assert made.record().cost_usd is None
    spent, reserved = booked(made)
    assert spent > 5 * 0.002 * NANO
    assert reserved == 0


@on_loop
async def test_what_a_release_usually_writes_is_reserved_where_the_caller_names_no_limit(tmp_path: Path) -> None:
    made = bench(tmp_path, policy(workflow=Budget(day=1000.0)))
    for _ in range(16):
        await made.post(asked(most=None))
    made.upstream.gate = asyncio.Event()
    call = asyncio.ensure_future(made.post(asked(most=None)))
    for _ in range(20):
        await asyncio.sleep(0)
    body = len(made.upstream.sent[-1].raw)
    reserved = booked(made)[1] / NANO
    made.upstream.gate.set()
    await call
    assert 5 * 0.002 < reserved < 5 * 0.002 + body * 0.001
    assert booked(made)[1] == 0


@pytest.mark.parametrize(
    ("limits", "tokens"),
    [
        ({"max_tokens": 50, "max_completion_tokens": 700}, 700),
        ({"max_tokens": 700, "max_completion_tokens": 50}, 700),
        ({"max_tokens": 699.2}, 700),
        ({"max_tokens": 7e2}, 700),
        ({"max_tokens": 20_000_000_000}, 999_999_999),
        ({"max_tokens": None}, 5),
        ({"max_tokens": -1}, 1000),
        ({"max_tokens": 0}, 1000),
        ({"max_tokens": "many"}, 1000),
        ({"max_tokens": -1, "max_completion_tokens": 50}, 1000),
        ({"max_tokens": -1, "max_completion_tokens": 3000}, 3000),
    ],
)
@on_loop
async def test_reserved_is_the_larger_limit_and_for_one_that_cannot_be_obeyed_no_less_than_for_a_stranger(
    tmp_path: Path, limits: dict[str, Any], tokens: int
) -> None:
    made = bench(tmp_path, policy(workflow=Budget(day=1e8)))
    for _ in range(16):  # its answers usually have 5 tokens
        await made.post(asked(most=None))
    made.upstream.gate = asyncio.Event()
    call = asyncio.ensure_future(made.post(asked(most=None, **limits)))
    for _ in range(20):
        await asyncio.sleep(0)
    body = len(made.upstream.sent[-1].raw)
    reserved = booked(made)[1] / NANO
    made.upstream.gate.set()
    await call
    assert 0 < reserved - tokens * 0.002 < body * 0.001


@on_loop
async def test_a_testers_dollars_and_calls_are_counted_behind_the_same_gate(tmp_path: Path) -> None:
    made = bench(tmp_path, Policy(testers=["ann"], tester_calls_per_day=3, tester_usd_per_day=9.0))
    statuses = [(await made.post(asked(), token=TESTER)).status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    assert made.records()[-1].failure == "throttled"
    dollars = bench(tmp_path / "dollars", Policy(testers=["ann"], tester_usd_per_day=0.1))
    statuses = [(await dollars.post(asked(), token=TESTER)).status for _ in range(12)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert dollars.records()[-1].notes == ["budget:tester:day"]
    assert sum(record.cost_usd or 0.0 for record in dollars.records()) <= 0.1


@on_loop
async def test_the_record_that_crosses_a_share_of_a_budget_says_so_once(tmp_path: Path) -> None:
    made = bench(tmp_path, policy(workflow=Budget(day=1.0), alert_at=(0.1, 0.2)))
    for _ in range(12):
        await made.post(asked())
    noted = [(index, note) for index, record in enumerate(made.records()) for note in record.notes]
    # the fifth call of two cents, and the tenth
    assert noted == [(4, "budget:workflow:day:alert:10"), (9, "budget:workflow:day:alert:20")]


@on_loop
async def test_the_shares_of_a_budget_that_was_raised_are_told_again_and_those_of_a_lowered_one_are_not(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path, policy(workflow=Budget(day=1.0), alert_at=(0.1,)))
    told = []
    for limit in (1.0, 2.0, 0.9):
        now = made.gateway.world
        assert now is not None
        flow = msgspec.structs.replace(
            now.snapshot.workflows["support"], policy=policy(workflow=Budget(day=limit), alert_at=(0.1,))
        )
        made.load(workflows={"support": flow}, releases=now.snapshot.releases, keys=now.snapshot.keys)
        made.gateway.purses.follow(made.gateway.world)
        for _ in range(6):
            await made.post(asked())
        told.append([note for record in made.records()[-6:] for note in record.notes])
    assert told == [["budget:workflow:day:alert:10"], ["budget:workflow:day:alert:10"], []]


@on_loop
async def test_a_call_that_crosses_two_shares_at_once_names_the_higher_and_a_single_share_is_read_too(
    tmp_path: Path,
) -> None:
    for shares, note in (((0.001, 0.01), "budget:workflow:day:alert:1"), (0.01, "budget:workflow:day:alert:1")):
        made = bench(tmp_path / str(shares), policy(workflow=Budget(day=1.0), alert_at=shares))
        await made.post(asked())
        await made.post(asked())
        assert [record.notes for record in made.records()] == [[note], []]


@on_loop
async def test_a_usage_that_cannot_be_is_charged_by_estimate_and_noted(tmp_path: Path) -> None:
    made = bench(tmp_path, policy(workflow=Budget(day=10.0)))
    made.upstream.will(completion(usage={"prompt_tokens": 1000, "completion_tokens": 500_000, "total_tokens": 501_000}))
    await made.post(asked())
    record = made.record()
    assert record.notes == ["usage_implausible"]
    assert record.attempts[0].tokens_estimated
    assert "501,000" in record.attempts[0].detail
    assert booked(made)[0] < 1.0 * NANO


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": 5, "total_tokens": 0},
    ],
)
def test_a_usage_that_is_missing_zero_or_negative_is_never_free(tmp_path: Path, usage: Any) -> None:
    @on_loop
    async def run() -> None:
        made = bench(tmp_path, policy(workflow=Budget(day=10.0)))
        made.upstream.will(completion("Hello " * 50, usage=usage))
        await made.post(asked())
        record = made.record()
        assert record.attempts[0].tokens_estimated
        assert (record.cost_usd or 0.0) > 0.05
        assert booked(made) == (round((record.cost_usd or 0.0) * NANO), 0)

    run()


def _endings() -> list[str]:
    return ["whole", "stream", "cut", "left", "left whole", "silent", "refused", "empty", "misconfigured", "broken"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.lists(st.sampled_from(_endings()), min_size=1, max_size=8))
def test_whatever_way_calls_end_nothing_stays_reserved_and_the_budget_has_what_the_records_say(
    tmp_path_factory: pytest.TempPathFactory, ends: list[str]
) -> None:
    @on_loop
    async def run() -> None:
        ladder = {
            "unavailable": [Step("retry", times=1, backoff=0.0), Step("target", "backup")],
            "invalid": [Step("repair"), Step("retry", times=1, backoff=0.0)],
        }
        made = bench(
            tmp_path_factory.mktemp("ends"),
            policy(user=Budget(day=50.0), workflow=Budget(day=60.0, month=70.0), inference=5.0),
            served=served(ladder=ladder),
        )
        for end in ends:
            await _end(made, end)
        spent, reserved = booked(made)
        assert reserved == 0
        assert made.taken() == 0
        costs = [attempt.cost_usd or 0.0 for record in made.records() for attempt in record.attempts]
        assert spent == pytest.approx(3 * sum(costs) * NANO, abs=3 * len(costs) + 1)

    run()


async def _end(made: Bench, end: str) -> None:
    upstream = made.upstream
    if end == "whole":
        upstream.will(completion())
        await made.post(asked())
    elif end == "stream":
        upstream.will(HELLO)
        await events(await made.post(asked(stream=True)))
    elif end == "cut":
        upstream.will([chunk("Hel"), Disconnected("gone", phase="in_body")])
        await events(await made.post(asked(stream=True)))
    elif end == "left":
        upstream.will([chunk("Hel"), Pause()])
        answer = await made.post(asked(stream=True))
        chunks = aiter(answer.chunks)  # type: ignore[union-attr]
        await anext(chunks)
        await answer.chunks.aclose()  # type: ignore[union-attr]
    elif end == "left whole":
        upstream.gate = asyncio.Event()
        call = asyncio.ensure_future(made.post(asked()))
        for _ in range(20):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        upstream.gate = None
    elif end == "silent":
        upstream.will(ReadTimeout("first_byte", 1.0))
        await made.post(asked())
    elif end == "refused":
        upstream.will((503, JSON, b"{}"), (503, JSON, b"{}"), completion())
        await made.post(asked())
    elif end == "empty":
        upstream.will(completion(""), completion())
        await made.post(asked())
    elif end == "misconfigured":
        upstream.will((401, JSON, b"{}"))
        await made.post(asked())
    elif end == "broken":
        upstream.will(b"not json")
        await made.post(asked())


@on_loop
async def test_without_a_budget_nothing_is_booked(tmp_path: Path) -> None:
    made = bench(tmp_path, Policy(testers=["ann"]))
    answer = await made.post(asked())
    assert isinstance(answer, Response)
    assert booked(made) == (0, 0)


@on_loop
async def test_callers_who_name_no_user_share_one_budget(tmp_path: Path) -> None:
    made = bench(tmp_path, policy(user=Budget(day=0.15)))
    statuses = [(await made.post(chat(max_tokens=5))).status for _ in range(12)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


@on_loop
async def test_a_streams_usage_that_cannot_be_is_charged_by_estimate_too(tmp_path: Path) -> None:
    made = bench(tmp_path, policy(workflow=Budget(day=10.0)))
    usage = {"prompt_tokens": 10, "completion_tokens": 500_000, "total_tokens": 500_010}
    made.upstream.will([chunk("Hello"), chunk(finish="stop"), chunk(usage=usage), b"data: [DONE]\n\n"])
    await events(await made.post(asked(stream=True)))
    record = made.record()
    assert record.notes == ["usage_implausible"]
    assert record.attempts[0].tokens_estimated
    assert booked(made)[1] == 0


@pytest.mark.parametrize(
    ("kind", "answer", "most", "budget", "broke"),
    [
        # a moderation answers no tokens that are paid for, however many the caller asked the model for
        ("moderation", b'{"results": [{"flagged": false}]}', 1000, 2.2, False),
        # a guard's own verdict is reserved for, however few tokens the caller asked the model for
        ("guard", completion("safe"), 5, 0.2, True),
        ("guard", completion("safe"), 5, 1.0, False),
    ],
)
@on_loop
async def test_a_check_reserves_what_it_asks_for_itself(
    tmp_path: Path, kind: Any, answer: Any, most: int, budget: float, broke: bool
) -> None:
    checks = {kind: CheckSpec(kind, "unsafe", target="backup", on_error="pass")}
    made = bench(tmp_path, policy(user=Budget(day=budget)), served=served(checks=checks, stream="buffered"))
    made.upstream.will(completion("Hello"), answer)
    good = await made.post(asked(most=most, messages=[{"role": "user", "content": "Hi"}]))
    assert good.status == 200
    [check] = made.record().checks
    assert bool(check.broke) is broke
    assert booked(made)[1] == 0
