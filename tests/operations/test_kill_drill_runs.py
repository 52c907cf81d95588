"""A kill drill stops and restores two workflows of Roadworthy's own, whatever happens to it, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from roadworthy.adapters.memory.kill import MemoryKillStore
from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.engine.renew import RenewalFailed
from roadworthy.evidence.kinds import KillDrill, Verdict
from roadworthy.evidence.permit.rules import worker_of
from roadworthy.evidence.permit.tokens import opened
from roadworthy.kill_switch.confirming import Missing
from roadworthy.kill_switch.drill.model import Attempt, Lane, Report
from roadworthy.kill_switch.model import EVERY
from roadworthy.kill_switch.service import Kills
from roadworthy.operations.drills.kill_drill import Place, Ports, Times, restore
from roadworthy.operations.drills.kill_drill_runs import KillDrillRefused, KillDrillRun, KillDrills, Order
from roadworthy.operations.stops.kill_desk import Reached
from roadworthy.readiness.judging import kill_drill_judged
from roadworthy.wiring.composed.kill_drill import renewed_by
from roadworthy.workflow.reserved import DRILLED
from roadworthy.workflow.service import Actor, Unknown
from support.waiting import until

ADA = Actor("ada")
QUICK = Times(traffic=0.01, confirm=0.01, settle=0.01, calm=0.0, restore=0.0)
AT = 1_000.0


class FakeYard:
    """Calls everywhere; ``late`` after each press."""

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.late: list[float] = []
        self.mute: set[str] = set()
        """Gateways that let no call through."""
        self.breaks = False
        self.hangs = False
        self.opened = self.closed = 0

    async def listen(self) -> int:
        return 9

    async def begin(self, lanes: Sequence[Lane], pause: float) -> None:
        self.lanes = list(lanes)

    async def look(self) -> Report:
        if self.breaks:
            raise OSError("the child is gone")
        heard = [] if self.hangs else [lane.number for lane in self.lanes if lane.gateway not in self.mute]
        return Report(counts=dict.fromkeys(heard, 9), under_way=dict.fromkeys(heard, 1))

    async def take(self, lanes: Sequence[Lane]) -> Report:
        return Report(attempts=[Attempt(lane.number, AT + late) for lane in lanes for late in self.late])


class Bench:
    """The drills of an install without processes."""

    def __init__(self, gateways: dict[str, int], times: Times = QUICK, store: MemoryKillStore | None = None) -> None:
        self.signer = Ed25519Signer(b"s" * 32)
        self.yard = FakeYard()
        self.kills = Kills(store or MemoryKillStore(), clock=lambda: AT)
        self.silent: set[str] = set()
        self.lost: list[str] = []
        self.kept: list[tuple[KillDrillRun, KillDrill]] = []
        self.gateways = gateways
        self.now = 0.0
        ports = Ports(
            signer=self.signer,
            yards=self,
            gateways=lambda: ([Place(name, "http://127.0.0.1:1/v1", n) for name, n in gateways.items()], self.lost),
            kills=self.kills,
            reached=self.reached,
            clock=lambda: AT,
            times=times,
        )
        self.drills = KillDrills(ports, judge=self.judge, keep=self.keep, monotonic=lambda: self.now)

    @asynccontextmanager
    async def open(self, ttl: float) -> AsyncIterator[FakeYard]:
        self.yard.opened += 1
        try:
            yield self.yard
        finally:
            self.yard.closed += 1

    def reached(self, workflow: str, wait: float) -> Reached:
        took = {name: 0.01 for name in self.gateways if name not in self.silent}
        missing = [Missing(name, 9.0, "touch") for name in self.silent]
        return Reached(not missing, len(took), len(took), missing, 0.01, 0.01, took, AT)

    def judge(self, figures: KillDrill) -> tuple[Verdict, str]:
        judged = kill_drill_judged(figures, {})
        return judged.verdict, judged.figure

    def keep(self, run: KillDrillRun, figures: KillDrill) -> str:
        self.kept.append((run, figures))
        return "evd_1"

    def run(self, *gateways: str) -> KillDrillRun:
        started = self.drills.start(Order(list(gateways), 2), ADA)
        return self.over(started.id)

    def over(self, ident: str) -> KillDrillRun:
        def ended() -> KillDrillRun | None:
            found = self.drills.look(ident)
            return found if found.state != "running" else None

        return until(ended, "end of the drill")

    def states(self) -> dict[str, str]:
        return {name: switch.state for name, switch in self.kills.switches().items()}


def test_each_reserved_workflow_is_stopped_as_often_as_asked_and_is_on_afterwards() -> None:
    bench = Bench({"local": 2, "b": 1})
    run = bench.run()
    assert (run.state, run.verdict, run.evidence) == ("done", "PASS", "evd_1")
    assert [press.workflow for press in run.presses] == ["roadworthy-drill", "roadworthy-drill-cut"] * 2
    assert [press.streams for press in run.presses] == ["drain", "cut"] * 2
    assert set(bench.states().values()) == {"on"}
    assert bench.yard.closed == bench.yard.opened == 1


def test_no_other_workflow_is_ever_touched() -> None:
    bench = Bench({"local": 1})
    bench.kills.press("support", "guarded", "bo", "because")
    before = bench.kills.switch("support")
    bench.run()
    assert bench.kills.switch("support") == before
    assert {line.workflow for line in bench.kills.records()} == {"support", *DRILLED}
    with pytest.raises(ValueError, match="not the kill drill's"):
        restore(bench.kills, "support", "why not")


def test_whoever_drills_presses_and_the_engine_restores() -> None:
    bench = Bench({"local": 1})
    run = bench.run()
    lines = [(line.action, line.by, line.reason) for line in bench.kills.records()[:2]]
    assert lines == [
        ("press", "ada", f"kill drill {run.id}"),
        ("restore", "engine", f"kill drill {run.id} is over"),
    ]


def test_every_worker_of_every_gateway_gets_traffic_that_it_counts_itself() -> None:
    bench = Bench({"local": 3, "b": 2})
    bench.run()
    found = set()
    for lane in bench.yard.lanes:
        permit = opened(lane.token.encode(), [bench.signer.public_key], Ed25519Verifier())
        assert (permit.gateway, permit.workflow, permit.traffic) == (lane.gateway, lane.workflow, "drill")
        found.add((lane.gateway, worker_of(permit.id, bench.gateways[lane.gateway]), lane.workflow))
    workers = [("local", 0), ("local", 1), ("local", 2), ("b", 0), ("b", 1)]
    assert found == {(*worker, flow) for worker in workers for flow in DRILLED}


def test_an_upstream_that_counts_one_attempt_late_makes_it_fail() -> None:
    bench = Bench({"local": 1})
    bench.yard.late = [0.005, 0.5]
    run = bench.run()
    assert run.figures is not None
    assert (run.verdict, run.figures.late_attempts) == ("FAIL", 4)
    assert run.evidence


def test_a_silent_gateway_is_named_and_the_others_are_restored() -> None:
    bench = Bench({"local": 1, "b": 1})
    bench.silent = {"b"}
    run = bench.run()
    assert (run.verdict, run.figure) == ("INSUFFICIENT", "never confirmed: b")
    assert len(run.presses) == 1, "there is nothing to gain from waiting for it again"
    assert set(bench.states().values()) == {"on"}


def test_a_gateway_that_should_run_and_does_not_is_named() -> None:
    bench = Bench({"local": 1})
    bench.lost = ["b"]
    assert bench.run().figure == "never confirmed: b"
    assert bench.run("local").verdict == "PASS"


def test_a_gateway_that_lets_no_call_through_proves_nothing() -> None:
    bench = Bench({"local": 1, "b": 1})
    bench.yard.mute = {"b"}
    run = bench.run()
    assert (run.verdict, run.figure) == ("INSUFFICIENT", "no call came through: b")


def test_a_child_that_dies_ends_the_drill_and_leaves_nothing_stopped() -> None:
    bench = Bench({"local": 1})
    bench.yard.breaks = True
    run = bench.run()
    assert (run.state, run.detail, run.evidence) == ("failed", "the child is gone", "")
    assert set(bench.states().values()) <= {"on"}


@pytest.mark.parametrize("end", ["stop", "close", "nobody looks"])
def test_a_drill_that_is_interrupted_is_cleared_up_and_counts_for_nothing(end: str) -> None:
    bench = Bench({"local": 1}, Times(traffic=60, confirm=0, settle=60, calm=60, restore=0))
    started = bench.drills.start(Order(presses=1), ADA)
    until(lambda: "off" in bench.states().values(), "stop")
    if end == "stop":
        bench.drills.stop(started.id)
    elif end == "close":
        bench.drills.close()
    else:
        bench.now = 31.0
        until(lambda: "off" not in bench.states().values(), "restored workflow")
    run = bench.over(started.id)
    assert run.state == "interrupted"
    assert not bench.kept
    assert set(bench.states().values()) == {"on"}
    assert bench.yard.closed == 1


def test_what_a_control_that_died_left_stopped_is_restored_at_the_next_start() -> None:
    store = MemoryKillStore()
    died = Kills(store, clock=lambda: AT)
    died.press("roadworthy-drill", "off", "ada", "kill drill kdr_1")
    died.press("support", "off", "ada", "for good")
    bench = Bench({"local": 1}, store=store)
    bench.drills.recover()
    assert bench.states() == {"roadworthy-drill": "on", "support": "off"}
    assert bench.kills.records()[-1].by == "engine"


REFUSED: dict[str, tuple[Callable[[Bench], object], str]] = {
    "everything is stopped": (lambda bench: bench.kills.press(EVERY, "off", "ada"), "everything is off"),
    "a file stops it": (
        lambda bench: bench.kills.report("roadworthy-drill", "local", "file", "off"),
        "remove KILL.roadworthy-drill",
    ),
    "no gateway runs": (lambda bench: bench.gateways.clear(), "roadworthy up"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_it_is_refused_where_it_could_show_nothing(why: str) -> None:
    bench = Bench({"local": 1})
    spoil, said = REFUSED[why]
    spoil(bench)
    with pytest.raises(KillDrillRefused, match=said):
        bench.drills.start(Order(), ADA)


def test_a_machine_drills_anew_and_says_when_it_could_not() -> None:
    bench = Bench({"local": 1})
    producer = renewed_by(bench.drills, sleep=lambda seconds: None)
    producer.run("")
    assert [(run.by, figures.late_attempts) for run, figures in bench.kept] == [("engine", 0)]
    bench.yard.breaks = True
    with pytest.raises(RenewalFailed, match="was failed: the child is gone"):
        producer.run("")
    bench.gateways.clear()
    with pytest.raises(RenewalFailed, match="no gateway runs"):
        producer.run("")


def test_one_at_a_time_and_only_on_gateways_that_there_are() -> None:
    bench = Bench({"local": 1}, Times(traffic=60, confirm=0, settle=60, calm=60, restore=0))
    with pytest.raises(Unknown, match="no gateway 'lokal'"):
        bench.drills.start(Order(["lokal"]), ADA)
    with pytest.raises(KillDrillRefused, match="found 0, expected 1 to 200"):
        bench.drills.start(Order(presses=0), ADA)
    first = bench.drills.start(Order(), ADA)
    with pytest.raises(KillDrillRefused, match=f"{first.id} is under way"):
        bench.drills.start(Order(), ADA)
    bench.drills.close()
