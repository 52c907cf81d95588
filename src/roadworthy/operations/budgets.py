"""What is left of every budget, and who spends most of it.

What was spent is read from the workers' own tables: what they go by themselves, to the call, whether they run or not.
Those tables know users only by their hash, so users are named from the inference log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from roadworthy.cost.budgets import NANO, Calendar, Period, PeriodKind, ScopeKind
from roadworthy.gateway.limits.ledger import Booked, Ident, ident_of
from roadworthy.gateway.limits.plans import limits
from roadworthy.workflow.model import ApiKey, Budget, Configuration, Workflow

MOST_USERS = 20
"""Users of a workflow and period that are listed: those that spent most."""

Spenders = Callable[[str, float], Sequence[str]]
"""(workflow, since, Unix seconds) → its users (units), those that spent most first; ``""`` stands for the unknown."""


class BudgetLine(msgspec.Struct, frozen=True):
    """One budget in the period that runs.  Money in US dollars."""

    scope: ScopeKind
    owner: str
    """The workflow, or the team."""
    name: str
    """Id of the key, or the user as stored; empty for a team or workflow."""
    label: str
    """Name of the key, for people; else empty."""
    period: PeriodKind
    limit: float
    spent: float
    reserved: float
    """Of calls under way."""
    left: float
    resets_at: float
    """Unix seconds."""
    state: Literal["ok", "near", "used_up"]
    """``near``: past the highest share below the whole at which the cost owner is told."""


class BudgetBoard:
    """Reads budgets.  Every callable may block."""

    def __init__(
        self,
        configuration: Callable[[], Configuration | None],
        keys: Callable[[], Sequence[ApiKey]],
        totals: Callable[[], Mapping[Ident, Booked]],
        spenders: Spenders,
        calendar: Callable[[], Calendar],
        clock: Callable[[], float],
    ) -> None:
        self._configuration = configuration
        self._keys = keys
        self._totals = totals
        self._spenders = spenders
        self._calendar = calendar
        self._clock = clock

    def lines(self, workflow: str | None = None, *, people: bool = True) -> list[BudgetLine]:
        """Budgets of ``workflow`` and its team, or all; with ``people``, of keys, testers and top spenders too."""
        configuration = self._configuration()
        if configuration is None:
            return []
        flows = [flow for name, flow in sorted(configuration.workflows.items()) if workflow in (None, name)]
        teams = sorted({flow.team for flow in flows})
        reader = _Reader(self._totals(), self._calendar(), self._clock())
        found: list[BudgetLine] = []
        for team in teams:
            budget = configuration.settings.team_budgets.get(team, Budget())
            found += reader.lines("team", team, [("", "")], budget, ())
        for flow in flows:
            budgets = flow.policy.budgets
            found += reader.lines("workflow", flow.name, [("", "")], budgets.workflow, budgets.alerts)
            if people:
                found += self._people(reader, flow)
        return found

    def _people(self, reader: _Reader, flow: Workflow) -> list[BudgetLine]:
        budgets = flow.policy.budgets
        keys = [key for key in self._keys() if key.team == flow.team and _may_call(key, flow.name)]
        found = reader.lines("key", flow.name, [(key.id, key.name) for key in keys], budgets.key, budgets.alerts)
        testers = [(key.id, key.name) for key in keys if key.kind == "tester"]
        own = Budget(day=flow.policy.tester_usd_per_day)
        found += reader.lines("tester", flow.name, testers, own, ())
        for period, limit in limits(budgets.user):
            users = self._spenders(flow.name, reader.period(period).begin)[:MOST_USERS]
            budget = Budget(day=limit) if period == "day" else Budget(month=limit)
            lines = reader.lines("user", flow.name, [(user, "") for user in users], budget, budgets.alerts)
            found += sorted(lines, key=lambda line: -line.spent)
        return found


class _Reader:
    def __init__(self, totals: Mapping[Ident, Booked], calendar: Calendar, now: float) -> None:
        self._totals = totals
        self._calendar = calendar
        self._now = now

    def period(self, kind: PeriodKind) -> Period:
        return self._calendar.at(kind, self._now)

    def lines(
        self, scope: ScopeKind, owner: str, names: Sequence[tuple[str, str]], budget: Budget, alerts: Sequence[float]
    ) -> list[BudgetLine]:
        return [
            self._line(scope, owner, name, label, self.period(period), limit, alerts)
            for name, label in names
            for period, limit in limits(budget)
        ]

    def _line(
        self, scope: ScopeKind, owner: str, name: str, label: str, period: Period, limit: float, alerts: Sequence[float]
    ) -> BudgetLine:
        booked = self._totals.get(ident_of((scope, owner, name, period.kind), period.stamp), Booked(0, 0, 0))
        spent, reserved = booked.spent / NANO, booked.reserved / NANO
        left = max(0.0, limit - spent - reserved)
        state: Literal["ok", "near", "used_up"] = "ok"
        if left <= 0.0:
            state = "used_up"
        elif spent >= limit * max((share for share in alerts if share < 1.0), default=1.0):
            state = "near"
        return BudgetLine(scope, owner, name, label, period.kind, limit, spent, reserved, left, period.end, state)


def _may_call(key: ApiKey, workflow: str) -> bool:
    return key.revoked_at is None and (key.workflows == ["*"] or workflow in key.workflows)
