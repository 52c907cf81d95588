"""A test page: it takes the very way of a page, says that it is one, and counts once a person has acknowledged it.

It opens an incident of its own, which the same links, commands and pages acknowledge, and is handed up to nobody.  What
came of it is evidence, good or not: the one is item 8 of the checklist, the other says whom nobody reached.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from roadworthy.evidence import rules as evidence_rules
from roadworthy.evidence.kinds import OnCallPage
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.rules import Bindings
from roadworthy.evidence.service import Ledger
from roadworthy.operations.costing.alert_test import NothingToTest
from roadworthy.people.incident import rules as incident_rules
from roadworthy.people.incident.model import Incident, PageText
from roadworthy.people.paging.model import Page
from roadworthy.people.paging.service import NOBODY, Paging
from roadworthy.people.ports import PeopleState
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

KEY: Final = "page_test"
"""First part of the key of a test's incident."""
ENGINE: Final = "engine"


class Tested(msgspec.Struct, frozen=True):
    """A test page, as far as it is."""

    incident: str
    workflow: str
    page: Page
    verdict: str
    """PASS, FAIL, or empty while somebody may still acknowledge it."""
    until: float | None
    """When it is over without an acknowledgement."""


class PageTests:
    """Thread-safe; blocking.  The engine must run: it delivers."""

    def __init__(
        self,
        state: PeopleState,
        paging: Paging,
        ledger: Ledger,
        *,
        bindings: Callable[[str], Sequence[Bindings]],
        clock: Callable[[], float],
        new_id: Callable[[], str] = lambda: secrets.token_hex(6),
    ) -> None:
        self._state = state
        self._paging = paging
        self._ledger = ledger
        self._bindings = bindings
        self._clock = clock
        self._new_id = new_id

    def start(self, workflow: str, actor: Actor) -> Tested:
        """Page whoever is first on call for a workflow.  Raises ``Unknown`` and ``NothingToTest``."""
        now = self._clock()
        with self._state.write() as tx:
            applied = tx.applied()
            flows = {} if applied is None else applied.configuration.workflows
            if workflow not in flows:
                raise Unknown(f"no workflow '{workflow[:80]}': {did_you_mean(workflow, flows)}")
            under_way = self._under_way(tx.pages(live_only=True, limit=1000), workflow)
            if under_way is not None:
                return _tested(under_way)
            incident = _incident(f"inc_{self._new_id()}", workflow, flows[workflow].team, actor, now)
            tx.put_incident(incident)
            page = self._paging.test(tx, incident, now)
            if not page.person:
                raise NothingToTest(f"{NOBODY}: name somebody in people.yaml (docs/on-call.md)")
            event = Event(
                actor=actor.id, on_behalf_of=actor.on_behalf_of, action="oncall.test", target=f"workflow/{workflow}",
                after={"incident": incident.id, "person": page.person}, team=incident.team,
            )  # fmt: skip
            tx.append_audit(chain(tx.last_audit(), event, now))
        return _tested(page)

    def find(self, incident: str) -> Tested:
        """Raises ``Unknown``."""
        pages = self._paging.of(incident)
        if not pages or not pages[0].test:
            raise Unknown(f"no test page {incident[:80]!r}")
        return _tested(pages[0])

    def keep(self, page: Page) -> None:
        """What came of a test, as evidence; its incident is over.  May be called twice."""
        now = self._clock()
        seconds = None if page.ended_at is None else max(0.0, page.ended_at - page.made_at)
        by = page.ended_by if _by_a_human(page) else ""
        ways = ", ".join(proof.channel for proof in page.proofs if proof.taken) or "no channel"
        kept = Evidence(
            id="evd_" + secrets.token_hex(8), team=page.team, workflow=page.workflow, run=page.incident,
            figures=OnCallPage(to=page.person, acknowledged_by=by, seconds=seconds if by else None),
            bound={"workflow": page.workflow}, by=by or ENGINE, made_at=now,
            lapses_at=now + evidence_rules.life("on_call_page"),
            detail=f"test page {page.incident} by {ways}" + (f", acknowledged by {page.how}" if by else ""),
        )  # fmt: skip
        with self._state.read() as tx:
            incident = tx.incident(page.incident)
        if incident is None or incident.over:
            return
        why = f"{by} acknowledged the test" if by else "nobody acknowledged the test in time"
        try:
            self._ledger.keep(kept, self._bindings(page.workflow))
        except (Unknown, evidence_rules.Refused) as error:  # its workflow went meanwhile
            why = f"{why}; kept as no evidence: {error}"
        with self._state.write() as tx:
            over = incident_rules.resolve(incident, ENGINE, why, now)
            tx.put_incident(over)
            self._paging.resolved(tx, over, now)

    def _under_way(self, pages: Sequence[Page], workflow: str) -> Page | None:
        return next((page for page in pages if page.test and page.workflow == workflow), None)


def _incident(ident: str, workflow: str, team: str, actor: Actor, now: float) -> Incident:
    text = PageText(
        line=f"{workflow}: a test page. Acknowledge it to show that you can be reached.",
        affected="Nobody. Nothing is wrong.",
        otherwise="The checklist of the workflow says that its on-call was not reached.",
    )
    return Incident(
        id=ident, kind="alert", key=f"{KEY}/{workflow}/{ident}", team=team, workflow=workflow, cls="page",
        title=f"{workflow}: test page", summary=f"{actor.id} asked for a test page.", role="workflow", opened_at=now,
        seen_at=now, notified_at=now, traffic="drill", drill="test page", page=text,
    )  # fmt: skip


def _by_a_human(page: Page) -> bool:
    return page.state == "acknowledged" and bool(page.ended_by) and not page.ended_by.startswith(("os:", ENGINE))


def _tested(page: Page) -> Tested:
    verdict = "" if page.ended_at is None else "PASS" if _by_a_human(page) else "FAIL"
    return Tested(page.incident, page.workflow, page, verdict, page.hand_up_at)
