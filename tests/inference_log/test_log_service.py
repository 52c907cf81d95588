"""Filters from text, pages, exports, forgetting across stores."""

from __future__ import annotations

import csv
import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from records import NOON, batch, inference

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.inference_log import segments
from roadworthy.inference_log.export import columns, export
from roadworthy.inference_log.model import Filter, FilterRefused, parse_dimensions, parse_filter
from roadworthy.inference_log.segments import SegmentName, decode_inference, encode
from roadworthy.inference_log.service import Log, Shipper
from roadworthy.operations.forget import Forgetter, UnitRefused
from roadworthy.workflow.inference import Inference, Rung

UTC = ZoneInfo("UTC")


@pytest.fixture
def log(tmp_path: Path) -> Log:
    store = MemoryLog()
    store.ship(batch(*(inference(NOON + n) for n in range(5))))
    return Log(store, Shipper(tmp_path, store), zone=UTC, now=lambda: NOON)


def test_a_filter_is_read_from_a_query_string() -> None:
    found = parse_filter(
        {"workflow": "triage", "user": "u-42", "class": "tester", "since": "2026-11-02T12:00", "until": "1793700000",
         "min-cost": "0.5", "outcome": "error,canned", "text": ""},
        ZoneInfo("Europe/Berlin"),
    )  # fmt: skip
    assert found == Filter(
        workflow="triage", unit="u-42", traffic="tester", since=NOON - 3600, until=1_793_700_000.0, min_cost=0.5,
        outcome="error,canned",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"worklow": "x"}, "'worklow' is not known: use one of team, workflow"),
        ({"outcome": "error,broken"}, "outcome 'broken' is not known: use one of answered"),
        ({"since": "tuesday"}, "since 'tuesday' is not an instant: give ISO 8601"),
        ({"min_cost": "-1"}, "min_cost '-1' is not a number"),
        ({"slower_than": "nan"}, "slower_than 'nan' is not a number"),
        ({"since": "200", "until": "100"}, "since (200) is not before until (100): swap them"),
    ],
)
def test_a_filter_that_is_none_says_what_was_expected(values: dict[str, str], words: str) -> None:
    with pytest.raises(FilterRefused) as refused:
        parse_filter(values)
    assert words in str(refused.value)


def test_dimensions_are_read_with_their_other_names() -> None:
    assert parse_dimensions("workflow, class,hour,tag:plan,class") == ("workflow", "traffic", "hour", "tag:plan")
    with pytest.raises(FilterRefused, match="'wokflow' is not known"):
        parse_dimensions("wokflow")
    with pytest.raises(FilterRefused, match="tag:"):
        parse_dimensions("tag:")


@pytest.mark.parametrize("cursor", ["x", "1~", "~inf", "now~inf_1"])
def test_a_cursor_that_is_none_is_refused(log: Log, cursor: str) -> None:
    with pytest.raises(FilterRefused, match="cursor"):
        log.find(Filter(), after=cursor)


def test_pages_are_bounded(log: Log) -> None:
    for limit in (0, 1001):
        with pytest.raises(FilterRefused, match="give 1 to 1000"):
            log.find(Filter(), limit)
    with pytest.raises(FilterRefused, match="exclude each other"):
        log.find(Filter(), after="1~a", before="1~a")
    page = log.find(Filter(), 2)
    assert page.next is not None
    assert len(log.find(Filter(), 10, after=page.next).items) == 3


def test_stats_take_dimensions_as_text(log: Log) -> None:
    assert log.stats("workflow,day", Filter()).rows[0].group == {
        "workflow": "triage", "day": "2026-11-02", "traffic": "live",
    }  # fmt: skip
    assert log.stats("", Filter()).rows[0].count == 5


DANGEROUS = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1"]


def test_no_text_of_a_caller_is_a_formula_in_a_csv() -> None:
    records = [inference(unit=text, tags={"a": text}) for text in DANGEROUS]
    rows = list(csv.DictReader(io.StringIO(b"".join(export(records, "csv", bodies=False)).decode())))
    assert [row["unit"] for row in rows] == [f"'{text}" for text in DANGEROUS]
    assert all(not row[name].startswith(("=", "+", "@")) for row in rows for name in row)
    assert [float(row["ts"]) for row in rows] == [NOON] * len(rows)


