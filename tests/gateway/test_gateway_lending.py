"""Four workers' gateways in one process with control's lender between them: budgets, key limits and target limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import TESTER, TOKEN, Bench, chat, header, on_loop, release, said, target

from roadworthy.cost.lending import WHOLE, Lender, Orders, Word
from roadworthy.gateway.limits.buckets import Bucket
from roadworthy.gateway.limits.ledger import Ledger
from roadworthy.gateway.messages import Request
from roadworthy.workflow.model import Budget, Budgets, Policy, TargetLimits

WORKERS = 4


def worker(folder: Path, number: int, ledger: Ledger | None = None, **more: Any) -> Bench:
    folder = folder / f"w{number}"
    folder.mkdir(exist_ok=True)
    if "served" not in more:
        more["served"] = release(behaviour={"parameters": {"max_tokens": 5}})
    made = Bench(folder, worker=number, workers=WORKERS, **more)
    if ledger is not None:
        made.gateway.purses.ledger = ledger
    assert made.gateway.world is not None
    made.gateway.purses.follow(made.gateway.world)
    return made


def workers(folder: Path, **more: Any) -> list[Bench]:
    return [worker(folder, number, **more) for number in range(WORKERS)]


async def exchange(lender: Lender, benches: list[Bench]) -> None:
    """One round over the private route, as control makes it."""
    for _ in range(6):
        sent = [lender.orders(number) for number in range(len(benches))]
        for bench, orders in zip(benches, sent, strict=True):
            lender.heard(await told(bench, orders))
        if not lender.decide(range(len(benches))):
            break
    lender.forget()


async def told(bench: Bench, orders: Orders) -> Word:
    body = msgspec.json.encode(orders)
    answer = await bench.gateway.handle(Request("POST", "/internal/slices", "", [], body, "", internal=True))
    return msgspec.json.decode(answer.body, type=Word)  # type: ignore[union-attr]


def users(day: float) -> Policy:
    return Policy(testers=["ann"], budgets=Budgets(user=Budget(day=day)))


async def status(bench: Bench, user: str = "u1", token: str = TOKEN) -> int:
    return (await bench.post(chat(user=user), token=token)).status


@on_loop
async def test_a_user_on_one_connection_spends_what_the_other_workers_do_not(tmp_path: Path) -> None:
    benches, lender = workers(tmp_path, policy=users(2.0)), Lender(1)
    for _ in range(300):
        await status(benches[0])
        await exchange(lender, benches)
    spent = sum(record.cost_usd or 0.0 for record in benches[0].records())
    assert 1.9 < spent <= 2.0


@on_loop
async def test_who_finds_its_slice_used_up_is_told_to_come_again_soon_and_who_finds_all_used_up_at_midnight(
    tmp_path: Path,
) -> None:
    benches, lender = workers(tmp_path, policy=users(2.0)), Lender(1)
    while await status(benches[0]) == 200:
        pass
    assert header(await benches[0].post(chat(user="u1")), b"retry-after") == b"1"
    for _ in range(300):
        await status(benches[0])
        await exchange(lender, benches)
    answer = await benches[0].post(chat(user="u1"))
    assert said(answer)["error"]["code"] == "overspent"
    assert int(header(answer, b"retry-after") or 0) > 600


@on_loop
async def test_a_budget_smaller_than_a_call_of_every_worker_overshoots_by_the_first_calls_at_most(
    tmp_path: Path,
) -> None:
    reserve = 0.12
    benches, lender = workers(tmp_path, policy=users(reserve)), Lender(1)
    for bench in benches:
        assert await status(bench) == 200  # the first one anywhere fits the whole budget
    for _ in range(5):
        await exchange(lender, benches)
        for bench in benches:
            assert await status(bench) == 429 or sum(_spent(one) for one in benches) <= reserve
    assert sum(_spent(bench) for bench in benches) <= WORKERS * reserve


def _spent(bench: Bench) -> float:
    return sum(record.cost_usd or 0.0 for record in bench.records())


@on_loop
async def test_with_control_dead_every_worker_keeps_to_its_part(tmp_path: Path) -> None:
    benches = workers(tmp_path, policy=users(2.0))
    for bench in benches:
        for _ in range(100):
            await status(bench)
    assert all(0.3 < _spent(bench) <= 0.5 for bench in benches)


@on_loop
async def test_orders_of_an_earlier_control_are_not_obeyed(tmp_path: Path) -> None:
    bench = worker(tmp_path, 0, policy=users(2.0))
    await told(bench, Orders((2, 1)))
    assert (await told(bench, Orders((1, 99)))).number == (2, 1)


@on_loop
async def test_a_worker_that_died_goes_on_with_what_it_had_lent_and_spent(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.bin" for number in range(WORKERS)]
    benches = [
        worker(tmp_path, number, Ledger(path, workers=WORKERS), policy=users(2.0)) for number, path in enumerate(files)
    ]
    lender = Lender(1)
    for _ in range(40):
        await status(benches[0])
        await exchange(lender, benches)
    (tmp_path / "again").mkdir()
    again = worker(tmp_path / "again", 1, Ledger(files[1], workers=WORKERS), policy=users(2.0))
    for _ in range(200):
        await status(again)
    assert _spent(benches[0]) + _spent(again) <= 2.0
    assert _spent(again) < 0.5


async def a_minute(lender: Lender, benches: list[Bench]) -> int:
    """Calls that got through in a minute, all tried at one worker."""
    good, end = 0, benches[0].clock.time + 60
    while benches[0].clock.time < end:  # a ladder's retries wait on this clock as well
        good += await status(benches[0]) == 200
        await exchange(lender, benches)
        for bench in benches:
            bench.clock.time += 0.25
    return good


@on_loop
async def test_calls_a_minute_of_a_key_are_lent_and_never_exceed_the_limit(tmp_path: Path) -> None:
    policy = Policy(testers=["ann"], requests_per_minute_per_key=40)
    benches, lender = workers(tmp_path, policy=policy), Lender(1)
    first = await a_minute(lender, benches)
    assert first <= 80  # a minute's worth at once, and what comes in the minute
    assert 30 <= await a_minute(lender, benches) <= 41  # without lending it would be 10
    rates = [bucket.share for bench in benches for _, bucket in bench.gateway.purses._rates.values()]
    assert sum(rates) <= WHOLE


@pytest.mark.parametrize("limits", [TargetLimits(requests_per_minute=40), TargetLimits(tokens_per_minute=40 * 15)])
def test_a_targets_limits_are_lent_too(tmp_path: Path, limits: TargetLimits) -> None:
    @on_loop
    async def run() -> None:
        targets = {name: target(name, limits=limits) for name in ("main", "backup")}
        benches, lender = workers(tmp_path, snapshot={"targets": targets}), Lender(1)
        for bench in benches:
            bench.gateway.purses.follow(bench.gateway.world)  # type: ignore[arg-type]
        assert await a_minute(lender, benches) <= 80
        assert 30 <= await a_minute(lender, benches) <= 42

    run()


@on_loop
async def test_a_testers_calls_are_counted_over_all_workers(tmp_path: Path) -> None:
    policy = Policy(testers=["ann"], tester_calls_per_day=40, tester_usd_per_day=99.0)
    benches, lender = workers(tmp_path, policy=policy), Lender(1)
    good = 0
    for turn in range(80):
        good += await status(benches[turn % 2], token=TESTER) == 200
        await exchange(lender, benches)
    assert 36 <= good <= 40


@on_loop
async def test_a_changed_budget_holds_at_once_and_forgets_nothing(tmp_path: Path) -> None:
    bench = worker(tmp_path, 0, policy=users(9.0))
    for _ in range(20):
        await status(bench)
    bench.gateway.world.workflows["support"].money = None  # type: ignore[union-attr]
    assert await status(bench) == 200
    (tmp_path / "fresh").mkdir()
    fresh = worker(tmp_path / "fresh", 0, bench.gateway.purses.ledger, policy=users(1.0))
    assert await status(fresh) == 429
    assert bench.gateway.purses.ledger.words[6 + 3 :: 6].tolist() != [0]


def test_a_call_that_began_before_its_bucket_was_made_is_let_in() -> None:
    bucket = Bucket(limit=1, share=WHOLE, now=10.0)
    assert bucket.take(9.999, limit=1) == 0.0
    assert 59.0 < bucket.take(10.0, limit=1) <= 60.0
