"""A workflow's recorded traffic, priced on other models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from roadworthy.cost.comparing import ASSUMPTIONS, Candidate, Compared, Recorded, compare
from roadworthy.cost.service import PriceList
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Log
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Configuration, Target, Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Unknown

DAY = 86_400.0
SAMPLED = 2000
OFFERED = 5
"""Cheaper models of the same provider that are shown where nobody names any."""


class NothingRecorded(ValueError):
    """There is no traffic to price."""


class Comparison(msgspec.Struct, frozen=True):
    workflow: str
    since: float
    until: float
    recorded: Recorded
    rows: list[Compared]
    assumptions: list[str]


class Comparer:
    """Blocking."""

    def __init__(
        self,
        log: Log,
        configuration: Callable[[], Configuration | None],
        prices: PriceList,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._log = log
        self._configuration = configuration
        self._prices = prices
        self._clock = clock

    def compare(self, workflow: str, to: Sequence[str] = (), days: float = 30.0) -> Comparison:
        """``to``: configured targets, models of the public list, or ``provider/model``.  Raises ``Unknown`` and
        ``NothingRecorded``."""
        configuration = self._configuration()
        flows = {} if configuration is None else configuration.workflows
        if configuration is None or workflow not in flows:
            raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, flows)}")
        until = self._clock()
        since = until - days * DAY
        recorded = self._recorded(workflow, since, until)
        first = _first(configuration, flows[workflow])
        named = [self._named(configuration, each) for each in to] or self._offered(configuration, first)
        serving = [] if first is None else [msgspec.structs.replace(self._of(first), serves=True)]
        others = [each for each in named if not serving or each.name != serving[0].name]
        rows = compare(recorded, [*serving, *others])
        return Comparison(workflow, since, until, recorded, rows, [*_short(recorded.days), *ASSUMPTIONS])

    def _recorded(self, workflow: str, since: float, until: float) -> Recorded:
        where = Filter(workflow=workflow, traffic="live", since=since, until=until)
        rows = self._log.stats("day", where).rows
        calls = sum(row.count for row in rows)
        tokens = sum((row.tokens for row in rows), Tokens())
        if not calls or not tokens.total:
            raise NothingRecorded(
                f"{workflow} has no live calls with tokens in this time: roadworthy cost calculate prices calls of a "
                "size that you state"
            )
        sample = self._log.sample(where, min(1.0, SAMPLED / calls))
        tried = sum(len(call.attempts) for call in sample) / len(sample) if sample else 1.0
        paid = [row.cost_usd for row in rows if row.cost_usd is not None]
        oldest = min((call.ts for call in sample), default=since)
        return Recorded(
            calls, calls * tried, tokens, sum(paid) if paid else None, sum(row.cost_unknown for row in rows),
            max((until - oldest) / DAY, 1.0 / 24.0),
        )  # fmt: skip

    def _of(self, target: Target) -> Candidate:
        priced = self._prices.look_up(target)
        return Candidate(target.name, target.provider, priced.price, priced.unknown, priced.note)

    def _named(self, configuration: Configuration, name: str) -> Candidate:
        if name in configuration.targets:
            return self._of(configuration.targets[name])
        provider, slash, model = name.partition("/")
        found, priced = self._prices.listed(model if slash else name, provider if slash else None)
        if priced.price is None and slash:  # a model's own name may hold a slash
            found, priced = self._prices.listed(name)
        return Candidate(name, found, priced.price, priced.unknown, priced.note)

    def _offered(self, configuration: Configuration, first: Target | None) -> list[Candidate]:
        """The other configured targets, and the models of the same provider that cost next less."""
        found = [self._of(target) for name, target in sorted(configuration.targets.items()) if target.model != "*"]
        price = None if first is None else self._prices.look_up(first).price
        if first is None or price is None:
            return found
        cheaper = {
            name: each for name, each in self._prices.models_of(first).items()
            if not name.endswith("*") and 0.0 < each.input + each.output < price.input + price.output
        }  # fmt: skip
        nearest = sorted(cheaper, key=lambda name: (-(cheaper[name].input + cheaper[name].output), name))[:OFFERED]
        return [*found, *(Candidate(name, first.provider, cheaper[name]) for name in nearest)]


def _short(days: float) -> list[str]:
    """What must be said of a month that is made of so little."""
    if days >= 7:
        return []
    return ["Under a week was recorded, so the volume of the month is a guess: compare the models, not the amounts."]


def _first(configuration: Configuration, flow: Workflow) -> Target | None:
    name = flow.behaviour.target if flow.behaviour is not None else flow.passthrough
    return None if name is None else configuration.targets.get(name)
