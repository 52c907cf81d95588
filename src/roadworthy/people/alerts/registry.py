"""All alerts by name.  A notice names one of these; a test holds sources, registry and ``docs/alerts`` together."""

from __future__ import annotations

from typing import Final

from roadworthy.people.alerts.model import Alert
from roadworthy.people.alerts.notifying import NOTIFIES
from roadworthy.people.alerts.paging import PAGES

ALERTS: Final[dict[str, Alert]] = {alert.name: alert for alert in (*PAGES, *NOTIFIES)}


def alert_of(name: str) -> Alert:
    """The alert of a name.  One that nobody registered (an incident of another version) notifies: it wakes nobody."""
    found = ALERTS.get(name)
    if found is not None:
        return found
    return Alert(
        name=name, cls="notify", title=name, means="This version does not know the alert.",
        check=("What its text says.",), do=("Resolve it when it is mended.",),
    )  # fmt: skip
