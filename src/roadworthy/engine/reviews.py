"""Reviews are drafted when their week, month or quarter is over."""

from __future__ import annotations

from roadworthy.engine.supervise import Module, blocking
from roadworthy.operations.reviewing.drafting import Drafting


def module(drafting: Drafting, *, interval: float = 600.0) -> Module:
    """Costs a look at the calendar while nothing is due."""

    def work() -> None:
        drafting.look()

    return Module("reviews", blocking(work, name="reviews", behind=True), interval, timeout=300.0)
