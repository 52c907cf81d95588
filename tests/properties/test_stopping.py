"""Stopping in good order: who is being answered gets the answer, and the journal is sealed and shipped."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from callers import Ask, Callers, Heard, with_callers
from property_install import configuration, question, started

from support.up import Up, roadworthy
from support.waiting import until

CALLS = 50
SLOW = {"first_token": "1200ms", "inter_token": "30ms", "output_tokens": 20}


def asks(token: str) -> list[Ask]:
    return [Ask(token, f"u-{number}", question("Slowly, please", stream=number % 2 == 0)) for number in range(CALLS)]


def stopped_meanwhile(up: Up, token: str) -> list[Heard]:
    """Fifty calls, and a SIGTERM to ``up`` once all of them are with the target."""

    async def load(callers: Callers) -> list[Heard]:
        calling = asyncio.gather(*(callers.call(ask) for ask in asks(token)))
        await asyncio.to_thread(until, lambda: sum(up.metric("target_in_flight").values()) == CALLS, "calls under way")
        up.process.send_signal(signal.SIGTERM)
        return await calling

    heard: list[Heard] = with_callers(up.address, load)
    return heard


def log_of(up: Up, root: Path) -> dict[str, dict[str, Any]]:
    """What the command line finds on the stopped install."""
    roadworthy("export", "--data", str(up.data), "--output", str(root / "log.json"))
    return {record["id"]: record for record in json.loads((root / "log.json").read_bytes())}


def test_fifty_calls_in_flight_are_all_answered_and_recorded(tmp_path: Path) -> None:
    with Up(tmp_path, config=configuration(tmp_path, SLOW), workers=2) as up:
        started(up)
        heard = stopped_meanwhile(up, up.key("app"))
        assert up.process.wait(30) == 0
    assert [one.broke for one in heard] == [""] * CALLS
    assert {(one.status, one.whole) for one in heard} == {(200, True)}
    assert {one.told["outcome"] for one in heard} == {"answered"}
    assert list((up.data / "journal").glob("*/*.jsonl")) == []  # sealed, shipped, deleted
    log = log_of(up, tmp_path)
    assert {log[one.inference]["outcome"] for one in heard} == {"answered"}
    assert len(log) == CALLS


def test_calls_that_outlast_the_grace_are_cut_and_recorded_as_lost_with_the_gateway(tmp_path: Path) -> None:
    config = configuration(tmp_path, SLOW | {"inter_token": "5s"})
    where = ("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--console", "off", "--grace", "1.5")
    with Up(tmp_path, config=config, arguments=where) as up:
        started(up)
        heard = stopped_meanwhile(up, up.key("app"))
        assert up.process.wait(30) == 0  # an answer takes a hundred seconds
    assert not any(one.whole for one in heard)
    log = log_of(up, tmp_path)
    assert len(log) == CALLS
    assert {(record["outcome"], record["failure"]) for record in log.values()} == {("error", "gateway_lost")}
    assert all(record["attempts"][-1]["tokens_estimated"] and record["cost_usd"] for record in log.values())
    assert list((up.data / "journal").glob("*/*.jsonl")) == []
