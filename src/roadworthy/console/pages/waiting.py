"""The first page.

GET /            what waits for this person, and how each workflow stands
GET /workflows   the workflows alone
"""

from __future__ import annotations

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, View
from roadworthy.operations.overview import Card
from roadworthy.operations.services import Services
from roadworthy.operations.waiting import waiting


def first(services: Services, visit: Visit) -> Answer:
    tasks = waiting(services, visit.standing, visit.now)
    known = [task.minutes for task in tasks if task.minutes is not None]
    return View("waiting.html", {"tasks": tasks, "minutes": sum(known), "cards": _cards(services, visit)})


def workflows(services: Services, visit: Visit) -> Answer:
    return View("workflows.html", {"cards": _cards(services, visit)})


def _cards(services: Services, visit: Visit) -> list[Card]:
    return services.overseeing.overview.cards(lambda name: visit.may("read", name))


PAGES = [
    Page("GET", "/", "read", first, anywhere=True),
    Page("GET", "/workflows", "read", workflows, anywhere=True),
]
