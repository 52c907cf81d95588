"""Cost forecasts: gathered from the log, kept sealed, held against what came, and brought to the evidence.

A forecast is about what is served and will be: calls that were bypassed or limited cost nothing and are left out, calls
of earlier releases count only while the one of now has too few days of its own, and old calls are priced anew where
prices have changed.  Before any traffic the cost of a call is that of the newest release's eval calls and the volume is
stated; under seven days of traffic it is mixed of both.  Either is an assumption, and says so everywhere.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.cost.analysis import Foreseen, foresee, track
from roadworthy.cost.forecast_tokens import FORECAST
from roadworthy.cost.model import LEAST_DAYS, Assumptions, ForecastFigures, Interval, Track
from roadworthy.cost.ports import ForecastState
from roadworthy.evidence import kinds
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.ports import Signer, Verifier
from roadworthy.evidence.rules import Refused, acceptance, binding, bindings, life
from roadworthy.evidence.sealing import Forged
from roadworthy.evidence.service import Ledger
from roadworthy.operations.costing.gathering import Gathered, Gatherer, midnight
from roadworthy.operations.proving.readiness import Board, View
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.service import Actor

DAY = 86_400.0
ASSUMED_LIFE = 14 * DAY
"""Seconds that an assumption holds as evidence: by then there is traffic to forecast from."""
MOST_KEPT = 400
"""Past forecasts that are held against what came."""
GROWTH_SD = 0.1
"""Of the logarithm of growth in thirty days, before anything is seen."""
MOST_GROWTH = 20.0

Why = Literal["", "what_if", "no_release", "no_price", "dry_run"]
"""Why a forecast is no evidence."""


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a forecast is asked for."""

    workflow: str
    release: str = ""
    """Digest; empty: the one that is judged."""
    calls_a_day: float | None = None
    growth_a_month: float | None = None
    """Median; 0.1 is ten per cent in thirty days."""
    peak: float | None = None
    """Calls a second, instead of ``policy.projected_peak``."""
    keep: bool = True
    """``False``: only show."""


class Past(msgspec.Struct, frozen=True):
    """An earlier forecast, held against what came."""

    figures: ForecastFigures
    days: int
    """The longest of its horizons that is over; 0: none is."""
    came: float | None = None
    """US dollars of that horizon; ``None``: none is over, or no cost is known."""

    @property
    def told(self) -> Interval | None:
        return self.figures.horizons.get(self.days)

    @property
    def held(self) -> bool | None:
        told = self.told
        return None if told is None or self.came is None else told.low <= self.came <= told.high


class Made(msgspec.Struct, frozen=True):
    """A forecast, how earlier ones did, and what became of it."""

    figures: ForecastFigures
    track: Track
    kept: bool
    evidence: str = ""
    """Id; empty: it is none."""
    why_none: Why = ""
    accepted_by: str = ""
    """Who takes it as evidence; empty: nobody has yet."""
    cost_owner: str = ""


