"""What a workflow's calls came to, read from the log: by day, hour, class, outcome, target and model, and by part.

Sums come from the log's buckets, which hold a million calls in some thousand rows.  What buckets do not know (attempts,
checks, models) is read from a sample of calls, the same ones every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.cost import unit
from roadworthy.cost.model import DayCost, OutcomeCost, Part, PartName, Unit
from roadworthy.inference_log.model import Filter, StatsRow
from roadworthy.inference_log.service import Log
from roadworthy.workflow.inference import Inference, Tokens
from roadworthy.workflow.model import Price

MOST_READ = 10_000
"""Calls of a sample, about: of 10,000 calls a part of one per cent is known to a tenth of itself."""
ANSWERED = "answered,recovered,cached,canned,escalated"
"""Outcomes in which the customer reads something."""

Beside = Callable[[str, float, float], tuple[float | None, float]]
"""(workflow, since, until) → (US dollars, or ``None`` when they are not known; how many) of what no call holds."""


class Sums(msgspec.Struct, frozen=True):
    """Of one group of calls."""

    name: str
    """Of the target, class or model; empty: none answered."""
    calls: int
    usd: float | None
    """Of the calls whose cost is known."""
    unknown: int
    """Calls whose cost is not known."""
    tokens: Tokens


class Sample(msgspec.Struct, frozen=True):
    """Calls that stand for all."""

    calls: int
    """That there were."""
    read: Sequence[Inference]
    """About ``MOST_READ`` of them, oldest first, without bodies."""

    @property
    def more(self) -> float:
        """Calls for each that was read."""
        return self.calls / len(self.read) if self.read else 0.0


class Costs:
    """Reads what was spent.  Thread-safe; blocking.  Every time range is Unix seconds, ``until`` exclusive."""

    def __init__(
        self,
        log: Log,
        *,
        price_of: unit.PriceOf,
        zone: Callable[[], ZoneInfo],
        judges: Beside = lambda workflow, since, until: (0.0, 0),
        minutes: Callable[[str, float, float], float] = lambda workflow, since, until: 0.0,
    ) -> None:
        """``judges``: what scoring a workflow's answers cost, and how many judgements; ``minutes``: that people spent
        on what it escalated."""
        self._log = log
        self._price_of = price_of
        self._zone = zone
        self._judges = judges
        self._minutes = minutes

    # --- sums, from buckets

    def days(self, workflow: str, since: float, until: float, traffic: str = "live") -> list[DayCost]:
        """Calendar days of the install's zone that had calls, oldest first."""
        rows = self._rows("day", workflow, since, until, traffic)
        return [DayCost(row.group["day"] or "", row.count, row.cost_usd, row.cost_unknown, row.tokens) for row in rows]

    def hours(self, workflow: str, since: float, until: float, traffic: str = "live") -> dict[str, int]:
        """Hour (ISO 8601 with its offset) that had calls → how many, oldest first."""
        return {row.group["hour"] or "": row.count for row in self._rows("hour", workflow, since, until, traffic)}

    def classes(self, workflow: str, since: float, until: float) -> list[Sums]:
        """By class of traffic."""
        return [_sums(row, "traffic") for row in self._rows("traffic", workflow, since, until, None)]

    def targets(self, workflow: str, since: float, until: float, traffic: str = "live") -> list[Sums]:
        """By the target that answered; tokens and dollars are of whole calls, all of their attempts included."""
        return [_sums(row, "target") for row in self._rows("target", workflow, since, until, traffic)]

    def outcomes(self, workflow: str, since: float, until: float, traffic: str = "live") -> list[OutcomeCost]:
        """The most frequent first."""
        rows = self._rows("outcome", workflow, since, until, traffic)
        return [OutcomeCost(row.group["outcome"] or "", row.count, row.cost_usd, row.cost_unknown) for row in rows]

    def whole(self, workflow: str, since: float, until: float, traffic: str = "live") -> Sums:
        """All calls of a class."""
        return merged(
            workflow, [_sums(row, "workflow") for row in self._rows("workflow", workflow, since, until, traffic)]
        )

    def _rows(self, by: str, workflow: str, since: float, until: float, traffic: str | None) -> Sequence[StatsRow]:
        where = Filter(workflow=workflow, traffic=traffic, since=since, until=until)
        return self._log.stats(by, where, self._zone()).rows

    # --- from a sample

    def sample(
        self, workflow: str, since: float, until: float, *, traffic: str = "live", release: str | None = None,
        most: int = MOST_READ,
    ) -> Sample:  # fmt: skip
        """Calls that stand for all of a class (and a release, by digest or its beginning)."""
        where = Filter(workflow=workflow, traffic=traffic, release=release, since=since, until=until)
        calls = sum(row.count for row in self._log.stats("workflow", where).rows)
        if not calls:
            return Sample(0, [])
        return Sample(calls, self._log.sample(where, min(1.0, most / calls)))

    def models(self, workflow: str, since: float, until: float, traffic: str = "live") -> list[Sums]:
        """By the model that answered, as its provider names it; scaled from a sample.  Most calls first."""
        sample = self.sample(workflow, since, until, traffic=traffic)
        found: dict[str, list[Inference]] = {}
        for call in sample.read:
            found.setdefault(call.model_answered or "", []).append(call)
        made = [_scaled(name, calls, sample.more) for name, calls in found.items()]
        return sorted(made, key=lambda each: (-each.calls, each.name))

    def made_of(self, call: Inference) -> list[Part]:
        """What one call cost, by part; empty where its cost is not known."""
        return unit.parts(unit.tallied([call], self._price_of), call.cost_usd or 0.0, 1.0, {})

    def price(self, target: str) -> Price | None:
        """Of a target today; ``None``: nobody knows."""
        return self._price_of(target)

    def unit(self, workflow: str, since: float, until: float, *, minute_usd: float | None = None) -> Unit:
        """What one call, outcome and customer cost, and what that is made of.  ``minute_usd``: of a person."""
        outcomes = self.outcomes(workflow, since, until)
        classes = {each.name: each.usd for each in self.classes(workflow, since, until) if each.usd}
        paid = [each.usd for each in outcomes if each.usd is not None]
        usd = sum(paid) if paid else None
        calls, unknown = sum(each.calls for each in outcomes), sum(each.unknown for each in outcomes)
        sample = self.sample(workflow, since, until)
        minutes = self._minutes(workflow, since, until)
        people = None if minute_usd is None else minutes * minute_usd
        beside: dict[PartName, tuple[float | None, float]] = {
            "judges": self._judges(workflow, since, until), "people": (people, minutes),
        }  # fmt: skip
        named = [call for call in sample.read if call.unit is not None and call.unit_source != "random"]
        customers = self._log.customers(
            Filter(workflow=workflow, traffic="live", outcome=ANSWERED, since=since, until=until)
        )
        spent = sum(unit.known(sample.read))
        share = sum(unit.known(named)) / spent if spent else 0.0
        answered = sum(call.outcome in ANSWERED.split(",") for call in sample.read)
        unnamed = answered - sum(call.outcome in ANSWERED.split(",") for call in named)
        return Unit(
            workflow=workflow, since=since, until=until, calls=calls, usd=usd, unknown=unknown, outcomes=outcomes,
            customers=customers, unnamed=round(unnamed * sample.more),
            per_call=usd / (calls - unknown) if usd is not None and calls > unknown else None,
            per_customer=usd * share / customers if usd is not None and customers else None,
            parts=unit.parts(unit.tallied(sample.read, self._price_of), usd or 0.0, sample.more, beside),
            read=len(sample.read), minutes=minutes, minute_usd=minute_usd,
            other_classes={name: spent for name, spent in classes.items() if name not in ("live", "drill")},
        )  # fmt: skip


def merged(name: str, sums: Sequence[Sums]) -> Sums:
    """All groups as one."""
    paid = [each.usd for each in sums if each.usd is not None]
    return Sums(
        name,
        sum(each.calls for each in sums),
        sum(paid) if paid else None,
        sum(each.unknown for each in sums),
        sum((each.tokens for each in sums), Tokens()),
    )


def _sums(row: StatsRow, by: str) -> Sums:
    return Sums(row.group[by] or "", row.count, row.cost_usd, row.cost_unknown, row.tokens)


def _scaled(name: str, calls: Sequence[Inference], more: float) -> Sums:
    paid = unit.known(calls)
    tokens = sum((call.tokens for call in calls), Tokens())
    counts: Mapping[str, int] = msgspec.structs.asdict(tokens)
    return Sums(
        name,
        round(len(calls) * more),
        sum(paid) * more if paid else None,
        round((len(calls) - len(paid)) * more),
        Tokens(**{kind: round(count * more) for kind, count in counts.items()}),
    )
