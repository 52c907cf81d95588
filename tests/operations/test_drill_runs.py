"""Claims about drill runs: one at a time, leased, interruptible, and what was measured is kept."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.fallback.drills.host import Stand
from roadworthy.fallback.drills.model import DrillRun, Sent
from roadworthy.operations.drills.drill import Heard, Ports, Subject
from roadworthy.operations.drills.drill_runs import LEASE, DrillRefused, DrillRuns, Order
from roadworthy.workflow.model import (
    Behaviour,
    Canned,
    Configuration,
    Handling,
    Owners,
    Policy,
    Release,
    Settings,
    TargetIdentity,
    Workflow,
)
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.service import Actor, Unknown

ADA = Actor("ada")
RELEASE = Release(
    "support",
    "rel_1",
    "b",
    "h",
    Behaviour("chat", None, "main", {"main": TargetIdentity("openai", "m", "h")}),
    Handling(canned=Canned("Later."), deadline=1.0),
)


class Faults:
    """Misbehaving servers that are told apart from nothing: a run waits in ``begin`` until it may go on."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.open_now = 0
        self.fails = False
        self.clearing = 0.0
        """Seconds that the servers take to end."""

    @asynccontextmanager
    async def open(self, ttl: float) -> AsyncIterator[Faults]:
        if self.fails:
            raise OSError("no port is free")
        self.open_now += 1
        try:
            yield self
        finally:
            await asyncio.sleep(self.clearing)
            self.open_now -= 1

    async def begin(self, call: int, drill: str, nonce: str, targets: Mapping[str, Stand]) -> dict[str, str]:
        while not self.go.is_set():
            await asyncio.sleep(0.005)
        return {"main": "http://127.0.0.1:9/v1"}

    async def end(self, call: int) -> list[Sent]:
        return []


class Bench:
    def __init__(self) -> None:
        self.state = MemoryState()
        workflow = Workflow("support", "default", Owners("ada", "ada", "ada"), "enforce")
        configuration = Configuration(Settings(), {}, {}, {"support": workflow})
        with self.state.write() as tx:
            tx.add_configuration(AppliedConfiguration(1, 1.0, "ada", {}, configuration))
        self.faults = Faults()
        self.monotonic = 0.0
        ports = Ports(
            signer=Ed25519Signer(b"s" * 32), faults=self.faults, base_url=lambda: "http://127.0.0.1:9/v1",
            record=lambda ident: None, heard=lambda record: Heard(), copy=lambda workflow, drill: None,
            example=lambda schema: {}, clock=lambda: 1_000_000.0,
        )  # type: ignore[arg-type]  # fmt: skip
        self.runs = DrillRuns(self.state, self.state, ports, self.subject, monotonic=lambda: self.monotonic)

    def subject(self, workflow: str, by: str, release: str = "") -> Subject:
        if workflow != "support":
            raise Unknown(f"there is no workflow '{workflow}'")
        return Subject(RELEASE, Policy(), True, False, by)

    def start(self) -> DrillRun:
        return self.runs.start(Order("support", faults=["server-error-once"]), ADA)

    def ended(self, run: DrillRun) -> DrillRun:
        return until(lambda: found if (found := self.kept(run)) is not None else None)

    def kept(self, run: DrillRun) -> DrillRun | None:
        with self.state.read() as tx:
            return tx.drill_run(run.id)


def until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.005)
    raise AssertionError("it never came")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_run_that_nobody_looks_at_is_interrupted_and_its_faults_are_cleared(bench: Bench) -> None:
    run = bench.start()
    until(lambda: bench.faults.open_now)
    bench.monotonic = LEASE + 1
    ended = bench.ended(run)
    assert (ended.state, ended.detail) == ("interrupted", f"nobody looked for {LEASE:g} s")
    assert bench.faults.open_now == 0


def test_stopping_waits_until_the_faults_are_cleared_however_often_it_is_asked(bench: Bench) -> None:
    bench.faults.clearing = 0.5  # longer than it is between two looks at whether to stop
    run = bench.start()
    until(lambda: bench.faults.open_now)
    for _ in range(3):
        bench.runs.stop(run.id)
    assert bench.ended(run).state == "interrupted"
    assert bench.faults.open_now == 0


def test_looking_renews_the_lease(bench: Bench) -> None:
    run = bench.start()
    until(lambda: bench.faults.open_now)
    bench.monotonic = LEASE - 1
    bench.runs.look(run.id)
    bench.monotonic = 2 * LEASE - 2
    assert bench.runs.look(run.id).state == "running"
    bench.runs.stop(run.id)
    assert bench.ended(run).state == "interrupted"


def test_one_run_of_a_workflow_at_a_time(bench: Bench) -> None:
    run = bench.start()
    with pytest.raises(DrillRefused, match=run.id):
        bench.start()
    bench.runs.stop(run.id)
    bench.ended(run)
    bench.runs.stop(bench.start().id)


def test_servers_that_cannot_start_fail_the_run_and_say_why(bench: Bench) -> None:
    bench.faults.fails = True
    ended = bench.ended(bench.start())
    assert (ended.state, ended.detail) == ("failed", "no port is free")


def test_a_gateway_that_does_not_answer_is_a_miss_and_the_run_is_kept(bench: Bench) -> None:
    bench.faults.go.set()
    ended = bench.ended(bench.start())
    assert ended.state == "done"
    assert {result.verdict for result in ended.results} == {"FAIL"}
    assert "the connection broke or nothing came" in ended.results[0].misses[0]
    assert [run.id for run in bench.runs.runs("support")] == [ended.id]


def test_who_started_a_run_is_audited(bench: Bench) -> None:
    run = bench.start()
    bench.runs.stop(run.id)
    with bench.state.read() as tx:
        [record] = tx.audit()
    assert (record.actor, record.action, record.target) == ("ada", "drill.start", "workflow/support")
    bench.ended(run)


def test_names_that_are_none_are_refused_before_anything_starts(bench: Bench) -> None:
    with pytest.raises(Unknown, match="did you mean 'server-error-once'"):
        bench.runs.start(Order("support", faults=["server-eror-once"]), ADA)
    with pytest.raises(Unknown):
        bench.runs.start(Order("nobody"), ADA)
    with pytest.raises(Unknown):
        bench.runs.look("drl_none")
    assert bench.faults.open_now == 0


def test_a_run_that_a_page_began_goes_on_when_the_page_is_closed_and_is_found_again(bench: Bench) -> None:
    run = bench.runs.start(Order("support", faults=["server-error-once"]), ADA, leased=False)
    until(lambda: bench.faults.open_now)
    bench.runs.look(run.id)  # a look is no beginning of a lease
    bench.monotonic = 100 * LEASE
    bench.faults.go.set()
    assert bench.ended(run).state == "done"
    assert bench.runs.going("support") == ""


def test_what_is_under_way_is_told_by_its_workflow(bench: Bench) -> None:
    run = bench.start()
    assert (bench.runs.going("support"), bench.runs.going("other")) == (run.id, "")
    bench.runs.stop(run.id)
    assert bench.ended(run).state == "interrupted"
