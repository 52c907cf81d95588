"""Incidents and alerts: notices become one each, whoever must know is told, and a named person resolves them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from roadworthy.people.escalation.payloads import iso
from roadworthy.people.incident import rules
from roadworthy.people.incident.model import Incident, Notice
from roadworthy.people.outbox.model import Delivery, Mail
from roadworthy.people.outbox.model import Kind as DeliveryKind
from roadworthy.people.ports import PeopleState, PeopleTransaction
from roadworthy.workflow import audit
from roadworthy.workflow.model import Configuration
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

NOTIFY = "notify"
"""Destination of every notice: the one notifier of ``roadworthy.yaml``."""
MAIL = "mail"
"""Destination of what goes to people by e-mail: the server of ``smtp`` in ``roadworthy.yaml``."""
DRILL = "DRILL: "
MOST_UNEXPLAINED = 200
"""Newest incidents among which those that wait for their cause are looked for."""


def note(
    tx: PeopleTransaction,
    notice: Notice,
    configuration: Configuration | None,
    new_id: Callable[[str], str],
    now: float,
) -> Incident:
    """Open the notice's incident or count it, in the caller's transaction; say it where somebody must be told."""
    incident, tell = rules.seen(tx.newest_incident(notice.key), notice, new_id("inc_"))
    if tell and notice.explain:
        incident = replace(incident, unexplained=True)
    tx.put_incident(incident)
    if tell and not notice.explain:
        announce(tx, incident, configuration, new_id, now)
    return incident


def announce(
    tx: PeopleTransaction,
    incident: Incident,
    configuration: Configuration | None,
    new_id: Callable[[str], str],
    now: float,
) -> None:
    """Have whoever must know be told, over every way that is configured."""
    if configuration is None:
        return
    settings = configuration.settings
    ways: list[tuple[DeliveryKind, str, str]] = []
    if settings.notify is not None:
        ways.append(("notice", NOTIFY, payload(incident, configuration, now)))
    if settings.smtp is not None:
        ways += [("mail", MAIL, msgspec.json.encode(mail).decode()) for mail in mails_of(incident, configuration)]
    for kind, destination, body in ways:
        tx.put_delivery(
            Delivery(
                id=new_id("msg_"), team=incident.team, kind=kind, destination=destination, body=body, created_at=now,
                due_at=now, about=incident.inferences[-1] if incident.inferences else "",
                workflow=incident.workflow, drill=incident.traffic == "drill", incident=incident.id,
            )
        )  # fmt: skip


def mails_of(incident: Incident, configuration: Configuration) -> list[Mail]:
    """The same for people who read mail, one each."""
    lines = [incident.told, ""]
    lines += [f"roadworthy show {ident}" for ident in incident.inferences[-1:]]
    lines += [f"roadworthy resolve {incident.id}"] if incident.state == "open" else []
    subject = (DRILL if incident.traffic == "drill" else "") + incident.title
    told = recipients(incident, configuration)
    return [Mail([str(each["email"])], subject, "\n".join(lines)) for each in told if each.get("email")]


def payload(incident: Incident, configuration: Configuration, now: float) -> str:
    """``{"type": "incident.open" | "alert.open", "timestamp", "data": {id, title, summary, to, …}}``.

    What a drill caused says so in its title, and ``class`` says it for machines.
    """
    data = {
        "id": incident.id,
        "key": incident.key,
        "kind": incident.kind,
        "class": incident.traffic,
        "drill": incident.drill or None,
        "title": (DRILL if incident.traffic == "drill" else "") + incident.title,
        "summary": incident.told,
        "workflow": incident.workflow or None,
        "team": incident.team,
        "count": incident.count,
        "first_seen": iso(incident.opened_at),
        "last_seen": iso(incident.seen_at),
        "inferences": incident.inferences[-5:],
        "links": [{"what": "show", "command": f"roadworthy show {ident}"} for ident in incident.inferences[-1:]],
        "to": recipients(incident, configuration),
    }
    return msgspec.json.encode({"type": f"{incident.kind}.open", "timestamp": iso(now), "data": data}).decode()


def recipients(incident: Incident, configuration: Configuration) -> list[dict[str, Any]]:
    """Who is told, by role.  A matter of no workflow concerns the owners of all that team's workflows."""
    workflows = configuration.workflows
    if incident.workflow in workflows:
        owners = [workflows[incident.workflow].owners]
    else:
        owners = [flow.owners for flow in workflows.values() if flow.team == incident.team]
    ids = dict.fromkeys(owner.cost if incident.role == "cost" else owner.workflow for owner in owners)
    found = []
    for ident in ids:
        person = configuration.people.get(ident)
        told = {"person": ident, "role": f"{incident.role} owner"}
        if person is not None:
            told |= {"name": person.name, "email": person.email, "phone": person.phone}
        found.append({name: value for name, value in told.items() if value})
    return found


