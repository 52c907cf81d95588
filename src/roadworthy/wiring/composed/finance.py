"""Everything of control that is about money told to people: alerts, the sheet and its books, bills, other models."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.cost.model import Interval
from roadworthy.cost.service import PriceList
from roadworthy.engine import spending
from roadworthy.engine.renew import Producer, RenewalFailed
from roadworthy.engine.supervise import Module
from roadworthy.evidence.rules import Refused
from roadworthy.inference_log.service import Log
from roadworthy.operations.costing.alert_test import AlertTests, NothingToTest
from roadworthy.operations.costing.alerts import Alerts
from roadworthy.operations.costing.comparing import Comparer
from roadworthy.operations.costing.finance import Books
from roadworthy.operations.costing.mailing import Mailing
from roadworthy.operations.costing.reading import Costs
from roadworthy.operations.costing.reconciling import Reconciler
from roadworthy.wiring.composed.evidence import Proving
from roadworthy.wiring.composed.people import People
from roadworthy.workflow.model import Configuration
from roadworthy.workflow.service import Actor, Unknown


class Finance:
    """Built once by ``Control``."""

    def __init__(
        self,
        state: SqliteState,
        people: People,
        proving: Proving,
        log: Log,
        *,
        configuration: Callable[[], Configuration | None],
        prices: PriceList,
        signer: Ed25519Signer,
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
        costs: Costs,
        forecast: Callable[[str], Interval | None],
    ) -> None:
        """``forecast``: of a workflow's next thirty days, where one is kept."""
        price_of = prices.price_of
        self.books = Books(
            state, log, costs, configuration, prices.look_up, signer,
            Ed25519Verifier(), zone=zone, clock=clock, forecast=forecast,
        )  # fmt: skip
        self.comparer = Comparer(log, configuration, prices, clock=clock)
        self.reconciler = Reconciler(log, configuration, price_of, prices)
        self.mail = Mailing(state, zone=zone, clock=clock).send
        self.alerts = Alerts(log, people.incidents, configuration, price_of, zone=zone, clock=clock)
        self.tests = AlertTests(
            state, people.incidents, people.outbox, proving.ledger, bindings=proving.board.bindings, clock=clock
        )

    def tested_anew(self) -> Producer:
        """How a machine shows again that alerts arrive."""

        def run(workflow: str) -> None:
            try:
                tested = self.tests.run(workflow, Actor("engine"))
            except (NothingToTest, Unknown, Refused) as error:
                raise RenewalFailed(str(error)) from error
            if not tested.evidence.figures.delivered:  # type: ignore[union-attr]  # of the kind that was just kept
                raise RenewalFailed("; ".join(tested.ways))

        return Producer("cost alert test", run)

    def modules(self) -> list[Module]:
        return spending.modules(self.alerts)
