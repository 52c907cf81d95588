"""What stands in the menu, in its order."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from roadworthy.console.access import Visit
from roadworthy.operations.alerting.tasks import actable
from roadworthy.operations.services import Services
from roadworthy.people.roles import Permission


class Section(msgspec.Struct, frozen=True):
    name: str
    href: str
    needs: Permission = "read"


SECTIONS = [
    Section("Waiting for you", "/"),
    Section("Workflows", "/workflows"),
    Section("Inferences", "/inferences"),
    Section("Evals", "/evals"),
    Section("Inbox", "/inbox"),
    Section("Incidents", "/incidents"),
    Section("On-call", "/oncall"),
    Section("Cost", "/cost"),
    Section("Load", "/load"),
    Section("Drills", "/drills"),
    Section("Reviews", "/reviews"),
    Section("Audit", "/audit"),
    Section("Settings", "/settings"),
]

MOST = 100
"""From so many on the menu says ``99+``."""


def counts(services: Services, visit: Visit) -> Mapping[str, str]:
    """Address of a section → how many wait there for somebody like the visitor, and nobody has them yet."""
    standing = visit.standing
    waiting = (
        sum(
            row.claimed_by in (None, standing.person) and standing.may("answer", row.workflow)
            for row in services.escalations.waiting(limit=MOST)
        )
        if visit.may("answer", anywhere=True)
        else 0
    )
    found = services.incidents.list(open_only=True, drills=False, limit=MOST)
    new = sum(each.state == "open" and actable(each, standing) for each in found)
    return {
        href: str(number) if number < MOST else f"{MOST - 1}+"
        for href, number in (("/inbox", waiting), ("/incidents", new))
        if number
    }
