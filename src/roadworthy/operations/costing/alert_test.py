"""A test alert on the very way that a budget's alert takes, and the evidence that it arrived.

Notice → incident → cause → outbox → notifier or mail server → its receipt.  It is of class ``drill``: it says so in its
title, and nobody has to look into it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import msgspec

from roadworthy.evidence import rules
from roadworthy.evidence.kinds import CostAlertTest
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.rules import Bindings
from roadworthy.evidence.service import Ledger
from roadworthy.operations.costing.subjects import Subject
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import Incidents, recipients
from roadworthy.people.outbox.model import Delivery
from roadworthy.people.outbox.service import Outbox
from roadworthy.people.ports import PeopleState
from roadworthy.workflow.model import Configuration, Settings, Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

PATIENCE = 30.0
"""Seconds in which a test alert must have been taken: a try, and two more."""
LOOK = 0.2
STARTS = 15.0
"""Seconds in which the engine must have looked the cause up; else none runs here."""


class NothingToTest(ValueError):
    """There is nothing to test yet; the message says what to declare."""


class Arrived(msgspec.Struct, frozen=True):
    """How it ended."""

    evidence: Evidence
    incident: str
    ways: list[str]
    """What took it, or did not and why."""
    seconds: float
    """Until everything was taken, or it was given up waiting."""
    cause: str
    """The sentence that it carried."""


class AlertTests:
    """Blocking.  The engine must run: it explains and delivers."""

    def __init__(
        self,
        state: PeopleState,
        incidents: Incidents,
        outbox: Outbox,
        ledger: Ledger,
        *,
        bindings: Callable[[str], Sequence[Bindings]],
        clock: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._incidents = incidents
        self._outbox = outbox
        self._ledger = ledger
        self._bindings = bindings
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic

    def run(self, workflow: str, actor: Actor) -> Arrived:
        """Raises ``Unknown``, ``NothingToTest`` and ``evidence.rules.Refused``."""
        configuration, flow = self._flow(workflow)
        thresholds = flow.policy.budgets.thresholds()
        ways = ways_of(configuration.settings)
        if not thresholds:
            raise NothingToTest(
                f"{workflow} has no budget, so no alert can come: declare policy.budgets in workflow.yaml, for example "
                "workflow: {month: 500}"
            )
        if not ways:
            raise NothingToTest(
                "nobody is told of alerts: declare notify: {url, secret} or smtp: {host, from} in roadworthy.yaml "
                "(docs/finance.md)"
            )
        incident = self._opened(flow)
        began = self._monotonic()
        deliveries = self._awaited(incident, len(ways))
        took = self._monotonic() - began
        delivered = len(deliveries) >= len(ways) and all(each.state == "delivered" for each in deliveries)
        told = [each.get("name") or each["person"] for each in self._told(incident, configuration)]
        figures = CostAlertTest(thresholds=thresholds, to=f"{', '.join(told)} ({' and '.join(ways)})",
                                delivered=delivered)  # fmt: skip
        now = self._clock()
        evidence = Evidence(
            id="evd_" + secrets.token_hex(8), team=flow.team, workflow=workflow, figures=figures, run=incident,
            bound={"workflow": workflow}, by=actor.id, made_at=now,
            lapses_at=now + rules.life("cost_alert_test"),
            detail=f"test alert {incident}, " + (f"taken in {took:.1f} s" if delivered else "not taken"),
        )  # fmt: skip
        kept = self._ledger.keep(evidence, self._bindings(workflow), on_behalf_of=actor.on_behalf_of)
        said = [_said(each) for each in deliveries] or [f"nothing was sent within {PATIENCE:.0f} s"]
        return Arrived(kept, incident, said, took, self._incidents.find(incident).cause)

    def _flow(self, workflow: str) -> tuple[Configuration, Workflow]:
        with self._state.read() as tx:
            applied = tx.applied()
        flows = {} if applied is None else applied.configuration.workflows
        if applied is None or workflow not in flows:
            raise Unknown(f"no workflow '{workflow}': {did_you_mean(workflow, flows)}")
        return applied.configuration, flows[workflow]

    def _opened(self, flow: Workflow) -> str:
        subject = Subject("budget_test", "workflow", flow.name, "", "day", "test", secrets.token_hex(6))
        notice = Notice(
            kind="alert", alert="budget_test", key=subject.key, team=flow.team, workflow=flow.name,
            title=f"{flow.name}: test of the cost alert",
            summary="Nothing is wrong: this shows that cost alerts arrive, and what they say.",
            role="cost", at=self._clock(), traffic="drill", drill="cost alert", explain=True,
        )  # fmt: skip
        self._incidents.take([notice])
        found = self._incidents.newest(subject.key)
        assert found is not None
        return found.id

    def _awaited(self, incident: str, ways: int) -> list[Delivery]:
        """The messages that tell it, once all have ended or been tried in vain for long enough.  Raises
        ``NothingToTest`` where no engine runs: a command that stands in for control proves nothing about alerts."""
        began = self._monotonic()
        end = began + PATIENCE
        while True:
            found = [row for row in self._outbox.list(limit=200) if row.incident == incident]
            over = len(found) >= ways and all(each.state != "waiting" for each in found)
            if over or self._monotonic() >= end:
                return found
            if self._monotonic() - began >= STARTS and self._incidents.find(incident).unexplained:
                raise NothingToTest("control does not run, and it is what tells alerts: start it with `roadworthy up`")
            self._sleep(LOOK)

    def _told(self, incident: str, configuration: Configuration) -> list[dict[str, str]]:
        return recipients(self._incidents.find(incident), configuration)


def ways_of(settings: Settings) -> list[str]:
    """How people are told of alerts."""
    found = []
    if settings.notify is not None:
        found.append(urlsplit(settings.notify.url).hostname or "the notifier")  # a path may hold a secret
    if settings.smtp is not None:
        found.append(f"mail by {settings.smtp.host}")
    return found


def _said(delivery: Delivery) -> str:
    if delivery.state == "delivered":
        return f"{delivery.destination}: taken ({delivery.last_status})"
    return f"{delivery.destination}: {delivery.last_error or 'not tried yet'}"
