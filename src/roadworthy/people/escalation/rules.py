"""The life of an escalation, as a table: (state, event) → state.  Pure; docs/escalations.md draws it from here.

The first claim wins and holds for a lease.  While it holds nobody else may answer; an answer straight from the queue
needs no claim.  ``answer_by`` ends an open escalation whoever holds it, for that is what its caller was promised.
Closed states are final, so the second of two answers is refused and never overwrites the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final, Literal, assert_never

import msgspec
from msgspec.structs import replace

from roadworthy.people.escalation.model import Answer, Committed, Escalation, State

LEASE = 30 * 60.0
"""Seconds that a claim holds; claiming again renews it."""
WORDS_A_MINUTE: Final = 238.0
"""Silent reading of English prose by adults.  Source: M. Brysbaert, Journal of Memory and Language 109 (2019)."""
CHARACTERS_A_WORD: Final = 10.0
"""At most: a text without spaces counts as so many words."""

EventKind = Literal["claim", "commit", "answer", "return", "lapse", "expire", "cancel"]
Effect = Literal["tell_caller", "tell_helpdesk", "tell_owner"]
"""What follows a step: gateways (and the registered callback) learn the end; the helpdesk closes its ticket; the
workflow's owner is told that nobody answered."""

TRANSITIONS: dict[tuple[State, EventKind], State] = {
    ("queue", "claim"): "claimed",
    ("queue", "answer"): "answered",
    ("queue", "expire"): "expired",
    ("queue", "cancel"): "cancelled",
    ("claimed", "claim"): "claimed",
    ("claimed", "commit"): "claimed",
    ("claimed", "answer"): "answered",
    ("claimed", "return"): "queue",
    ("claimed", "lapse"): "queue",
    ("claimed", "expire"): "expired",
    ("claimed", "cancel"): "cancelled",
}

HOLDER_ONLY: frozenset[EventKind] = frozenset({"claim", "commit", "answer", "return"})
"""Of a claimed escalation only whoever holds it."""

EFFECTS: dict[State, tuple[Effect, ...]] = {
    "answered": ("tell_caller", "tell_helpdesk"),
    "expired": ("tell_caller", "tell_helpdesk", "tell_owner"),
    "cancelled": ("tell_caller", "tell_helpdesk"),
}


class Event(msgspec.Struct, frozen=True):
    """Something that happens to an escalation."""

    kind: EventKind
    by: str = ""
    """A person's id, ``helpdesk:NAME``, or ``engine``."""
    answer: Answer | None = None
    reason: str = ""
    text: str = ""
    """``commit``: what the agent wrote."""


class Refused(Exception):
    """The event cannot happen now; the message says why, for the person who tried."""


def step(now_is: Escalation, event: Event, now: float) -> tuple[Escalation, tuple[Effect, ...]]:
    """The escalation after ``event`` at ``now``, and what follows from it.  Raises ``Refused``.

    A lapsed lease is over even before the engine noticed.
    """
    if now_is.state == "claimed" and event.kind in HOLDER_ONLY and now >= (now_is.claimed_until or 0.0):
        now_is = _back(now_is, "")
    state = TRANSITIONS.get((now_is.state, event.kind))
    if state is None:
        raise Refused(_why_not(now_is, event))
    if now_is.state == "claimed" and event.kind in HOLDER_ONLY and event.by != now_is.claimed_by:
        left = (now_is.claimed_until or now) - now
        raise Refused(f"{now_is.claimed_by} has claimed it for another {max(1, round(left / 60))} min")
    if event.kind not in ("expire", "lapse") and now >= now_is.answer_by:
        raise Refused("its time to be answered is over: the caller was promised an answer before")
    after = _moved(now_is, state, event, now)
    effects = EFFECTS.get(state, ())
    if now_is.traffic == "drill":
        effects = tuple(effect for effect in effects if effect != "tell_owner")
    return after, effects


