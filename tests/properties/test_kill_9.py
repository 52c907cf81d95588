"""Observability when processes die: twenty times ``kill -9``, and no answered call is missing from the log.

Two workers serve quick calls and slow streams without a pause; at seeded moments a worker, control, or everything but
the supervisor is killed.  What is compared afterwards: the callers' answers, the target's ledger, the log.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from callers import Ask, Callers, Heard, with_callers
from property_install import configuration, ledger, question, started

from support.up import Up, roadworthy
from support.waiting import until

SEED = 9
PLAN = (
    [("worker w0",)] * 5
    + [("worker w1",)] * 5
    + [("control",)] * 5
    + [("worker w0", "worker w1")] * 2
    + [("worker w0", "worker w1", "control")] * 3
)
"""Who is killed together, each once; the order and the moments are drawn."""
QUICK = 12
"""Callers of quick calls, and half as many of streams that last."""


@dataclass
class Survived:
    heard: list[Heard]
    log: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    journal: dict[str, Any]
    segments: list[Path]
    processes: dict[str, dict[str, Any]]
    kills: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Survived:
    root = tmp_path_factory.mktemp("killed")
    config = configuration(root, {"output_tokens": 10})
    with Up(root, config=config, workers=2) as up:
        started(up)
        token = up.key("app")

        async def load(callers: Callers) -> tuple[list[Heard], Counter[str]]:
            over = asyncio.Event()
            number = itertools.count()
            calling = [
                asyncio.create_task(call_on(callers, token, over, number, n % 3 == 0)) for n in range(QUICK * 3 // 2)
            ]
            kills = await asyncio.to_thread(kill_all, up)
            await asyncio.sleep(0.5)
            over.set()
            return [heard for part in await asyncio.gather(*calling) for heard in part], kills

        heard, kills = with_callers(up.address, load)
        until(lambda: answers(up), "control")
        until(up.idle, "end of the last call")
        up.admin("POST", "/v1/journal/flush")
        exported = root / "log.json"
        roadworthy("export", "--data", str(up.data), "--output", str(exported))
        status = up.admin("GET", "/v1/status")
        assert up.stop() == 0
    return Survived(
        heard=heard,
        log=json.loads(exported.read_bytes()),
        ledger=ledger(up, "main"),
        journal=status["journal"],
        segments=list((up.data / "journal").glob("*/*.jsonl")),
        processes={process["name"]: process for process in status["processes"]},
        kills=kills,
    )


async def call_on(
    callers: Callers, token: str, over: asyncio.Event, number: itertools.count[int], lasting: bool
) -> list[Heard]:
    """Call again and again, each time as another user, whatever happens to the calls."""
    heard: list[Heard] = []
    while not over.is_set():
        user = f"c-{next(number)}"
        if lasting:
            ask = Ask(token, user, question(f"{user} [[fault slow inter_token=0.1]]", stream=True))
        else:
            ask = Ask(token, user, question(user, stream=random.random() < 0.3))
        heard.append(await callers.call(ask))
        await asyncio.sleep(0.2 if heard[-1].broke else 0.02)
    return heard


def kill_all(up: Up) -> Counter[str]:
    """Carry the plan out; whoever is to die must live first, be it only just."""
    rng = random.Random(SEED)
    plan = rng.sample(PLAN, len(PLAN))
    killed: dict[str, int] = {}
    kills: Counter[str] = Counter()
    for together in plan:
        time.sleep(rng.uniform(0.1, 1.2))
        pids = [another(up, name, killed.get(name)) for name in together]
        time.sleep(rng.uniform(0.0, 0.6))
        for name, pid in zip(together, pids, strict=True):
            os.kill(pid, signal.SIGKILL)
            killed[name] = pid
            kills[name] += 1
    for name, pid in killed.items():
        another(up, name, pid)
    return kills


def another(up: Up, name: str, than: int | None) -> int:
    """The pid of the process that took the place of ``than``."""

    def found() -> int | None:
        pid = up.pid(name)
        return pid if pid != than else None

    return until(found, f"new {name}", patience=30.0)


def attempts(survived: Survived) -> list[dict[str, Any]]:
    return [attempt for record in survived.log for attempt in record.get("attempts", [])]


def answers(up: Up) -> bool:
    with suppress(Exception):
        return bool(up.admin("GET", "/v1/status"))
    return False


def test_no_answered_call_is_missing_and_none_is_there_twice(survived: Survived) -> None:
    log = {record["id"]: record for record in survived.log}
    assert len(log) == len(survived.log)
    by_user: dict[str, list[dict[str, Any]]] = {}
    for record in survived.log:
        by_user.setdefault(record["unit"], []).append(record)
    read = {heard.inference for heard in survived.heard}
    for records in by_user.values():  # a client sends a call once more when a kept connection dies before any byte
        assert len([record for record in records if record["id"] in read]) <= 1
        assert len(records) <= 2
    named = [attempt["provider_request_id"] for attempt in attempts(survived) if "provider_request_id" in attempt]
    assert len(named) == len(set(named))
    answered = [heard for heard in survived.heard if heard.whole and heard.status == 200]
    assert len(answered) > 500
    for heard in answered:
        record = log[heard.inference]
        assert (record["unit"], record["outcome"]) == (heard.ask.user, heard.told["outcome"])


def test_every_call_under_way_is_recorded_as_lost_with_its_gateway(survived: Survived) -> None:
    log = {record["id"]: record for record in survived.log}
    cut = [heard for heard in survived.heard if heard.broke and heard.contents]
    assert len(cut) > 5
    for heard in cut:  # its text had begun: it was under way, unless its end was written as the worker died
        record = log[heard.inference]
        assert record["unit"] == heard.ask.user
        assert record.get("failure") == "gateway_lost" or heard.contents >= 8
    lost = [record for record in survived.log if record.get("code") == "gateway_lost"]
    assert {record["outcome"] for record in lost} == {"error"}
    assert all("cost_usd" not in record and record["cost_unknown"] for record in lost)
    assert len(lost) == survived.journal["lost"]
    # what reached the target is in the log: as an attempt, or lost
    named = {attempt.get("provider_request_id") for attempt in attempts(survived)}
    unnamed = sum("provider_request_id" not in attempt for attempt in attempts(survived))
    assert len({line["id"] for line in survived.ledger}.difference(named)) <= len(lost) + unnamed


def test_callers_of_the_living_are_not_harmed(survived: Survived) -> None:
    """Nobody is refused: a call breaks only because its own connection's worker died under it."""
    statuses = Counter(heard.status for heard in survived.heard if heard.whole)
    assert set(statuses) == {200}
    broken = [heard for heard in survived.heard if heard.broke]
    assert not [heard.broke for heard in broken if "Refused" in heard.broke]
    assert len(broken) <= survived.kills.total() * QUICK * 3 // 2


def test_everything_comes_back_and_nothing_is_left_lying(survived: Survived) -> None:
    assert sum(survived.kills.values()) >= 20
    for name, count in survived.kills.items():
        assert survived.processes[name]["restarts"] == count
        assert survived.processes[name]["last_exit"] == "killed by SIGKILL"
    journal = survived.journal
    assert journal["accepted"] == journal["stored"] == len(survived.log)
    assert (journal["in_flight"], journal["pending_bytes"], journal["malformed"]) == (0, 0, 0)
    assert survived.segments == []
