"""What a cost alert is about, and the key of its incident: both ways."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

Kind = Literal["budget", "spike", "budget_test"]


class Subject(msgspec.Struct, frozen=True):
    """One budget in one period and a share of it, or an hour that cost far more than usual."""

    kind: Kind
    scope: str
    """``workflow``, ``team``, ``key``, ``user``, ``tester``."""
    owner: str
    """The workflow, or the team."""
    who: str
    """Id of the key.  Never a user: alerts are not rewritten when one is forgotten."""
    period: str
    """``day``, ``month`` or ``hour``."""
    when: str
    """``2026-11-23`` or ``2026-11``: alerts of another period are other alerts."""
    share: str
    """Per cent of the budget, or times the usual."""

    @property
    def key(self) -> str:
        return "/".join((self.kind, self.scope, self.owner, self.who, self.period, self.when, self.share))

    @classmethod
    def of(cls, key: str) -> Subject | None:
        """``None``: the incident is about something else."""
        kind, *rest = key.split("/")
        return cls(kind, *rest) if kind in get_args(Kind) and len(rest) == 6 else None  # type: ignore[arg-type]


def day_of(at: float, zone: ZoneInfo, period: str) -> str:
    """The day (or month) that holds an instant."""
    return datetime.fromtimestamp(at, zone).strftime("%Y-%m" if period == "month" else "%Y-%m-%d")
