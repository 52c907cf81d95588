"""The first page.

GET /   what waits for this person, and how each workflow stands
"""

from __future__ import annotations

from roadworthy.console.access import Visit
from roadworthy.console.app import Answer, Page, View
from roadworthy.operations.services import Services


def first(services: Services, visit: Visit) -> Answer:
    flows = [flow for flow in services.status()["workflows"] if visit.may("read", flow.name)]
    return View("waiting.html", {"workflows": flows})


PAGES = [Page("GET", "/", "read", first, anywhere=True)]
