"""What ``status`` says that somebody must do."""

from __future__ import annotations

import msgspec

from roadworthy.inference_log.model import Lag, StatsRow
from roadworthy.operations.status import (
    ProcessStatus,
    TargetSeen,
    TargetStatus,
    Waiting,
    target_statuses,
    waiting,
    waiting_for_people,
    workflow_statuses,
)
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Configuration, Owners, Settings, Target, TargetLimits, Workflow
from roadworthy.workflow.ports import AppliedConfiguration

OWNERS = Owners("ada", "ada", "ada")
FLOW = Workflow("triage", "default", OWNERS, "observe", passthrough="main")
CONFIGURATION = Configuration(Settings(), {}, {}, {"triage": FLOW})
APPLIED = AppliedConfiguration(1, 1.0, "ada", {}, CONFIGURATION)
NO_LAG = Lag(**dict.fromkeys((field.name for field in msgspec.structs.fields(Lag)), 0))
DOWN = TargetStatus("main", "local", "small", None, True)


def process(name: str, alive: bool) -> ProcessStatus:
    return ProcessStatus(name, 7, "running" if alive else "stopped", 1.0, alive=alive)


def asked(*processes: ProcessStatus) -> list[Waiting]:
    return waiting(APPLIED, {}, [DOWN], processes, NO_LAG, [])


def test_what_is_down_in_a_running_install_is_named_one_by_one() -> None:
    said = [one.what for one in asked(process("control", True), process("worker w0", False))]
    assert said[:2] == ["worker w0 is not running (stopped)", "target main is down: its calls are unavailable"]


def test_an_install_that_was_stopped_waits_for_one_thing() -> None:
    for processes in ((), (process("control", False), process("worker w0", False))):
        operator = [one for one in asked(*processes) if one.who == "operator"]
        assert [(one.what, one.do) for one in operator] == [("nothing runs: callers are refused", "roadworthy up")]


def test_testers_are_counted_beside_the_live_calls_never_among_them() -> None:
    def row(traffic: str, count: int) -> StatsRow:
        group: dict[str, str | None] = {"workflow": "triage", "traffic": traffic}
        return StatsRow(group, count, {"answered": count}, 1.0, 1.0, 1.0, None, Tokens(), 0.5, 0)

    rows = [row("live", 3), row("tester", 2), row("drill", 9)]
    [status] = workflow_statuses(CONFIGURATION, {}, rows, rows, {})
    assert (status.calls, status.tester_calls, status.outcomes) == (3, 2, {"answered": 3})
    assert status.spend_today == 1.0, "a drill's dollars are paid to nobody"


def test_a_target_says_what_holds_its_calls_back_over_all_workers() -> None:
    main = Target("main", "openai", "m", limits=TargetLimits(concurrency=64))
    seen = [
        TargetSeen("main", "open", 4.0, limit=8, waiting=2),
        TargetSeen("main", "half_open", 0.0, limit=64),
        TargetSeen("main", limit=64, waiting=1),
        TargetSeen("another", "open", 1.0, limit=1),
    ]
    [status] = target_statuses({"main": main}, {}, frozenset(), seen)
    assert (status.workers, status.shut, status.probe_in, status.at_once, status.waiting) == (3, 2, 0.0, 136, 3)


def test_a_target_that_nothing_holds_back_says_nothing() -> None:
    main = Target("main", "openai", "m", limits=TargetLimits(concurrency=64))
    [status] = target_statuses({"main": main}, {}, frozenset(), [TargetSeen("main", limit=64)])
    assert (status.shut, status.probe_in, status.at_once) == (0, None, None)


def test_what_waits_for_people_names_who_and_what_to_type() -> None:
    found = waiting_for_people({}, {"support": 1, "triage": 3}, incidents=2, dead=1)
    assert [(one.what, one.do) for one in found] == [
        ("support: 1 call waits for a human", "roadworthy escalations support"),
        ("triage: 3 calls wait for a human", "roadworthy escalations triage"),
        ("2 incidents and alerts are open", "roadworthy incidents --open"),
        ("1 message was given up: nobody took it", "roadworthy escalations dead"),
    ]
    assert waiting_for_people({}, {}, incidents=0, dead=0) == []


def test_an_operator_reads_why_customers_no_longer_get_a_human() -> None:
    capacity = FLOW.policy.escalation.capacity
    told = [
        waiting_for_people({"triage": FLOW}, {"triage": count}, incidents=0, dead=0)[0].what
        for count in (capacity - 1, capacity)
    ]
    assert ["queue is full" in what for what in told] == [False, True]
