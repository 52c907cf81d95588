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
from roadworthy.people.escalation.model import HELPDESK
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import NOTIFY, note
from roadworthy.people.outbox import rules
from roadworthy.people.outbox.model import Delivery, DeliveryState, Mail, Sent
from roadworthy.people.ports import PeopleState, PeopleTransaction
from roadworthy.workflow import audit
from roadworthy.workflow.model import ApiKey, Configuration, Settings, Smtp
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

BATCH = 32
"""Messages of one round."""
AT_ONCE = 8
CALLBACK = "callback:"


class Place(msgspec.Struct, frozen=True):
    """Where a message goes, now."""

    url: str
    secret: str
    """The secret itself."""
    allow_private: bool = False


class Mailbox(msgspec.Struct, frozen=True):
    """Which server takes e-mail, now."""

    server: Smtp
    password: str = ""
    """The password itself."""


class MailSender(Protocol):
    async def send(self, mailbox: Mailbox, ident: str, mail: Mail) -> Sent:
        """One try.  Never raises for what a network or a server does."""
        ...


class Sender(Protocol):
    async def send(self, place: Place, headers: dict[str, str], body: bytes) -> Sent:
        """One try.  Never raises for what a network or a receiver does."""
        ...

    async def close(self) -> None: ...


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
    ) -> None:
        self._state = state
        self._clock = clock
        self._secret = secret
        self._key = hmac_key
        self._jitter = jitter
        self._new_id = new_id

    async def round(self, sender: Sender, mails: MailSender | None = None) -> int:
        """Try everything that is due, a few at a time.  Returns how many were tried."""
        waiting = await asyncio.to_thread(self.due)
        if not waiting:
            return 0
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(delivery: Delivery, place: Place | Mailbox | str) -> None:
            async with turns:
                if isinstance(place, str):
                    sent = Sent(error=place)
                elif isinstance(place, Mailbox):
                    mail = msgspec.json.decode(delivery.body, type=Mail)
                    none = Sent(error="nobody sends e-mail here")
                    sent = none if mails is None else await mails.send(place, delivery.id, mail)
                else:
                    body = delivery.body.encode()
                    headers = webhooks.headers(place.secret, delivery.id, self._clock(), body)
                    sent = await sender.send(place, headers, body)
                # each at once: a round that is cut short by silent receivers has told the others for good
                await asyncio.to_thread(self.mark, [(delivery, sent)])

        await asyncio.gather(*(one(delivery, place) for delivery, place in waiting))
        return len(waiting)

    def due(self) -> list[tuple[Delivery, Place | Mailbox | str]]:
        """What is due, with where it goes or why it cannot go there."""
        with self._state.read() as tx:
            found = tx.due_deliveries(self._clock(), BATCH)
            applied = tx.applied()
            configuration = None if applied is None else applied.configuration
            return [(row, self._place(row, configuration, tx)) for row in found]

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
                if after.state == "dead":
                    note(tx, dead_letter(after, now), _without_notifier(after, configuration), self._new_id, now)

    def list(
        self, *, state: DeliveryState | None = None, about: str | None = None, limit: int = 200
    ) -> Sequence[Delivery]:
        """Newest first."""
        with self._state.read() as tx:
            return tx.deliveries(state=state, about=about, limit=limit)

    def counts(self) -> dict[DeliveryState, int]:
        with self._state.read() as tx:
            return tx.count_deliveries()

    def retry(self, ident: str, actor: Actor) -> Delivery:
        """Tell a dead or delivered message anew.  Raises ``Unknown``."""
        now = self._clock()
        with self._state.write() as tx:
            found = tx.delivery(ident)
            if found is None:
                known = [row.id for row in tx.deliveries(state="dead", limit=200)]
                hint = did_you_mean(ident, known) if known else "roadworthy escalations dead lists them"
                raise Unknown(f"no message {ident[:80]!r}: {hint}")
            after = rules.again(found, now)
            tx.put_delivery(after)
            event = audit.Event(
                actor=actor.id, on_behalf_of=actor.on_behalf_of, action="delivery.retry", target=f"delivery/{ident}",
                before={"state": found.state}, after={"state": after.state}, team=found.team,
            )  # fmt: skip
            tx.append_audit(audit.chain(tx.last_audit(), event, now))
        return after

    def _mailbox(self, settings: Settings | None) -> Mailbox | str:
        server = None if settings is None else settings.smtp
        if server is None:
            return "smtp is not in roadworthy.yaml any more"
        password = "" if server.password is None else self._secret(server.password)
        if password is None:
            return f"the secret {server.password} is not set where control runs"
        return Mailbox(server, password)

    def _place(
        self, delivery: Delivery, configuration: Configuration | None, tx: PeopleTransaction
    ) -> Place | Mailbox | str:
        destination = delivery.destination
        if delivery.kind == "mail":
            return self._mailbox(None if configuration is None else configuration.settings)
        if destination.startswith(CALLBACK):
            key_id, _, url = destination.removeprefix(CALLBACK).partition(" ")
            key = tx.key(key_id)
            if key is None or url not in key.callbacks or key.revoked_at is not None:
                return f"{url} is not registered on a key in use any more"
            return Place(url, callback_secret(self._key, key), key.callbacks_private)
        name = destination.removeprefix(HELPDESK)
        settings = None if configuration is None else configuration.settings
        hook = None
        if settings is not None:
            hook = settings.notify if destination == NOTIFY else settings.helpdesks.get(name)
        if hook is None:
            return f"{destination} is not in roadworthy.yaml any more"
        secret = self._secret(hook.secret)
        if secret is None:
            return f"the secret {hook.secret} is not set where control runs"
        return Place(hook.url, secret, hook.allow_private)


def callback_secret(hmac_key: bytes, key: ApiKey) -> str:
    """What signs the answers that are sent to a key's callbacks: the same for as long as the key has its id."""
    return webhooks.derived(hmac_key, f"callback/{key.id}")


def dead_letter(delivery: Delivery, now: float) -> Notice:
    place = delivery.destination.partition(" ")[0]
    return Notice(
        kind="alert",
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
    return None if delivery.kind in ("notice", "mail") else configuration
