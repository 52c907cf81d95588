"""The outbox: what waits is told, over and over until it is taken or given up, whatever restarts meanwhile.

A message is sent, then marked; a process that dies between the two sends it again under the same ``webhook-id``, by
which the receiver knows it.  Where a message goes and which secret signs it is looked up at every try, so a corrected
URL or a new secret acts on what waits already.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from roadworthy.people import webhooks
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import note
from roadworthy.people.outbox import rules
from roadworthy.people.outbox.model import Delivery, DeliveryState, Mail, Sent
from roadworthy.people.outbox.places import AppriseUrl, EventsPlace, Mailbox, Place, Places, Where, callback_secret
from roadworthy.people.paging import rendering
from roadworthy.people.paging.model import Message
from roadworthy.people.ports import PeopleState, PeopleTransaction
from roadworthy.workflow import audit
from roadworthy.workflow.model import Configuration
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

__all__ = ["AppriseUrl", "EventsPlace", "Mailbox", "Outbox", "Place", "callback_secret"]

BATCH = 32
"""Messages of one round."""
AT_ONCE = 8


class MailSender(Protocol):
    async def send(self, mailbox: Mailbox, ident: str, mail: Mail) -> Sent:
        """One try.  Never raises for what a network or a server does."""
        ...


class Sender(Protocol):
    async def send(self, place: Place, headers: dict[str, str], body: bytes) -> Sent:
        """One try.  Never raises for what a network or a receiver does."""
        ...

    async def close(self) -> None: ...


class EventSender(Protocol):
    async def send(self, place: EventsPlace, message: Message) -> Sent:
        """One try of a page.  Never raises for what a network or a receiver does."""
        ...


class AppriseSender(Protocol):
    async def send(self, place: AppriseUrl, message: Message) -> Sent:
        """One try of a page.  Never raises for what a network or a receiver does."""
        ...


class Pagers(msgspec.Struct, frozen=True):
    """Who sends pages, besides mail and webhooks."""

    events: EventSender
    apprise: AppriseSender


class Outbox:
    def __init__(
        self,
        state: PeopleState,
        *,
        clock: Callable[[], float],
        secret: Callable[[str], str | None],
        hmac_key: bytes,
        jitter: Callable[[], float] = lambda: secrets.randbelow(1000) / 1000,
        new_id: Callable[[str], str] = lambda prefix: prefix + secrets.token_hex(6 if prefix == "inc_" else 12),
        fill: Callable[[str], str] = lambda body: body,
        answered: Callable[[PeopleTransaction, Delivery, Sent], None] = lambda tx, delivery, sent: None,
    ) -> None:
        """``fill``: put the addresses of links into a body that leaves; in state are only their ids.  ``answered``:
        what a channel said of a page, in the transaction that keeps it."""
        self._state = state
        self._clock = clock
        self._places = Places(secret, hmac_key)
        self._jitter = jitter
        self._new_id = new_id
        self._fill = fill
        self._answered = answered
        self._trying: dict[str, asyncio.Future[None]] = {}

    async def round(
        self, sender: Sender, mails: MailSender | None = None, pagers: Pagers | None = None, *,
        pages: bool | None = None, patience: float | None = None,
    ) -> int:  # fmt: skip
        """Try everything that is due, a few at a time; pages all at once.  ``pages``: only those, or only others, so
        that no receiver that is silent holds up who is to be woken.  ``patience``: seconds after which the round is
        over while what is still being tried goes on; else it waits for all.  Returns how many tries were begun."""
        waiting = [each for each in await asyncio.to_thread(self.due, pages) if each[0].id not in self._trying]
        if not waiting:
            return 0
        turns = asyncio.Semaphore(BATCH if pages else AT_ONCE)

        async def one(delivery: Delivery, where: Where) -> None:
            async with turns:
                sent = await self._send(delivery, where, sender, mails, pagers)
                # each at once: a round that is cut short by silent receivers has told the others for good
                await asyncio.to_thread(self.mark, [(delivery, sent)])

        tasks = {delivery.id: asyncio.ensure_future(one(delivery, place)) for delivery, place in waiting}
        for ident, task in tasks.items():
            self._trying[ident] = task
            task.add_done_callback(lambda _, ident=ident: self._trying.pop(ident, None))  # type: ignore[misc]
        try:
            done, _ = await asyncio.wait(tasks.values(), timeout=patience)
        except asyncio.CancelledError:
            for task in tasks.values():
                task.cancel()
            raise
        for task in done:
            task.result()
        return len(waiting)

    def due(self, pages: bool | None = None) -> list[tuple[Delivery, Where]]:
        """What is due, with where it goes or why it cannot go there."""
        with self._state.read() as tx:
            found = tx.due_deliveries(self._clock(), BATCH + len(self._trying), pages=pages)
            applied = tx.applied()
            configuration = None if applied is None else applied.configuration
            return [(row, self._places.find(row, configuration, tx)) for row in found]

    def mark(self, done: Sequence[tuple[Delivery, Sent]]) -> None:
        """Keep how the tries ended.  What was forgotten or told anew meanwhile is left as it is."""
        now = self._clock()
        with self._state.write() as tx:
            applied = tx.applied()
            configuration = None if applied is None else applied.configuration
            for tried, sent in done:
                if tx.delivery(tried.id) != tried:
                    continue
                after = rules.after(tried, sent, now, self._jitter())
                tx.put_delivery(after)
                if after.page:
                    self._answered(tx, after, sent)
                if after.state == "dead":
                    note(tx, dead_letter(after, now), _without_notifier(after, configuration), self._new_id, now)

    def list(
        self, *, state: DeliveryState | None = None, about: str | None = None, limit: int = 200
    ) -> Sequence[Delivery]:
        """Newest first."""
        with self._state.read() as tx:
            return tx.deliveries(state=state, about=about, limit=limit)

    def find(self, ident: str) -> Delivery:
        """Raises ``Unknown``."""
        with self._state.read() as tx:
            return _found(tx, ident)

    def counts(self) -> dict[DeliveryState, int]:
        with self._state.read() as tx:
            return tx.count_deliveries()

    def retry(self, ident: str, actor: Actor) -> Delivery:
        """Tell a dead or delivered message anew.  Raises ``Unknown``."""
        now = self._clock()
        with self._state.write() as tx:
            found = _found(tx, ident)
            after = rules.again(found, now)
            tx.put_delivery(after)
            event = audit.Event(
                actor=actor.id, on_behalf_of=actor.on_behalf_of, action="delivery.retry", target=f"delivery/{ident}",
                before={"state": found.state}, after={"state": after.state}, team=found.team,
            )  # fmt: skip
            tx.append_audit(audit.chain(tx.last_audit(), event, now))
        return after

    def _found(self, tx: PeopleTransaction, ident: str) -> Delivery:
        found = tx.delivery(ident)
        if found is None:
            known = [row.id for row in tx.deliveries(state="dead", limit=200)]
            hint = did_you_mean(ident, known) if known else "roadworthy escalations dead lists them"
            raise Unknown(f"no message {ident[:80]!r}: {hint}")
        return found

    async def _send(
        self, delivery: Delivery, where: Where, sender: Sender, mails: MailSender | None, pagers: Pagers | None
    ) -> Sent:
        """One try."""
        if isinstance(where, str):
            return Sent(error=where)
        body = self._fill(delivery.body)
        page = msgspec.json.decode(body, type=Message) if delivery.kind == "page" else None
        if isinstance(where, Mailbox):
            mail = msgspec.json.decode(body, type=Mail) if page is None else rendering.mail(page)
            none = Sent(error="nobody sends e-mail here")
            return none if mails is None else await mails.send(where, delivery.id, mail)
        if isinstance(where, Place):
            raw = body.encode() if page is None else rendering.webhook(page)
            return await sender.send(where, webhooks.headers(where.secret, delivery.id, self._clock(), raw), raw)
        if pagers is None or page is None:
            return Sent(error="nobody sends pages here")
        if isinstance(where, EventsPlace):
            return await pagers.events.send(where, page)
        return await pagers.apprise.send(where, page)


def dead_letter(delivery: Delivery, now: float) -> Notice:
    place = delivery.destination.partition(" ")[0]
    return Notice(
        kind="alert",
        alert="dead_letter",
        key=f"dead_letter/{place}",
        team=delivery.team,
        workflow=delivery.workflow,
        title=f"{place} takes no messages",
        summary=(
            f"{delivery.id} was given up after {delivery.tries} tries ({delivery.last_error}). "
            f"Once it is mended: roadworthy escalations retry {delivery.id}"
        ),
        role="workflow",
        at=now,
        inference=delivery.about,
        traffic="drill" if delivery.drill else "live",
    )


def _without_notifier(delivery: Delivery, configuration: Configuration | None) -> Configuration | None:
    """Who takes no notices is not told so by another one; the alert is in `roadworthy incidents`."""
    return None if delivery.kind in ("notice", "mail", "page") else configuration


def _found(tx: PeopleTransaction, ident: str) -> Delivery:
    found = tx.delivery(ident)
    if found is None:
        known = [row.id for row in tx.deliveries(state="dead", limit=200)]
        hint = did_you_mean(ident, known) if known else "roadworthy escalations dead lists them"
        raise Unknown(f"no message {ident[:80]!r}: {hint}")
    return found
