"""What calls came to and what they will come to, composed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.cost.forecast import MONTH
from roadworthy.cost.model import Interval
from roadworthy.engine.renew import Producer, RenewalFailed
from roadworthy.evidence.rules import Refused
from roadworthy.inference_log.service import Log
from roadworthy.operations.costing.forecasts import Forecasts
from roadworthy.operations.costing.gathering import Gatherer
from roadworthy.operations.costing.reading import Costs
from roadworthy.people.escalation.model import Escalation
from roadworthy.people.escalation.rules import LEASE
from roadworthy.people.ports import WhichEscalations
from roadworthy.wiring.composed.evidence import Proving
from roadworthy.workflow.model import Configuration, Price, Target
from roadworthy.workflow.service import Actor, Unknown

MOST_ESCALATIONS = 20_000


class Forecasting:
    """Built once by ``Control``."""

    def __init__(
        self,
        state: SqliteState,
        signer: Ed25519Signer,
        proving: Proving,
        log: Log,
        *,
        configuration: Callable[[], Configuration | None],
        price_of: Callable[[Target], Price | None],
        zone: Callable[[], ZoneInfo],
        workers: Callable[[], int],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._zone = zone
        self._configuration = configuration
        self._price_of = price_of
        self._clock = clock
        self.costs = Costs(log, price_of=self._price, zone=zone, judges=self._judges, minutes=self._minutes)
        gatherer = Gatherer(log, self.costs, configuration, price_of, zone=zone, workers=workers)
        self.forecasts = Forecasts(
            state, proving.ledger, proving.board, gatherer, signer, Ed25519Verifier(), zone=zone, clock=clock
        )

    def renewed_by(self) -> Producer:
        """How a machine forecasts again."""

        def run(workflow: str) -> None:
            try:
                made = self.forecasts.renew(workflow, Actor("engine"))
            except (Refused, Unknown) as error:
                raise RenewalFailed(str(error)) from error
            if not made.evidence:
                raise RenewalFailed("a target of the release has no known price, or there is no release")

        return Producer("forecast", run)

    def expected(self, workflow: str) -> Interval | None:
        """The newest forecast, within the thirty days that it is about; an assumption is none."""
        newest = self.forecasts.newest(workflow)
        if newest is None or newest.basis != "forecast" or self._clock() - newest.starts > MONTH:
            return None
        return newest.scenario("expected").usd

    def _price(self, target: str) -> Price | None:
        configuration = self._configuration()
        found = None if configuration is None else configuration.targets.get(target)
        return None if found is None else self._price_of(found)

    def _judges(self, workflow: str, since: float, until: float) -> tuple[float | None, float]:
        """What scoring live answers cost, by calendar days."""
        zone = self._zone()
        day, last = (datetime.fromtimestamp(at, zone).date() for at in (since, until))
        usd, scored = 0.0, 0
        with self._state.read() as tx:
            while day <= last:
                spent, count, _ = tx.online(workflow, day.isoformat())
                usd, scored = usd + spent, scored + count
                day += timedelta(days=1)
        return usd, scored

    def _minutes(self, workflow: str, since: float, until: float) -> float:
        with self._state.read() as tx:
            answered = tx.escalations(WhichEscalations(workflow, ("answered",)), MOST_ESCALATIONS)
        return sum(minutes(each) for each in answered if since <= each.opened_at < until and not each.drill)


def minutes(escalation: Escalation) -> float:
    """From the last claim to the answer; of what was answered without a claim, nothing is known: 0."""
    if escalation.claimed_until is None or escalation.closed_at is None:
        return 0.0
    claimed = min(escalation.claimed_until, escalation.answer_by) - LEASE
    return min(max(escalation.closed_at - max(claimed, escalation.opened_at), 0.0), LEASE) / 60.0
