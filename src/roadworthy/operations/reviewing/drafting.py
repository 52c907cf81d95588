"""Drafts reviews when their period is over, and shows at any time what the running one would say.

Idempotent: a review is named by workflow, kind and period, so whoever drafts it twice, or after a restart, makes the
same one, and what is there stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final
from zoneinfo import ZoneInfo

from roadworthy.operations.reviewing import monthly, quarterly, weekly
from roadworthy.operations.reviewing.sources import Sources
from roadworthy.people.review import rules
from roadworthy.people.review.model import Facts, Review, ReviewKind
from roadworthy.people.review.rules import Period
from roadworthy.people.review.service import Reviews
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.service import Unknown

log = logging.getLogger("roadworthy.reviews")

DRAFTS: Final[dict[ReviewKind, Callable[[Sources, Workflow, Period, Period], Facts]]] = {
    "weekly": weekly.draft,
    "monthly": monthly.draft,
    "quarterly": quarterly.draft,
}
SETTLES: Final = 600.0
"""Seconds after the end of a period until which late lines of journals are waited for."""


class Drafting:
    """Blocking."""

    def __init__(self, sources: Sources, reviews: Reviews, begun: Callable[[], dict[str, float]]) -> None:
        """``begun``: workflow → when it was first configured; of a time before that there is nothing to review."""
        self._sources = sources
        self._reviews = reviews
        self._begun = begun

    def look(self) -> list[Review]:
        """Draft what is due → what was drafted."""
        now, zone = self._sources.clock(), self._sources.zone()
        periods = rules.ended(now - SETTLES, zone)
        made = []
        for workflow, begun in sorted(self._begun().items()):
            for period in periods:
                if begun < period.until and not self._reviews.has(rules.ident(workflow, period)):
                    made.append(self._reviews.keep(self._made(workflow, period, zone, now)))
                    log.info("review drafted", extra={"workflow": workflow, "reason": f"{period.kind} {period.name}"})
        return made

    def running(self, workflow: str, kind: ReviewKind) -> Review:
        """What the review of the period that runs would say; it is not kept.  Raises ``Unknown``."""
        now, zone = self._sources.clock(), self._sources.zone()
        return self._made(workflow, rules.running(kind, now, zone), zone, now)

    def _made(self, workflow: str, period: Period, zone: ZoneInfo, now: float) -> Review:
        flow = self._sources.flow(workflow)
        if flow is None:
            raise Unknown(f"no workflow '{workflow}' is configured; roadworthy status lists them")
        facts = DRAFTS[period.kind](self._sources, flow, period, rules.before(period, zone))
        return Review(
            id=rules.ident(workflow, period), team=flow.team, workflow=workflow, kind=period.kind, period=period.name,
            since=period.since, until=period.until, drafted_at=now, overdue_at=rules.overdue_at(period), facts=facts,
        )  # fmt: skip
