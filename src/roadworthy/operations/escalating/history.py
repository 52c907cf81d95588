"""What a user said before, for whoever answers them now: of the same team, bounded, newest first.

That it was read is audited with the escalation it was read for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from roadworthy.inference_log.model import Entry, Filter, Page
from roadworthy.people.escalation.model import Escalation
from roadworthy.people.escalation.rules import last_of_user
from roadworthy.people.ports import PeopleState, WhichEscalations
from roadworthy.workflow.inference import Inference

MOST: Final = 6
"""Earlier calls that are shown."""
LOOKS_BACK: Final = 30 * 86_400.0
CLIPPED: Final = 600
"""Characters of what was asked or answered."""


class Past(msgspec.Struct, frozen=True):
    """One earlier call of the same user."""

    inference: str
    at: float
    workflow: str
    asked: str
    """What the user wrote, clipped; empty: the log keeps no texts of it."""
    said: str
    """What they read, clipped; empty: nothing, or it is not kept."""
    by: str
    """Who answered, in words."""


class LogReader(Protocol):
    def find(self, where: Filter, limit: int = 50) -> Page: ...

    def get(self, inference: str) -> Entry | None: ...


def history(escalation: Escalation, log: LogReader, state: PeopleState, now: float) -> list[Past]:
    """Nothing where the caller named no user."""
    if escalation.unit is None:
        return []
    where = Filter(
        team=escalation.team, unit=escalation.unit, traffic="live", since=now - LOOKS_BACK, until=escalation.opened_at
    )
    calls = {call.id: call for call in log.find(where, MOST + 1).items if call.id != escalation.id}
    asked = WhichEscalations(unit=escalation.unit, team=escalation.team)
    with state.read() as tx:
        handed = {each.id: each for each in tx.escalations(asked, MOST + 1) if each.opened_at < escalation.opened_at}
        older = [tx.escalation(ident) for ident in calls if ident not in handed]
    handed |= {each.id: each for each in older if each is not None}
    found = [_escalated(each) for each in handed.values() if each.id != escalation.id and each.traffic != "drill"]
    found += [_served(call, log.get(call.id)) for call in calls.values() if call.id not in handed]
    return sorted(found, key=lambda each: (each.at, each.inference), reverse=True)[:MOST]


def _escalated(each: Escalation) -> Past:
    match each.state:
        case "answered":
            assert each.answer is not None
            by = each.answer.agent or each.answer.by
        case "queue" | "claimed":
            by = "nobody yet: it waits for a person"
        case "expired":
            by = "nobody: its time ran out"
        case "cancelled":
            by = f"nobody: {each.closed_by} closed it"
    said = "" if each.answer is None else each.answer.text
    asked = clipped(last_of_user(each.messages))
    return Past(each.id, each.opened_at, each.workflow, asked, clipped(said), by)


def _served(call: Inference, entry: Entry | None) -> Past:
    whole = call if entry is None else entry.inference
    asked = last_of_user(_part(whole.asked(), "messages"))
    return Past(
        call.id, call.ts, call.workflow, clipped(asked), clipped(_said(whole)), _WHO.get(call.outcome, "the AI")
    )


_WHO: Final[dict[str, str]] = {
    "escalated": "a person; what they said is not kept",
    "canned": "a fixed text",
    "blocked": "nobody: it was withheld",
    "limited": "nobody: a limit turned it away",
    "bypassed": "the app itself",
    "abandoned": "nobody: they left",
    "error": "nobody: it failed",
}


def _said(call: Inference) -> str:
    try:
        choices: Any = msgspec.json.decode(_part(call.said(), "choices"))
    except (msgspec.DecodeError, RecursionError):
        return ""
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _part(body: msgspec.Raw | None, name: str) -> msgspec.Raw:
    try:
        found = msgspec.json.decode(body or b"null", type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return msgspec.Raw(b"null")
    return found.get(name, msgspec.Raw(b"null"))


def clipped(text: str) -> str:
    return text if len(text) <= CLIPPED else f"{text[:CLIPPED].rstrip()} […]"


def whole(transcript: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """A transcript as an agent reads it: without the instructions of the app and the release."""
    return [(role, text) for role, text in transcript if role not in ("system", "developer") and text.strip()]
