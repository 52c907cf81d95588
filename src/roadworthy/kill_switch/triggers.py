"""What stops a workflow without a person: money, unsafe answers, errors.  Pure.

Everything observed is counted since the last restore, so a workflow that is switched on again is judged by what happens
then.  Fail-open: what is not measured trips nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from roadworthy.kill_switch.model import State, Trigger


class SpendTrigger(msgspec.Struct, frozen=True):
    """A run-away: what budgets stop a call at a time for, this stops at once."""

    usd_per_hour: float
    to: State = "guarded"


class UnsafeTrigger(msgspec.Struct, frozen=True):
    """Answers that were judged unsafe, over the last ten minutes."""

    share: float = 0.02
    least: int = 5
    """Unsafe answers, so that one in a quiet hour trips nothing."""
    to: State = "guarded"


class ErrorsTrigger(msgspec.Struct, frozen=True):
    """Burn of the error objective, over an hour and over five minutes at once (Google SRE workbook, ch. 5)."""

    burn: float = 14.4
    """Times the objective's error share: 2 % of a month's allowance in an hour."""
    least: int = 10
    """Errors in the hour."""
    to: State = "guarded"


class Triggers(msgspec.Struct, frozen=True):
    """Of one workflow; ``None``: that one is not set."""

    spend: SpendTrigger | None = None
    unsafe: UnsafeTrigger | None = UnsafeTrigger()
    errors: ErrorsTrigger | None = ErrorsTrigger()


class Window(msgspec.Struct, frozen=True):
    """Live calls of a time span, and those among them that were bad."""

    calls: int = 0
    bad: int = 0

    @property
    def share(self) -> float:
        return self.bad / self.calls if self.calls else 0.0


class Observed(msgspec.Struct, frozen=True):
    """A workflow's live traffic since the last restore."""

    usd_hour: float | None = None
    """Spent in the last hour; ``None``: unknown."""
    unsafe: Window = Window()
    """Ten minutes."""
    errors_hour: Window = Window()
    errors_5m: Window = Window()
    objective_errors: float | None = None
    """Error share of the objective; ``None`` or 0: none is declared."""


class Trip(msgspec.Struct, frozen=True):
    """A trigger that has gone off."""

    trigger: Trigger
    to: State
    why: str


def tripped(triggers: Triggers, observed: Observed) -> list[Trip]:
    """Those whose condition holds now."""
    return [trip for rule in RULES.values() if (trip := rule(triggers, observed)) is not None]


def cleared(trigger: Trigger, triggers: Triggers, observed: Observed) -> bool:
    """May on-call go back to ``guarded``?  Under half of what tripped it, lest it flap; without traffic too."""
    return RULES[trigger](_halved(triggers), observed) is None


def _spend(triggers: Triggers, observed: Observed) -> Trip | None:
    rule, usd = triggers.spend, observed.usd_hour
    if rule is None or usd is None or usd <= rule.usd_per_hour:
        return None
    return Trip("spend", rule.to, f"${usd:,.2f} in the last hour, over ${rule.usd_per_hour:,.2f}")


def _unsafe(triggers: Triggers, observed: Observed) -> Trip | None:
    rule, window = triggers.unsafe, observed.unsafe
    if rule is None or window.bad < rule.least or window.share <= rule.share:
        return None
    return Trip(
        "unsafe",
        rule.to,
        f"{window.bad} of {window.calls} answers unsafe in ten minutes, over {100 * rule.share:.1f} %",
    )


def _errors(triggers: Triggers, observed: Observed) -> Trip | None:
    rule, objective = triggers.errors, observed.objective_errors
    if rule is None or not objective or observed.errors_hour.bad < rule.least:
        return None
    limit = min(rule.burn * objective, (1.0 + objective) / 2)  # so that a lax objective can trip at all
    if observed.errors_hour.share <= limit or observed.errors_5m.share <= limit:
        return None
    times = observed.errors_hour.share / objective
    return Trip("errors", rule.to, f"errors at {times:.1f} times the objective, for an hour and for five minutes")


def _halved(triggers: Triggers) -> Triggers:
    spend, unsafe, errors = triggers.spend, triggers.unsafe, triggers.errors
    return Triggers(
        spend and SpendTrigger(spend.usd_per_hour / 2, spend.to),
        unsafe and UnsafeTrigger(unsafe.share / 2, 1, unsafe.to),
        errors and ErrorsTrigger(errors.burn / 2, 1, errors.to),
    )


RULES: Final[dict[Trigger, Callable[[Triggers, Observed], Trip | None]]] = {
    "spend": _spend,
    "unsafe": _unsafe,
    "errors": _errors,
}
