"""What every log store promises."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from records import NOON, batch, inference, start_of

from roadworthy.inference_log.model import Batch, Cursor, Filter, FilterRefused, Progress, Quarantined
from roadworthy.inference_log.ports import LogStore
from roadworthy.inference_log.segments import SegmentName
from roadworthy.inference_log.service import lost
from roadworthy.workflow.inference import Attempt, Check, Feedback, Rung, Tokens
from roadworthy.workflow.model import Retention
from roadworthy.workflow.reserved import DRILLED

UTC = ZoneInfo("UTC")
SEGMENT = SegmentName("w0", 1_763_870_000_000, 1)


def test_a_record_comes_back_as_it_was(store: LogStore) -> None:
    record = inference(
        body="hello",
        outcome="recovered",
        failure="slow",
        tags={"plan": "pro", "": "empty"},
        attempts=[Attempt(target="main", failure="slow", detail="no token"), Attempt(target="backup", step="target")],
        checks=[
            Check("schema", True),
            Check("promises", False, "a refund", 0.002, "unsafe", 0.9, (4, 12), None, "endpoint unreachable"),
        ],
        ladder=[Rung("slow", "retry", "main", 0.1), Rung("slow", "drop"), Rung("slow", "target", "backup", 0.4)],
        cached_age=12.5,
        cached_from="inf_" + "1" * 32,
        permit="prm_1",
        stage="10 %",
        would="bypassed: no receipt",
        kill="guarded",
        drill="silence/no_first_byte",
        overrides=["temperature"],
        notes=["unit_unknown"],
        tokens=Tokens(1, 2, 3, 4, 1),
        prompt='You are "kind".\n',
        response=msgspec.Raw(b'{"choices":[]}'),
        first_token=0.2,
        trace="0" * 32,
        cost_unknown="",
        stream=True,
    )
    store.ship(batch(record))
    entry = store.get(record.id)
    assert entry is not None
    assert entry.inference == record
    [row] = store.find(Filter(workflow="triage")).items
    assert (row.ladder, row.drill) == (record.ladder, record.drill)
    assert store.get("inf_" + "0" * 32) is None


def test_a_line_shipped_twice_is_stored_once(store: LogStore) -> None:
    record = inference()
    assert store.ship(batch(record)).stored == 1
    again = store.ship(batch(record, record))
    assert (again.stored, again.duplicates) == (0, 2)
    assert len(store.find(Filter()).items) == 1


def test_offsets_and_rows_travel_together(store: LogStore) -> None:
    record = inference()
    store.ship(Batch(progress={SEGMENT: Progress(120)}, starts=[("w0", SEGMENT.boot, start_of(record))]))
    assert store.progress() == {SEGMENT: Progress(120)}
    assert store.open_boots() == {("w0", SEGMENT.boot)}
    assert store.open_starts("w0", SEGMENT.boot) == [start_of(record)]
    assert store.counters()["in_flight"] == 1
    store.ship(Batch(progress={SEGMENT: Progress(500, True)}, ends=[record]))
    assert store.progress() == {SEGMENT: Progress(500, True)}
    assert store.open_boots() == set()
    assert store.counters()["accepted"] == 1
    store.ship(Batch(deleted=[SEGMENT]))
    assert store.progress() == {}


def test_a_real_end_replaces_a_call_given_up_for_lost_and_never_the_reverse(store: LogStore) -> None:
    record = inference(body="late")
    given_up = lost(start_of(record), "w0")
    assert store.ship(Batch(lost=[given_up])).lost == 1
    assert store.get(record.id).inference.failure == "gateway_lost"  # type: ignore[union-attr]
    assert store.ship(batch(record)).stored == 0
    store.ship(Batch(lost=[given_up]))
    entry = store.get(record.id)
    assert entry is not None
    assert entry.inference == record
    assert (store.counters()["stored"], store.counters()["lost"]) == (1, 0)


def test_an_end_that_was_read_before_its_start_leaves_no_call_open(store: LogStore) -> None:
    record = inference()
    store.ship(batch(record))
    store.ship(Batch(starts=[("w0", 1, start_of(record))]))
    assert store.open_boots() == set()


def test_feedback_joins_its_inference_whichever_comes_first(store: LogStore) -> None:
    record = inference()
    said = Feedback(inference=record.id, ts=NOON + 5, name="thumb", score=1.0, by="u-1")
    assert store.ship(Batch(feedback=[said])).feedback == 1
    assert store.ship(Batch(feedback=[said])).feedback == 0
    store.ship(batch(record))
    assert store.get(record.id).feedback == [said]  # type: ignore[union-attr]


def test_pages_meet_without_gap_or_overlap_in_both_directions(store: LogStore) -> None:
    records = [inference(NOON + n // 3) for n in range(25)]  # three share an instant
    store.ship(batch(*records[::2], *records[1::2]))
    expected = [record.id for record in sorted(records, key=Cursor.of, reverse=True)]
    seen: list[str] = []
    cursor, pages = None, []
    while True:
        page = store.find(Filter(), 7, after=cursor)
        seen += [item.id for item in page.items]
        pages.append([item.id for item in page.items])
        if page.next is None:
            break
        cursor = Cursor.parse(page.next)
    assert seen == expected
    back = store.find(Filter(), 7, before=Cursor.of(next(r for r in records if r.id == pages[1][0])))
    assert [item.id for item in back.items] == pages[0]


def test_following_the_log_sees_what_is_new_and_nothing_else(store: LogStore) -> None:
    store.ship(batch(inference(NOON), inference(NOON + 1)))
    cursor = store.find(Filter()).previous
    assert cursor is not None
    assert store.find(Filter(), before=Cursor.parse(cursor)).items == []
    new = inference(NOON + 2)
    store.ship(batch(new))
    assert [item.id for item in store.find(Filter(), before=Cursor.parse(cursor)).items] == [new.id]


def test_a_page_holds_no_bodies(store: LogStore) -> None:
    store.ship(batch(inference(body="secret words", prompt="p")))
    item = store.find(Filter()).items[0]
    assert item.request is None
    assert item.prompt is None


CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"workflow": "other"}, {"workflow": "other"}),
    ({"team": "blue"}, {"team": "blue"}),
    ({"unit": "u-42"}, {"unit": "u-42"}),
    ({"outcome": "error,canned"}, {"outcome": "canned"}),
    ({"outcome": "answered"}, {"outcome": "answered", "tags": {"only": "this"}}),
    ({"failure": "slow"}, {"outcome": "recovered", "failure": "slow"}),
    ({"release": "bbbb"}, {"digest": "rel_" + "b" * 64}),
    ({"release": "rel_" + "b" * 64}, {"digest": "rel_" + "b" * 64}),
    ({"route": "passthrough"}, {"route": "passthrough", "digest": None}),
    ({"target": "backup"}, {"target": "backup"}),
    ({"traffic": "tester"}, {"traffic": "tester"}),
    ({"key": "key_2"}, {"key": "key_2"}),
    ({"since": NOON + 10}, {"ts": NOON + 10}),
    ({"until": NOON}, {"ts": NOON - 0.001}),
    ({"min_cost": 0.5}, {"cost_usd": 0.5}),
    ({"slower_than": 3.0}, {"latency": 3.5}),
    ({"tag": "plan=pro"}, {"tags": {"plan": "pro"}}),
    ({"tag": "plan"}, {"tags": {"plan": "basic"}}),
    ({"session": "s-9"}, {"session": "s-9"}),
    ({"model": "m-2"}, {"model_answered": "m-2"}),
    ({"text": "lost PARCEL"}, {"body": "my Lost parcel"}),
    ({"text": 'say "hé"'}, {"body": 'they say "hé"'}),
    ({"text": "the prompt"}, {"prompt": "this is THE prompt"}),
]


@pytest.mark.parametrize(("where", "record"), CASES, ids=[str(case[0]) for case in CASES])
def test_a_filter_finds_what_it_names_and_nothing_else(
    store: LogStore, where: dict[str, Any], record: dict[str, Any]
) -> None:
    wanted = inference(**record)
    others = [inference(tags={"plans": "pro"}, body="another parcel"), inference(cost_usd=None, outcome="error")]
    if where == {"outcome": "answered"}:
        others = others[1:]
    if "outcome" in where and "error" in where["outcome"]:
        others = others[:1]
    store.ship(batch(wanted, *others))
    assert [item.id for item in store.find(Filter(**where)).items] == [wanted.id]
    assert [item.id for item in store.scan(Filter(**where))] == [wanted.id]


def test_a_text_written_with_codes_is_found_as_it_reads(store: LogStore) -> None:
    store.ship(batch(inference(request=msgspec.Raw(b'{"content":"caf\\u00e9"}'))))
    assert len(store.find(Filter(text="café")).items) == 1


@pytest.mark.parametrize("rolled", [False, True])
def test_calls_of_the_kill_drill_are_shown_to_whoever_names_its_workflow_only(store: LogStore, rolled: bool) -> None:
    drilled = [inference(NOON + n, workflow=name, traffic="drill") for n, name in enumerate(DRILLED)]
    ours = inference(NOON)
    store.ship(batch(ours, *drilled))
    if rolled:
        assert store.rollup(NOON + 8000) > 0
    assert [found.id for found in store.find(Filter()).items] == [ours.id]
    assert [found.id for found in store.find(Filter(traffic="drill")).items] == []
    assert [found.id for found in store.scan(Filter())] == [ours.id]
    for by in ("workflow", "unit"):
        assert [row.count for row in store.stats((by,), Filter(), UTC).rows] == [1]
    for each in drilled:
        named = Filter(workflow=each.workflow)
        assert [found.id for found in store.find(named).items] == [each.id]
        assert [row.count for row in store.stats(("workflow",), named, UTC).rows] == [1]
        assert store.get(each.id) is not None


@pytest.mark.parametrize("rolled", [False, True])
def test_sums_add_up_and_classes_are_never_pooled(store: LogStore, rolled: bool) -> None:
    store.ship(
        batch(
            inference(NOON, latency=1.0, first_token=0.1),
            inference(NOON + 400, latency=2.0, outcome="recovered", first_token=0.3),
            inference(NOON + 4000, latency=3.0, outcome="error", cost_usd=None),
            inference(NOON + 1, latency=99.0, traffic="tester"),
            inference(NOON + 2, workflow="other"),
        )
    )
    if rolled:
        assert store.rollup(NOON + 8000) > 0
    rows = {tuple(row.group.values()): row for row in store.stats(("workflow",), Filter(), UTC).rows}
    assert set(rows) == {("triage", "live"), ("triage", "tester"), ("other", "live")}
    row = rows["triage", "live"]
    assert row.count == 3
    assert row.outcomes == {"answered": 1, "recovered": 1, "error": 1}
    assert row.p50 == pytest.approx(2.0, rel=0.01)
    assert row.tokens == Tokens(input=30, output=15)
    assert row.cost_usd == pytest.approx(0.002)
    assert row.cost_unknown == 1


DIMENSIONS = [
    ("unit", "u-1"), ("key", "key_1"), ("release", "rel_" + "a" * 64), ("model", "m-1"), ("target", "main"),
    ("tag:plan", "pro"), ("outcome", "answered"), ("failure", None), ("stream", "no"), ("route", "release"),
    ("hour", "2026-11-02T12:00+00:00"), ("day", "2026-11-02"), ("session", None), ("stage", None), ("code", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), DIMENSIONS)
def test_any_dimension_can_be_grouped_by(store: LogStore, name: str, value: str | None) -> None:
    store.ship(batch(inference(tags={"plan": "pro"})))
    rows = store.stats((name,), Filter(), UTC).rows
    assert [row.group for row in rows] == [{name: value, "traffic": "live"}]


def test_a_lost_call_counts_and_has_no_latency(store: LogStore) -> None:
    record = inference(latency=2.0)
    store.ship(Batch(ends=[record], lost=[lost(start_of(inference()), "w0")]))
    for by in (("workflow",), ("unit",)):
        row = store.stats(by, Filter(), UTC).rows[0]
        assert row.count == 2
        assert row.p50 == pytest.approx(2.0, rel=0.01)


def test_text_is_searched_and_not_summed(store: LogStore) -> None:
    with pytest.raises(FilterRefused, match="text"):
        store.stats(("workflow",), Filter(text="x"), UTC)


def test_the_two_hours_of_an_autumn_night_stay_two_and_the_day_has_25(store: LogStore) -> None:
    zone = ZoneInfo("Europe/Berlin")
    midnight = 1_792_879_200.0  # 2026-10-25 00:00 in Berlin, the night the clocks go back
    store.ship(batch(*(inference(midnight + 3600 * n + 60) for n in range(26))))
    for settled in (False, True):
        if settled:
            store.rollup(midnight + 30 * 3600)
        hours = [row.group["hour"] for row in store.stats(("hour",), Filter(), zone).rows]
        assert len(hours) == 26
        assert hours[2:4] == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"] or hours[2:4] == [
            "2026-10-25T02:00+01:00",
            "2026-10-25T02:00+02:00",
        ]
        days = {row.group["day"]: row.count for row in store.stats(("day",), Filter(), zone).rows}
        assert days == {"2026-10-25": 25, "2026-10-26": 1}


@pytest.mark.parametrize("name", ["Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_hours_of_zones_with_odd_offsets_are_theirs(store: LogStore, name: str) -> None:
    zone = ZoneInfo(name)
    store.ship(batch(*(inference(NOON + 900 * n) for n in range(16))))
    store.rollup(NOON + 20_000)
    rows = store.stats(("hour",), Filter(), zone).rows
    assert sum(row.count for row in rows) == 16
    assert all((row.group["hour"] or "")[14:16] == "00" for row in rows)
    assert max(row.count for row in rows) == 4


def test_retention_takes_bodies_first_and_facts_at_last(store: LogStore) -> None:
    old, fresh = inference(NOON - 40 * 86400, body="old"), inference(NOON, body="fresh")
    store.ship(batch(old, fresh))
    done = store.expire(NOON, Retention(bodies=30 * 86400, facts=400 * 86400))
    assert done.bodies == 1
    entry = store.get(old.id)
    assert entry is not None
    assert entry.inference.request is None
    assert entry.inference.bodies_dropped == "expired"
    assert store.get(fresh.id).inference.request is not None  # type: ignore[union-attr]
    assert store.expire(NOON, Retention(bodies=30 * 86400, facts=20 * 86400)).facts == 1
    assert store.get(old.id) is None
    assert [item.id for item in store.find(Filter()).items] == [fresh.id]


def test_a_forgotten_user_is_gone_and_stays_gone_until_new_calls(store: LogStore) -> None:
    mine, other = inference(unit="u-42", body="me", tags={"a": "b"}), inference(unit="u-7")
    waiting = inference(unit="u-42")
    store.ship(
        Batch(
            ends=[mine, other],
            starts=[("w0", 1, start_of(waiting))],
            feedback=[Feedback(inference=mine.id, ts=NOON, name="thumb")],
            malformed=[Quarantined(SEGMENT, 0, "bad", b'{"unit":"u-42"')],
        )
    )
    counts = store.forget("u-42", NOON + 10)
    assert counts == {
        "facts": 1, "bodies": 1, "feedback": 1, "open starts": 1, "quarantine": 1, "cold facts": 0,
    }  # fmt: skip
    assert store.get(mine.id) is None
    again = store.ship(Batch(ends=[mine], starts=[("w0", 1, start_of(waiting))]))
    assert (again.stored, again.forgotten) == (0, 1)
    assert store.open_boots() == set()
    assert store.search("u-42")["rows"] == 0
    returned = inference(NOON + 20, unit="u-42")
    assert store.ship(batch(returned)).stored == 1
    assert {item.id for item in store.find(Filter()).items} == {other.id, returned.id}
    assert store.forget("nobody", NOON)["facts"] == 0


def test_a_line_with_an_impossible_number_keeps_no_other_out(store: LogStore) -> None:
    odd = inference(tokens=Tokens(input=10**30, output=2**63))
    good = inference(NOON + 1)
    assert store.ship(batch(odd, good)).stored == 2
    assert store.get(good.id) is not None
    assert store.get(odd.id) is not None