def test_every_fact_is_a_column_of_an_export() -> None:
    left_out = {"unit_source", "span", "parent_span", "bodies_dropped", "tokens"}  # tokens: a column a kind
    assert set(Inference.__struct_fields__) - left_out <= set(columns(bodies=True))
    record = inference(ladder=[Rung("slow", "retry", "main", 0.1)], cached_age=2.5, drill="stream/cut")
    [row] = csv.DictReader(io.StringIO(b"".join(export([record], "csv", bodies=False)).decode()))
    assert (row["cached_age"], row["drill"]) == ("2.5", "stream/cut")
    assert json.loads(row["ladder"]) == [{"failure": "slow", "step": "retry", "target": "main", "at": 0.1}]


def test_an_export_in_json_is_an_array_of_whole_records() -> None:
    records = [inference(body=f"text {n}") for n in range(3)]
    data = b"".join(export(records, "json", bodies=True))
    assert [item["id"] for item in json.loads(data)] == [record.id for record in records]
    assert decode_inference(data.split(b"\n")[1].rstrip(b",")) == records[0]
    assert b"".join(export([], "json", bodies=False)) == b"[]\n"


def test_an_export_in_parquet_is_read_back_whole() -> None:
    records = [inference(NOON + n, body=f"text {n}", cost_usd=None if n else 0.5) for n in range(4500)]
    data = b"".join(export(records, "parquet", bodies=True))
    table = pq.read_table(io.BytesIO(data))
    assert table.num_rows == 4500
    assert table.column("id").to_pylist() == [record.id for record in records]
    assert table.column("cost_usd")[1].as_py() is None
    assert "text 7" in table.column("request")[7].as_py()
    assert pq.read_table(io.BytesIO(b"".join(export([], "parquet", bodies=False)))).num_rows == 0


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_an_export_holds_little_at_a_time_however_long_it_is(kind: str) -> None:
    body = "x" * 2000

    def many() -> Iterator[Inference]:
        for n in range(6000):
            yield inference(NOON + n, body=body)

    tracemalloc.start()
    for _ in export(many(), kind, bodies=True):  # type: ignore[arg-type]
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000  # 6,000 inferences hold more


class Notes:
    """Another store that knows users."""

    name = "notes"

    def __init__(self) -> None:
        self.units = ["u-42", "u-7"]

    def forget(self, unit: str, at: float) -> int:
        before = len(self.units)
        self.units = [known for known in self.units if known != unit]
        return before - len(self.units)

    def search(self, unit: str) -> int:
        return self.units.count(unit)


def test_forgetting_reaches_log_journal_and_other_stores_and_proves_it(tmp_path: Path) -> None:
    journal, store = tmp_path / "journal", SqliteLog(tmp_path / "log.db")
    shipper, notes = Shipper(journal, store), Notes()
    unit = "user-number-4711"
    store.ship(batch(inference(unit=unit), inference(unit="u-7")))
    name = SegmentName("w0", 1_763_870_000_000, 1)
    fd = segments.create(journal, name)
    for record in (inference(unit=unit), inference(unit="u-7")):
        os.write(fd, encode(record))
    done = Forgetter(store, shipper, journal, [notes], now=lambda: NOON + 60).forget(unit)
    assert done.deleted["facts"] == 2
    assert done.deleted["notes"] == 0
    assert done.complete
    assert set(done.found) == {"rows", "cold rows", "bytes of log.db", "bytes of log.db-wal", "notes"}
    assert done.waiting == {f"journal/w0/{name.file}": 1}
    assert "rotate" in done.note
    os.write(fd, encode(inference(unit=unit)))  # was in flight
    os.close(fd)
    assert shipper.ship().forgotten == 1
    assert [item.unit for item in store.find(Filter()).items] == ["u-7", "u-7"]
    again = Forgetter(store, shipper, journal, [notes], now=lambda: NOON + 90).forget("u-42")
    assert again.deleted["notes"] == 1
    assert again.waiting == {}
    store.close()


def test_nobody_cannot_be_forgotten(tmp_path: Path) -> None:
    store = MemoryLog()
    with pytest.raises(UnitRefused, match="user is empty"):
        Forgetter(store, Shipper(tmp_path, store), tmp_path).forget("  ")
