"""What control and a worker tell each other about the kill switch: ``POST /internal/kill``.

Control sends ``KillNews`` the moment that something changes and every second besides; the worker applies it before it
answers ``KillSeen``, so an answer is a confirmation.  Instants are Unix seconds.
"""

from __future__ import annotations

import msgspec

from roadworthy.gateway.snapshot import Stopped
from roadworthy.kill_switch.model import State

PATH = "/internal/kill"


class KillNews(msgspec.Struct, omit_defaults=True):
    """The word of control: every switch that was ever touched, also those that are ``on`` again.

    A worker takes a switch whose ``seq`` is above the one that it knows; at the same ``seq`` only a tighter one.  A
    switch that is left out stays as it was, so nothing is loosened by silence.  News below the highest epoch that the
    worker has heard of tighten only.  A control that reads a higher ``seq`` in an answer than it knows has lost its
    place (a restored backup): what it says next must be above that one, or the worker stays as tight as it is.
    """

    epoch: int
    """Fencing epoch of the control that sends it."""
    at: float
    states: dict[str, Stopped] = {}
    """Workflow or ``*`` → its switch."""


class SeenState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker acts on for one switch."""

    state: State
    """In force here, by the most restrictive of all sources of this name (and, of a workflow, of ``*``)."""
    seq: int = 0
    """Of control's word that it has applied; 0: it has heard none."""


class KillSeen(msgspec.Struct, omit_defaults=True):
    """What a worker answers once it acts on it."""

    worker: str
    gateway: str = "local"
    states: dict[str, SeenState] = {}
    """For every name of the news, and every other that is not ``on`` here."""
    files: dict[str, State] = {}
    """Workflow or ``*`` → what ``KILL`` files of its data folder say now."""
    environment: dict[str, State] = {}
    """The same of ``ROADWORTHY_KILL``, as it was read at start."""
