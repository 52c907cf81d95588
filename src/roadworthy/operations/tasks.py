"""What waits for one person, as an operator says it.  Every property makes its own; ``waiting.py`` collects them."""

from __future__ import annotations

from typing import Final

import msgspec

NOW: Final = 0
"""Customers are worse off until somebody acts: an incident, a stop that is not confirmed."""
SOMEBODY_WAITS: Final = 1
"""A customer, or a colleague's release, waits for this very person."""
LAPSES: Final = 2
"""Traffic is lost soon if nobody acts."""
GROWS: Final = 3
"""More traffic comes of it."""
SOMETIME: Final = 4


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the first page."""

    key: str
    """The same matter has the same key: of two, the first is shown.  ``approve/support-triage/10 %``."""
    sentence: str
    """What to do, and what waits for it: "Score 12 more conversations"."""
    button: str
    """One or two words."""
    href: str
    """Where it is done: a path of the console."""
    workflow: str = ""
    """Empty: it is about the install."""
    minutes: float | None = None
    """Of this person's time; ``None``: nobody can say."""
    who: str = ""
    """Whose it is: a person's id; empty: anybody's who may."""
    urgency: int = GROWS
    """The lower the sooner; one of the words above."""


def in_order(tasks: list[Task]) -> list[Task]:
    """Most urgent first, quick ones before long ones; each matter once."""
    once: dict[str, Task] = {}
    for task in tasks:
        if task.key not in once or task.urgency < once[task.key].urgency:
            once[task.key] = task
    return sorted(once.values(), key=lambda task: (task.urgency, task.minutes or 0.0, task.workflow, task.key))
