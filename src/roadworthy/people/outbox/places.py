"""Where a message goes, now: looked up in the configuration at every try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from roadworthy.people import webhooks
from roadworthy.people.escalation.model import HELPDESK
from roadworthy.people.incident.service import MAIL, NOTIFY
from roadworthy.people.outbox.model import Delivery
from roadworthy.people.ports import PeopleTransaction
from roadworthy.workflow.model import ApiKey, Channel, Configuration, Settings, Smtp

CHANNEL: Final = "channel:"
"""Before the name of a channel of ``roadworthy.yaml``."""
CALLBACK: Final = "callback:"
EVENTS: Final = {"us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}


class Place(msgspec.Struct, frozen=True):
    """A receiver of signed webhooks."""

    url: str
    secret: str
    """The secret itself."""
    allow_private: bool = False


class Mailbox(msgspec.Struct, frozen=True):
    """Which server takes e-mail."""

    server: Smtp
    password: str = ""
    """The password itself."""


class EventsPlace(msgspec.Struct, frozen=True):
    """Who takes PagerDuty's Events v2."""

    url: str
    """Without a path."""
    routing_key: str
    allow_private: bool = False


class AppriseUrl(msgspec.Struct, frozen=True):
    """Where Apprise sends to.  The URL holds its keys and is never shown."""

    url: str


Where = Place | Mailbox | EventsPlace | AppriseUrl | str
"""A text says why the message cannot go anywhere."""


class Places:
    def __init__(self, secret: Callable[[str], str | None], hmac_key: bytes) -> None:
        self._secret = secret
        self._key = hmac_key

    def find(self, delivery: Delivery, configuration: Configuration | None, tx: PeopleTransaction) -> Where:
        destination = delivery.destination
        settings = None if configuration is None else configuration.settings
        if destination == MAIL:
            return self._mailbox(settings)
        if destination.startswith(CALLBACK):
            key_id, _, url = destination.removeprefix(CALLBACK).partition(" ")
            key = tx.key(key_id)
            if key is None or url not in key.callbacks or key.revoked_at is not None:
                return f"{url} is not registered on a key in use any more"
            return Place(url, callback_secret(self._key, key), key.callbacks_private)
        if destination.startswith(CHANNEL):
            return self._channel(destination.removeprefix(CHANNEL), settings)
        name = destination.removeprefix(HELPDESK)
        hook = None
        if settings is not None:
            hook = settings.notify if destination == NOTIFY else settings.helpdesks.get(name)
        if hook is None:
            return f"{destination} is not in roadworthy.yaml any more"
        secret = self._secret(hook.secret)
        return _unset(hook.secret) if secret is None else Place(hook.url, secret, hook.allow_private)

    def _mailbox(self, settings: Settings | None) -> Mailbox | str:
        server = None if settings is None else settings.smtp
        if server is None:
            return "smtp is not in roadworthy.yaml any more"
        password = "" if server.password is None else self._secret(server.password)
        return _unset(server.password) if password is None else Mailbox(server, password)

    def _channel(self, name: str, settings: Settings | None) -> Where:
        channel: Channel | None = None if settings is None else settings.channels.get(name)
        if channel is None:
            return f"channel {name} is not in roadworthy.yaml any more"
        secret = self._secret(channel.secret)
        if secret is None:
            return _unset(channel.secret)
        if channel.kind == "apprise":
            return AppriseUrl(secret)
        if channel.kind == "pagerduty":
            return EventsPlace(channel.url or EVENTS[channel.region], secret, channel.allow_private)
        return Place(channel.url or "", secret, channel.allow_private)


def callback_secret(hmac_key: bytes, key: ApiKey) -> str:
    """What signs the answers that are sent to a key's callbacks: the same for as long as the key has its id."""
    return webhooks.derived(hmac_key, f"callback/{key.id}")


def _unset(secret: str | None) -> str:
    return f"the secret {secret} is not set where control runs"
