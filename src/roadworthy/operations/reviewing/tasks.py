"""Which reviews wait for their owner's signature."""

from __future__ import annotations

from roadworthy.operations.reviewing.document import MINUTES
from roadworthy.operations.services import Services
from roadworthy.operations.tasks import GROWS, LAPSES, Task
from roadworthy.people.review.model import Review
from roadworthy.people.roles import Standing
from roadworthy.workflow.words import lasting


def tasks(services: Services, standing: Standing, now: float) -> list[Task]:
    """Of the workflows that this person owns."""
    applied = services.workflows.configuration()
    flows = {} if applied is None else applied.configuration.workflows
    return [
        Task(
            key=f"review/{each.id}", workflow=each.workflow, sentence=_sentence(each, now), minutes=MINUTES[each.kind],
            button="Review", href=f"/reviews/{each.workflow}/{each.kind}/{each.period}", who=standing.person,
            urgency=LAPSES if each.overdue(now) else GROWS,
        )
        for each in services.reviewing.reviews.all(state="drafted")
        if each.workflow in flows and flows[each.workflow].owners.workflow == standing.person
    ]  # fmt: skip


def _sentence(review: Review, now: float) -> str:
    said = f"Sign the {review.kind} review {review.period} of {review.workflow}"
    return f"{said}: it is overdue {lasting(review.overdue_at, now)}" if review.overdue(now) else said