def due(escalation: Escalation, now: float) -> Event | None:
    """What the clock alone does to it by ``now``."""
    if not escalation.open:
        return None
    if now >= escalation.answer_by:
        return Event("expire", "engine")
    if escalation.state == "claimed" and now >= (escalation.claimed_until or 0.0):
        return Event("lapse", "engine")
    return None


def _moved(escalation: Escalation, state: State, event: Event, now: float) -> Escalation:
    match event.kind:
        case "claim":
            until = min(now + LEASE, escalation.answer_by)
            since = escalation.claimed_at if escalation.claimed_by == event.by else now
            return replace(escalation, state=state, claimed_by=event.by, claimed_until=until, claimed_at=since)
        case "commit":
            if not event.text.strip():
                raise Refused("nothing is written yet: write your own answer first")
            return replace(escalation, committed=Committed(event.text, event.by, now))
        case "return" | "lapse":
            return _back(escalation, event.reason)
        case "answer":
            if event.answer is None or not event.answer.text.strip():
                raise Refused("the answer is empty")
            return replace(escalation, state=state, answer=event.answer, closed_at=now, closed_by=event.by)
        case "expire" | "cancel":
            return replace(escalation, state=state, closed_at=now, closed_by=event.by, reason=event.reason)
        case _:
            assert_never(event.kind)


def _back(escalation: Escalation, reason: str) -> Escalation:
    return replace(
        escalation, state="queue", claimed_by=None, claimed_until=None, claimed_at=None,
        returned=escalation.returned + 1, reason=reason,
    )  # fmt: skip


def _why_not(escalation: Escalation, event: Event) -> str:
    if escalation.open:
        return f"it is {_STATE_WORDS[escalation.state]}, so there is nothing to {event.kind}"
    by = f" by {escalation.closed_by}" if escalation.closed_by else ""
    return f"it is {escalation.state} already{by}"


_STATE_WORDS: dict[State, str] = {"queue": "in the queue, claimed by nobody", "claimed": "claimed"}


# --- the draft


def hides(escalation: Escalation, share: float) -> bool:
    """Is its draft kept back until the agent has written?  Drawn by its id, so the same for everybody, always."""
    if escalation.draft is None or share <= 0:
        return False
    digest = hashlib.sha256(f"hide {escalation.id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def may_see_draft(escalation: Escalation, share: float, who: str) -> bool:
    """Whoever has committed may, and everybody once it is closed."""
    if not hides(escalation, share) or not escalation.open:
        return True
    return escalation.committed is not None and escalation.committed.by == who


def seen_by(escalation: Escalation, share: float, who: str) -> Escalation:
    """As a person may see it."""
    return escalation if may_see_draft(escalation, share, who) else replace(escalation, draft=None)


# --- how long it takes to read


def reading_time(*texts: str) -> float:
    """Seconds."""
    words = sum(max(len(text.split()), len(text) / CHARACTERS_A_WORD) for text in texts)
    return words / WORDS_A_MINUTE * 60.0


def last_of_user(messages: msgspec.Raw) -> str:
    """What the user wrote last; empty: nothing that can be read."""
    return next((text for role, text in reversed(list(said(messages))) if role == "user"), "")


def said(messages: msgspec.Raw) -> Iterator[tuple[str, str]]:
    """(role, text) of a transcript; parts that are no text are named."""
    try:
        found: Any = msgspec.json.decode(messages)
    except (msgspec.DecodeError, RecursionError):
        return
    for each in found if isinstance(found, list) else []:
        if isinstance(each, dict):
            yield str(each.get("role", "?")), _text(each.get("content"))


def _text(content: Any) -> str:
    if isinstance(content, list):
        parts = [part if isinstance(part, dict) else {} for part in content]
        return "\n".join(str(part.get("text") or f"[{part.get('type', 'part')}]") for part in parts)
    return "" if content is None else str(content)
