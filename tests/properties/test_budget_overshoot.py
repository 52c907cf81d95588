"""Cost predictability with four workers: a shared budget is never overspent by more than docs/budgets.md says, with
control alive, with control killed, with a worker killed; and nearly all of it can be spent.

What was spent is read from the simulated target's own ledger, not from anything that Roadworthy counted.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from callers import Ask, Callers, Heard, with_callers
from property_install import PRICES, configuration, cost, ledger, question, started

from support.up import Up
from support.waiting import alive, until

WORKERS = 4
AT_ONCE = 24
MOST_OUTPUT = 60
BUDGET = 0.05
"""US dollars a user and a day: some sixty calls."""
RESERVE = (150 * PRICES["main"]["input"] + MOST_OUTPUT * PRICES["main"]["output"]) / 1_000_000
"""More than any call of these tests reserves, so N calls fit the budget and the stated overshoot is nothing but calls
of a killed worker whose answer the target had written."""
TARGET = {"seed": 5, "output_tokens": {"quantiles": {0: 20, 1: MOST_OUTPUT}}, "first_token": 0.01}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    root = tmp_path_factory.mktemp("budgets")
    folder = configuration(root, main=TARGET)
    flow = folder / "workflows/support/workflow.yaml"
    flow.write_text(
        flow.read_text()
        + f"parameters: {{max_tokens: {MOST_OUTPUT}}}\n"
        + f"policy: {{budgets: {{user: {{day: {BUDGET}}}}}}}\n"
    )
    with Up(root, config=folder, workers=WORKERS) as running:
        yield started(running)


def spent(up: Up, since: int) -> float:
    return sum(cost("main", **_counts(line)) for line in ledger(up, "main")[since:])


def _counts(line: dict[str, object]) -> dict[str, int]:
    return {name: int(str(line.get(name) or 0)) for name in ("input", "cached", "output")}


def load(up: Up, token: str, user: str, *, calls: int = 400, connections: int = 64) -> list[Heard]:
    """One user, many connections, until long after the budget is used up."""

    async def work(callers: Callers) -> list[Heard]:
        return await callers.all((Ask(token, user, question("Hello")) for _ in range(calls)), at_once=AT_ONCE)

    return with_callers(up.address, work, connections=connections)


def meanwhile(act: Callable[[], None], after: float) -> threading.Timer:
    timer = threading.Timer(after, act)
    timer.start()
    return timer


def kill(up: Up, name: str) -> None:
    pid = up.pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), f"end of {name}")


def test_a_budget_is_spent_nearly_whole_and_never_over(up: Up) -> None:
    token, before = up.key("steady"), len(ledger(up, "main"))
    end = time.monotonic() + 15
    heard = load(up, token, "steady")
    while spent(up, before) < 0.9 * BUDGET and time.monotonic() < end:  # what was lent comes with the next round
        heard += load(up, token, "steady", calls=50)
    assert 0.9 * BUDGET <= spent(up, before) <= BUDGET
    limited = [one for one in heard if one.status == 429]
    assert {one.body["error"]["code"] for one in limited} == {"overspent"}
    assert {one.status for one in heard} == {200, 429}


def test_a_caller_with_one_connection_can_spend_nearly_all_of_it(up: Up) -> None:
    token, before = up.key("alone"), len(ledger(up, "main"))

    async def work(callers: Callers) -> None:
        for _ in range(200):
            await callers.call(Ask(token, "alone", question("Hello")))
            if spent(up, before) > 0.9 * BUDGET:
                return
            await asyncio.sleep(0.02)

    with_callers(up.address, work, connections=1)
    assert 0.9 * BUDGET < spent(up, before) <= BUDGET


def test_with_control_killed_the_split_stays_in_force(up: Up) -> None:
    token, before = up.key("no-control"), len(ledger(up, "main"))
    timer = meanwhile(lambda: kill(up, "control"), 0.1)
    load(up, token, "no-control")
    timer.join()
    until(lambda: up.metric("log_accepted_total"), "control that answers again")
    load(up, token, "no-control", calls=100)
    assert BUDGET / WORKERS / 2 < spent(up, before) <= BUDGET


def test_a_worker_killed_with_calls_in_flight_forgets_nothing(up: Up) -> None:
    token, before = up.key("killed"), len(ledger(up, "main"))
    for victim in ("worker w1", "worker w2"):
        timer = meanwhile(lambda name=victim: kill(up, name), 0.1)  # type: ignore[misc]
        load(up, token, "killed", calls=200)
        timer.join()
        until(lambda: len(up.metric("snapshot_seq")) == WORKERS, "every worker again")
    load(up, token, "killed", calls=200)
    assert spent(up, before) <= BUDGET
