"""A page to a person about an incident, and what channels carry.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

PageState = Literal["sent", "delivered", "unproven", "acknowledged", "handed_up", "resolved", "failed"]
"""On its way; a channel took it; none did in time; somebody has it; the next person was paged; the incident is over;
every channel refused it."""
LIVE: Final[tuple[PageState, ...]] = ("sent", "delivered", "unproven")
"""Whoever was paged may have read it, and nobody has it yet."""
Signal = Literal["trigger", "acknowledge", "resolve"]
Severity = Literal["critical", "warning", "info"]


class Proof(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one channel says of one page."""

    channel: str
    delivery: str = ""
    """Of the outbox; empty: there was nothing to send by."""
    at: float | None = None
    """When it was taken, or given up; ``None``: neither yet."""
    taken: bool = False
    said: str = ""
    """In words: what the channel answered, or why it has not."""


class Page(msgspec.Struct, frozen=True, omit_defaults=True):
    """One hop of the hand-up of an incident: one person, by all of their channels at once."""

    id: str
    """``pag_`` + 12 hex digits."""
    incident: str
    workflow: str
    team: str
    person: str
    """Empty: nobody could be paged."""
    hop: int
    """0 for whoever was paged first."""
    state: PageState
    made_at: float
    chain: str
    """Id of hop 0: an incident that opens again is paged anew."""
    due_at: float | None = None
    """When something has to happen next; ``None``: nothing any more."""
    hand_up_at: float | None = None
    """When the next person is paged, or this one again."""
    sendings: list[float] = []
    """Every time that it was sent; the last person is paged again and again."""
    proofs: list[Proof] = []
    """Of the last sending, one a channel."""
    held: bool = False
    """Not sent, because the person was paged too often in the last hour."""
    last: bool = False
    """The catch-all: paged again instead of handed up."""
    test: bool = False
    ended_at: float | None = None
    ended_by: str = ""
    """Whoever acknowledged the incident."""
    how: str = ""
    """By which way."""

    @property
    def live(self) -> bool:
        return self.state in LIVE or self.due_at is not None

    @property
    def sent_at(self) -> float | None:
        """Last time."""
        return self.sendings[-1] if self.sendings else None

    @property
    def proved(self) -> Proof | None:
        """The first channel that took it."""
        taken = [proof for proof in self.proofs if proof.taken and proof.at is not None]
        return min(taken, key=lambda proof: proof.at or 0.0, default=None)


class Button(msgspec.Struct, frozen=True):
    """A link of a message."""

    label: str
    link: str
    """Its address, with marks that are filled in when it leaves (``links.service.fill``)."""


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
    """(what, text), in the order in which they are read."""
    buttons: list[Button] = []
    workflow: str = ""
    at: float = 0.0
    email: str = ""
    severity: Severity = "critical"
    test: bool = False
