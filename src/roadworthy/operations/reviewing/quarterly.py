"""The quarterly review: which vendors and models, what they cost, how they failed, and what must be negotiated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from roadworthy.cost.sheet import Sheet
from roadworthy.inference_log.model import Filter, StatsRow
from roadworthy.operations.reviewing.comparing import PAID, daily, failing, series, totals, why_dearer
from roadworthy.operations.reviewing.sources import Sources
from roadworthy.people.review.model import Change, Facts, Figure, Table
from roadworthy.people.review.rules import Period
from roadworthy.workflow import words
from roadworthy.workflow.model import Workflow

LONELY: Final = 0.95
"""Share of the spend at one target from which on it is asked what happens without it."""
BAD: Final = 0.01
"""Failed attempts a call at one target that are asked about."""


def draft(sources: Sources, flow: Workflow, period: Period, before: Period) -> Facts:
    name = flow.name
    now, last = (totals(sources.log, name, each.since, each.until) for each in (period, before))
    rows = _targets(sources, name, period)
    failed = failing(sources.log, name, period.since, period.until, now.calls)
    sheets = _sheets(sources, name, period)
    approved = [each.approved for each in sheets]
    budget = sum(each for each in approved if each is not None) if sheets and None not in approved else None
    over = budget is not None and now.usd is not None and now.usd > budget
    against = "no budget was approved" if budget is None else f"budget {words.dollars(budget)}"
    per_call = [None if each.usd is None or not each.calls else each.usd / each.calls for each in (now, last)]
    figures = [
        Figure("Cost", "usd", now.usd, last.usd, "less", against, over),
        Figure("Calls", "count", now.calls, last.calls),
        Figure("Cost of a call", "usd", per_call[0], per_call[1], "less"),
        Figure("Targets used", "count", len(rows)),
        Figure("Calls without a known price", "count", now.unpriced, last.unpriced, "less"),
    ]
    return Facts(
        headline=f"{words.dollars(now.usd)} for {now.calls:,} calls at {words.plural(len(rows), 'target')}; {against}",
        figures=figures, changes=why_dearer(sources, name, before, period) + _prices(sources, name, period),
        decide=list(_decide(sources, flow, rows, failed, over, budget, now.unpriced)),
        tables=list(_tables(sources, rows, failed, sheets)),
        series=[series(daily(sources, name, period), "Cost", "usd")],
        gaps=list(_gaps(now.unpriced, sheets)),
    )  # fmt: skip


def _targets(sources: Sources, workflow: str, period: Period) -> list[StatsRow]:
    """The dearest first."""
    where = Filter(workflow=workflow, traffic=PAID, since=period.since, until=period.until)
    merged: dict[tuple[str, str], StatsRow] = {}
    for row in sources.log.stats("target,model", where).rows:
        if row.group["target"]:
            key = row.group["target"] or "", row.group["model"] or ""
            merged[key] = row if key not in merged else _sum(merged[key], row)
    return sorted(merged.values(), key=lambda row: -(row.cost_usd or 0.0))


def _sum(one: StatsRow, other: StatsRow) -> StatsRow:
    known = [each.cost_usd for each in (one, other) if each.cost_usd is not None]
    return StatsRow(
        one.group, one.count + other.count, {}, None, None, None, None, one.tokens + other.tokens,
        sum(known) if known else None, one.cost_unknown + other.cost_unknown,
    )  # fmt: skip


def _sheets(sources: Sources, workflow: str, period: Period) -> list[Sheet]:
    zone = sources.zone()
    first = datetime.fromtimestamp(period.since, zone)
    months = [f"{first.year}-{first.month + more:02}" for more in range(3)]
    now = datetime.fromtimestamp(sources.clock(), zone).strftime("%Y-%m")
    return [sources.sheet(workflow, month) for month in months if month <= now]


def _prices(sources: Sources, workflow: str, period: Period) -> list[Change]:
    """Prices that somebody declared anew in ``roadworthy.yaml``."""
    applied = [each for each in sources.applied() if each.at < period.until]
    inside = [each for each in applied if each.at >= period.since]
    if not inside or len(applied) == len(inside):
        return []
    newest, older = applied[0].configuration.targets, applied[len(inside)].configuration.targets
    found = []
    for name, target in newest.items():
        was = older.get(name)
        if was is not None and was.price != target.price:
            found.append(Change(f"The declared price of {name} was changed", f"by {inside[0].by}"))
    return found


def _decide(
    sources: Sources, flow: Workflow, rows: Sequence[StatsRow], failed: Counter[tuple[str, str]], over: bool,
    budget: float | None, unpriced: int,
) -> Iterator[str]:  # fmt: skip
    if over:
        yield f"It cost more than its budget. Raise the budget, or spend less (roadworthy cost compare {flow.name})?"
    if budget is None:
        yield "Nobody approved a budget. How much may it cost a month (policy.budgets.workflow)?"
    spent = sum(row.cost_usd or 0.0 for row in rows)
    if rows and spent and (rows[0].cost_usd or 0.0) / spent > LONELY:
        part = words.share((rows[0].cost_usd or 0.0) / spent)
        yield f"{rows[0].group['target']} takes {part} of the cost. Is there a second vendor that passed the gate?"
    calls = {row.group["target"] or "": row.count for row in rows}
    for target, count in _by_target(failed).items():
        if count > BAD * max(calls.get(target, 0), 1):
            yield f"{target} failed about {count:,} times. Take it up with its vendor, or change the ladder?"
    if unpriced:
        yield f"{unpriced:,} calls have no known price. Declare one in roadworthy.yaml?"
    declared = _declared(sources)
    if declared:
        names = ", ".join(declared)
        yield f"Contract prices are declared for {names}. Do they still hold, and when do the contracts end?"
    if rows:
        yield "Was every vendor's bill held against the log (roadworthy cost reconcile FILE)?"


def _declared(sources: Sources) -> list[str]:
    applied = sources.applied()
    targets = applied[0].configuration.targets if applied else {}
    return sorted(name for name, target in targets.items() if target.price is not None)


def _by_target(failed: Counter[tuple[str, str]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, target), count in failed.items():
        found[target] += count
    return dict(found.most_common())


def _tables(
    sources: Sources, rows: Sequence[StatsRow], failed: Counter[tuple[str, str]], sheets: Sequence[Sheet]
) -> Iterator[Table]:
    if rows:
        yield Table(
            "Targets and models", ["target", "model that answered", "calls", "cost", "a call"],
            [
                [row.group["target"] or "", row.group["model"] or "unknown", f"{row.count:,}",
                 words.dollars(row.cost_usd),
                 words.dollars(None if row.cost_usd is None or not row.count else row.cost_usd / row.count)]
                for row in rows
            ],
        )  # fmt: skip
    if failed:
        told = [
            [target, failure.replace("_", " "), f"{count:,}"] for (failure, target), count in failed.most_common(15)
        ]
        yield Table("Failed attempts (live calls, estimated from a sample)", ["target", "failure", "about"], told)
    if sheets:
        yield Table(
            "Budget and spend", ["month", "approved", "spent", "closed"],
            [
                [each.month, words.dollars(each.approved), words.dollars(sum(one.spent for one in each.figures)),
                 "yes" if each.closed else "no"]
                for each in sheets
            ],
        )  # fmt: skip
    prices = sheets[-1].prices if sheets else []
    if prices:
        yield Table(
            "Prices now, a million tokens", ["target", "model", "in", "out", "from"],
            [[each.target, each.model, words.dollars(each.input), words.dollars(each.output), each.source]
             for each in prices],
        )  # fmt: skip


def _gaps(unpriced: int, sheets: Sequence[Sheet]) -> Iterator[str]:
    if unpriced:
        yield f"the cost of {unpriced:,} calls is unknown, so the cost is more than is shown"
    yield "when contracts end is not written down anywhere that Roadworthy reads"
    if sheets and not any(each.closed for each in sheets):
        yield "no month of it was closed (roadworthy cost close), so figures may still move"
