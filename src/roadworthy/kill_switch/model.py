"""The kill switch of a workflow as frozen data.  Instants are Unix seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

import msgspec

State = Literal["on", "guarded", "assist", "off"]
"""From the least to the most restrictive.

``guarded``: new calls get the previous release that passed; ``assist``: a person gets every call with a draft;
``off``: the bypass.
"""

Source = Literal["control", "link", "file", "environment", "spend", "unsafe", "errors"]
"""Who holds a state: a person (at control, by a link), a gateway's ``KILL`` or ``ROADWORTHY_KILL``, a trigger."""

Trigger = Literal["spend", "unsafe", "errors"]
Right = Literal["stop", "on_call", "owner"]
"""``stop``: everybody who may act at all."""

STATES: Final[tuple[State, ...]] = get_args(State)
TRIGGERS: Final[tuple[Trigger, ...]] = get_args(Trigger)
SAID: Final[dict[State, str]] = {
    "on": "on", "guarded": "on its last good release", "assist": "answered by people", "off": "off",
}  # fmt: skip
"""State → "the AI of support-triage is …"."""
AT_GATEWAYS: Final[frozenset[Source]] = frozenset({"file", "environment"})
"""Held where a gateway runs, so they can be lifted only there."""
EVERY: Final = "*"
"""In the place of a workflow: all of them."""


class Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """A state that one source asks for, latched until somebody restores."""

    state: State
    since: float
    by: str
    """A person's id, ``os:uid``, ``engine``, or the gateway that reported it."""
    reason: str = ""
    active: list[str] = []
    """Who asks for it still: gateways with the file, or ``engine`` for a trigger; empty: it has cleared."""


class Undo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A press that whoever pressed may take back."""

    by: str
    at: float
    source: Source
    before: Held | None = None


class Switch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one workflow, or of all (``*``)."""

    workflow: str
    held: dict[Source, Held] = {}
    undo: Undo | None = None
    seq: int = 0
    """Rises with every change: what gateways confirm."""
    unlogged: list[Record] = []
    """Lines of the kill log that were not in it yet when the switch was kept: none is lost to a crash in between."""

    @property
    def state(self) -> State:
        """The most restrictive that any source asks for."""
        return effective(held.state for held in self.held.values())


class Record(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of the kill log: what was done, before anything else was written.  Fields after OWASP AISVS C14."""

    id: str
    """``kil_`` + 16 hex digits: its audit record is written once."""
    at: float
    workflow: str
    action: str
    """``press``, ``restore``, ``undo``, ``trip``, ``clear``, ``report``, ``explain``, ``hold``."""
    before: State
    after: State
    by: str
    on_behalf_of: str = ""
    """The operating system's user at whose terminal a person acted."""
    source: Source = "control"
    reason: str = ""
    gateway: str = ""
    seq: int = 0
    """Of the switch afterwards."""
    denied: str = ""
    """Why nothing was done; empty: it was."""


def severity(state: State) -> int:
    """0 for ``on``; higher is more restrictive."""
    return STATES.index(state)


def effective(states: Iterable[State]) -> State:
    """The most restrictive; ``on`` when nobody asks for anything."""
    return max(states, key=severity, default="on")
