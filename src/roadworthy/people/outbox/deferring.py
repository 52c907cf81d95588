"""Mail that is no page waits for its reader's working hours, and what waits for one reader is one mail."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from roadworthy.people.outbox.model import Delivery, Mail
from roadworthy.people.ports import PeopleTransaction
from roadworthy.workflow import hours
from roadworthy.workflow.model import Person, Settings

MARGIN: Final = 5.0
"""Seconds before it is due in which a mail is not added to any more: it may be on its way."""
MOST_WAITING: Final = 500
"""Newest waiting messages among which one to join is looked for."""


def next_working(person: Person, settings: Settings, now: float) -> float:
    """The next moment at which somebody may be told of what is no page: now, when they are at work or have no hours."""
    spans = hours.parse(person.hours) if person.hours else None
    return hours.next_start(spans, now, ZoneInfo(person.zone or settings.timezone)) if spans else now


def put(tx: PeopleTransaction, delivery: Delivery, person: Person, settings: Settings) -> None:
    """Have a mail wait for working hours, or add it to one that waits already."""
    due = next_working(person, settings, delivery.due_at)
    if due <= delivery.due_at:
        tx.put_delivery(delivery)
        return
    waiting = [
        row
        for row in tx.deliveries(state="waiting", kind="mail", limit=MOST_WAITING)
        if row.person == person.id and row.tries == 0 and row.due_at > delivery.due_at + MARGIN
    ]
    if not waiting:
        tx.put_delivery(replace(delivery, person=person.id, due_at=due))
        return
    first = waiting[-1]
    both = joined(msgspec.json.decode(first.body, type=Mail), msgspec.json.decode(delivery.body, type=Mail))
    tx.put_delivery(replace(first, body=msgspec.json.encode(both).decode()))


def joined(first: Mail, second: Mail) -> Mail:
    """One mail of two, or of one more; each keeps its own subject as a heading.  Only plain text is joined."""
    parts = [*(first.parts or [(first.subject, first.text)]), (second.subject, second.text)]
    text = "\n\n".join(f"{number}. {subject}\n\n{said.strip()}" for number, (subject, said) in enumerate(parts, 1))
    listed = "\n".join(f"{number}. {subject}" for number, (subject, _) in enumerate(parts, 1))
    subject = f"{len(parts)} messages that waited for your working hours"
    return Mail(first.to, subject, f"{listed}\n\n\n{text}\n", parts=parts)
