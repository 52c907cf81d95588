"""The finance sheet: what a month may cost at most, will cost, and has cost.  Pure figures, US dollars inside.

*The most this can cost in a month* is what enforced budgets let through, so it is told only where one bounds all calls
of callers and testers; what permits let through beside it (evals, load tests, shadow calls) is said with it.
*Resolved* are live calls that ended with an answer of the workflow itself (``RESOLVED``): what a person had to answer,
was withheld or failed is a cost and no result.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import msgspec

from roadworthy.workflow.model import Budget, Finance

RESOLVED = ("answered", "recovered", "cached")
SAFETY = ("eval", "load", "shadow", "tester")
"""Classes of traffic that serve no customer and are billed.  Drills reach no provider: they are in no figure."""
PERMITTED = ("eval", "load", "shadow")
"""Those of them that spend by a permit's own dollars (``gateway/admission/permits.py``)."""
Covers = Literal["workflow", "team", "all"]


class Most(msgspec.Struct, frozen=True):
    """What budgets let through in a month."""

    usd: float | None
    """``None``: nothing limits it."""
    by: str
    """Which budget, in words; where nothing limits it, what would."""


class Line(msgspec.Struct, frozen=True):
    """One row of a table."""

    name: str
    usd: float | None
    """Of the calls whose cost is known; ``None``: of none."""
    calls: float = 0.0
    unknown: int = 0
    """Calls whose cost is not known."""
    note: str = ""


class PriceLine(msgspec.Struct, frozen=True):
    """What a target charges.  US dollars a million tokens."""

    target: str
    model: str
    input: float | None
    """``None``: nobody knows."""
    output: float | None
    cache_read: float | None
    source: str
    """``declared``: by contract; else the public list and its version; else why there is none."""
    discount: float = 0.0
    """In [0, 1], taken off already."""


class Expected(msgspec.Struct, frozen=True):
    """What the whole month will come to."""

    low: float
    point: float
    high: float
    basis: str
    """Where it comes from, in words."""
    assumption: bool
    """Too little was seen for a forecast."""


