"""What the alert watch counts is the same whether it saw the calls or took them from the log."""

from __future__ import annotations

from typing import Any

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.inference_log.model import Batch
from roadworthy.kill_switch.triggers import Window
from roadworthy.operations.alerting.counting import Served
from roadworthy.workflow.inference import Attempt, Inference

NOW = 1_793_620_800.0
HOUR = 3600.0


def call(number: int, at: float, **more: Any) -> Inference:
    fields: dict[str, Any] = {
        "id": f"inf_{number:032x}", "ts": at, "team": "default", "workflow": "support", "outcome": "answered",
        "latency": 0.3, "attempts": [Attempt("main", status=200)],
    }  # fmt: skip
    return Inference(**{**fields, **more})


def served(now: float = NOW) -> Served:
    return Served(lambda: now, lambda workflow: 1.0)


CALLS = [
    call(1, NOW - 30.0),
    call(2, NOW - 40.0, outcome="canned", failure="slow"),
    call(3, NOW - 40.0, outcome="canned", failure="unsafe"),
    call(4, NOW - 1500.0, outcome="error", failure="bad_request"),
    call(5, NOW - 5 * HOUR, outcome="escalated", failure="unavailable"),
    call(6, NOW - 60 * HOUR, outcome="error"),
    call(7, NOW - 80 * HOUR, outcome="error"),
    call(8, NOW - 50.0, outcome="bypassed", route="bypass"),
    call(9, NOW - 50.0, outcome="escalated", failure="slow", route="bypass"),
    call(10, NOW - 50.0, outcome="escalated", failure="slow", kill="assist"),
    call(11, NOW - 50.0, outcome="error", traffic="drill"),
    call(12, NOW - 50.0, outcome="abandoned"),
]
EXPECTED = {300.0: (4, 1), 1800.0: (5, 2), HOUR: (5, 2), 2 * HOUR: (5, 2), 6 * HOUR: (6, 3), 24 * HOUR: (6, 3),
            72 * HOUR: (7, 4)}  # fmt: skip


def counted(made: Served) -> dict[float, tuple[int, int]]:
    return {length: (one.calls, one.bad) for length, one in made.windows("support")[0].items()}


def test_calls_that_were_seen_and_calls_from_the_log_count_alike() -> None:
    seen, from_log, empty, full = served(), served(), MemoryLog(), MemoryLog()
    seen.warm(empty)
    seen.take(CALLS)
    full.ship(Batch(ends=CALLS))
    from_log.warm(full)
    assert counted(seen) == EXPECTED
    assert counted(from_log) == EXPECTED


def test_nothing_counts_twice_that_came_before_the_log_was_read() -> None:
    made, store = served(), MemoryLog()
    made.take(CALLS)
    assert made.failed("support") is None
    store.ship(Batch(ends=CALLS))
    made.warm(store)
    made.warm(store)
    assert made.failed("support") == 2


def test_what_was_before_the_last_restore_counts_nothing() -> None:
    made = served()
    made.warm(MemoryLog())
    made.take(CALLS)
    assert made.windows("support", since=NOW - 60.0)[0][HOUR].bad == 1


def test_trouble_began_with_its_first_bad_minute_and_not_with_an_older_one() -> None:
    made = served()
    made.warm(MemoryLog())
    minutes = {1: "canned", 2: "canned", 4: "canned", 6: "answered", 7: "canned"}
    made.take([call(n, NOW - 60.0 * n, outcome=outcome, failure="slow") for n, outcome in minutes.items()])
    assert made.began("support") == NOW - 240.0
    alone = served()
    alone.warm(MemoryLog())
    alone.take([call(n, NOW - 60.0 * n, outcome="canned", failure="slow") for n in (1, 30)])
    assert alone.began("support") == NOW - 60.0


def test_a_target_is_judged_by_its_last_minutes_by_answers_and_not_by_limits_of_ours() -> None:
    made = served()
    made.warm(MemoryLog())
    made.take([
        call(1, NOW - 20.0, attempts=[Attempt("main", status=503, failure="unavailable"), Attempt("backup")]),
        call(2, NOW - 20.0, attempts=[Attempt("backup", status=200, failure="invalid")]),
        call(3, NOW - 20.0, attempts=[Attempt("main", status=401, failure="misconfigured")]),
        call(4, NOW - 900.0, attempts=[Attempt("main", status=200)]),
        call(5, NOW - 20.0, attempts=[Attempt("main", failure="throttled"), Attempt("main", failure="overspent")]),
    ])  # fmt: skip
    found = made.attempts("support")
    assert (found["main"].good, found["main"].down, found["main"].misconfigured) == (0, 2, 1)
    assert found["main"].statuses == {503: 1, 401: 1}
    assert (found["backup"].good, found["backup"].down) == (2, 0)


def test_slow_calls_are_those_over_the_objective() -> None:
    made = served()
    made.warm(MemoryLog())
    made.take([call(1, NOW - 20.0, latency=1.5), call(2, NOW - 20.0, latency=0.5)])
    assert made.windows("support")[1][300.0].bad == 1


def test_slow_calls_are_known_to_a_control_that_starts() -> None:
    """Else every start would end a latency incident that goes on, and page anew."""
    made, store = served(), MemoryLog()
    slow = [call(n, NOW - 20.0 * n, latency=1.5) for n in range(1, 1300)]
    store.ship(
        Batch(
            ends=[*slow, call(2000, NOW - 20.0, latency=0.5), call(2001, NOW - 20.0, outcome="abandoned", latency=9.0)]
        )
    )
    made.warm(store)
    assert made.windows("support")[1][HOUR] == Window(181, 180)
    assert made.windows("support")[1][6 * HOUR].bad >= 1080
