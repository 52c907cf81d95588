"""Everything of control that is about people: escalations, incidents, the outbox, and what the gateways are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from roadworthy.adapters.notify.apprise import AppriseSender
from roadworthy.adapters.notify.mail import SmtpSender
from roadworthy.adapters.notify.pagerduty import PagerDutySender
from roadworthy.adapters.notify.webhook import WebhookSender
from roadworthy.adapters.outbound import Outbound
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine import escalations as duties
from roadworthy.engine.escalations import Tidings
from roadworthy.engine.paging import pages
from roadworthy.engine.supervise import Module
from roadworthy.inference_log.ports import LogStore
from roadworthy.operations.escalating.forgetting import EscalationEraser, forget_what_is_covered
from roadworthy.operations.escalating.shapes import completion, fits
from roadworthy.operations.notices import Arrivals
from roadworthy.operations.status import PeopleCounts, Waiting, waiting_for_people, without_an_owner
from roadworthy.people.accounts.rules import orphans
from roadworthy.people.directory import everybody
from roadworthy.people.escalation.service import Queue
from roadworthy.people.incident.service import Incidents
from roadworthy.people.links.service import Links
from roadworthy.people.oncall.service import OnCall
from roadworthy.people.outbox.service import Outbox, Pagers
from roadworthy.people.paging.service import Paging
from roadworthy.wiring.fleet.workers import tell_worker
from roadworthy.wiring.folders.data_folder import DataFolder
from roadworthy.wiring.secrets import find_secret
from roadworthy.workflow.model import Settings
from roadworthy.workflow.service import Unknown


class People:
    """Built once by ``Control``, which closes what it is given."""

    def __init__(
        self,
        state: SqliteState,
        log: LogStore,
        folder: DataFolder,
        *,
        sockets: Callable[[], list[Path]],
        settings: Callable[[], Settings],
        base_url: Callable[[], str],
        clock: Callable[[], float],
        console_url: Callable[[], str] = lambda: "",
        invitations: Callable[[str], str] = lambda body: body,
    ) -> None:
        """``sockets``: of every worker of every gateway.  ``console_url``: what addresses of the console begin with.
        ``invitations``: a mail as it leaves, with their links."""
        self._state = state
        self._settings = settings
        self._clock = clock
        self.queue = Queue(
            state,
            clock=clock,
            answer_url=lambda ident: f"{base_url()}/escalations/{ident}/answer",
            completion=completion,
            fits=fits,
            secret=find_secret,
        )
        self.incidents = Incidents(state, clock=clock)
        self.on_call = OnCall(state, clock=clock)
        self.links = Links(state, folder.hmac_key(), clock=clock)
        self.paging = Paging(state, self.links, self.on_call, clock=clock)
        self.incidents.paged_by(self.paging)
        self.outbox = Outbox(
            state, clock=clock, secret=find_secret, hmac_key=folder.hmac_key(),
            fill=lambda body: invitations(self.links.fill(body, console_url())), answered=self.paging.answered,
        )  # fmt: skip
        self.tidings = Tidings(state, sockets, tell_worker, clock=clock)
        self.arrivals = Arrivals(
            state, self.queue, self.incidents, log.covers,
            tell_gone=self.tidings.gone, zone=lambda: ZoneInfo(settings().timezone),
        )  # fmt: skip
        self.eraser = EscalationEraser(state, state, tell_gone=self.tidings.gone)
        forget_what_is_covered(state, log.covers, clock())

    def draft(self, inference: str) -> str | None:
        """What a model drafted for a call that people answered; ``None``: nothing, or it is not kept."""
        try:
            return self.queue.find(inference).draft
        except Unknown:
            return None

    def counts(self) -> PeopleCounts:
        with self._state.read() as tx:
            messages = tx.count_deliveries()
            return PeopleCounts(
                escalations_open=sum(tx.open_escalations().values()),
                incidents_open=tx.count_open_incidents(),
                messages_waiting=messages.get("waiting", 0),
                messages_dead=messages.get("dead", 0),
            )

    def waiting(self) -> list[Waiting]:
        """What goes on only when somebody acts."""
        with self._state.read() as tx:
            applied = tx.applied()
            workflows = {} if applied is None else applied.configuration.workflows
            dead = tx.count_deliveries().get("dead", 0)
            found = waiting_for_people(
                workflows, tx.open_escalations(), tx.count_open_incidents(), dead, tx.reviews(state="drafted"),
                self._clock(),
            )  # fmt: skip
            gone = orphans(None if applied is None else applied.configuration, everybody(tx))
        return [*without_an_owner(gone), *found]

    def modules(self) -> list[Module]:
        return [
            duties.expiry(self.queue),
            duties.telling(self.tidings),
            *(
                duties.deliveries(
                    self.outbox,
                    lambda: WebhookSender(proxy=self._settings().proxy),
                    SmtpSender(),
                    self._pagers,
                    pages=pages,
                )
                for pages in (True, False)
            ),
            duties.keeping(
                self._state, lambda: self._settings().retention.bodies, clock=self._clock, also=self.paging.expire
            ),
            pages(self.paging),
        ]

    def _pagers(self) -> Pagers:
        return Pagers(PagerDutySender(Outbound(proxy=self._settings().proxy)), AppriseSender())
