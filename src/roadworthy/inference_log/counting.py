"""What is counted of a call for a ramp.  Pure: the words of ``Kind`` as code, which SQL repeats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roadworthy.inference_log.model import BAD_LABELS, BAD_SCORE, NOT_JUDGED, Counted, Counting, Measured, Side
from roadworthy.workflow.inference import SERVED_BY_MODEL, Feedback, Inference

Said = Callable[[str, str], Sequence[Feedback]]
"""(inference, name) → the last word of each who said something of it."""


def counts(asked: Counting, row: Inference) -> bool:
    """Is the call one of those that are counted?"""
    mine = row.workflow == asked.workflow and row.ts >= asked.since and row.traffic == asked.traffic
    return mine and row.digest in asked.digests and not row.kill


def side_of(asked: Counting, rows: Sequence[Inference], said: Said) -> Side:
    counted = {each.name: _counted(each, rows, said) for each in asked.measured}
    return Side(len(rows), max((row.ts for row in rows), default=None), counted)


def is_bad(said: Feedback) -> bool:
    if said.score is not None:
        return said.score < BAD_SCORE
    return (said.label or "") in BAD_LABELS


def values(measured: Measured, row: Inference, said: Said) -> list[float]:
    """One value; none where the call is not judged; one for each who said something of it."""
    kind = measured.kind
    if kind == "said":
        return [float(is_bad(each)) for each in said(row.id, measured.said)]
    if kind == "cost":
        return [] if row.cost_usd is None else [row.cost_usd]
    if kind in ("latency", "slower"):
        if row.outcome not in SERVED_BY_MODEL or row.failure == "gateway_lost":
            return []
        return [row.latency if kind == "latency" else float(row.latency > measured.above)]
    if row.outcome in NOT_JUDGED:
        return []
    bad = {
        "errors": row.outcome == "error",
        "fallbacks": row.failure is not None and row.outcome != "error",
        "escalations": row.outcome == "escalated",
        "unsafe": row.failure == "unsafe"
        or any(check.failure == "unsafe" for check in row.checks)
        or any(attempt.failure == "unsafe" for attempt in row.attempts),
    }
    return [float(bad[kind])]


def _counted(measured: Measured, rows: Sequence[Inference], said: Said) -> Counted:
    users: dict[str, list[float]] = {}
    for row in rows:
        user = row.id if row.unit is None or row.unit_source == "random" else row.unit
        users.setdefault(user, []).extend(values(measured, row, said))
    found = Counted()
    for mine in users.values():
        n, total = float(len(mine)), sum(mine)
        found.n += n
        found.total += total
        found.squares += sum(value * value for value in mine)
        found.sizes += n * n
        found.totals += total * total
        found.products += n * total
    return found
