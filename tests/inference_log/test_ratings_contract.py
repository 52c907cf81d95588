"""What every log store tells of what our own scorers said of calls."""

from __future__ import annotations

from typing import Any

import pytest
from records import NOON, batch, inference

from roadworthy.inference_log.model import Batch, Rating
from roadworthy.inference_log.ports import LogStore
from roadworthy.workflow.inference import Feedback, Inference


def said(row: Inference, name: str = "polite", score: float | None = 1.0, by: str = "scorer:judge") -> Feedback:
    return Feedback(row.id, row.ts + 60, name, score, None, by)


@pytest.fixture
def rows(store: LogStore) -> list[Inference]:
    more: list[dict[str, Any]] = [
        {}, {"unit": None, "unit_source": "random"}, {"workflow": "other"}, {"traffic": "eval"}, {"digest": None},
    ]  # fmt: skip
    found = [inference(NOON + at, **fields) for at, fields in enumerate(more)]
    store.ship(batch(*found))
    return found


def test_scores_of_live_calls_come_oldest_first_with_who_called(store: LogStore, rows: list[Inference]) -> None:
    lines = [said(row, score=0.25) for row in reversed(rows)] + [said(rows[0], "short")]
    store.ship(Batch(feedback=lines))
    assert store.ratings("triage", ["polite", "short"], NOON, NOON + 9) == [
        Rating(rows[0].id, NOON, "u-1", rows[0].digest, "polite", 0.25),
        Rating(rows[0].id, NOON, "u-1", rows[0].digest, "short", 1.0),
        Rating(rows[1].id, NOON + 1, rows[1].id, rows[1].digest, "polite", 0.25),
        Rating(rows[4].id, NOON + 4, "u-1", None, "polite", 0.25),
    ]
    assert store.ratings("triage", ["short"], NOON + 1, NOON + 9) == []
    assert store.ratings("triage", [], NOON, NOON + 9) == []


def test_what_callers_say_and_what_has_no_number_is_none_of_it(store: LogStore, rows: list[Inference]) -> None:
    store.ship(Batch(feedback=[said(rows[0], by="u-1"), said(rows[0], score=None), said(rows[0], "tone", 0.0)]))
    assert [each.name for each in store.ratings("triage", ["polite", "tone"], NOON, NOON + 9)] == ["tone"]
