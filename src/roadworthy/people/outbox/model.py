"""One message that is to be told over HTTP.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["escalation", "callback", "notice", "mail", "page"]
"""To a helpdesk; to a caller's registered URL; to whoever is told of incidents and alerts; to people by e-mail; to
whoever is paged, by one of their channels."""

DeliveryState = Literal["waiting", "delivered", "dead", "withdrawn"]
"""``withdrawn``: nobody needs to be told any more."""


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be told, and how far that has come.  ``id`` is the ``webhook-id`` of every try."""

    id: str
    """``msg_`` + 24 hex digits."""
    team: str
    kind: Kind
    destination: str
    """``helpdesk:NAME``, ``callback:KEY URL``, ``notify``, ``mail`` or ``channel:NAME``: looked up in the
    configuration at every try."""
    body: str
    """JSON; of a ``mail`` a ``Mail``, of a ``page`` a ``paging.model.Message``."""
    created_at: float
    due_at: float
    about: str = ""
    """The inference that it is about."""
    unit: str | None = None
    workflow: str = ""
    drill: bool = False
    state: DeliveryState = "waiting"
    tries: int = 0
    """Failed so far."""
    last_status: int | None = None
    last_error: str = ""
    ended_at: float | None = None
    incident: str = ""
    """That it tells of."""
    page: str = ""
    """Whose proof of delivery it is."""
    person: str = ""
    """Whom it is for, where it waits for their working hours and may be joined with others."""


class Mail(msgspec.Struct, frozen=True, omit_defaults=True):
    """One e-mail."""

    to: list[str]
    """Addresses."""
    subject: str
    text: str
    html: str = ""
    """The same as a page; empty: text alone."""
    parts: list[tuple[str, str]] = []
    """(subject, text) of those that were joined into it."""


class Sent(msgspec.Struct, frozen=True):
    """How one try ended."""

    status: int | None = None
    """HTTP status; ``None``: no answer."""
    error: str = ""
    """Why it failed, in words; empty when it was taken (2xx)."""
    retry_after: float | None = None
    final: bool = False
    """It can never be taken as it is."""
    said: str = ""
    """What whoever took it answered, as proof."""
