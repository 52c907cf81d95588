"""The finance sheet by e-mail: to the cost owners of what it covers, one message each, through the outbox."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.cost.sheet import Sheet
from roadworthy.operations.costing import sheet_page
from roadworthy.people.directory import living
from roadworthy.people.incident.service import MAIL
from roadworthy.people.outbox.model import Delivery, Mail
from roadworthy.people.ports import PeopleState
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.service import Actor


class NotMailed(ValueError):
    """Nobody would get it; the message says what to declare."""


class Mailing:
    """Blocking; the engine delivers."""

    def __init__(self, state: PeopleState, *, zone: Callable[[], ZoneInfo], clock: Callable[[], float]) -> None:
        self._state = state
        self._zone = zone
        self._clock = clock

    def send(self, sheet: Sheet, actor: Actor) -> list[str]:
        """Put it into the outbox → addresses.  Raises ``NotMailed``."""
        now, zone = self._clock(), self._zone()
        flows = [each.workflow for each in sheet.figures]
        with self._state.write() as tx:
            applied = tx.applied()
            configuration = None if applied is None else applied.configuration
            if configuration is None or configuration.settings.smtp is None:
                raise NotMailed(
                    "no mail server is declared: smtp: {host: mail.example.com, from: roadworthy@example.com} in "
                    "roadworthy.yaml"
                )
            owners = dict.fromkeys(configuration.workflows[name].owners.cost for name in flows)
            here = living(tx, configuration)
            people = [here[owner] for owner in owners if owner in here]
            addresses = list(dict.fromkeys(person.email for person in people if person.email))
            if not addresses:
                raise NotMailed(f"no address is known of {', '.join(owners)}: add them to people.yaml")
            team = sheet.figures[0].team
            made = Mail([], sheet_page.title(sheet), sheet_page.markdown(sheet, zone), sheet_page.html(sheet, zone))
            for address in addresses:
                body = msgspec.json.encode(msgspec.structs.replace(made, to=[address])).decode()
                tx.put_delivery(Delivery("msg_" + secrets.token_hex(12), team, "mail", MAIL, body, now, now))
            event = Event(
                actor.id, "sheet.mail", f"month/{sheet.month}", on_behalf_of=actor.on_behalf_of, team=team,
                after={"covers": sheet.covers, "name": sheet.name, "people": [person.id for person in people]},
            )  # fmt: skip
            tx.append_audit(chain(tx.last_audit(), event, now))
        return addresses
