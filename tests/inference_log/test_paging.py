"""Pages of a search that may not wait: the same calls as ``find`` gives, in as many pages as patience makes of them."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from records import NOON, batch, inference

from roadworthy.inference_log.model import Cursor, Filter, FilterRefused, Page
from roadworthy.inference_log.paging import newer, older
from roadworthy.inference_log.ports import LogStore
from roadworthy.inference_log.service import Log, Shipper
from roadworthy.workflow.model import Retention

DAY = 86_400.0
ENDLESS = 60.0
AT_ONCE = 0.0
SEARCHES = (Filter(), Filter(outcome="error"), Filter(since=NOON - 2 * DAY, until=NOON - DAY), Filter(unit="nobody"))


@pytest.fixture
def filled(store: LogStore) -> LogStore:
    """Nine days, a call an hour, one in fifty is an error; the first days are cold."""
    rows = [
        inference(NOON - hour * 3600.0, outcome="error" if hour % 50 == 7 else "answered", workflow=f"w{hour % 3}")
        for hour in range(9 * 24)
    ]
    store.ship(batch(*rows))
    store.expire(NOON, Retention(cold_after=4 * DAY))
    return store


def everything(store: LogStore, where: Filter, patience: float, limit: int) -> tuple[list[str], int]:
    ids: list[str] = []
    after: Cursor | None = None
    for pages in range(1, 400):
        page = older(store, where, limit, after, patience)
        ids += [row.id for row in page.items]
        if page.next is None:
            return ids, pages
        after = Cursor.parse(page.next)
    raise AssertionError("it never ends")


@pytest.mark.parametrize("patience", [AT_ONCE, ENDLESS])
@pytest.mark.parametrize("where", SEARCHES)
def test_pages_of_any_patience_hold_every_match_once(filled: LogStore, where: Filter, patience: float) -> None:
    whole = [row.id for row in filled.find(where, 1000).items]
    found, pages = everything(filled, where, patience, 20)
    assert found == whole
    assert patience == AT_ONCE or pages <= len(whole) // 20 + 1


def test_who_loses_patience_is_told_how_far_it_looked(filled: LogStore) -> None:
    page = older(filled, Filter(unit="nobody"), 20, None, AT_ONCE)
    assert not page.items
    assert page.next is not None
    assert page.reached is not None
    assert NOON - DAY < page.reached < NOON
    assert older(filled, Filter(unit="nobody"), 20, None, ENDLESS) == Page([])


@pytest.mark.parametrize("patience", [AT_ONCE, ENDLESS])
def test_newer_pages_lead_back_to_the_newest(filled: LogStore, patience: float) -> None:
    whole = [row.id for row in filled.find(Filter(), 1000).items]
    cursor, found = Cursor.of(filled.find(Filter(), 1000).items[-1]), [whole[-1]]
    for _ in range(400):
        page = newer(filled, Filter(), 20, cursor, patience)
        found = [row.id for row in page.items] + found
        if page.previous is None:
            break
        cursor = Cursor.parse(page.previous)
    assert found == whole


def test_a_page_and_the_one_after_it_meet(filled: LogStore) -> None:
    first = older(filled, Filter(), 20, None, ENDLESS)
    second = older(filled, Filter(), 20, Cursor.parse(first.next or ""), ENDLESS)
    back = newer(filled, Filter(), 20, Cursor.parse(second.previous or ""), ENDLESS)
    assert back.items == first.items


def test_who_may_read_some_workflows_finds_only_their_calls(filled: LogStore) -> None:
    where = Filter(among="w0,w2", since=NOON - 6 * DAY)
    found = filled.find(where, 1000).items
    assert {row.workflow for row in found} == {"w0", "w2"}
    each = [len(filled.find(Filter(workflow=name, since=where.since), 1000).items) for name in ("w0", "w2")]
    assert len(found) == sum(each)
    assert sum(row.count for row in filled.stats(["workflow"], where, ZoneInfo("UTC")).rows) == len(found)
    assert filled.customers(where) == 1
    assert filled.find(Filter(among="w0", workflow="w1")).items == []


def test_the_log_knows_from_when_to_when_it_reaches(store: LogStore) -> None:
    assert store.reach() is None
    store.ship(batch(inference(NOON), inference(NOON - DAY)))
    reach = store.reach()
    assert reach is not None
    assert (reach.oldest, reach.newest) == (NOON - DAY, NOON)


def test_the_beginning_of_an_id_finds_it(store: LogStore, tmp_path: Path) -> None:
    record = inference(NOON)
    store.ship(batch(record, inference(NOON + 60.0)))
    log = Log(store, Shipper(tmp_path / "journal", store), zone=ZoneInfo("UTC"))
    assert log.begin_with(record.id[:20]) == [record.id]
    assert log.begin_with("inf_00000000") == []
    with pytest.raises(FilterRefused):
        log.search(Filter(), 0)
    with pytest.raises(FilterRefused):
        log.search(Filter(), after="nonsense")
