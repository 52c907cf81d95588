"""One suite for what both adapters of the state port keep of mailed links and pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.people.links.model import Link
from roadworthy.people.paging.model import Page, Proof

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def page(number: int, **more: Any) -> Page:
    fields: dict[str, Any] = {
        "id": f"pag_{number}", "incident": "inc_1", "workflow": "support", "team": "default", "person": "ada",
        "hop": number, "state": "sent", "made_at": 10.0, "due_at": 100.0 - number, "chain": "pag_0",
        "sendings": [10.0 + number], "proofs": [Proof("mail", "msg_1", 11.0, True, "250 ü")],
    }  # fmt: skip
    return Page(**{**fields, **more})


def test_a_link_is_found_by_its_hash_replaced_and_expires(state: Store) -> None:
    link = Link("a" * 64, "hash1", "stop", "support", "ada", 1.0, 50.0)
    other = Link("b" * 64, "hash2", "acknowledge", "inc_1", "bob", 1.0, 60.0, 5.0)
    with state.write() as tx:
        for each in (link, other, Link("a" * 64, "hash1", "stop", "support", "ada", 1.0, 50.0, 7.0)):
            tx.put_link(each)
    with state.read() as tx:
        assert tx.link("hash2") == other
        found = tx.link("hash1")
        assert found is not None
        assert found.used_at == 7.0
        assert tx.link("hash3") is None
    with state.write() as tx:
        assert tx.expire_links(60.0) == 1
        assert tx.link("hash1") is None
        assert tx.link("hash2") == other


def test_pages_of_an_incident_come_last_hop_first(state: Store) -> None:
    rows = [
        page(0, state="handed_up", due_at=None),
        page(2),
        page(1, state="failed"),
        page(5, incident="inc_2", made_at=9.0),
    ]
    with state.write() as tx:
        for row in rows:
            tx.put_page(row)
    with state.read() as tx:
        assert tx.page("pag_2") == rows[1]
        assert [row.hop for row in tx.pages(incident="inc_1")] == [2, 1, 0]
        assert [row.id for row in tx.pages(live_only=True)] == ["pag_2", "pag_1", "pag_5"]
        assert [row.id for row in tx.pages(limit=1)] == ["pag_2"]


def test_pages_are_due_in_their_order_and_found_by_whom_they_went_to(state: Store) -> None:
    with state.write() as tx:
        for row in (page(1), page(2), page(3, due_at=None, person="bob"), page(4, due_at=101.0)):
            tx.put_page(row)
    with state.read() as tx:
        assert [row.id for row in tx.due_pages(100.0, 9)] == ["pag_2", "pag_1"]
        assert [row.id for row in tx.due_pages(100.0, 1)] == ["pag_2"]
        assert [row.id for row in tx.pages_to("ada", 12.0)] == ["pag_2", "pag_4"]


def test_only_what_ended_goes(state: Store) -> None:
    with state.write() as tx:
        for row in (page(1), page(2, ended_at=20.0), page(3, ended_at=30.0)):
            tx.put_page(row)
        assert tx.expire_pages(30.0) == 1
        assert [row.id for row in tx.pages()] == ["pag_3", "pag_1"]