class Incidents:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: PeopleState,
        *,
        clock: Callable[[], float],
        new_id: Callable[[str], str] = lambda prefix: prefix + secrets.token_hex(6 if prefix == "inc_" else 12),
    ) -> None:
        self._state = state
        self._clock = clock
        self._new_id = new_id

    def note(self, tx: PeopleTransaction, notices: Sequence[Notice]) -> None:
        """Take notices, in the caller's transaction."""
        applied = tx.applied()
        configuration = None if applied is None else applied.configuration
        for notice in notices:
            note(tx, notice, configuration, self._new_id, self._clock())

    def take(self, notices: Sequence[Notice]) -> None:
        """Take notices, in a transaction of their own."""
        if notices:
            with self._state.write() as tx:
                self.note(tx, notices)

    def list(
        self, *, open_only: bool = False, workflow: str | None = None, inference: str | None = None,
        drills: bool = True, limit: int = 100,
    ) -> Sequence[Incident]:  # fmt: skip
        """Seen last first."""
        with self._state.read() as tx:
            return tx.incidents(open_only=open_only, workflow=workflow, inference=inference, drills=drills, limit=limit)

    def unexplained(self) -> Sequence[Incident]:
        """What waits for its cause."""
        with self._state.read() as tx:
            return [each for each in tx.incidents(limit=MOST_UNEXPLAINED) if each.unexplained]

    def explain(self, ident: str, cause: str) -> None:
        """Say why, and tell whoever must know.  Does nothing for what is explained already."""
        with self._state.write() as tx:
            found, applied = tx.incident(ident), tx.applied()
            if found is None or not found.unexplained:
                return
            said = replace(found, cause=cause, unexplained=False)
            tx.put_incident(said)
            announce(tx, said, None if applied is None else applied.configuration, self._new_id, self._clock())

    def close(self, ident: str, why: str) -> None:
        """End one that nobody has to look into any more; on a machine's word, so it is not audited as a person's."""
        with self._state.write() as tx:
            found = tx.incident(ident)
            if found is not None and found.state == "open":
                tx.put_incident(rules.resolve(found, "engine", why, self._clock()))

    def newest(self, key: str) -> Incident | None:
        """The newest one of a key."""
        with self._state.read() as tx:
            return tx.newest_incident(key)

    def find(self, ident: str) -> Incident:
        """Raises ``Unknown``."""
        with self._state.read() as tx:
            return _found(tx, ident)

    def resolve(self, ident: str, actor: Actor, reason: str = "") -> Incident:
        """Raises ``Unknown`` and ``rules.Refused``."""
        now = self._clock()
        with self._state.write() as tx:
            found = _found(tx, ident)
            after = rules.resolve(found, actor.id, reason[:500], now)
            tx.put_incident(after)
            event = audit.Event(
                actor=actor.id, on_behalf_of=actor.on_behalf_of, action="incident.resolve",
                target=f"incident/{ident}", before={"state": found.state}, after={"state": after.state},
                reason=reason[:500], team=found.team,
            )  # fmt: skip
            tx.append_audit(audit.chain(tx.last_audit(), event, now))
        return after


def _found(tx: PeopleTransaction, ident: str) -> Incident:
    found = tx.incident(ident)
    if found is None:
        known = [row.id for row in tx.incidents()]
        hint = did_you_mean(ident, known) if known else "nothing was opened yet"
        raise Unknown(f"no incident or alert {ident[:80]!r}: {hint}")
    return found
