"""A page to a person about an incident.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

PageState = Literal[
    "wanted", "sent", "delivered", "unproven", "acknowledged", "handed_up", "resolved", "failed"
]  # fmt: skip
"""Nobody was paged yet; on its way; a channel took it; none did so yet; somebody has it; the next person was paged;
the incident is over; every channel refused it."""
LIVE: tuple[PageState, ...] = ("wanted", "sent", "delivered", "unproven")
"""Whoever got it may still act on it, and its timer runs."""
How = Literal["link", "console", "cli", "pagerduty"]
"""The way by which somebody said that the incident is theirs."""
Signal = Literal["trigger", "acknowledge", "resolve"]


class Proof(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one channel says of one page."""

    channel: str
    delivery: str
    """Of the outbox; empty: there was nothing to send by."""
    at: float | None = None
    """When it was taken, or given up; ``None``: neither yet."""
    taken: bool = False
    said: str = ""
    """In words: ``250 by mail.example.com``, ``202, dedup key inc_…``; or why not."""


class Page(msgspec.Struct, frozen=True, omit_defaults=True):
    """One hop of the hand-up of an incident."""

    id: str
    """``pag_`` + 12 hex digits."""
    incident: str
    workflow: str
    team: str
    person: str
    """Empty while it is ``wanted``."""
    hop: int
    """0 for whoever was paged first."""
    state: PageState
    made_at: float
    due_at: float | None = None
    """When something has to happen next: asking for proof, handing up, paging again; ``None``: nothing any more."""
    sent_at: float | None = None
    """Last time that it was sent."""
    sendings: list[float] = []
    """Every time that it was sent; the catch-all is paged again and again."""
    proofs: list[Proof] = []
    """Of the last sending."""
    held: bool = False
    """Not sent, because the person was paged too often in the last hour."""
    last: bool = False
    """The catch-all: paged again instead of handed up."""
    test: bool = False
    ended_at: float | None = None
    ended_by: str = ""
    """Person who acknowledged."""
    how: How | None = None
    told: bool = False
    """Whoever waits for the outcome of a test has been told."""

    @property
    def live(self) -> bool:
        return self.state in LIVE


class Button(msgspec.Struct, frozen=True):
    """A link of a message."""

    label: str
    link: str
    """Id of a ``Link``, whose address is made when the message leaves; or a path of the console: ``/incidents/…``."""


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a channel carries: the same for all of them, each shows what it can."""

    signal: Signal
    incident: str
    """The dedup key."""
    person: str
    name: str
    line: str
    """At most 160 characters."""
    parts: list[tuple[str, str]] = []
    """(what, text) in the order in which they are read."""
    buttons: list[Button] = []
    workflow: str = ""
    at: float = 0.0
    to: list[str] = []
    """Mail addresses, where it goes by mail."""
    severity: Literal["critical", "warning", "info"] = "critical"


Channel = Literal["pagerduty", "apprise", "webhook"]
