"""PagerDuty's word: somebody acknowledged or resolved there what we paged about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from roadworthy.people.directory import living
from roadworthy.people.incident.rules import Refused
from roadworthy.people.incident.service import Incidents
from roadworthy.people.paging import pagerduty
from roadworthy.people.ports import PeopleState, PeopleTransaction
from roadworthy.workflow.service import Actor, Unknown

SENDER: Final = "pagerduty"
Taken = Literal["taken", "ignored"]


class NoHook(Exception):
    """No channel has ``signed_by``: nobody can tell us anything."""


class Forged(Exception):
    """Not signed with a secret of ours."""


class PagerDutyHook:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: PeopleState,
        incidents: Incidents,
        *,
        secret: Callable[[str], str | None],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._incidents = incidents
        self._secret = secret
        self._clock = clock

    def take(self, headers: Mapping[str, str], body: bytes) -> Taken:
        """One webhook.  What a machine did in PagerDuty, what is about none of our incidents, and what came before, is
        ignored.  Raises ``NoHook``, ``Forged`` and ``pagerduty.Malformed``."""
        with self._state.read() as tx:
            applied = tx.applied()
            channels = {} if applied is None else applied.configuration.settings.channels
        named = [channel.signed_by for channel in channels.values() if channel.signed_by is not None]
        if not named:
            raise NoHook
        secrets = [secret for name in named if (secret := self._secret(name))]
        if not pagerduty.genuine(secrets, headers.get(pagerduty.HEADER, ""), body):
            raise Forged
        happening = pagerduty.read(body)
        if happening.event_type not in (pagerduty.ACKNOWLEDGED, pagerduty.RESOLVED) or not happening.by_a_human:
            return "ignored"
        assert happening.agent is not None
        try:
            with self._state.write() as tx:  # one: what PagerDuty sends again after a crash of ours is not lost
                if not tx.receive_message(SENDER, happening.id[:256], self._clock()):
                    return "ignored"
                who = pagerduty.who(happening.agent, living(tx))
                self._told(tx, happening, Actor(who, on_behalf_of=f"pagerduty:{happening.agent.id[:60]}"))
        except (Unknown, Refused):
            return "ignored"
        return "taken"

    def _told(self, tx: PeopleTransaction, happening: pagerduty.Happening, actor: Actor) -> None:
        if happening.event_type == pagerduty.RESOLVED:
            self._incidents.resolved(tx, happening.incident, actor, "resolved in PagerDuty")
        else:
            self._incidents.acknowledged(tx, happening.incident, actor, "pagerduty")
