"""What every log store tells of cost beside its sums: the same sample every time, and the customers behind calls."""

from __future__ import annotations

import pytest
from records import NOON, batch, inference

from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.inference_log.model import Filter, FilterRefused
from roadworthy.inference_log.ports import LogStore
from roadworthy.workflow.inference import Attempt, Inference, new_inference_id
from roadworthy.workflow.model import Retention

DAY = 86_400.0
ALL = Filter(workflow="triage")


def call(ts: float, draw: float = 0.0, **fields: object) -> Inference:
    """``draw``: in [0, 1), by which it is drawn."""
    serial = int(ts * 1000) % 2**40 << 32 | int(draw * 2**32)
    return inference(ts, id=new_inference_id(ts, serial), **fields)


def test_a_sample_is_what_is_drawn_by_the_digits_of_the_id_and_always_the_same(store: LogStore) -> None:
    calls = [call(NOON + n, n / 100, attempts=[Attempt("main"), Attempt("main", "retry")]) for n in range(100)]
    store.ship(batch(*calls, call(NOON, workflow="other")))
    sample = store.sample(ALL, 0.2)
    assert [each.id for each in sample] == [each.id for each in calls[:20]]
    assert [each.step for each in sample[0].attempts] == ["first", "retry"]
    assert store.sample(ALL, 0.2) == sample
    assert len(store.sample(ALL, 1.0)) == 100
    assert store.sample(ALL, 0.0) == []
    assert len(store.sample(Filter(workflow="triage", since=NOON + 10, traffic="live"), 0.2)) == 10


def test_different_named_users_are_customers(store: LogStore) -> None:
    store.ship(
        batch(
            *(call(NOON + n, unit=f"u-{n % 7}") for n in range(20)),
            call(NOON + 30, unit="r-1", unit_source="random"),
            call(NOON + 31, unit="late", outcome="error"),
        )
    )
    assert store.customers(ALL) == 8
    assert store.customers(Filter(workflow="triage", outcome="answered")) == 7
    assert store.customers(Filter(workflow="nobody")) == 0


def test_text_is_no_filter_of_either(store: LogStore) -> None:
    with pytest.raises(FilterRefused, match="text"):
        store.sample(Filter(workflow="triage", text="refund"), 1.0)
    with pytest.raises(FilterRefused, match="text"):
        store.customers(Filter(workflow="triage", text="refund"))


def test_what_lies_in_cold_days_is_drawn_and_counted_alike(sqlite: SqliteLog) -> None:
    calls = [call(NOON + n * DAY / 25, n / 100, unit=f"u-{n % 9}") for n in range(100)]
    odd = inference(NOON + 1, id="call-of-another-tool-0000000-00000001", unit="other")
    sqlite.ship(batch(*calls, odd))
    before = sqlite.sample(ALL, 0.3), sqlite.customers(ALL), sqlite.customers(Filter(workflow="triage", release="aa"))
    sqlite.rollup(NOON + 30 * DAY)
    sqlite.expire(NOON + 10 * DAY, Retention(cold_after=DAY))
    assert sqlite.counters()["stored"] == 101
    after = sqlite.sample(ALL, 0.3), sqlite.customers(ALL), sqlite.customers(Filter(workflow="triage", release="aa"))
    assert after == before
    assert before[1] == 10
    assert {each.id for each in before[0]} == {each.id for each in calls[:30]} | {odd.id}
