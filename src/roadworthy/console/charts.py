"""Hours of a workflow as series for the charts of its page.  Two questions to the log, answered from its buckets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from roadworthy.inference_log.model import ASKED, Filter, StatsRow
from roadworthy.inference_log.service import Log

HOUR: Final = 3600.0
Span = Literal["24h", "7d"]
HOURS: Final[dict[Span, int]] = {"24h": 24, "7d": 168}
KINDS: Final[dict[str, tuple[str, ...]]] = {
    "answered": ("answered", "cached"),
    "after trouble": ("recovered",),
    "fixed text or a person": ("canned", "escalated", "blocked"),
    "failed": ("error", "limited"),
}
"""Line → outcomes in it.  Bypassed and abandoned calls say nothing about the release."""

Chart = dict[str, Any]


def gathered(log: Log, workflow: str, span: Span, now: float) -> dict[str, Chart]:
    """``latency``, ``outcomes`` and ``cost``, for ``ui.chart``; empty series where there was nothing."""
    first = (now // HOUR - HOURS[span] + 1) * HOUR
    where = Filter(workflow=workflow, traffic="live", since=first)
    rows, served = _by_hour(log, where), _by_hour(log, replace(where, route=ASKED))
    hours = [first + place * HOUR for place in range(HOURS[span])] if rows else []
    found, asked = [rows.get(hour) for hour in hours], [served.get(hour) for hour in hours]
    return {
        "latency": _chart(
            hours,
            ("usual (p50)", "s", [None if row is None else row.p50 for row in asked]),
            ("slow (p95)", "s", [None if row is None else row.p95 for row in asked]),
            ("slowest (p99)", "s", [None if row is None else row.p99 for row in asked]),
        ),
        "outcomes": _chart(hours, *((name, "count", _counts(found, kinds)) for name, kinds in KINDS.items())),
        "cost": _chart(hours, ("cost", "usd", [0.0 if row is None else row.cost_usd for row in found])),
    }


def _by_hour(log: Log, where: Filter) -> dict[float, StatsRow]:
    return {_instant(row.group["hour"] or ""): row for row in log.stats("hour", where, ZoneInfo("UTC")).rows}


def _counts(rows: Iterable[StatsRow | None], outcomes: tuple[str, ...]) -> list[float | None]:
    return [0 if row is None else sum(row.outcomes.get(outcome, 0) for outcome in outcomes) for row in rows]


def _chart(hours: list[float], *lines: tuple[str, str, list[float | None]]) -> Chart:
    return {"x": hours, "lines": [{"name": name, "unit": unit, "values": values} for name, unit, values in lines]}


def _instant(hour: str) -> float:
    """``2026-11-23T14:00+00:00`` → Unix seconds."""
    when = datetime.fromisoformat(hour)
    return (when if when.tzinfo else when.replace(tzinfo=ZoneInfo("UTC"))).timestamp()
