"""What only the SQLite log does: cold days, buckets, packed bodies, erasure on disk."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import NOON, batch, inference, start_of

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.sqlite import log_cold, log_parquet
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.adapters.sqlite.log_schema import LogTooNew
from roadworthy.inference_log.model import Batch, Cursor, Filter, Quarantined, StatsRow
from roadworthy.inference_log.segments import SegmentName
from roadworthy.statistics.sketch import RELATIVE_ERROR
from roadworthy.workflow.model import Retention

UTC = ZoneInfo("UTC")
DAY = 86_400.0
KEEP = Retention(bodies=400 * DAY, facts=400 * DAY, cold_after=7 * DAY)


def cold_files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "cold"))


def everything(store: SqliteLog, **where: object) -> list[str]:
    return [item.id for item in store.scan(Filter(**where))]  # type: ignore[arg-type]


def test_old_days_move_to_parquet_and_every_question_still_gets_its_answer(sqlite: SqliteLog, tmp_path: Path) -> None:
    records = [
        inference(NOON - n * 6 * 3600, unit=f"u-{n % 3}", tags={"n": str(n % 2)}, body=f"text {n}") for n in range(80)
    ]
    sqlite.ship(batch(*records))
    twin = MemoryLog()
    twin.ship(batch(*records))
    done = sqlite.expire(NOON, KEEP)
    assert done.moved == 49  # days that ended 7 days ago or more
    assert len(cold_files(tmp_path)) == done.days == 13
    for where in (
        {},
        {"unit": "u-1"},
        {"tag": "n=1"},
        {"text": "TEXT 7"},
        {"since": NOON - 9 * DAY, "until": NOON - DAY},
    ):
        expected = [item.id for item in twin.scan(Filter(**where))]  # type: ignore[arg-type]
        assert everything(sqlite, **where) == expected
    for record in records:
        entry = sqlite.get(record.id)
        assert entry is not None
        assert entry.inference == record
    assert_same_stats(sqlite, twin, ("unit",))
    assert_same_stats(sqlite, twin, ("tag:n", "day"))
    assert_same_stats(sqlite, twin, ("workflow", "day"))
    seen, cursor = [], None
    while True:
        page = sqlite.find(Filter(), 9, after=cursor)
        seen += [item.id for item in page.items]
        if page.next is None:
            break
        cursor = Cursor.parse(page.next)
    assert seen == [record.id for record in records]


def assert_same_stats(store: SqliteLog, twin: MemoryLog, by: tuple[str, ...], where: Filter = Filter()) -> None:  # noqa: B008
    def rows(found: list[StatsRow]) -> dict[tuple[str | None, ...], StatsRow]:
        return {tuple(row.group.values()): row for row in found}

    mine, exact = rows(store.stats(by, where, UTC).rows), rows(twin.stats(by, where, UTC).rows)
    assert mine.keys() == exact.keys()
    for key, row in mine.items():
        wanted = exact[key]
        assert (row.count, row.outcomes, row.tokens, row.cost_unknown) == (
            wanted.count, wanted.outcomes, wanted.tokens, wanted.cost_unknown,
        )  # fmt: skip
        assert row.cost_usd == pytest.approx(wanted.cost_usd)


def test_a_late_row_of_a_cold_day_joins_it(sqlite: SqliteLog, tmp_path: Path) -> None:
    old = NOON - 20 * DAY
    sqlite.ship(batch(inference(old, latency=1.0)))
    sqlite.rollup(NOON)
    sqlite.expire(NOON, KEEP)
    late = inference(old + 1, latency=3.0)
    sqlite.ship(batch(late))
    assert len(everything(sqlite)) == 2
    for _ in range(2):
        row = sqlite.stats(("workflow",), Filter(), UTC).rows[0]
        assert (row.count, row.outcomes) == (2, {"answered": 2})
        sqlite.rollup(NOON)
    assert sqlite.expire(NOON, KEEP).moved == 1
    sqlite.expire(NOON, KEEP)
    assert len(cold_files(tmp_path)) == 1
    assert len(everything(sqlite)) == 2


def test_a_crash_while_a_day_moves_loses_and_doubles_nothing(
    sqlite: SqliteLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [inference(NOON - 20 * DAY + n) for n in range(5)]
    sqlite.ship(batch(*records))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(log_cold.ColdDays, "point", die)
        with pytest.raises(KeyboardInterrupt):
            sqlite.expire(NOON, KEEP)
    assert len(cold_files(tmp_path)) == 1  # written, counted by nobody
    assert len(everything(sqlite)) == 5
    assert sqlite.expire(NOON, KEEP).moved == 5
    assert everything(sqlite) == [record.id for record in records]
    assert len(cold_files(tmp_path)) == 1


def test_a_file_that_holds_other_than_was_written_deletes_nothing(
    sqlite: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite.ship(batch(inference(NOON - 20 * DAY)))

    class Metadata:
        num_rows = 0

    with monkeypatch.context() as patch:
        patch.setattr(log_parquet.pq, "read_metadata", lambda _: Metadata())
        with pytest.raises(log_cold.ColdMismatch, match="holds 0 rows, 1 were written"):
            sqlite.expire(NOON, KEEP)
    assert len(everything(sqlite)) == 1


def test_cold_days_past_their_retention_are_deleted(sqlite: SqliteLog, tmp_path: Path) -> None:
    sqlite.ship(batch(inference(NOON - 300 * DAY), inference(NOON - 20 * DAY)))
    assert sqlite.expire(NOON, KEEP).moved == 2
    assert sqlite.expire(NOON, Retention(facts=100 * DAY)).facts == 1
    assert len(cold_files(tmp_path)) == 1


OFFSETS = st.lists(
    st.tuples(
        st.integers(0, 3 * 3600),
        st.sampled_from(["answered", "error", "recovered"]),
        st.floats(0.001, 100),
        st.sampled_from([None, 0.01]),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OFFSETS, min_size=1, max_size=3), st.integers(0, 3 * 3600), st.integers(1, 3 * 3600))
def test_buckets_equal_facts_however_late_rows_arrive_and_however_the_range_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    shipments: list[list[tuple[int, str, float, float | None, bool]]],
    since: int,
    length: int,
) -> None:
    store, twin = SqliteLog(tmp_path_factory.mktemp("log") / "log.db"), MemoryLog()
    where = Filter(since=NOON + since, until=NOON + since + length)
    for shipment in shipments:
        records = [
            inference(NOON + at, outcome=outcome, latency=latency, cost_usd=cost, workflow="a" if flag else "b")
            for at, outcome, latency, cost, flag in shipment
        ]
        store.ship(batch(*records))
        twin.ship(batch(*records))
        for narrowed in (Filter(), where, Filter(workflow="a", outcome="error,recovered")):
            for by in (("workflow", "hour"), ("outcome",)):
                assert store.stats(by, narrowed, UTC).source == "buckets"
                assert_same_stats(store, twin, by, narrowed)
        store.rollup(NOON + 2 * 3600)
    row = store.stats((), Filter(workflow="a"), UTC).rows
    latencies = sorted(item.latency for item in twin.scan(Filter(workflow="a")))
    if latencies:
        exact = latencies[int(0.95 * (len(latencies) - 1))]
        assert row[0].p95 == pytest.approx(exact, rel=RELATIVE_ERROR * 1.01)
    store.close()


def test_settled_hours_answer_for_their_buckets(sqlite: SqliteLog, tmp_path: Path) -> None:
    sqlite.ship(batch(*(inference(NOON + 60 * n) for n in range(180))))
    sqlite.rollup(NOON + 3 * 3600)
    with sqlite3.connect(tmp_path / "log.db") as check:
        assert check.execute("SELECT count(*) FROM settled WHERE width = 3600").fetchone() == (3,)
        check.execute("DELETE FROM bucket WHERE width = 300")
        check.commit()
    row = sqlite.stats(("workflow",), Filter(), UTC).rows[0]
    assert row.count == 180
    sqlite.ship(batch(inference(NOON + 30)))  # late: the hour no longer answers
    with sqlite3.connect(tmp_path / "log.db") as check:
        assert check.execute("SELECT count(*) FROM settled WHERE width = 3600").fetchone() == (2,)


def files_holding(folder: Path, needle: bytes) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_nothing_of_a_forgotten_user_is_left_in_any_file(sqlite: SqliteLog, tmp_path: Path) -> None:
    unit = "unit-to-be-forgotten-4711"
    mine = [inference(NOON - n * DAY, unit=unit, body="words of mine", tags={"who": unit}) for n in range(20)]
    others = [inference(NOON - n * DAY + 1, unit="u-other") for n in range(20)]
    bad = Quarantined(SegmentName("w0", 1, 1), 0, "bad", unit.encode())
    sqlite.ship(Batch(ends=mine + others, starts=[("w0", 1, start_of(inference(unit=unit)))], malformed=[bad]))
    sqlite.expire(NOON, KEEP)
    sqlite.rollup(NOON)
    list(sqlite.scan(Filter(unit=unit)))
    assert files_holding(tmp_path, unit.encode())
    counts = sqlite.forget(unit, NOON + 60)
    assert counts["facts"] + counts["cold facts"] == counts["bodies"] == 20
    assert counts["cold facts"] == 12
    assert set(sqlite.search(unit).values()) == {0}
    assert files_holding(tmp_path, unit.encode()) == []
    assert everything(sqlite) == [record.id for record in reversed(others)]
    sqlite.rollup(NOON + 600)
    assert sqlite.stats(("workflow",), Filter(), UTC).rows[0].count == 20


def test_a_restored_backup_forgets_what_was_forgotten_since(tmp_path: Path) -> None:
    store = SqliteLog(tmp_path / "log.db")
    mine, other = inference(unit="u-42"), inference(unit="u-7")
    store.ship(batch(mine, other))
    store.close()
    shutil.copy(tmp_path / "log.db", tmp_path / "backup.db")
    store = SqliteLog(tmp_path / "log.db")
    store.forget("u-42", NOON + 1)
    store.close()
    shutil.copy(tmp_path / "backup.db", tmp_path / "log.db")
    store = SqliteLog(tmp_path / "log.db")
    assert everything(store) == [other.id]
    store.close()


def test_the_tombstone_file_names_nobody(sqlite: SqliteLog, tmp_path: Path) -> None:
    sqlite.forget("alice@example.org", NOON)
    assert b"alice" not in (tmp_path / "forgotten.jsonl").read_bytes()
    assert (tmp_path / "forgotten.jsonl").stat().st_mode & 0o777 == 0o600


def test_bodies_are_packed_and_stay_readable_after_the_dictionary_changes(sqlite: SqliteLog, tmp_path: Path) -> None:
    text = "The customer says that the parcel has not arrived. " * 20
    first = inference(body=text)
    sqlite.ship(batch(first))
    sqlite.train([b"You triage support messages. Answer with topic, urgency and reply." * 4, b'{"type":"object"}'])
    second = inference(body=text)
    sqlite.ship(batch(second))
    with sqlite3.connect(tmp_path / "log.db") as check:
        sizes = check.execute("SELECT dictionary, length(data) FROM body ORDER BY dictionary").fetchall()
    assert [dictionary for dictionary, _ in sizes] == [1, 2]
    assert all(size < len(text) / 5 for _, size in sizes)
    for record in (first, second):
        entry = sqlite.get(record.id)
        assert entry is not None
        assert entry.inference == record


def test_no_live_body_reaches_a_dictionary(sqlite: SqliteLog, tmp_path: Path) -> None:
    sqlite.ship(batch(*(inference(body=f"my secret is 81726354 {n}") for n in range(50))))
    sqlite.train([b"You triage support messages."])
    with sqlite3.connect(tmp_path / "log.db") as check:
        for (data,) in check.execute("SELECT data FROM dictionary"):
            assert b"81726354" not in data


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (Filter(workflow="triage", unit="u-1"), "fact_unit"),
        (Filter(workflow="triage"), "fact_workflow"),
        (Filter(workflow="triage", since=NOON, until=NOON + 300), "fact_workflow"),
        (Filter(since=NOON), "fact_ts"),
        (Filter(outcome="error,canned"), "fact_bad"),
    ],
)
def test_the_questions_people_ask_use_an_index(sqlite: SqliteLog, tmp_path: Path, where: Filter, index: str) -> None:
    from roadworthy.adapters.sqlite.log_query import SELECT, conditions

    sqlite.ship(batch(*(inference(NOON + n, unit=f"u-{n % 7}") for n in range(200))))
    sql, values = conditions(where)
    connection = apsw.Connection(str(tmp_path / "log.db"))
    plan = connection.execute(f"EXPLAIN QUERY PLAN {SELECT} WHERE {sql} ORDER BY ts DESC, id DESC", values).fetchall()
    assert any(index in str(row[3]) for row in plan), plan
    connection.close()


def test_a_log_of_a_later_version_is_refused_with_its_mend(tmp_path: Path) -> None:
    SqliteLog(tmp_path / "log.db").close()
    with sqlite3.connect(tmp_path / "log.db") as check:
        check.execute("PRAGMA user_version = 99")
    with pytest.raises(LogTooNew, match="format 99"):
        SqliteLog(tmp_path / "log.db")


def test_readers_never_wait_for_a_shipment_and_see_one_state(sqlite: SqliteLog) -> None:
    records = [inference(NOON + n) for n in range(30)]
    random.Random(1).shuffle(records)
    sqlite.ship(batch(*records[:15]))
    reading = sqlite.scan(Filter())
    next(reading)
    sqlite.ship(batch(*records[15:]))
    assert sum(1 for _ in reading) == 14
    assert len(everything(sqlite)) == 30


def test_nobody_else_may_read_the_databases_files(sqlite: SqliteLog, tmp_path: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("log.db*")}
    assert modes
    assert set(modes.values()) == {0o600}
