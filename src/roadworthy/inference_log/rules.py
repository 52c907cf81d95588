"""Pure decisions of the log: does an inference match, which hour is it, in which order are groups shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from roadworthy.inference_log.model import ANY, EQUAL, WORDED, Filter, StatsRow
from roadworthy.workflow.inference import Feedback, Inference
from roadworthy.workflow.reserved import DRILLED

TIMES = ("hour", "day")
MAY_COME = 3600.0
"""Seconds within which the record of an inference is expected, once somebody has judged it."""


def matches(where: Filter, inference: Inference) -> bool:
    """Everything but ``text``, which needs the bodies."""
    return _named(where, inference) and _measured(where, inference) and _tagged(where, inference)


def hidden(where: Filter) -> tuple[str, ...]:
    """Workflows whose calls are shown to whoever names them only: those of the kill drill."""
    return () if where.workflow is not None else tuple(DRILLED)


def _named(where: Filter, inference: Inference) -> bool:
    if inference.workflow in hidden(where):
        return False
    if where.among is not None and inference.workflow not in where.among.split(","):
        return False
    for field, column in EQUAL.items():
        value = getattr(where, field)
        if value is not None and getattr(inference, column) != value:
            return False
    for field in WORDED:
        words = where.words(field)
        if words and getattr(inference, field) not in words:
            return False
    if where.would is not None and not inference.would.startswith("" if where.would == ANY else where.would):
        return False
    if where.would is not None and not inference.would:
        return False
    return where.digest_prefix is None or (inference.digest or "").startswith(where.digest_prefix)


def _measured(where: Filter, inference: Inference) -> bool:
    if where.since is not None and inference.ts < where.since:
        return False
    if where.until is not None and inference.ts >= where.until:
        return False
    if where.min_cost is not None and (inference.cost_usd is None or inference.cost_usd < where.min_cost):
        return False
    # how long a lost call took is unknown
    return where.slower_than is None or (inference.failure != "gateway_lost" and inference.latency > where.slower_than)


def _tagged(where: Filter, inference: Inference) -> bool:
    if where.tag is None:
        return True
    name, value = where.tag_pair
    return name in inference.tags and value in (None, inference.tags[name])


DRAWN = (28, 36)
"""Where in an id the random digits stand by which it is drawn."""


def drawn_below(share: float) -> str:
    """An id is drawn when its digits at ``DRAWN`` are below these; a longer text than theirs draws all."""
    return "g" if share >= 1.0 else f"{int(max(0.0, share) * 2**32):08x}"


def may_rate(said: Feedback, about: tuple[str, str] | None) -> bool:
    """Is what a caller says stored?  ``about``: team and workflow of the inference; ``None``: it is not in the log.

    Fails closed: nobody rates what another team's or another workflow's callers got.  Of an inference that is not here
    (yet: another worker's journal may be behind) it is kept while the inference is young; who knows the id of one that
    is not shipped has made it.
    """
    if not said.team:
        return True
    if about is None:
        return said.ts - int(said.inference[4:16], 16) / 1000.0 < MAY_COME
    return about[0] == said.team and about[1] in said.workflows


def needles(text: str) -> tuple[bytes, ...]:
    """The text as it may stand in JSON: escaped, lower case, with other alphabets as they are or as ``\\u`` codes."""
    plain = json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "replace").lower()
    return tuple({plain, json.dumps(text)[1:-1].encode().lower()})


def labels(zone: ZoneInfo) -> dict[str, Callable[[float], str]]:
    """``hour`` and ``day`` of an instant in a zone.

    An hour carries its offset, so the two hours of an autumn night stay two (2026-10-25T02:00+02:00, +01:00).
    """

    @lru_cache(maxsize=100_000)
    def both(quarter: int) -> tuple[str, str]:
        local = datetime.fromtimestamp(quarter * 900, zone)  # every offset of every zone is whole quarters of an hour
        return local.replace(minute=0).isoformat(timespec="minutes"), local.strftime("%Y-%m-%d")

    return {"hour": lambda ts: both(int(ts // 900))[0], "day": lambda ts: both(int(ts // 900))[1]}


def sorted_rows(rows: Iterable[StatsRow], by: Sequence[str]) -> list[StatsRow]:
    """In the order of time where time is asked for, else the busiest group first."""

    def key(row: StatsRow) -> tuple[Any, ...]:
        names = [row.group[name] or "" for name in by]
        times = [row.group[name] or "" for name in by if name in TIMES]
        return (*times, *names) if times else (-row.count, *names)

    return sorted(rows, key=key)
