"""One escalation as control keeps it.  Its id is the inference's.  Instants are Unix seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

from roadworthy.formats.model import Format
from roadworthy.workflow import inference
from roadworthy.workflow.inference import Failure, TrafficClass

State = Literal["queue", "claimed", "answered", "expired", "cancelled"]
OPEN_STATES: tuple[State, ...] = ("queue", "claimed")
CLOSED_STATES: tuple[State, ...] = ("answered", "expired", "cancelled")

Action = Literal["sent", "edited", "discarded"]
"""What became of the draft: sent as it was, edited, or discarded (the answer was written anew, or none is given)."""

HELPDESK = "helpdesk:"
"""Before the name of a helpdesk where it stands for who acted."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the human said."""

    text: str
    action: Action
    by: str
    """A person's id, or ``helpdesk:NAME``."""
    agent: str = ""
    """Who at the helpdesk, as it says."""
    at: float = 0.0
    json: msgspec.Raw = msgspec.Raw(b"null")
    """The text as JSON where it satisfies the release's schema."""
    reading: float = 0.0
    """Seconds that somebody takes to read the message and the draft (``rules.reading_time``)."""
    hidden: bool = False
    """The draft was not shown before the agent had written."""


class Committed(msgspec.Struct, frozen=True):
    """What an agent wrote before the draft was shown."""

    text: str
    by: str
    at: float


class Escalation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call handed to a human."""

    id: str
    team: str
    workflow: str
    opened_at: float
    answer_by: float
    failure: Failure | None = None
    digest: str | None = None
    unit: str | None = None
    session: str | None = None
    key: str = ""
    traffic: TrafficClass = "live"
    drill: str = ""
    detail: str = ""
    messages: msgspec.Raw = msgspec.Raw(b"null")
    """The caller's messages, as they were journalled."""
    draft: str | None = None
    holding: str = ""
    callback: str | None = None
    structured: bool = False
    own_schema: bool = False
    surface: Format = "chat"
    """The format in which the caller asked, and reads the answer."""
    state: State = "queue"
    claimed_by: str | None = None
    claimed_until: float | None = None
    """Until then nobody else may answer; afterwards it is back in the queue."""
    claimed_at: float | None = None
    """When who holds it (or answered it) took it; renewing a claim does not change it."""
    committed: Committed | None = None
    """Of whoever wrote last before they saw the draft, where it is hidden until then."""
    returned: int = 0
    """How often it came back to the queue unanswered."""
    answer: Answer | None = None
    closed_at: float | None = None
    closed_by: str = ""
    reason: str = ""
    """Why it was cancelled or last returned, in a person's words."""
    helpdesk: str | None = None
    """Where it was sent when it was opened."""
    seq: int = 0
    """Rises with every change of any escalation: what gateways were told up to it."""

    @property
    def open(self) -> bool:
        return self.state in OPEN_STATES


def opened(line: inference.Escalation, helpdesk: str | None) -> Escalation:
    """What a journal line opens."""
    return Escalation(
        id=line.inference, team=line.team, workflow=line.workflow, opened_at=line.ts, answer_by=line.answer_by,
        failure=line.failure, digest=line.digest, unit=line.unit, session=line.session, key=line.key,
        traffic=line.traffic, drill=line.drill, detail=line.detail, messages=line.messages or msgspec.Raw(b"null"),
        draft=line.draft, holding=line.holding, callback=line.callback, structured=line.structured,
        own_schema=line.own_schema, surface=line.surface, helpdesk=helpdesk,
    )  # fmt: skip


class Worked(msgspec.Struct, frozen=True):
    """An escalation without a word that anybody said: what is counted."""

    escalation: Escalation
    drafted: bool
    """There was a draft."""
