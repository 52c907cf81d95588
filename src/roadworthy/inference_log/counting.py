"""What is counted of a call for a ramp.  Pure: the words of ``Kind`` as code, which SQL repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from roadworthy.inference_log.model import BAD_LABELS, BAD_SCORE, NOT_JUDGED, Counted, Counting, Measured, Side
from roadworthy.statistics.clusters import correlation, worth
from roadworthy.workflow.inference import SERVED_BY_MODEL, Feedback, Inference

MEANS = ("cost", "latency")
"""Kinds whose values are no shares."""
Said = Callable[[str, str], Sequence[Feedback]]
"""(inference, name) → the last word of each who said something of it."""


def counts(asked: Counting, row: Inference) -> bool:
    """Is the call one of those that are counted?  A bypass names the release that it is beside, and is none of it."""
    mine = row.workflow == asked.workflow and row.ts >= asked.since and row.traffic == asked.traffic
    return mine and row.digest in asked.digests and row.route != "bypass" and not row.kill


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
    return counted(users.values(), measured.kind in MEANS)


def counted(users: Iterable[Sequence[float]], mean: bool) -> Counted:
    """``users``: the values of each user's calls; ``mean``: they are no shares."""
    sums = [(float(len(mine)), sum(mine), sum(value * value for value in mine)) for mine in users if mine]
    found = Counted(
        n=sum(n for n, _, _ in sums),
        total=sum(total for _, total, _ in sums),
        squares=sum(squares for _, _, squares in sums),
        sizes=sum(n * n for n, _, _ in sums),
        totals=sum(total * total for _, total, _ in sums),
        products=sum(n * total for n, total, _ in sums),
    )
    alike = alikeness(found, mean)
    found.alone = sum(n * worth(n, alike) for n, _, _ in sums)
    found.alone_total = sum(total * worth(n, alike) for n, total, _ in sums)
    return found


def alikeness(found: Counted, mean: bool) -> float:
    """Correlation within users."""
    return correlation(
        found.n, found.total, found.squares, sizes=found.sizes, totals=found.totals, products=found.products,
        bad=found.n if mean else found.total,
    )  # fmt: skip