class Forecasts:
    """Thread-safe as its store is; blocking."""

    def __init__(
        self,
        state: ForecastState,
        ledger: Ledger,
        board: Board,
        gatherer: Gatherer,
        signer: Signer,
        verifier: Verifier,
        *,
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
        keys: Sequence[str] = (),
    ) -> None:
        """``keys``: public keys of earlier signers of this install."""
        self._state = state
        self._ledger = ledger
        self._board = board
        self._gatherer = gatherer
        self._signer = signer
        self._verifier = verifier
        self._keys = (signer.public_key, *keys)
        self._zone = zone
        self._clock = clock

    def make(self, ask: Ask, actor: Actor) -> Made:
        """Raises ``Unknown`` for a workflow or release that there is not, ``Refused`` when nothing can be said."""
        _vet(ask)
        view = self._board.view(ask.workflow, ask.release or None)
        now = self._clock()
        gathered = self._gatherer.gather(view, now, peak=ask.peak)
        foreseen = self._foreseen(ask, gathered)
        figures = self._figures(ask, view, gathered, foreseen, actor, now)
        why = self._why_no_evidence(ask, view, gathered, figures)
        if not ask.keep or why == "what_if":
            return Made(figures, self.track(ask.workflow), False, why_none=why, cost_owner=view.flow.owners.cost)
        self._keep(figures, actor)
        found = None if why else self._prove(figures, view, gathered, actor, now)
        accepted = "" if found is None else self._accepted(found, view)
        return Made(
            figures, self.track(ask.workflow), True, found.id if found is not None else "", why, accepted,
            view.flow.owners.cost,
        )  # fmt: skip

    def renew(self, workflow: str, actor: Actor) -> Made:
        """The same question again: the volume that was stated last holds until there is enough traffic."""
        last = self.newest(workflow)
        view = self._board.view(workflow)
        days = self._gatherer.live_days(workflow, self._clock())
        stated = last.assumptions if last is not None and days < LEAST_DAYS else None
        growth = last.assumptions.growth_a_month if last is not None else None
        return self.make(
            Ask(
                workflow, "" if view.frozen is None else view.frozen.release.digest,
                None if stated is None else stated.calls_a_day, growth,
            ),
            actor,
        )  # fmt: skip

    def newest(self, workflow: str) -> ForecastFigures | None:
        """The last one that was kept."""
        found = self.kept(workflow, 1)
        return found[0] if found else None

    def kept(self, workflow: str, limit: int = MOST_KEPT) -> list[ForecastFigures]:
        """Newest first; a row that we did not sign is none."""
        with self._state.read() as tx:
            tokens = tx.forecasts(workflow, limit)
        found = []
        for token in tokens:
            try:
                found.append(FORECAST.opened(token.encode("utf-8", "replace"), self._keys, self._verifier))
            except Forged:
                continue
        return [each for each in found if each.workflow == workflow]

    def past(self, workflow: str, limit: int = MOST_KEPT) -> list[Past]:
        """Newest first.  Of several a day the last one stands for the day."""
        days: dict[float, ForecastFigures] = {}
        for figures in self.kept(workflow, limit):
            days.setdefault(figures.starts, figures)
        now, zone = self._clock(), self._zone()
        return [self._held_against(figures, now, zone) for figures in days.values()]

    def track(self, workflow: str) -> Track:
        """Forecasts only: an assumption claims nothing."""
        pairs = [
            (each.told, each.came)
            for each in self.past(workflow)
            if each.figures.basis == "forecast" and each.told is not None and each.came is not None
        ]
        return track(pairs)

    # --- inside

    def _held_against(self, figures: ForecastFigures, now: float, zone: ZoneInfo) -> Past:
        begin = datetime.fromtimestamp(figures.starts, zone)
        over = [days for days in figures.horizons if midnight(begin, days) <= now]
        if not over:
            return Past(figures, 0)
        days = max(over)
        return Past(figures, days, self._gatherer.spent(figures.workflow, figures.starts, midnight(begin, days)))

    def _foreseen(self, ask: Ask, gathered: Gathered) -> Foreseen:
        asked = Assumptions(
            calls_a_day=ask.calls_a_day, growth_a_month=ask.growth_a_month or 0.0, growth_sd=GROWTH_SD,
            cost_from=gathered.cost_from, cost_sd=gathered.cost_sd, seed=zlib.crc32(ask.workflow.encode()),
        )  # fmt: skip
        if not gathered.seen.days:
            raise Refused(
                f"nothing says what a call of {ask.workflow} costs: it has no live calls and no eval calls with a "
                f"known cost; run: roadworthy evals gate {ask.workflow}, or price it by hand: roadworthy cost calculate"
            )
        if ask.calls_a_day is None and not sum(gathered.seen.counts):
            raise Refused(
                f"{ask.workflow} has no whole day of live calls yet, so nothing says how many there will be; state it: "
                f"roadworthy forecast {ask.workflow} --volume 2000/day"
            )
        return foresee(gathered.seen, gathered.plant, asked)

    def _figures(
        self, ask: Ask, view: View, gathered: Gathered, foreseen: Foreseen, actor: Actor, now: float
    ) -> ForecastFigures:
        fields = msgspec.structs.asdict(foreseen)
        return ForecastFigures(
            id=f"fct_{secrets.token_hex(8)}", team=view.flow.team, workflow=ask.workflow,
            behaviour="" if view.frozen is None else view.frozen.release.behaviour_digest,
            made_at=now, by=actor.id, starts=gathered.starts, prices=view.subject.prices or "",
            month_spent=view.traffic.month_spent or 0.0, unpriced=gathered.unpriced, notes=gathered.notes,
            **{name: fields[name] for name in foreseen.__struct_fields__},
        )  # fmt: skip

    def _why_no_evidence(self, ask: Ask, view: View, gathered: Gathered, figures: ForecastFigures) -> Why:
        enough = sum(count > 0 for count in gathered.seen.counts) >= LEAST_DAYS
        if (ask.calls_a_day is not None and enough) or ask.peak is not None:
            return "what_if"
        if not ask.keep:
            return "dry_run"
        if view.frozen is None:
            return "no_release"
        return "" if figures.prices else "no_price"

    def _keep(self, figures: ForecastFigures, actor: Actor) -> None:
        token = FORECAST.sealed(figures, self._signer)
        event = Event(
            actor.id, "forecast.make", f"workflow/{figures.workflow}", on_behalf_of=actor.on_behalf_of,
            team=figures.team, evidence=figures.id,
            after={"basis": figures.basis, "expected": figures.scenario("expected").usd.point},
        )  # fmt: skip
        with self._state.write() as tx:
            tx.add_forecast(figures, token)
            tx.append_audit(chain(tx.last_audit(), event, self._clock()))

    def _prove(self, figures: ForecastFigures, view: View, gathered: Gathered, actor: Actor, now: float) -> Evidence:
        assert view.frozen is not None
        release = view.frozen.release
        about = bindings(release.behaviour_digest, release.handling_digest, figures.workflow)
        holds = life("cost_forecast", policy=ASSUMED_LIFE if figures.basis == "assumption" else None)
        return self._ledger.keep(
            Evidence(
                id=f"evd_{secrets.token_hex(8)}", team=figures.team, workflow=figures.workflow,
                figures=proven(figures), run=figures.id, bound=binding("cost_forecast", about), by=actor.id,
                made_at=now, lapses_at=now + holds, mode="live", detail="; ".join(gathered.notes)[:300],
            ),
            [about],
            on_behalf_of=actor.on_behalf_of,
        )  # fmt: skip

    def _accepted(self, evidence: Evidence, view: View) -> str:
        about = [each for each in self._ledger.known(evidence.workflow).evidence if each.kind == evidence.kind]
        history = [each for each in about if each.bound == evidence.bound]
        found = acceptance(evidence, history, view.flow.owners.cost)
        return "" if found is None else found.by


def proven(figures: ForecastFigures) -> kinds.Forecast:
    """As readiness judges it."""
    each, peak, five = (figures.scenario(name).usd for name in ("unit", "peak", "5x"))
    return kinds.Forecast(
        unit=each.point, month_peak=peak.point, month_five=five.point, month_spent=figures.month_spent,
        prices=figures.prices, unit_high=each.high, month_peak_high=peak.high, month_five_high=five.high,
        days=figures.days, assumed=figures.basis == "assumption", peak=figures.scenario("peak").rate,
    )  # fmt: skip


def _vet(ask: Ask) -> None:
    if ask.calls_a_day is not None and not 0.0 < ask.calls_a_day <= 1e12:
        raise Refused(f"volume {ask.calls_a_day:g} calls a day cannot be: state one above 0, for example 2000/day")
    if ask.growth_a_month is not None and not -0.99 <= ask.growth_a_month <= MOST_GROWTH:
        raise Refused(f"growth of {100 * ask.growth_a_month:g} % a month cannot be: state -99 % to 2,000 %")
    if ask.peak is not None and not 0.0 < ask.peak <= 1e7:
        raise Refused(f"peak of {ask.peak:g} calls a second cannot be: state one above 0, for example 3/s")
