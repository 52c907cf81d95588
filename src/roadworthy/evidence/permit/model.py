"""What is signed: permits, as frozen data.

Instants are Unix seconds, money is US dollars.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.workflow.model import Budgets, Price

PermitClass = Literal["eval", "load", "drill", "shadow"]
"""Classes of traffic that need a permit; ``live`` and ``tester`` have keys."""

LOCAL = "local"
"""The gateway in control's own data folder."""

LONGEST_LIFE = 2 * 3600.0
"""Seconds."""


class Permit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A signed, short-lived permission for calls that are no live traffic."""

    id: str
    """``prm_`` + 16 hex digits."""
    workflow: str
    digest: str | None
    """Release that may be reached; ``None``: whichever is served."""
    traffic: PermitClass
    calls: int
    """Most inferences, over all workers of its gateway."""
    usd: float
    """Most that they may cost together."""
    issued: float
    expires: float
    by: str
    """Who asked for it."""
    fault: str = ""
    """``drill``: the fault that its calls meet."""
    substitutes: dict[str, str] = {}
    """``drill``: target → base URL on loopback that stands for it.  A target that is not named is down."""
    unpriced: bool = False
    """``drill``: nobody knows what the targets cost."""
    price: Price | None = None
    """``drill``: what every target of the release costs."""
    budgets: Budgets | None = None
    """``drill``: instead of the workflow's own."""
    target: str = ""
    """``eval``: the one target of the release that is asked, in the place of its ladder's; empty: the ladder's."""
    gateway: str = LOCAL
    """The one gateway at which it is good, and which counts its calls."""
