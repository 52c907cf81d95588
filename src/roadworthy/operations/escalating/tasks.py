"""What escalations ask of one person."""

from __future__ import annotations

from typing import Final

from roadworthy.operations.services import Services
from roadworthy.operations.tasks import NOW, SOMEBODY_WAITS, Task
from roadworthy.people.roles import Standing
from roadworthy.workflow.words import plural, until

MINUTES: Final = 3.0
"""That one answer takes, until it is known better."""
FEWEST: Final = 5
"""Answers that must have been timed for that."""
MOST: Final = 200


def tasks(services: Services, standing: Standing, now: float) -> list[Task]:
    """A line for each workflow whose customers wait."""
    found = []
    queue = services.escalations
    for name in sorted(standing.teams):
        if not standing.may("answer", name):
            continue
        rows = [row for row in queue.waiting(name, MOST) if row.claimed_by in (None, standing.person)]
        if not rows:
            continue
        mine = sum(row.claimed_by == standing.person for row in rows)
        first = rows[0]
        count = plural(len(rows), "customer")
        due = until(first.answer_by, now)
        said = f"Answer {count} of {name}, the first {due if due.startswith('overdue') else 'is due ' + due}"
        found.append(
            Task(
                key=f"answer/{name}", workflow=name, sentence=f"{said} ({mine} claimed by you)" if mine else said,
                minutes=max(1.0, len(rows) * minutes(services, name)), button="Answer", href=f"/inbox?workflow={name}",
                urgency=NOW if first.answer_by - now < 15 * 60 else SOMEBODY_WAITS,
            )
        )  # fmt: skip
    return found


def minutes(services: Services, workflow: str) -> float:
    """That one answer takes, as those of the last week did."""
    seen = services.answering.foreseeing.seen(workflow, "")
    if seen is None or seen.answered < FEWEST:
        return MINUTES
    return seen.hours * 60.0 / seen.answered
