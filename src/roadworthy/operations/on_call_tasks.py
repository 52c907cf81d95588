"""What on-call asks of a person, for the first page: a test page to acknowledge, a shift that nobody has."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from roadworthy.operations.duties import WorkflowGap, gaps
from roadworthy.operations.services import Services
from roadworthy.operations.tasks import LAPSES, SOMEBODY_WAITS, Task
from roadworthy.people.oncall.rules import AHEAD
from roadworthy.people.ports import PeopleState
from roadworthy.people.roles import Standing

MOST: Final = 200


def tasks(services: Services, standing: Standing, now: float) -> list[Task]:
    return [*_test_pages(services, standing), *_gaps(services, standing, now)]


def _test_pages(services: Services, standing: Standing) -> list[Task]:
    """Sent to this very person: it counts once a human has acknowledged it."""
    state: PeopleState = services.state  # type: ignore[assignment]
    with state.read() as tx:
        live = [page for page in tx.pages(live_only=True, limit=MOST) if page.test and page.person == standing.person]
    return [
        Task(
            key=f"page_test/{page.incident}", workflow=page.workflow, minutes=0.5, button="Acknowledge",
            sentence=f"Acknowledge the test page of {page.workflow}", href=f"/incidents/{page.incident}",
            who=standing.person, urgency=SOMEBODY_WAITS,
        )
        for page in live
    ]  # fmt: skip


def _gaps(services: Services, standing: Standing, now: float) -> list[Task]:
    """Of a rotation, once, for those of its people and owners who may take it."""
    on_call = services.on_duty.on_call
    if not on_call.configured():
        return []
    found: dict[tuple[str, float], Task] = {}
    for gap in gaps(on_call, now, now + AHEAD):
        if gap.rotation and standing.may("approve", gap.workflow) and standing.person in _concerned(services, gap):
            found.setdefault((gap.rotation, gap.start), _to_take(services, gap))
    return list(found.values())


def _concerned(services: Services, gap: WorkflowGap) -> set[str]:
    rotation = services.on_duty.on_call.rotations()[gap.rotation]
    owners = services.workflows.named(gap.workflow).owners
    return {*rotation.members, rotation.catch_all, owners.workflow}


def _to_take(services: Services, gap: WorkflowGap) -> Task:
    zone = services.zone()
    start, end = (datetime.fromtimestamp(at, zone) for at in (gap.start, gap.end))
    query = urlencode({"rotation": gap.rotation, "from": f"{start:%Y-%m-%dT%H:%M}", "until": f"{end:%Y-%m-%dT%H:%M}"})
    return Task(
        key=f"on_call_gap/{gap.rotation}/{gap.start:.0f}", workflow=gap.workflow, minutes=1, button="Take it",
        sentence=f"Nobody is on call for {gap.workflow} from {start:%a %-d %b %H:%M}: {gap.reason}",
        href=f"/oncall?{query}#take", urgency=LAPSES,
    )  # fmt: skip
