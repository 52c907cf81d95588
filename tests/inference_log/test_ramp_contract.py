"""What every log store counts of both sides of a ramp."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from records import NOON, batch, inference

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.sqlite import log_schema
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.inference_log.model import Batch, Callers, Counted, Counting, Filter, Measured, Side
from roadworthy.inference_log.ports import LogStore
from roadworthy.inference_log.service import lost
from roadworthy.workflow.inference import Attempt, Check, Feedback, Inference
from roadworthy.workflow.model import Retention

NEW, OLD = "rel_new", "rel_old"
ALL = (
    Measured("errors", "errors"), Measured("fallbacks", "fallbacks"), Measured("escalations", "escalations"),
    Measured("unsafe", "unsafe"), Measured("cost", "cost"), Measured("latency", "latency"),
    Measured("slow", "slower", above=1.0), Measured("thumbs_down", "said", said="thumbs_down"),
)  # fmt: skip


def call(ts: float = NOON, **fields: Any) -> Inference:
    return inference(ts, **{"digest": NEW, "stage": "10 %", **fields})


def counted(store: LogStore, since: float = NOON, traffic: str = "live") -> dict[str, Side]:
    return store.count(Counting("triage", since, (NEW, OLD), traffic, ALL))


def bad(side: Side) -> dict[str, tuple[float, float]]:
    return {name: (one.n, one.total) for name, one in side.counted.items()}


def test_each_call_is_judged_by_how_it_ended(store: LogStore) -> None:
    store.ship(
        batch(
            call(),
            call(outcome="error", failure="unavailable"),
            call(outcome="recovered", failure="slow", latency=2.0),
            call(outcome="escalated", failure="refused"),
            call(outcome="cached"),
            call(outcome="abandoned"),
            call(outcome="limited"),
            call(outcome="answered", cost_usd=None, cost_unknown="no price"),
        )
    )
    side = counted(store)[NEW]
    assert side.calls == 8
    found = bad(side)
    assert found["errors"] == (6, 1)
    assert found["fallbacks"] == (6, 2)
    assert found["escalations"] == (6, 1)
    assert found["cost"][0] == 7
    assert found["cost"][1] == pytest.approx(0.007)
    assert found["latency"] == (3, 3.0)
    assert found["slow"] == (3, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"failure": "unsafe", "outcome": "blocked"},
        {"checks": [Check("promises", False, failure="unsafe")]},
        {"failure": "slow", "outcome": "recovered", "attempts": [Attempt("main"), Attempt("b", failure="unsafe")]},
    ],
)
def test_an_unsafe_answer_counts_whatever_became_of_it(store: LogStore, fields: dict[str, Any]) -> None:
    store.ship(batch(call(**fields), call(checks=[Check("promises", True)])))
    assert bad(counted(store)[NEW])["unsafe"] == (2, 1)


def test_sides_classes_times_workflows_and_kills_are_kept_apart(store: LogStore) -> None:
    store.ship(
        batch(
            call(NOON - 1), call(NOON + 5), call(digest=OLD, route="previous"), call(digest="rel_other"),
            call(traffic="tester"), call(workflow="other"), call(kill="assist", outcome="escalated"),
            call(route="bypass", outcome="bypassed"),
        )
    )  # fmt: skip
    live = counted(store)
    assert (live[NEW].calls, live[OLD].calls, live[NEW].last_call) == (1, 1, NOON + 5)
    assert counted(store, traffic="tester")[NEW].calls == 1
    assert counted(store, traffic="shadow")[NEW] == Side(0, None, {each.name: Counted() for each in ALL})


def test_calls_of_a_user_are_summed_before_they_are_squared(store: LogStore) -> None:
    store.ship(
        batch(
            *[call(unit="u-1", outcome="error", failure="slow") for _ in range(3)],
            call(unit="u-2"),
            *[call(unit=None, unit_source="random") for _ in range(2)],
        )
    )
    errors = counted(store)[NEW].counted["errors"]
    assert (errors.n, errors.total, errors.squares) == (6, 3, 3)
    assert (errors.sizes, errors.totals, errors.products) == (9 + 1 + 1 + 1, 9, 9)
    assert 4 <= errors.alone < 6, "the three alike count as fewer"
    assert 1 <= errors.alone_total < 3


def test_what_is_shipped_later_is_added(store: LogStore) -> None:
    store.ship(batch(call(NOON + 10, unit="u-1")))
    assert counted(store)[NEW].counted["errors"].sizes == 1
    store.ship(batch(call(NOON + 5, unit="u-1"), call(NOON + 6, unit="u-2", outcome="error")))
    side = counted(store)[NEW]
    assert (side.calls, side.last_call, side.counted["errors"].sizes) == (3, NOON + 10, 5)
    assert counted(store, since=NOON + 6)[NEW].calls == 2, "another stage is another count"


def test_a_lost_call_that_ended_after_all_counts_as_it_ended(store: LogStore) -> None:
    end = call()
    from records import start_of

    gone = lost(start_of(end), "w0")
    gone.digest = NEW
    store.ship(Batch(lost=[gone]))
    assert bad(counted(store)[NEW])["errors"] == (1, 1)
    store.ship(batch(end))
    assert bad(counted(store)[NEW])["errors"] == (1, 0)


def test_a_forgotten_user_is_counted_no_more(store: LogStore) -> None:
    store.ship(batch(call(unit="u-1"), call(unit="u-2")))
    assert counted(store)[NEW].calls == 2
    store.forget("u-1", NOON + 100)
    assert counted(store)[NEW].calls == 1


def test_the_last_word_of_each_person_counts(store: LogStore) -> None:
    one, two = call(unit="u-1"), call(unit="u-2")

    def said(about: Inference, at: float, by: str, **what: Any) -> Feedback:
        return Feedback(about.id, NOON + at, "thumbs_down", by=by, **what)

    store.ship(
        Batch(
            ends=[one, two],
            feedback=[
                said(one, 1, "a", score=1.0), said(one, 2, "a", score=0.0), said(one, 3, "b", label="down"),
                said(two, 1, "a", label="up"), Feedback(two.id, NOON, "tone", score=0.0),
            ],
        )
    )  # fmt: skip
    found = counted(store)[NEW].counted["thumbs_down"]
    assert (found.n, found.total, found.sizes, found.totals, found.products) == (3, 2, 4 + 1, 4, 4)


def test_users_of_both_sides_are_counted_once(store: LogStore) -> None:
    store.ship(
        batch(
            call(unit="u-1"), call(unit="u-1"), call(unit="u-2", digest=None, route="bypass", outcome="bypassed"),
            call(unit="u-5", route="bypass", outcome="bypassed"), call(unit="u-3", digest=OLD, route="previous"),
            call(unit="r", unit_source="random"), call(unit="t", traffic="tester"), call(NOON - 9, unit="before"),
            call(unit="u-4", digest=None, route="off", kill="off", outcome="bypassed"),
        )
    )  # fmt: skip
    assert store.sides("triage", NOON, NEW) == (1, 3)


def test_callers_are_those_who_named_a_user_and_those_who_did_not(store: LogStore) -> None:
    store.ship(
        batch(
            call(NOON + 1), call(NOON + 2, unit="x", unit_source="random"), call(traffic="tester"),
            call(NOON + 50, unit="u-2"),
        )
    )  # fmt: skip
    assert store.callers("triage", NOON, NOON + 50) == Callers(2, 1, 1, 1, NOON + 1)
    assert store.callers("none", NOON, NOON + 50) == Callers()


def test_what_enforcement_would_have_done_is_found_and_summed(store: LogStore) -> None:
    one = call(would="bypassed: no receipt")
    store.ship(batch(one, call(would="previous: outside the share of 10 %"), call(), call(kill="off")))
    assert store.would(NOON, NOON + 1) == {
        "triage": {"bypassed: no receipt": 1, "previous: outside the share of 10 %": 1}
    }
    assert [row.id for row in store.find(Filter(would="bypassed")).items] == [one.id]
    assert len(store.find(Filter(would="any")).items) == 2
    assert len(store.find(Filter(stage="10 %")).items) == 4
    assert [row.kill for row in store.find(Filter(kill="off,guarded")).items] == ["off"]


@pytest.fixture
def sqlite(tmp_path: Path) -> Callable[[], SqliteLog]:
    return lambda: SqliteLog(tmp_path / "log.db")


def test_what_moved_to_a_cold_day_stays_counted_also_after_a_restart(sqlite: Callable[[], SqliteLog]) -> None:
    store = sqlite()
    store.ship(batch(call(unit="u-1", stage="10 %", would="x"), call(NOON + 1, unit="u-1", kill="off")))
    assert counted(store)[NEW].calls == 1
    assert store.expire(NOON + 9 * 86_400, Retention()).moved == 2
    store.ship(batch(call(NOON + 9 * 86_400, unit="u-1")))
    before = counted(store)[NEW]
    assert (before.calls, before.counted["errors"].sizes) == (2, 4)
    assert [row.kill for row in store.find(Filter(kill="off")).items] == ["off"]
    store.close()
    again = sqlite()
    assert counted(again)[NEW] == before
    again.close()


def test_a_log_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    connection = apsw.Connection(str(path))
    connection.execute(log_schema.SCHEMA)
    connection.pragma("user_version", 1)
    connection.close()
    store = SqliteLog(path)
    store.ship(batch(call(would="bypassed: no receipt")))
    assert store.find(Filter(would="any")).items[0].would == "bypassed: no receipt"
    store.close()


def test_both_stores_weigh_alike(sqlite: Callable[[], SqliteLog]) -> None:
    rows = [
        call(unit=f"u-{n % 7}", outcome="error" if n % 7 == 0 else "answered", cost_usd=n / 1000) for n in range(60)
    ]
    disk, memory = sqlite(), MemoryLog()
    disk.ship(batch(*rows))
    memory.ship(batch(*rows))
    for name, found in counted(disk)[NEW].counted.items():
        twin = counted(memory)[NEW].counted[name]
        for field in found.__struct_fields__:
            assert getattr(found, field) == pytest.approx(getattr(twin, field)), (name, field)
    disk.close()
