"""Paging: whoever is on call is reached by all of their channels, and the next one when they are not.

Everything that is due stands in state, so a page goes on after a restart where it was: ``round`` does what has become
due.  Pages begin, stop and end in the transaction that changes their incident (``people.incident.ports.Pager``).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, zip_longest

import msgspec
from msgspec.structs import replace

from roadworthy.people.directory import everybody, living
from roadworthy.people.incident.model import Incident
from roadworthy.people.links.model import Action
from roadworthy.people.links.service import Links
from roadworthy.people.outbox import rules as outbox_rules
from roadworthy.people.outbox.model import Delivery, Sent
from roadworthy.people.paging import rules, telling, writing
from roadworthy.people.paging.model import Message, Page, Proof, Signal
from roadworthy.people.paging.ports import OnCall
from roadworthy.people.paging.telling import Told
from roadworthy.people.paging.writing import Way
from roadworthy.people.ports import PeopleState, PeopleTransaction
from roadworthy.workflow.model import Configuration, Person, Settings
from roadworthy.workflow.service import Unknown

BATCH = 100
"""Pages of one round."""
MOST_HOPS = 200
LINK_LIFE = 12 * 3600.0
"""Seconds for which the links of a page work."""
UNREACHED = 60.0
"""Seconds after which it is tried again to find anybody at all."""
NOBODY = "nobody is on call, and no owner is left"


class Paging:
    """Thread-safe; blocking."""

    def __init__(
        self,
        state: PeopleState,
        links: Links,
        oncall: OnCall,
        *,
        clock: Callable[[], float],
        new_id: Callable[[str], str] = lambda prefix: prefix + secrets.token_hex(12 if prefix == "msg_" else 6),
    ) -> None:
        self._state = state
        self._links = links
        self._oncall = oncall
        self._clock = clock
        self._new_id = new_id
        self._tested: Callable[[Page], None] = lambda page: None

    # what incidents say (people.incident.ports.Pager)
    def page(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        """Begin to page whoever is on call, in the caller's transaction.  Does nothing while somebody is paged about
        this incident, or has it."""
        if incident.state != "open" or any(page.live for page in tx.pages(incident=incident.id, limit=MOST_HOPS)):
            return
        self._next(tx, incident, [], now)

    def acknowledged(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        """``incident.acknowledged_by`` has it: nobody else is paged."""
        by, how = incident.acknowledged_by, incident.acknowledged_how
        hops = tx.pages(incident=incident.id, limit=MOST_HOPS)
        for page in hops:
            self._end(tx, rules.acknowledge(page, by, how, now), page, f"{by} has it", now)
        if how != "pagerduty":  # it knows
            self._tell("acknowledge", tx, incident, hops, now, kinds=("pagerduty",))

    def resolved(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        """Nobody need be awake for it any more: whoever was paged is told."""
        hops = tx.pages(incident=incident.id, limit=MOST_HOPS)
        for page in hops:
            self._end(tx, rules.resolve(page, now), page, "the incident is over", now)
        self._tell("resolve", tx, incident, hops, now)

    def test(self, tx: PeopleTransaction, incident: Incident, now: float) -> Page:
        """Page whoever is first, as a test: it is not handed up."""
        return self._next(tx, incident, [], now, test=True)

    # what channels say (people.outbox.service.Outbox)
    def answered(self, tx: PeopleTransaction, delivery: Delivery, sent: Sent) -> None:
        """Proof of delivery, or none."""
        page, now = tx.page(delivery.page), self._clock()
        known = None if page is None else next((one for one in page.proofs if one.delivery == delivery.id), None)
        if page is None or known is None:
            return
        if delivery.state == "delivered":
            proof = replace(known, at=now, taken=True, said=sent.said or f"answered {sent.status}")
        else:
            proof = replace(known, at=now if delivery.state == "dead" else None, said=delivery.last_error)
        after = rules.proved(page, proof, now)
        if after != page:
            tx.put_page(after)

    # time
    def round(self) -> int:
        """Do what is due → how many pages were looked at."""
        now = self._clock()
        with self._state.read() as tx:
            if not tx.due_pages(now, 1):
                return 0
        with self._state.write() as tx:
            due = tx.due_pages(now, BATCH)
            for page in due:
                if page.ended_at is None:
                    self._pass(tx, page, now)
        for page in due:
            if page.ended_at is not None:  # a test: what came of it is kept in a transaction of its own
                self._tested(page)
                with self._state.write() as tx:
                    tx.put_page(replace(page, due_at=None))
        return len(due)

    def tested_by(self, tested: Callable[[Page], None]) -> None:
        """Who keeps what came of a test page.  It may be told twice of the same."""
        self._tested = tested

    # looking
    def of(self, incident: str) -> list[Page]:
        """Everybody who was paged about an incident, the first first."""
        with self._state.read() as tx:
            return list(reversed(tx.pages(incident=incident, limit=MOST_HOPS)))

    def told(self, incident: str) -> list[Told]:
        """The same as lines of its time line, with names."""
        with self._state.read() as tx:
            names = {person.id: person.name for person in everybody(tx).values()}
            return telling.lines(list(reversed(tx.pages(incident=incident, limit=MOST_HOPS))), names)

    def live(self) -> list[Page]:
        """Pages that nobody acknowledged yet, the newest first."""
        with self._state.read() as tx:
            return list(tx.pages(live_only=True))

    def expire(self, before: float) -> None:
        """Forget pages that ended, and links that expired, before then."""
        with self._state.write() as tx:
            tx.expire_pages(before)
            tx.expire_links(before)

    def _pass(self, tx: PeopleTransaction, page: Page, now: float) -> None:
        incident = tx.incident(page.incident)
        if incident is None or incident.state != "open":  # forgotten, or ended without a word to us
            self._end(tx, rules.resolve(page, now), page, "the incident is over", now)
            return
        after, effect = rules.passed(page, self._hand_up(tx, incident), now)
        if after != page:
            tx.put_page(after)
        if effect == "again":
            before, order = self._chain(tx, page), self._order(tx, incident)
            if not order and not page.person:
                tx.put_page(replace(page, due_at=now + UNREACHED, hand_up_at=now + UNREACHED))  # said once
                return
            if page.person not in order or any(person not in before for person in order):
                tx.put_page(rules.handed_over(after, now))  # somebody came on call meanwhile, or this one left
                self._next(tx, incident, before, now, after=after)
            else:
                self._send(tx, after, incident, "", now)
        elif effect == "next":
            self._next(tx, incident, self._chain(tx, page), now, after=page)

    def _next(
        self, tx: PeopleTransaction, incident: Incident, paged: Sequence[str], now: float, *,
        after: Page | None = None, test: bool = False,
    ) -> Page:  # fmt: skip
        """Page the first who was not paged yet, or else the last one."""
        ident = self._new_id("pag_")
        person, last = rules.who_next(self._order(tx, incident), paged)
        page = Page(
            id=ident, incident=incident.id, workflow=incident.workflow, team=incident.team, person=person,
            hop=0 if after is None else after.hop + 1, state="sent", made_at=now,
            chain=ident if after is None else after.chain, last=last, test=test,
        )  # fmt: skip
        if not person:
            proof = Proof("none", at=now, said=NOBODY)
            page = replace(page, state="failed", proofs=[proof], due_at=now + UNREACHED, hand_up_at=now + UNREACHED)
            tx.put_page(page)
            return page
        return self._send(tx, page, incident, "" if after is None else after.person, now)

    def _send(self, tx: PeopleTransaction, page: Page, incident: Incident, before: str, now: float) -> Page:
        """By all channels of the person at once, or not at all where they were paged too often."""
        settings, people, hand_up = _settings(tx), living(tx), self._hand_up(tx, incident)
        most = settings.paging.most_an_hour
        recent = [other for other in tx.pages_to(page.person, now - rules.HOUR) if other.id != page.id]
        times = [at for other in (*recent, page) for at in other.sendings]
        verdict = "page" if page.test else rules.room(times, most, now)
        if verdict == "hold":
            after = rules.held(page, hand_up, now)
        else:
            name = people[before].name if before in people else before
            why = writing.why_you(page, name, hand_up / 60)
            held = sum(other.held for other in tx.pages(live_only=True)) if verdict == "digest" else None
            after = rules.sent(page, self._deliveries(tx, page, incident, people, why, held, now), hand_up, now)
        tx.put_page(after)
        return after

    def _deliveries(
        self, tx: PeopleTransaction, page: Page, incident: Incident, people: Mapping[str, Person], why: str,
        held: int | None, now: float,
    ) -> list[Proof]:  # fmt: skip
        """One by each channel.  ``held``: it is a digest, and so many pages are held back."""
        settings, person = _settings(tx), people[page.person]
        found = writing.ways(person, settings, people)
        links = self._linked(tx, page) if any(way.personal and way.destination for way in found) else {}
        proofs = []
        for way in found:
            if not way.destination:
                proofs.append(Proof(way.channel, at=now, said=way.problem))
                continue
            made = writing.message(
                "trigger", incident, person, links if way.personal else {}, now, why=why, test=page.test
            )
            if held is not None:
                made = writing.digest(made, settings.paging.most_an_hour, held)
            proofs.append(Proof(way.channel, self._put(tx, way, made, incident, now, page.id)))
        nothing = "no channel: declare smtp, notify or channels in roadworthy.yaml, and an address in people.yaml"
        return proofs or [Proof("none", at=now, said=nothing)]

    def _linked(self, tx: PeopleTransaction, page: Page) -> dict[Action, str]:
        """New links: action → id.  A test, and what is about no workflow, can only be acknowledged."""
        stops: tuple[Action, ...] = ("last_good", "stop") if page.workflow and not page.test else ()
        return {
            action: self._links.note(tx, action, page.incident, page.person, LINK_LIFE, team=page.team)
            for action in ("acknowledge", *stops)
        }

    def _tell(
        self, signal: Signal, tx: PeopleTransaction, incident: Incident, hops: Sequence[Page], now: float, *,
        kinds: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Whoever was paged, once each; a channel that several read, once."""
        settings, people = _settings(tx), living(tx)
        told: set[tuple[str, str]] = set()
        for page in hops:
            person = people.get(page.person)
            if person is None or not page.sendings:
                continue
            for way in writing.ways(person, settings, people):
                reader = (way.channel, person.id if way.personal else "")
                if not way.destination or reader in told or (kinds and way.kind not in kinds):
                    continue
                told.add(reader)
                made = writing.message(signal, incident, person, {}, now, test=page.test)
                self._put(tx, way, made, incident, now)

    def _put(
        self, tx: PeopleTransaction, way: Way, made: Message, incident: Incident, now: float, page: str = ""
    ) -> str:
        ident = self._new_id("msg_")
        tx.put_delivery(
            Delivery(
                id=ident, team=incident.team, kind="page", destination=way.destination,
                body=msgspec.json.encode(made).decode(), created_at=now, due_at=now, workflow=incident.workflow,
                drill=incident.traffic == "drill", incident=incident.id, page=page,
            )
        )  # fmt: skip
        return ident

    def _end(self, tx: PeopleTransaction, after: Page, page: Page, why: str, now: float) -> None:
        """Keep how it ended, and send nothing of it any more, also not to whom it was handed up from."""
        proofs = []
        for proof in after.proofs:
            delivery = tx.delivery(proof.delivery) if proof.delivery and proof.at is None else None
            if delivery is not None and delivery.state == "waiting":
                tx.put_delivery(outbox_rules.withdrawn(delivery, why, now))
                said = f"withdrawn, {why}" + (f" ({proof.said})" if proof.said else "")
                proofs.append(replace(proof, at=now, said=said))
            else:
                proofs.append(proof)
        after = replace(after, proofs=proofs)
        if after != page:
            tx.put_page(after)

    def _chain(self, tx: PeopleTransaction, page: Page) -> list[str]:
        """Who was paged since this hand-up began."""
        hops = tx.pages(incident=page.incident, limit=MOST_HOPS)
        return [hop.person for hop in reversed(hops) if hop.chain == page.chain]

    def _order(self, tx: PeopleTransaction, incident: Incident) -> list[str]:
        """Whoever is on call now, in the order of the hand-up; for what is about no workflow, of all that the team
        has."""
        applied = tx.applied()
        if applied is None:
            return []
        lists = []
        for flow in self._about(applied.configuration, incident):
            try:
                lists.append(self._oncall.now(flow))
            except Unknown:
                continue
        people = living(tx, applied.configuration)
        firsts = [person for person in chain(*zip_longest(*lists)) if person is not None]
        return [person for person in dict.fromkeys(firsts) if person in people]

    def _hand_up(self, tx: PeopleTransaction, incident: Incident) -> float:
        applied = tx.applied()
        found = [] if applied is None else self._about(applied.configuration, incident)
        return min((self._oncall.hand_up(flow) for flow in found), default=UNREACHED)

    def _about(self, configuration: Configuration, incident: Incident) -> list[str]:
        flows = configuration.workflows
        if incident.workflow in flows:
            return [incident.workflow]
        return [name for name, flow in flows.items() if flow.team == incident.team] or list(flows)


def _settings(tx: PeopleTransaction) -> Settings:
    applied = tx.applied()
    return Settings() if applied is None else applied.configuration.settings
