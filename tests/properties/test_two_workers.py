"""``--workers 2``: callers see one gateway, whichever process accepts them and whichever of them dies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from callers import Ask, Callers, Heard, with_callers
from property_install import configuration, ledger, question, started

from support.up import Up
from support.waiting import alive, until

FRESH = 6
"""Connections per key, each accepted by whichever worker is first."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    root = tmp_path_factory.mktemp("workers")
    with Up(root, config=configuration(root), workers=2) as running:
        yield started(running)


def ask(token: str, repeat: str, text: str = "Hello", *, stream: bool = False) -> Ask:
    return Ask(token, "u-1", question(text, stream=stream), headers={"idempotency-key": repeat})


def calls(up: Up, asks: list[Ask]) -> list[Heard]:
    """All at once, each over a connection of its own."""

    async def alone(one: Ask) -> Heard:
        callers = Callers(up.address)
        try:
            return await callers.call(one)
        finally:
            await callers.close()

    async def together() -> list[Heard]:
        return list(await asyncio.gather(*(alone(one) for one in asks)))

    return asyncio.run(together())


def kill(up: Up, worker: str) -> int:
    pid = up.pid(f"worker {worker}")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid) and threads(pid) <= 1, f"end of {worker}")
    return pid


def threads(pid: int) -> int:
    """While one lives, so do the sockets."""
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except FileNotFoundError:
        return 0


def back(up: Up, worker: str, than: int) -> None:
    """Wait until another process has the worker's place and serves."""
    until(lambda: up.pid(f"worker {worker}") not in (None, than), f"new {worker}")
    until(lambda: len(up.metric("snapshot_seq")) == 2, f"{worker} that serves")


@pytest.mark.parametrize("stream", [False, True])
def test_a_repeated_call_gets_one_answer_whichever_worker_accepts_it(up: Up, stream: bool) -> None:
    token = up.key(f"repeats-{stream}")
    before = len(ledger(up, "main"))
    keys = [f"order-{stream}-{number}" for number in range(10)]
    heard = calls(up, [ask(token, key, stream=stream) for key in keys for _ in range(FRESH)])
    heard += calls(up, [ask(token, key, stream=stream) for key in keys for _ in range(2)])
    assert {(one.status, one.whole) for one in heard} == {(200, True)}
    for key in keys:
        same = [one for one in heard if one.ask.headers["idempotency-key"] == key]
        assert len({one.inference for one in same}) == 1
        assert len({str(one.told) for one in same}) == 1
        assert Counter(one.replayed for one in same) == {False: 1, True: FRESH + 1}
    assert len(ledger(up, "main")) == before + len(keys)
    workers = {up.record(one.inference)["worker"] for one in heard if not one.replayed}
    assert workers == {"w0", "w1"}


def test_a_call_repeated_after_its_worker_died_is_a_new_call(up: Up) -> None:
    token = up.key("after-a-crash")
    [first] = calls(up, [ask(token, "crash")])
    owner = up.record(first.inference)["worker"]
    pid = kill(up, owner)
    again = calls(up, [ask(token, "crash")] * 3)  # the other one stands in while it is gone
    back(up, owner, pid)
    later = calls(up, [ask(token, "crash")] * 3)
    for heard in (again, later):
        assert {(one.status, one.whole) for one in heard} == {(200, True)}
        assert {one.inference for one in heard}.isdisjoint({first.inference})
    assert len({one.inference for one in later}) == 1


def test_the_other_worker_serves_while_one_is_dead(up: Up) -> None:
    token = up.key("one-dead")
    pid = kill(up, "w1")
    heard = [one for _ in range(10) for one in calls(up, [Ask(token, "u-2", question("Hello"))] * 3)]
    assert {(one.status, one.whole, one.broke) for one in heard} == {(200, True, "")}
    back(up, "w1", pid)


def test_who_waits_for_a_worker_that_dies_is_told_so(up: Up) -> None:
    token = up.key("waiting")
    slow = "[[fault slow first_token=30]]"
    waiting: list[Heard] = []

    async def wait_and_kill(callers: Callers) -> None:
        calling = [asyncio.create_task(callers.call(ask(token, "waiting", slow))) for _ in range(FRESH)]
        owner = await asyncio.to_thread(until, lambda: busy(up), "call under way")
        pid = kill(up, owner)
        waiting.extend(await asyncio.gather(*calling))
        await asyncio.to_thread(back, up, owner, pid)

    with_callers(up.address, wait_and_kill)
    for heard in waiting:  # accepted by the one that died, or by the other one, which says what happened
        assert heard.broke or heard.body["error"]["code"] == "gateway_lost"
    lost = [record for record in up.records(failure="gateway_lost") if record["unit"] == "u-1"]
    assert lost


def busy(up: Up) -> str | None:
    """The worker that has calls under way."""
    return next((labels[8:-1] for labels, number in up.metric("in_flight").items() if number), None)
