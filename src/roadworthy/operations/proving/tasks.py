"""What evals ask of one person: scores, a signature, a version to publish, a run to go on with."""

from __future__ import annotations

from typing import Final

from roadworthy.evals.hand import Desk
from roadworthy.evals.rules import rubric_digest
from roadworthy.evals.scoring import HAND
from roadworthy.evals.service import Refused
from roadworthy.evidence.receipt.rules import LEAST_EXAMPLES
from roadworthy.operations.services import Services
from roadworthy.operations.tasks import GROWS, SOMETIME, Task
from roadworthy.people.roles import Standing
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.words import plural

MOST: Final = 50
"""Answers that one task asks for: nobody sits down for two hundred."""


def tasks(services: Services, standing: Standing, now: float) -> list[Task]:
    applied = services.workflows.configuration()
    flows = {} if applied is None else applied.configuration.workflows
    found: list[Task] = []
    for name in sorted(standing.teams):
        flow = flows.get(name)
        if flow is None or services.evals.evals.published(name) is None:
            continue
        found += _owners(services, standing, flow, now)
        if standing.may("score", name):
            found += _scores(services, standing, flow)
    return found


def _owners(services: Services, standing: Standing, flow: Workflow, now: float) -> list[Task]:
    """What only the workflow's owner does."""
    name, found = flow.name, []
    if flow.owners.workflow != standing.person:
        return []
    text = (flow.rubric or "").strip()
    signed = services.evals.evals.signed_by(name, rubric_digest(flow.rubric or ""), now, flow.owners.workflow)
    if text and signed != flow.owners.workflow:
        said = f"Read and sign the rubric of {name}: what people score before that is worth nothing"
        found.append(
            Task(
                key=f"rubric/{name}", workflow=name, sentence=said, minutes=5, button="Read it",
                href=f"/evals/{name}/rubric", who=standing.person,
            )
        )  # fmt: skip
    waiting, due = services.evals.pool.waits(name)
    if waiting and due <= now:
        count = plural(waiting, "example")
        waits = "waits" if waiting == 1 else "wait"
        found.append(
            Task(
                key=f"publish/{name}", workflow=name, sentence=f"{count} of {name} {waits} to be published", minutes=3,
                button="Look at them", href=f"/evals/{name}/pool", who=standing.person, urgency=SOMETIME,
            )
        )  # fmt: skip
    return found


def _scores(services: Services, standing: Standing, flow: Workflow) -> list[Task]:
    name, hand = flow.name, services.evals.hand
    try:
        desk = hand.desk_of(name, standing.person)
    except Refused:  # the rubric is not signed, or has no values: its owner has a task of their own
        return []
    scored = len({(each.example, each.answer) for each in hand.of(name, desk.digest)})
    count, again = wanted(flow, desk, scored)
    if not count:
        return []
    more = "more " if desk.mine else ""
    said = f"Score {count} {more}conversation{'' if count == 1 else 's'} of {name}"
    if again:
        said += ", which others scored: so it is known how far people agree"
    minutes = max(count * hand.pace_of(name, standing.person, desk.digest) / 60, 1.0)
    urgency = SOMETIME if again else GROWS
    return [
        Task(key=f"score/{name}", workflow=name, sentence=said, minutes=minutes, button="Score",
             href=f"/evals/{name}/score", urgency=urgency)
    ]  # fmt: skip


def wanted(flow: Workflow, desk: Desk, scored: int) -> tuple[int, bool]:
    """(conversations that this person should score, are they all ones that others scored?).  Pure.

    Where a floor is about hand scores, all of them; else as many as a judge, or a reader, needs to be sure of anything.
    """
    fresh = len(desk.items) - desk.seconds
    by_hand = HAND in flow.policy.gate.floors or flow.policy.gate.primary == HAND
    count = fresh if by_hand else min(fresh, max(LEAST_EXAMPLES - scored, 0))
    return (min(count, MOST), False) if count else (min(desk.seconds, MOST), True)
