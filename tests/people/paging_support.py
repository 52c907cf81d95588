"""An install whose people are paged, on a clock of its own."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.people.incident.model import Incident
from roadworthy.people.links.service import Links
from roadworthy.people.outbox.model import Mail, Sent
from roadworthy.people.outbox.places import AppriseUrl, EventsPlace, Mailbox, Place
from roadworthy.people.outbox.service import MailSender, Outbox, Pagers, Sender
from roadworthy.people.paging.model import Message
from roadworthy.people.paging.service import Paging
from roadworthy.workflow.model import Configuration, Owners, Person, Settings, Smtp, Workflow
from roadworthy.workflow.ports import AppliedConfiguration

NOON = 1_793_620_800.0
"""Monday 2 November 2026, 12:00 UTC."""


def configuration(settings: Settings | None = None, **people: Person) -> Configuration:
    known = {
        "ada": Person("ada", "Ada", email="ada@example.com"),
        "bo": Person("bo", "Bo", email="bo@example.com"),
        "cy": Person("cy", "Cy", email="cy@example.com"),
        **people,
    }
    flow = Workflow("support", "default", Owners("ada", "ada", "bo"), "enforce")
    return Configuration(settings or Settings(), {}, known, {"support": flow})


def applied(state: MemoryState | SqliteState, configured: Configuration | None = None) -> None:
    with state.write() as tx:
        known = tx.applied()
        version = 1 if known is None else known.version + 1
        tx.add_configuration(AppliedConfiguration(version, NOON, "ada", {}, configured or configuration()))


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Rota:
    """``people.paging.ports.OnCall``: whoever the test says."""

    def __init__(self, *order: str) -> None:
        self.order = list(order)
        self.minutes = 5.0

    def now(self, workflow: str) -> Sequence[str]:
        return self.order

    def hand_up(self, workflow: str) -> float:
        return self.minutes * 60


class Post:
    """Everything that leaves; each channel answers as ``will`` says, else that it was taken."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []
        self.mails: list[Mail] = []
        self.hooks: list[dict[str, Any]] = []
        self.will: dict[str, Sent] = {}

    def senders(self) -> tuple[Sender, MailSender, Pagers]:
        return _Hooks(self), _Mails(self), Pagers(_Events(self), _Apprise(self))

    def took(self, channel: str, message: Message) -> Sent:
        self.sent.append((channel, message))
        return self.will.get(channel, Sent(202, said=f"202 by {channel}"))


class _Hooks:
    def __init__(self, post: Post) -> None:
        self._post = post

    async def send(self, place: Place, headers: dict[str, str], body: bytes) -> Sent:
        self._post.hooks.append(json.loads(body))
        return self._post.will.get("webhook", Sent(200))

    async def close(self) -> None:
        pass


class _Mails:
    def __init__(self, post: Post) -> None:
        self._post = post

    async def send(self, mailbox: Mailbox, ident: str, mail: Mail) -> Sent:
        self._post.mails.append(mail)
        return self._post.will.get("mail", Sent(250))


class _Events:
    def __init__(self, post: Post) -> None:
        self._post = post

    async def send(self, place: EventsPlace, message: Message) -> Sent:
        return self._post.took("pagerduty", message)


class _Apprise:
    def __init__(self, post: Post) -> None:
        self._post = post

    async def send(self, place: AppriseUrl, message: Message) -> Sent:
        return self._post.took("apprise", message)


SECRETS = {"env:PD": "R0UTINGKEY", "env:NTFY": "ntfy://x", "env:HOOK": "told", "env:NOTIFY": "told"}
MAILS = Settings(smtp=Smtp("mail.example.com", "roadworthy@example.com", security="tls"))
BASE = "https://console.example.com"


class Desk:
    """An install whose people are paged.  Read a test as promises: what happens after so many minutes."""

    def __init__(
        self, rota: Rota, configured: Configuration | None = None, state: MemoryState | SqliteState | None = None
    ) -> None:
        self.clock = Clock()
        self.post = Post()
        self.rota = rota
        self.state = state or MemoryState()
        applied(self.state, configured or configuration(MAILS))
        self._numbers = itertools.count(1)
        self.start()

    def start(self) -> None:
        """Everything anew over the same state, as after a crash."""
        self.links = Links(self.state, b"k" * 32, clock=self.clock)
        self.paging = Paging(self.state, self.links, self.rota, clock=self.clock, new_id=self._new_id)
        self.outbox = Outbox(
            self.state, clock=self.clock, secret=SECRETS.get, hmac_key=b"k" * 32, jitter=lambda: 0.5,
            new_id=self._new_id, fill=lambda body: self.links.fill(body, BASE), answered=self.paging.answered,
        )  # fmt: skip

    def _new_id(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers)}"

    def opens(self, ident: str = "inc_1", **more: Any) -> Incident:
        """An incident of class page."""
        fields: dict[str, Any] = {
            "id": ident, "kind": "incident", "key": f"burn/{ident}", "team": "default", "workflow": "support",
            "title": "support: 38 of 52 customers got the holding text", "summary": "Provider time-outs.",
            "role": "workflow", "opened_at": self.clock.now, "seen_at": self.clock.now,
            "notified_at": self.clock.now, "cls": "page",
        }  # fmt: skip
        made = Incident(**{**fields, **more})
        with self.state.write() as tx:
            tx.put_incident(made)
            self.paging.page(tx, made, self.clock.now)
        self.passes(0)
        return made

    def acknowledges(self, person: str, how: str = "link", ident: str = "inc_1") -> None:
        with self.state.write() as tx:
            found = tx.incident(ident)
            assert found is not None
            taken = msgspec.structs.replace(
                found, state="acknowledged", acknowledged_at=self.clock.now, acknowledged_by=person,
                acknowledged_how=how,
            )  # fmt: skip
            tx.put_incident(taken)
            self.paging.acknowledged(tx, taken, self.clock.now)
        self.passes(0)

    def is_over(self, ident: str = "inc_1") -> None:
        with self.state.write() as tx:
            found = tx.incident(ident)
            assert found is not None
            over = msgspec.structs.replace(
                found, state="resolved", resolved_at=self.clock.now, resolved_by="engine", reason="it is good again"
            )
            tx.put_incident(over)
            self.paging.resolved(tx, over, self.clock.now)
        self.passes(0)

    def passes(self, minutes: float) -> None:
        """Time passes, second after second where anything is due, as the engine sees it."""
        end = self.clock.now + minutes * 60
        while True:
            self.paging.round()
            asyncio.run(self.outbox.round(*self.post.senders()))
            if self.clock.now >= end:
                return
            self.clock.now = min(end, self.clock.now + 10.0)

    def paged(self) -> list[str]:
        """Whose mail has come since this was asked last, by the name before the @."""
        found = [mail.to[0].partition("@")[0] for mail in self.post.mails]
        self.post.mails.clear()
        return found

    def states(self, ident: str = "inc_1") -> list[tuple[str, str]]:
        return [(page.person, page.state) for page in self.paging.of(ident)]
