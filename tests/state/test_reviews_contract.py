"""One suite for what both adapters of the state port keep of reviews."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.people.review.model import Facts, Figure, Review

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def review(number: int, **more: Any) -> Review:
    fields: dict[str, Any] = {
        "id": f"rev_{number}", "team": "default", "workflow": "support", "kind": "weekly", "period": f"2026-W{number}",
        "since": float(number), "until": number + 1.0, "drafted_at": number + 2.0, "overdue_at": number + 3.0,
        "facts": Facts("ü", [Figure("Calls", "count", 3.0, None)]),
    }  # fmt: skip
    return Review(**{**fields, **more})


def test_a_review_comes_back_whole_and_is_replaced_by_its_id(state: Store) -> None:
    with state.write() as tx:
        tx.put_review(review(1))
        tx.put_review(signed := replace(review(1), state="signed", signed_by="ada", signed_at=9.0, decisions=["keep"]))
    with state.read() as tx:
        assert tx.review("rev_1") == signed
        assert tx.review("rev_2") is None
        assert list(tx.reviews()) == [signed]


def test_the_newest_period_comes_first_and_each_filter_counts(state: Store) -> None:
    rows = (review(1), review(3), review(2, workflow="other"), review(4, kind="monthly"), review(5, state="signed"))
    with state.write() as tx:
        for row in rows:
            tx.put_review(row)
    with state.read() as tx:

        def ids(**where: Any) -> list[str]:
            return [each.id for each in tx.reviews(**where)]

        assert ids() == ["rev_5", "rev_4", "rev_3", "rev_2", "rev_1"]
        assert ids(workflow="other") == ["rev_2"]
        assert ids(kind="monthly") == ["rev_4"]
        assert ids(state="drafted", limit=2) == ["rev_4", "rev_3"]
