"""Which budgets hold for the calls of a workflow: worked out once for a snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.cost.budgets import Calendar, PeriodKind, ScopeKind, nano
from roadworthy.gateway.limits.ledger import Ident
from roadworthy.gateway.snapshot import ServedWorkflow, Snapshot
from roadworthy.workflow.inference import Attempt
from roadworthy.workflow.model import Budget, Price


class Scope(msgspec.Struct, frozen=True, gc=False):
    """One budget: of whom, how much, and in which period."""

    kind: ScopeKind
    period: PeriodKind
    owner: str
    """Workflow, or team for the kind ``team``."""
    limit: int
    """Nanodollars."""
    alerts: tuple[tuple[int, str], ...] = ()
    """(nanodollars at which somebody is told, what a record then says of it), rising."""

    @property
    def note(self) -> str:
        """What a record says of a call that this budget stopped: ``budget:user:day``."""
        return f"budget:{self.kind}:{self.period}"


class Plan(msgspec.Struct, frozen=True):
    """The budgets of a workflow's calls."""

    scopes: tuple[Scope, ...]
    calendar: Calendar
    dearest: Price | None
    """What a call of a target of unknown price is reserved at; ``None``: the install knows no price at all."""
    allowance: int | None = None
    """Nanodollars of one inference."""


class Place(NamedTuple):
    """Where a scope is booked now."""

    at: int
    ident: Ident


Places = tuple[tuple[Scope, Place], ...]


class Hold:
    """What one attempt has reserved."""

    __slots__ = ("amount", "attempt")

    def __init__(self, amount: int, attempt: Attempt) -> None:
        self.amount = amount
        self.attempt = attempt


class Tab:
    """What one inference has spent and reserved, in nanodollars."""

    __slots__ = ("holds", "places", "settled")

    def __init__(self, places: Places) -> None:
        self.places = places
        """Where its budgets are booked."""
        self.settled = 0
        self.holds: dict[int, Hold] = {}
        """By the attempt's ``id``."""

    def held(self) -> int:
        return self.settled + sum(hold.amount for hold in self.holds.values())


def plans(served: ServedWorkflow, snapshot: Snapshot) -> tuple[Plan | None, Plan]:
    """(budgets of live and other calls, ``None`` without any; budgets of testers' calls)."""
    budgets = served.policy.budgets
    team = snapshot.team_budgets.get(served.team, Budget())
    whose: list[tuple[ScopeKind, str, Budget]] = [
        ("user", served.name, budgets.user),
        ("key", served.name, budgets.key),
        ("workflow", served.name, budgets.workflow),
        ("team", served.team, team),
    ]
    scopes = tuple(
        Scope(kind, period, owner, nano(limit), _alerts(kind, period, limit, budgets.alerts))
        for kind, owner, budget in whose
        for period, limit in limits(budget)
    )
    allowance = None if budgets.inference is None else nano(budgets.inference)
    calendar = Calendar(ZoneInfo(snapshot.timezone))
    dearest = dearest_of(_known(snapshot))
    usual = Plan(scopes, calendar, dearest, allowance) if scopes or allowance is not None else None
    own = Scope("tester", "day", served.name, nano(served.policy.tester_usd_per_day))
    return usual, Plan((own, *scopes), calendar, dearest, allowance)


def _alerts(kind: str, period: str, limit: float, shares: Iterable[float]) -> tuple[tuple[int, str], ...]:
    """Notes as ``budget:workflow:day:alert:80``."""
    return tuple((nano(limit * share), f"budget:{kind}:{period}:alert:{share * 100:g}") for share in sorted(shares))


def limits(budget: Budget) -> list[tuple[PeriodKind, float]]:
    """(period, dollars) of what a budget limits."""
    found: list[tuple[PeriodKind, float | None]] = [("day", budget.day), ("month", budget.month)]
    return [(period, limit) for period, limit in found if limit is not None]


def dearest_of(prices: Iterable[Price]) -> Price | None:
    """A price that is no lower than any of ``prices`` in any kind of token."""
    known = list(prices)
    if not known:
        return None
    return Price(
        input=max(max(price.input, price.cache_write or 0.0, price.cache_write_1h or 0.0) for price in known),
        output=max(price.output for price in known),
        per_request=max(price.per_request for price in known),
        source="the dearest known price of this install",
    )


def _known(snapshot: Snapshot) -> Iterable[Price]:
    yield from snapshot.prices.values()
    for listed in snapshot.model_prices.values():
        yield from listed.values()
