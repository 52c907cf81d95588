"""What budgets cost a call: ``python bench/budgets.py``.

Times what the serving path does for money (admit, reserve, settle) on one core, beside a call without budgets.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.gateway.call import Call, Trace
from roadworthy.gateway.limits.ledger import Ledger
from roadworthy.gateway.limits.purses import Purses
from roadworthy.gateway.limits.slots import Slots
from roadworthy.gateway.messages import Request
from roadworthy.gateway.snapshot import SNAPSHOT_FORMAT, Endpoint, ServedWorkflow, Snapshot
from roadworthy.gateway.world import World
from roadworthy.workflow.inference import Attempt, Tokens
from roadworthy.workflow.model import ApiKey, Budget, Budgets, Policy, Price, Target

ROUNDS = 100_000
BODY = b'{"model":"support","max_tokens":100,"messages":[{"role":"user","content":"' + b"word " * 300 + b'"}]}'


class Clock:
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def world(budgets: Budgets, team: Budget, slots: dict[str, Slots]) -> World:
    target = Target("main", "openai", "model", "http://127.0.0.1:1/v1")
    flow = ServedWorkflow("support", "default", "enforce", Policy(budgets=budgets), passthrough="main")
    snapshot = Snapshot(
        format=SNAPSHOT_FORMAT, epoch=1, seq=1, made_at=0.0, workflows={"support": flow}, releases={},
        targets={"main": target}, endpoints={"main": Endpoint("http://127.0.0.1:1/v1")},
        prices={"main": Price(3e-6, 15e-6)}, keys={"h": ApiKey("key_1", "h", "web", "default", ["*"])},
        team_budgets={"default": team},
    )  # fmt: skip
    return World(snapshot, wires=OpenAIWire, secret=lambda name: None, slots=slots)


def measure(budgets: Budgets, team: Budget, folder: Path, *, users: int) -> float:
    """Microseconds a call."""
    slots: dict[str, Slots] = {}
    served = world(budgets, team, slots)
    purses = Purses(Clock(), slots, workers=4, ledger=Ledger(folder / "spend.bin", workers=4))
    purses.follow(served)
    serving, key = served.workflows["support"], served.keys["h"]
    request, trace, now = Request("POST", "/", "", [], BODY, ""), Trace(None, 1), time.time()
    assert serving.target is not None
    calls = []
    for number in range(ROUNDS):
        call = Call("inf", now, 0.0, request, key, trace)
        call.serving, call.unit = serving, f"u{number % users}"
        attempt = Attempt("main")
        attempt.cost_usd, attempt.tokens = 0.0001, Tokens(300, 0, 0, 50)
        call.attempts.append(attempt)
        calls.append((call, attempt))
    begin = time.process_time()
    for call, attempt in calls:
        purses.admit(call)
        if call.money is not None:
            purses.reserve(call, serving.target, attempt)
        if call.tab is not None:
            purses.settle(call, attempt)
            purses.close(call)
    return (time.process_time() - begin) / ROUNDS * 1e6


def main() -> None:
    plenty = Budget(1e6, 1e6)
    cases = {
        "no budget": (Budgets(), Budget(), 100),
        "allowance of one call": (Budgets(inference=1.0), Budget(), 100),
        "one budget (workflow, day)": (Budgets(workflow=Budget(day=1e6)), Budget(), 100),
        "user day and month, 1,000 users": (Budgets(user=plenty), Budget(), 1000),
        "all eight (user, key, workflow, team; day, month)": (Budgets(1.0, plenty, plenty, plenty), plenty, 1000),
        "all eight, every call another user": (Budgets(1.0, plenty, plenty, plenty), plenty, ROUNDS),
    }
    for name, (budgets, team, users) in cases.items():
        with TemporaryDirectory() as folder:
            best = min(measure(budgets, team, Path(folder) / _made(folder, turn), users=users) for turn in range(3))
        print(f"{name:<52} {best:6.2f} µs a call")


def _made(folder: str, turn: int) -> str:
    (Path(folder) / str(turn)).mkdir()
    return str(turn)


if __name__ == "__main__":
    main()
