"""What is renewed tonight, and of what a person is warned.  Pure.

A machine renews what it may (``Item.auto``) before it lapses: seven days ahead, or in the second half of a shorter
life.  What a person has to do is said seven days ahead, once; what a machine could not do, when two days are left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final

import msgspec

from roadworthy.evidence.kinds import DAY
from roadworthy.readiness.model import Item, ItemState, Readiness

LAST_CALL: Final = 2 * DAY
"""Left when a person hears of what a machine should have renewed."""
USUALLY: Final = 3
"""Hour of the day that is taken where nothing is known of the traffic."""


class Due(msgspec.Struct, frozen=True):
    """Something to renew."""

    item: int
    kind: str
    workflow: str
    """Empty: of the install, and once for all of its workflows."""


class Warned(msgspec.Struct, frozen=True):
    """Something that a person has to know."""

    item: Item
    workflow: str
    lapses_at: float
    command: str
    role: str
    """``workflow`` or ``cost``: whose matter it is."""

    @property
    def key(self) -> str:
        """The same for as long as the same evidence is about to lapse."""
        return f"lapses/{self.workflow}/{self.item.number}/{self.lapses_at:.0f}"


def due(found: Sequence[Readiness], producers: Collection[str]) -> list[Due]:
    """What a machine renews now, each once.  ``producers``: kinds that can be run here.

    Only what was shown before and counts: whoever never ran a drill is not drilled at night, and a receipt that a
    person revoked does not come back by itself.
    """
    out: dict[tuple[str, str], Due] = {}
    for readiness in found:
        for state in readiness.items:
            if not state.item.auto or not _old(state):
                continue
            for kind in state.item.kinds:
                if kind in producers:
                    workflow = "" if about_install(state.item) else readiness.workflow
                    out.setdefault((kind, workflow), Due(state.item.number, kind, workflow))
    return list(out.values())


def warned(found: Readiness, producers: Collection[str], now: float) -> list[Warned]:
    """What is about to lapse and that no machine will renew, or has not renewed until now."""
    out = []
    for state in found.items:
        if state.lapses_at is None or not state.soon:
            continue
        machine = state.item.auto and all(kind in producers for kind in state.item.kinds)
        if machine and state.lapses_at - now > LAST_CALL:
            continue
        role = "cost" if state.item.kinds == ("cost_forecast",) else "workflow"
        out.append(Warned(state.item, found.workflow, state.lapses_at, state.command(found.workflow), role))
    return out


def about_install(item: Item) -> bool:
    return item.about == ("install",)


def quiet_hour(calls: Mapping[int, float]) -> int:
    """Hour of the day with the fewest calls; of several, the one nearest after three at night.

    ``calls``: hour of the day → live calls.  What is missing had none.
    """
    if not calls:
        return USUALLY
    return min(range(24), key=lambda hour: (calls.get(hour, 0.0), (hour - USUALLY) % 24))


def hour_of(now: float, zone: tzinfo) -> int:
    return datetime.fromtimestamp(now, zone).hour


def _old(state: ItemState) -> bool:
    shown = state.made_at is not None and state.age != "missing"
    return shown and (state.soon or state.age in ("stale", "lapsed"))
