"""Automatic triggers, from records as they are shipped to the state of the switch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from roadworthy.adapters.memory.kill import MemoryKillStore
from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.inference_log.model import Batch
from roadworthy.kill_switch.model import Right, Source, State
from roadworthy.kill_switch.service import Kills
from roadworthy.operations.stops.kill_triggers import Recent, TriggerWatch
from roadworthy.workflow.inference import Check, Inference
from roadworthy.workflow.model import KillPolicy, Objective, Owners, Policy, Workflow

NOW = 1_793_620_800.0
OWNER: frozenset[Right] = frozenset({"stop", "on_call", "owner"})
_serial = iter(range(1_000_000))


def call(ago: float = 1.0, *, unsafe: bool = False, **fields: Any) -> Inference:
    checks = [Check(name="promises", passed=False, failure="unsafe")] if unsafe else []
    defaults: dict[str, Any] = {
        "id": f"inf_{next(_serial):032x}", "ts": NOW - ago, "team": "default", "workflow": "support",
        "outcome": "answered", "cost_usd": 0.01, "checks": checks,
    }  # fmt: skip
    return Inference(**{**defaults, **fields})


class Install:
    def __init__(self, **kill: Any) -> None:
        self.now = NOW
        self.log = MemoryLog()
        policy = Policy(objective=Objective(error_share=0.01), kill=KillPolicy(**kill))
        owners = Owners("ada", "bo", "cy")
        self.flows = {"support": Workflow("support", "default", owners, "enforce", policy=policy)}
        self.kills = Kills(MemoryKillStore(), clock=lambda: self.now)
        self.start()

    def start(self) -> None:
        self.recent = Recent(lambda: self.now)
        self.watch = TriggerWatch(self.kills, self.recent, self.log, lambda: self.flows)

    def ship(self, records: Iterable[Inference]) -> None:
        batch = Batch(ends=list(records))
        with self.recent.held():
            self.log.ship(batch)
            self.recent.take(batch.ends)

    def look(self) -> State:
        self.watch.look()
        return self.kills.switch("support").state


def test_quiet_traffic_trips_nothing() -> None:
    install = Install(usd_per_hour=10.0)
    install.ship(call(n / 10) for n in range(500))
    assert install.look() == "on"


@pytest.mark.parametrize("warm", [True, False], ids=["as it is shipped", "from the log, after a restart"])
@pytest.mark.parametrize(
    ("source", "records"),
    [
        ("spend", [call(60.0 * n, cost_usd=0.25) for n in range(50)]),
        ("unsafe", [call(n, unsafe=n % 10 == 0) for n in range(100)]),
        ("errors", [call(n * 10, outcome="error" if n % 2 else "answered") for n in range(200)]),
    ],
)
def test_each_trigger_stops_what_it_watches(source: Source, records: list[Inference], warm: bool) -> None:
    install = Install(usd_per_hour=10.0)
    if warm:
        install.look()
    install.ship(records)
    assert install.look() == "guarded"
    assert list(install.kills.switch("support").held) == [source]
    assert install.kills.switch("support").held[source].active == ["engine"]


def test_a_trigger_goes_to_the_state_of_the_policy() -> None:
    install = Install(to="off", unsafe_share=0.01)
    install.ship(call(n, unsafe=True) for n in range(6))
    assert install.look() == "off"


@pytest.mark.parametrize("traffic", ["tester", "drill", "load", "eval", "shadow"])
def test_only_live_calls_count(traffic: str) -> None:
    install = Install(usd_per_hour=0.1)
    install.look()
    install.ship(call(n, traffic=traffic, unsafe=True, outcome="error", cost_usd=1.0) for n in range(100))
    assert install.look() == "on"
    install.start()
    assert install.look() == "on"


def test_what_was_before_the_restore_trips_nothing_again_and_what_goes_on_does() -> None:
    install = Install()
    install.look()
    install.ship(call(n, unsafe=True) for n in range(20))
    assert install.look() == "guarded"
    install.now += 60
    install.kills.restore("support", "on", "ada", "prompt was rolled back", OWNER)
    assert install.look() == "on"
    install.now += 60
    install.ship(call(-90.0 - n, unsafe=True) for n in range(20))
    assert install.look() == "guarded"


def test_it_clears_without_traffic_stays_latched_and_on_call_may_then_go_back() -> None:
    install = Install(to="off")
    install.look()
    install.ship(call(n, unsafe=True) for n in range(20))
    assert install.look() == "off"
    install.now += 700
    assert install.look() == "off"
    assert install.kills.switch("support").held["unsafe"].active == []
    done = install.kills.restore("support", "guarded", "bo", "", frozenset({"stop", "on_call"}))
    assert done.switch.state == "guarded"


def test_a_trigger_that_goes_on_is_recorded_once() -> None:
    install = Install()
    install.look()
    install.ship(call(n, unsafe=True) for n in range(20))
    for _ in range(5):
        install.look()
    assert [line.action for line in install.kills.records()] == ["trip"]


def test_no_call_counts_twice_when_control_starts_while_it_ships() -> None:
    install = Install(usd_per_hour=10.0)
    install.ship([call(cost_usd=6.0)])
    assert install.look() == "on"
    install.ship([call(cost_usd=3.0)])
    assert install.look() == "on"
    install.ship([call(cost_usd=3.0)])
    assert install.look() == "guarded"


def test_nothing_is_remembered_for_longer_than_the_widest_window() -> None:
    install = Install()
    install.look()
    for hour in range(5):
        install.now = NOW + hour * 3600
        install.ship(call(-hour * 3600 + n * 10.0) for n in range(360))
    assert len(install.recent._slices["support"]) <= 391
