"""What a page says, to whom and by which way.  Pure.

A link that acts goes only where one person reads: by mail, and by a channel that nobody else is paged by.  A chat room
or a shared PagerDuty service gets the address of the incident in the console, where whoever comes signs in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from roadworthy.people.incident.model import Incident
from roadworthy.people.incident.service import MAIL, NOTIFY
from roadworthy.people.links.model import Action
from roadworthy.people.links.service import CONSOLE, mark
from roadworthy.people.outbox.places import CHANNEL
from roadworthy.people.paging import rendering as r
from roadworthy.people.paging.model import Button, Message, Page, Signal
from roadworthy.workflow.model import Person, Settings

LABELS: Final[dict[Action, str]] = {
    "acknowledge": "I'm on it",
    "last_good": "Use last good release",
    "stop": "Turn AI off…",
}
OPEN: Final = "Open the incident"


class Way(msgspec.Struct, frozen=True):
    """How one person is reached."""

    channel: str
    """Its name: ``mail``, ``notify`` or one of ``channels``."""
    destination: str
    """Of the delivery; empty: it cannot be used."""
    personal: bool = False
    """Nobody else reads it."""
    kind: str = "webhook"
    problem: str = ""
    """Why it cannot be used."""


def ways(person: Person, settings: Settings, people: Mapping[str, Person]) -> list[Way]:
    """Every channel that is theirs, also those that cannot be used, with the reason.  ``people``: who else there is."""
    offered = [MAIL] if settings.smtp is not None and person.email else []
    offered += [NOTIFY] if settings.notify is not None else []
    offered += list(settings.channels)
    found = []
    for name in offered if person.pages is None else person.pages:
        if name == MAIL:
            problem = "" if settings.smtp is not None else "smtp is not in roadworthy.yaml"
            problem = problem or ("" if person.email else f"{person.id} has no address")
            found.append(Way(MAIL, "" if problem else MAIL, True, "mail", problem))
            continue
        known = name in settings.channels or (name == NOTIFY and settings.notify is not None)
        kind = settings.channels[name].kind if name in settings.channels else "webhook"
        destination = name if name == NOTIFY else CHANNEL + name
        alone = _alone(name, person, people)
        problem = "" if known else f"{name} is not in roadworthy.yaml"
        found.append(Way(name, destination if known else "", alone, kind, problem))
    return found


def message(
    signal: Signal, incident: Incident, person: Person, links: Mapping[Action, str], now: float, *,
    why: str = "", test: bool = False,
) -> Message:  # fmt: skip
    """``links``: action → id of a ``Link``; without any, the address of the incident.  ``why``: why this person, where
    they are not the first to be paged."""
    shown = [Button(LABELS[action], mark(links[action])) for action in LABELS if action in links]
    if signal != "trigger" or not shown:
        shown = [Button(OPEN, f"{CONSOLE}/incidents/{incident.id}")]
    return Message(
        signal, incident.id, person.id, person.name, incident.line, _parts(signal, incident, why), shown,
        incident.workflow, now, person.email, test=test,
    )  # fmt: skip


def digest(made: Message, most: int, held: int) -> Message:
    """The page that says that there are too many.  ``held``: how many are held back by now."""
    also = f" {held} more are held back." if held else ""
    line = f"{most} pages to you in an hour: further ones are held back until there are fewer. Newest: {made.line}"
    waits = f"This page and all that still come are handed up as usual.{also} The console lists every open incident."
    return msgspec.structs.replace(
        made, line=line, parts=[(r.HAPPENED, waits), *made.parts],
        buttons=[*made.buttons, Button("Open incidents", f"{CONSOLE}/incidents")],
    )  # fmt: skip


def why_you(page: Page, before: str, minutes: float) -> str:
    """Why this person is paged now.  ``before``: name of whom was paged before them; empty: nobody was."""
    if len(page.sendings) > 0:
        return f"Nobody has it yet. This is page {len(page.sendings) + 1} to you."
    if before:
        return f"{before} was paged and has not acknowledged within {minutes:.0f} min, or could not be reached."
    return ""


def _parts(signal: Signal, incident: Incident, why: str) -> list[tuple[str, str]]:
    if signal == "acknowledge":
        return [(r.HAPPENED, f"{incident.acknowledged_by} is on it.")]
    if signal == "resolve":
        if not incident.over:
            return [(r.HAPPENED, incident.lines[-1].what + "." if incident.lines else "What is left of it can wait.")]
        by = f" ({incident.reason})" if incident.reason else ""
        return [(r.HAPPENED, f"It is over: resolved by {incident.resolved_by}{by}.")]
    text = incident.page
    parts = [(r.WHY_YOU, why)]
    if text is None:
        parts.append((r.HAPPENED, incident.told))
    else:
        parts += [
            (r.AFFECTED, text.affected),
            (r.FAULT, text.fault),
            (r.DONE, "\n".join(text.done)),
            (r.OTHERWISE, text.otherwise),
            (r.CHANGED, "\n".join(text.changed)),
        ]
    return [(what, said) for what, said in parts if said]


def _alone(channel: str, person: Person, people: Mapping[str, Person]) -> bool:
    """Is nobody else paged by it?"""
    others = [other for other in people.values() if other.id != person.id]
    return not any(other.pages is None or channel in other.pages for other in others)