class Correction(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was booked onto a closed month afterwards."""

    id: str
    workflow: str
    month: str
    usd: float
    """Added to what was spent; negative: taken off."""
    reason: str
    by: str
    at: float
    team: str = "default"


class Figures(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one workflow came to in one calendar month: what a closed month keeps."""

    workflow: str
    team: str
    month: str
    """``2026-11``."""
    cost_centre: str
    spent: float
    """By calls whose cost is known, of all classes."""
    live: float
    calls: int
    """Live ones."""
    resolved: int
    unpriced: int
    """Calls of all classes whose cost is not known."""
    all_calls: int
    safety: list[Line]
    hedges: float = 0.0
    """Part of ``live``."""
    targets: list[Line] = []
    why_unpriced: list[str] = []

    @property
    def safety_usd(self) -> float:
        return sum(line.usd or 0.0 for line in self.safety)


class Closed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A month that is closed: its figures stay, whatever the log says later."""

    id: str
    figures: Figures
    by: str
    at: float
    currency: Finance = Finance()
    """As money was shown then."""

    @property
    def workflow(self) -> str:
        return self.figures.workflow


class Sheet(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The page."""

    covers: Covers
    name: str
    month: str
    made_at: float
    over: bool
    """The month is."""
    currency: Finance
    cost_centres: list[str]
    most: Most
    approved: float | None
    """Budgets of a month that the owners agreed to, summed; ``None``: a workflow has none."""
    expected: Expected | None
    figures: list[Figures]
    """A workflow each."""
    closed: list[Closed] = []
    """Those of ``figures`` that are closed."""
    differs: dict[str, float] = {}
    """Workflow → what the log says now less what was closed, where that is not nothing."""
    corrections: list[Correction] = []
    prices: list[PriceLine] = []
    notes: list[str] = []

    @property
    def spent(self) -> float:
        return sum(each.spent for each in self.figures) + sum(each.usd for each in self.corrections)

    @property
    def calls(self) -> int:
        return sum(each.calls for each in self.figures)

    @property
    def resolved(self) -> int:
        return sum(each.resolved for each in self.figures)

    @property
    def unpriced(self) -> int:
        return sum(each.unpriced for each in self.figures)

    @property
    def all_calls(self) -> int:
        return sum(each.all_calls for each in self.figures)

    @property
    def per_resolved(self) -> float | None:
        """Everything that was spent, safety included, over resolved cases."""
        return self.spent / self.resolved if self.resolved else None

    @property
    def safety(self) -> list[Line]:
        """All workflows together."""
        found: dict[str, Line] = {}
        for line in (line for each in self.figures for line in each.safety):
            before = found.get(line.name, Line(line.name, None))
            usd = None if line.usd is None and before.usd is None else (line.usd or 0.0) + (before.usd or 0.0)
            found[line.name] = Line(
                line.name, usd, line.calls + before.calls, line.unknown + before.unknown, line.note or before.note
            )
        return list(found.values())

    @property
    def safety_usd(self) -> float:
        return sum(each.safety_usd for each in self.figures)

    @property
    def permitted(self) -> float:
        """By calls under permits, which no budget of a workflow or team bounds."""
        return sum(line.usd or 0.0 for line in self.safety if line.name in PERMITTED)


# --- rules


class BadMonth(ValueError):
    """The text names no month."""


def read_month(text: str) -> date:
    """``2026-11`` → its first day.  Raises ``BadMonth``."""
    try:
        if len(text) == 7:
            return date.fromisoformat(f"{text}-01")
    except ValueError:
        pass
    raise BadMonth(f"month {text[:40]!r} is none: write year and month, as 2026-11")


def days_in(month: date) -> int:
    return ((month.replace(day=28) + timedelta(days=4)).replace(day=1) - month).days


def most_of(budget: Budget, days: int) -> tuple[float, str] | None:
    """The least that a budget's limits let through in a month of so many days."""
    found = []
    if budget.month is not None:
        found.append((budget.month, "budget of a month"))
    if budget.day is not None:
        found.append((budget.day * days, f"budget of a day × {days} days"))
    return min(found, default=None)


def most(flows: Sequence[tuple[str, str, Budget]], teams: dict[str, Budget], days: int) -> Most:
    """What these workflows can cost together in a month.  ``flows``: (name, team, budget of all its calls)."""
    total, said, open_ended = 0.0, [], []
    for team in sorted({team for _, team, _ in flows}):
        own = [(name, most_of(budget, days)) for name, of, budget in flows if of == team]
        limited = [(name, found) for name, found in own if found is not None]
        whole = most_of(teams.get(team, Budget()), days)
        together = sum(found[0] for _, found in limited)
        free = [name for name, found in own if found is None]
        if whole is not None and (free or whole[0] <= together):
            total += whole[0]
            said.append(f"{whole[1]} of team {team}, which its other workflows share")
        elif free:
            open_ended += free
        else:
            total += together
            said += [f"{found[1]} of {name}" for name, found in limited]
    if open_ended or not flows:
        names = ", ".join(open_ended) or "anything"
        return Most(None, f"nothing limits {names}: declare policy.budgets.workflow: {{month: …}} in workflow.yaml")
    return Most(total, "; ".join(said))


LEAST_DAYS = 7
Z80 = 1.2816
"""Two-sided 80 % of a normal distribution."""


def expected(spent: float, days: Sequence[float], left: float) -> Expected | None:
    """The month at the rate of the last full days: mean × days left, with an 80 % interval of that sum.

    ``days``: dollars of each full day that was seen, newest last, those without calls as 0; ``left``: days of the month
    that are not over yet, in parts of days.  Days are taken to be alike and independent, which weekends are not: a
    forecast of ``roadworthy forecast`` takes its place where there is one.
    """
    if not days:
        return None
    count = len(days)
    mean = sum(days) / count
    variance = sum((each - mean) ** 2 for each in days) / (count - 1) if count > 1 else mean**2
    half = Z80 * (variance * left * (1.0 + left / count)) ** 0.5
    rest = mean * left
    return Expected(
        spent + max(0.0, rest - half), spent + rest, spent + rest + half,
        f"spent so far, and {left:.1f} days at the mean of the last {count} full {'day' if count == 1 else 'days'}",
        count < LEAST_DAYS,
    )  # fmt: skip
