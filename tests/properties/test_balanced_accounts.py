"""Observability and cost under load: three accounts of ten thousand calls, kept apart, say the same.

The callers know what they read, the simulated targets know what they sent, the inference log knows what happened.
Two hundred calls at a time, streams and whole answers and embeddings, four keys, fifty users; targets that refuse,
cut and garble some of them; callers that repeat themselves and callers that walk away.

How abandoned attempts are compared: a target still writes them into its ledger, so they count, one attempt for one
line.  Their tokens were never told to anybody, so the log holds an estimate and says so (``tokens_estimated``); their
text is never more than the target would have sent.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from callers import Ask, Callers, Heard, with_callers
from property_install import PRICES, configuration, cost, ledger, question, started

from support.up import Up, roadworthy, samples
from support.waiting import until

CALLS = 10_000
AT_ONCE = 200
USERS = 50
KEYS = ("web", "app", "batch", "partner")

FAULTS = {
    "seed": 11,
    "cached_share": "25%",
    "output_tokens": {"quantiles": {0: 4, 0.5: 20, 1: 60}},
    "faults": [
        {"fault": "status", "code": 503, "share": "2%"},
        {"fault": "status", "code": 429, "retry_after": 0, "share": "1%"},
        {"fault": "reset", "at": "after_headers", "share": "1%"},
        {"fault": "body", "as": "truncated_json", "share": "1%"},
        {"fault": "finish", "reason": "length", "share": "1%"},
    ],
}
SPARE = {"seed": 12, "cached_share": "25%", "output_tokens": 12}


@dataclass
class Accounts:
    """What everybody knows after the load, and what the install left behind."""

    keys: dict[str, str]
    """Name → id."""
    heard: list[Heard]
    log: list[dict[str, Any]]
    ledgers: dict[str, list[dict[str, Any]]]
    page: str
    """The metrics, right after the last call."""
    per_outcome: dict[str, int]
    """What ``stats`` sums up."""
    journal: dict[str, Any]
    """What ``status`` says of it."""
    connections: set[str]
    """Of the worker, once idle ones have expired."""
    segments: list[Path]
    """In the journal, after the stop."""
    libraries: str
    """What the worker has mapped into its memory, after the load."""

    def attempts(self) -> Iterator[dict[str, Any]]:
        return (attempt for record in self.log for attempt in record.get("attempts", []))

    def metric(self, name: str) -> dict[str, float]:
        return samples(self.page, name)

    def first_calls(self) -> list[Heard]:
        """Without the repetitions that were answered from memory."""
        return [heard for heard in self.heard if not heard.replayed]


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    root = tmp_path_factory.mktemp("accounts")
    with Up(root, config=configuration(root, FAULTS, SPARE)) as up:
        started(up)
        tokens = {name: up.key(name) for name in KEYS}
        keys = {key["name"]: key["id"] for key in up.admin("GET", "/v1/keys")["items"]}

        async def load(callers: Callers) -> list[Heard]:
            return await callers.all(asks(tokens), at_once=AT_ONCE)

        heard = with_callers(up.address, load)
        until(up.idle, "end of the calls that were left")
        page = up.page()
        up.admin("POST", "/v1/journal/flush")
        exported = root / "log.json"
        roadworthy("export", "--data", str(up.data), "--output", str(exported))
        rows = up.admin("GET", "/v1/stats?by=outcome")["rows"]
        journal = up.admin("GET", "/v1/status")["journal"]
        worker = up.pid("worker w0")
        assert worker is not None
        until(lambda: not connections(worker), "end of idle connections", patience=40.0)
        left = connections(worker)
        libraries = Path(f"/proc/{worker}/maps").read_text()
        assert up.stop() == 0
    return Accounts(
        keys=keys,
        heard=heard,
        log=json.loads(exported.read_bytes()),
        ledgers={name: ledger(up, name) for name in PRICES},
        page=page,
        per_outcome={row["group"]["outcome"]: row["count"] for row in rows},
        journal=journal,
        connections=left,
        segments=list((up.data / "journal").glob("*/*.jsonl")),
        libraries=libraries,
    )


def asks(tokens: dict[str, str]) -> Iterator[Ask]:
    """The calls, in an order that is the same in every run."""
    rng = random.Random(2026)
    for number in range(CALLS):
        token = tokens[KEYS[number % len(KEYS)]]
        user = f"u-{rng.randrange(USERS)}"
        kind = rng.random()
        text = f"Call {number}: where is my order?"
        if kind < 0.02:  # walks away in mid-stream
            body = question(f"{text} [[fault slow inter_token=0.5]]", stream=True)
            yield Ask(token, f"leaver-{number}", body, leaves_after_content=True)
        elif kind < 0.03:  # walks away before there is an answer
            body = question(f"{text} [[fault slow first_token=30]]", workflow="summary", stream=rng.random() < 0.5)
            yield Ask(token, f"leaver-{number}", body, patience=5.0)
        elif kind < 0.06:  # says twice that it wants it once
            repeat = {"idempotency-key": f"order-{number}"}
            yield Ask(token, user, question(text), headers=repeat)
            yield Ask(token, user, question(text), headers=repeat)
        elif kind < 0.16:
            yield Ask(token, user, {"model": "vectors", "input": [text, "another"]}, path="/v1/embeddings")
        elif kind < 0.165:
            yield Ask(token, user, question(f"{text} [[fault status error=context_length]]"))
        elif kind < 0.17:  # breaks after its text began: an explicit error, never an answer
            yield Ask(token, user, question(f"{text} [[fault error_event]]", stream=True))
        elif kind < 0.6:
            usage = {"stream_options": {"include_usage": True}} if rng.random() < 0.5 else {}
            yield Ask(token, user, question(text, workflow=rng.choice(("support", "summary")), stream=True, **usage))
        else:
            yield Ask(token, user, question(text, workflow=rng.choice(("support", "summary"))))


def test_every_call_is_in_the_log_exactly_once_as_its_caller_knows_it(accounts: Accounts) -> None:
    log = {record["id"]: record for record in accounts.log}
    assert len(log) == len(accounts.log)
    first = accounts.first_calls()
    assert len(first) >= CALLS
    assert len(log) == len(first)
    assert {heard.broke for heard in first} == {""}
    for heard in first:
        if heard.status is None:
            continue  # left before a head came: it has no id, and is found by its user below
        record = log[heard.inference]
        assert record["unit"] == heard.ask.user
        assert record.get("stream", False) == heard.ask.stream
        assert record["workflow"] == heard.ask.body["model"]
        if heard.whole:
            assert record.get("status", 200) == heard.status
            assert record["outcome"] == heard.told["outcome"]
            assert record.get("cost_usd") == heard.told["cost_usd"]
    left = [heard for heard in first if heard.left]
    assert len(left) > CALLS * 0.02
    abandoned = Counter(record["unit"] for record in accounts.log if record["outcome"] == "abandoned")
    assert abandoned == Counter(heard.ask.user for heard in left)


def test_users_keys_and_outcomes_are_counted_the_same_everywhere(accounts: Accounts) -> None:
    first = accounts.first_calls()
    assert Counter(record["unit"] for record in accounts.log) == Counter(heard.ask.user for heard in first)
    per_key = Counter(record["key"] for record in accounts.log)
    assert set(per_key) == {accounts.keys[name] for name in KEYS}
    outcomes = Counter(record["outcome"] for record in accounts.log)
    assert {"answered", "recovered", "abandoned", "error"} == set(outcomes)
    assert outcomes["recovered"] > CALLS * 0.03
    assert outcomes["error"] == sum("error" in heard.body for heard in first) > CALLS * 0.005
    assert accounts.per_outcome == outcomes
    counted: Counter[str] = Counter()
    for labels, number in accounts.metric("inferences_total").items():
        counted[labels.split('outcome="')[1].split('"')[0]] += int(number)
    assert counted == outcomes


def test_attempts_tokens_and_costs_equal_the_targets_own_ledgers(accounts: Accounts) -> None:
    for target, lines in accounts.ledgers.items():
        attempts = [attempt for attempt in accounts.attempts() if attempt["target"] == target]
        assert len(attempts) == len(lines) > 0
        sent = {line["id"]: line for line in lines}
        named = [attempt for attempt in attempts if "provider_request_id" in attempt]
        assert len({attempt["provider_request_id"] for attempt in named}) == len(named)
        # the others were cut before an id came: as many as the ledger has lines that no attempt names
        unnamed = [attempt for attempt in attempts if "provider_request_id" not in attempt]
        rest = set(sent).difference(attempt["provider_request_id"] for attempt in named)
        assert len(unnamed) == len(rest)
        assert all(not sent[ident].get("completed") for ident in rest)
        for attempt in named:
            line = sent[attempt["provider_request_id"]]
            tokens = attempt.get("tokens", {})
            if attempt.get("tokens_estimated"):
                assert not (line.get("completed") and line.get("usage"))
                assert tokens.get("output", 0) <= line.get("output", 0)
                continue
            assert attempt.get("status") == line.get("status", 200)
            if line.get("status", 200) != 200:
                assert attempt["cost_usd"] == 0.0
                continue
            assert line["usage"]
            assert line["completed"]
            counts = {name: line.get(name, 0) for name in ("input", "cached", "output")}
            assert tokens.get("input", 0) == counts["input"]
            assert tokens.get("cache_read", 0) == counts["cached"]
            assert tokens.get("output", 0) == counts["output"]
            assert attempt["cost_usd"] == pytest.approx(cost(target, **counts), rel=1e-9)


def test_the_sums_agree_to_the_token_and_the_cent(accounts: Accounts) -> None:
    exact = [a for a in accounts.attempts() if a.get("tokens") and not a.get("tokens_estimated")]
    read = [(name, line) for name, lines in accounts.ledgers.items() for line in lines if whole(line)]
    assert len(exact) == len(read) > CALLS * 0.9
    for ours, theirs in (("input", "input"), ("cache_read", "cached"), ("output", "output")):
        assert sum(a["tokens"].get(ours, 0) for a in exact) == sum(line.get(theirs, 0) for _, line in read)
    dollars = math.fsum(a["cost_usd"] for a in exact)
    assert dollars == pytest.approx(math.fsum(cost(name, **line) for name, line in read), rel=1e-9)
    everything = math.fsum(record["cost_usd"] for record in accounts.log)
    estimated = math.fsum(a["cost_usd"] for a in accounts.attempts() if a.get("tokens_estimated"))
    assert everything == pytest.approx(dollars + estimated, rel=1e-9)
    spent = accounts.metric("cost_usd_total")
    assert math.fsum(spent.values()) == pytest.approx(everything, rel=1e-9)
    assert not any(accounts.metric("cost_unknown_total").values())


def whole(line: dict[str, Any]) -> bool:
    """Did the caller of the target read these counts, in an answer that came whole?"""
    return bool(line.get("completed") and line.get("usage"))


def test_a_repeated_call_is_answered_from_memory_and_recorded_once(accounts: Accounts) -> None:
    by_key: dict[str, list[Heard]] = {}
    for heard in accounts.heard:
        if "idempotency-key" in heard.ask.headers:
            by_key.setdefault(heard.ask.headers["idempotency-key"], []).append(heard)
    assert len(by_key) > CALLS * 0.02
    for first, second in by_key.values():
        assert first.inference == second.inference
        assert first.body == second.body
        assert sorted((first.replayed, second.replayed)) == [False, True]
    assert sum(accounts.metric("replayed_total").values()) == len(by_key)


def test_no_slot_key_or_connection_is_left(accounts: Accounts) -> None:
    for gauge in ("in_flight", "target_in_flight", "repeats_in_progress"):
        assert set(accounts.metric(gauge).values()) == {0.0}
    assert accounts.connections == set()


def test_the_journal_held_everything_and_is_shipped_whole(accounts: Accounts) -> None:
    assert accounts.metric("journal_dropped_total") == accounts.metric("journal_bodies_dropped_total") == {"": 0.0}
    journal = accounts.journal
    assert journal["accepted"] == journal["stored"] == len(accounts.log)
    assert (journal["in_flight"], journal["pending_bytes"], journal["duplicates"], journal["malformed"]) == (0, 0, 0, 0)
    assert accounts.segments == []


def test_the_worker_has_loaded_no_database_and_no_statistics(accounts: Accounts) -> None:
    assert "httptools" in accounts.libraries
    for heavy in ("apsw", "sqlite", "sqlalchemy", "numpy", "scipy", "pyarrow", "pydantic", "markupsafe"):
        assert f"/{heavy}" not in accounts.libraries


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian package prometheus)")
def test_promtool_finds_nothing_to_say_about_the_metrics(accounts: Accounts) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=accounts.page, capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def connections(pid: int) -> set[str]:
    """Inodes of the TCP connections (not listeners) that a process holds."""
    held = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            name = str(link.readlink())
        except FileNotFoundError:
            continue
        if name.startswith("socket:["):
            held.add(name[8:-1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = "0A"
    return {row[9] for row in rows if row[3] != listening} & held
