"""Incidents and alerts: notices become one each, whoever must know is told, and a named person resolves them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from roadworthy.people.escalation.payloads import iso
from roadworthy.people.incident import rules
from roadworthy.people.incident.model import How, Incident, Notice
from roadworthy.people.incident.ports import Pager, Silent
from roadworthy.people.incident.rules import Key
from roadworthy.people.outbox import deferring
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
MOST_OPEN = 1000
"""Incidents that are not over and are watched."""
REFRESH = 60.0
"""Seconds between two writes of an incident of which only the words have changed."""
MOST_UNEXPLAINED = 200
"""Newest incidents among which those that wait for their cause are looked for."""


class Inhibited(msgspec.Struct, frozen=True):
    """An alert that would fire and is not raised."""

    what: str
    """Which, and why not."""
    keys: tuple[str, ...]
    """Of incidents in whose time line it is said: the first of them that is not over."""


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
    """Have whoever must know be told, over every way that is configured: machines at once, people by mail in their
    working hours.  Whoever is paged about it needs no mail besides; what a drill caused does not wait."""
    if configuration is None:
        return
    settings = configuration.settings
    paged = {page.person for page in tx.pages(incident=incident.id)}

    def made(kind: DeliveryKind, destination: str, body: str) -> Delivery:
        return Delivery(
            id=new_id("msg_"), team=incident.team, kind=kind, destination=destination, body=body, created_at=now,
            due_at=now, about=incident.inferences[-1] if incident.inferences else "",
            workflow=incident.workflow, drill=incident.traffic == "drill", incident=incident.id,
        )  # fmt: skip

    if settings.notify is not None:
        tx.put_delivery(made("notice", NOTIFY, payload(incident, configuration, now)))
    for who, mail in mails_of(incident, configuration) if settings.smtp is not None else ():
        delivery, person = made("mail", MAIL, msgspec.json.encode(mail).decode()), configuration.people.get(who)
        if who in paged:
            continue
        if person is None or incident.traffic == "drill":
            tx.put_delivery(delivery)
        else:
            deferring.put(tx, delivery, person, settings)


def mails_of(incident: Incident, configuration: Configuration) -> list[tuple[str, Mail]]:
    """The same for people who read mail, one each: (id of the person, mail)."""
    lines = [incident.told, ""]
    lines += [f"roadworthy show {ident}" for ident in incident.inferences[-1:]]
    lines += [f"roadworthy resolve {incident.id}"] if not incident.over else []
    subject = (DRILL if incident.traffic == "drill" else "") + incident.title
    told = recipients(incident, configuration)
    return [
        (str(each["person"]), Mail([str(each["email"])], subject, "\n".join(lines)))
        for each in told
        if each.get("email")
    ]


def payload(incident: Incident, configuration: Configuration, now: float) -> str:
    """``{"type": "incident.open" | "alert.open", "timestamp", "data": {id, title, summary, to, …}}``.

    What a drill caused says so in its title, and ``class`` says it for machines.
    """
    data = {
        "id": incident.id,
        "key": incident.key,
        "kind": incident.kind,
        "alert": incident.name,
        "urgency": incident.cls,
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
        pager: Pager | None = None,
    ) -> None:
        """``pager``: who is asked to page; nobody without one, and then incidents are told as notices only."""
        self._state = state
        self._clock = clock
        self._new_id = new_id
        self._pager: Pager = pager or Silent()

    def paged_by(self, pager: Pager) -> None:
        """From now on, ``pager`` is asked: it is built after what it takes its incidents from."""
        self._pager = pager

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
            if found is not None and not found.over:
                over = rules.resolve(found, rules.ENGINE, why, self._clock())
                tx.put_incident(over)
                self._pager.resolved(tx, over, self._clock())

    def watch(
        self,
        firing: Sequence[Notice],
        *,
        watched: Callable[[Incident], Collection[Key]],
        inhibited: Sequence[Inhibited] = (),
    ) -> None:
        """Take one round of what is watched.  ``firing``: every alert that is so now; ``watched``: which alerts of an
        incident this round could judge (none while it is blind: then nothing ends); ``inhibited``: what would fire and
        is not raised, to be said where it belongs.  Writes only where something changed."""
        now = self._clock()
        with self._state.read() as tx:
            held = [one for one in tx.incidents(open_only=True, limit=MOST_OPEN) if one.joined]
        if not firing and not held and not inhibited:
            return
        fires = {(each.name, each.part, each.key) for each in firing}
        with self._state.write() as tx:
            for notice in firing:
                self._fire(tx, notice, now)
            for one in held:
                known = tx.incident(one.id)
                if known is None or known.over:
                    continue
                mine = {(alert, part) for alert, part, key in fires if key == known.key}
                after = rules.clears(known, mine, watched(known), now)
                if after != known:
                    tx.put_incident(after)
                if after.over or after.cls != known.cls:
                    self._pager.resolved(tx, after, now)
            for each in inhibited:
                for key in each.keys:
                    newest = tx.newest_incident(key)
                    if newest is not None and not newest.over:
                        after = rules.said(newest, now, each.what)
                        if after != newest:
                            tx.put_incident(after)
                        break

    def _fire(self, tx: PeopleTransaction, notice: Notice, now: float) -> None:
        known = tx.newest_incident(notice.key)
        after, told = rules.fires(known, notice, self._new_id("inc_"))
        if known is not None and not told and not _moved(known, after):
            return
        tx.put_incident(after)
        if told == "page":
            self._pager.page(tx, after, now)
        if told:
            applied = tx.applied()
            announce(tx, after, None if applied is None else applied.configuration, self._new_id, now)

    def report(self, inference: str, workflow: str, team: str, actor: Actor, why: str) -> Incident:
        """Somebody says that an answer is wrong: an incident for the workflow's owner, one an inference."""
        now = self._clock()
        notice = Notice(
            kind="incident", alert="reported", key=f"reported/{workflow}/{inference}", team=team, workflow=workflow,
            title=f"{workflow}: somebody reported an answer as wrong", role="workflow", at=now, inference=inference,
            summary=f"{actor.id} says of {inference}: {' '.join(why.split())[:500] or 'no reason given'}",
        )  # fmt: skip
        with self._state.write() as tx:
            known = tx.newest_incident(notice.key)
            if known is not None and not known.over:
                after = rules.said(known, now, f"Reported again: {' '.join(why.split())[:500]}", actor.id)
                tx.put_incident(after)
            else:
                self.note(tx, [notice])
                after = _newest(tx, notice.key)
            self._audit(tx, actor, "incident.report", after, None, why, now, evidence=inference)
        return after

    def acknowledge(self, ident: str, actor: Actor, how: How = "console") -> Incident:
        """Somebody is on it.  Raises ``Unknown`` and ``rules.Refused``."""
        with self._state.write() as tx:
            return self.acknowledged(tx, ident, actor, how)

    def acknowledged(self, tx: PeopleTransaction, ident: str, actor: Actor, how: How) -> Incident:
        """The same in the caller's transaction.  Once is enough: again by the same person changes nothing."""
        now = self._clock()
        found = _found(tx, ident)
        after = rules.acknowledge(found, actor.id, how, now)
        if after != found:
            tx.put_incident(after)
            self._pager.acknowledged(tx, after, now)
            self._audit(tx, actor, "incident.acknowledge", after, found.state, how, now)
        return after

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
        with self._state.write() as tx:
            return self.resolved(tx, ident, actor, reason)

    def resolved(self, tx: PeopleTransaction, ident: str, actor: Actor, reason: str) -> Incident:
        """The same in the caller's transaction."""
        now = self._clock()
        found = _found(tx, ident)
        after = rules.resolve(found, actor.id, reason[:500], now)
        tx.put_incident(after)
        self._pager.resolved(tx, after, now)
        self._audit(tx, actor, "incident.resolve", after, found.state, reason, now)
        return after

    def _audit(
        self, tx: PeopleTransaction, actor: Actor, action: str, after: Incident, before: str | None, reason: str,
        now: float, evidence: str = "",
    ) -> None:  # fmt: skip
        event = audit.Event(
            actor=actor.id, on_behalf_of=actor.on_behalf_of, action=action, target=f"incident/{after.id}",
            before=None if before is None else {"state": before}, after={"state": after.state}, reason=reason[:500],
            team=after.team, evidence=evidence,
        )  # fmt: skip
        tx.append_audit(audit.chain(tx.last_audit(), event, now))


def _moved(before: Incident, after: Incident) -> bool:
    """Is it worth a write?  What only was seen again, or is worded anew, is kept once in ``REFRESH``."""
    if after.seen_at - before.seen_at >= REFRESH:
        return True
    standing = [(one.alert, one.part, one.clear_since, one.over) for one in before.joined]
    return (before.state, before.cls, before.count, standing) != (
        after.state, after.cls, after.count, [(one.alert, one.part, one.clear_since, one.over) for one in after.joined]
    )  # fmt: skip


def _newest(tx: PeopleTransaction, key: str) -> Incident:
    found = tx.newest_incident(key)
    assert found is not None
    return found


def _found(tx: PeopleTransaction, ident: str) -> Incident:
    found = tx.incident(ident)
    if found is None:
        known = [row.id for row in tx.incidents()]
        hint = did_you_mean(ident, known) if known else "nothing was opened yet"
        raise Unknown(f"no incident or alert {ident[:80]!r}: {hint}")
    return found
