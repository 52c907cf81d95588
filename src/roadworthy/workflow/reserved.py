"""Names that no configuration may give to a workflow, and the two that stand for the kill drill.

The kill drill stops and restores workflows of its own (``operations/drills/kill_drill.py``), so that it never touches
one that serves people.  They are in every snapshot, reached by a drill's permit and nothing else, and belong to
nobody's lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

DRILLED: Final[Mapping[str, Literal["drain", "cut"]]] = {
    "roadworthy-drill": "drain",
    "roadworthy-drill-cut": "cut",
}
"""Workflow of the kill drill → what becomes of its answers under way when it is stopped."""

COMMANDS: Final = ("kill",)
"""What ``roadworthy drill`` takes besides a workflow's name."""


def refused(name: str) -> tuple[str, str] | None:
    """(what was expected, how to mend it) of a name that no workflow may have; ``None``: it may."""
    if name in DRILLED:
        return "a name that Roadworthy does not use itself (the kill drill stops this one)", "rename the folder"
    if name in COMMANDS:
        return f"another name: `roadworthy drill {name}` is a command of its own", "rename the folder"
    return None
