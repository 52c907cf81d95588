"""What a forecast is made from: days, hours and costs of calls from the log; targets and limits of the release."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.cost import unit
from roadworthy.cost.analysis import Plant, Seen
from roadworthy.cost.forecast import Money, Place, Size
from roadworthy.cost.model import LEAST_DAYS
from roadworthy.cost.rules import cost_of
from roadworthy.inference_log.model import NOT_JUDGED, Filter
from roadworthy.inference_log.service import Log
from roadworthy.operations.costing.reading import Costs
from roadworthy.operations.proving.readiness import View
from roadworthy.statistics.forecasting import DayCalls
from roadworthy.workflow.inference import OUTCOMES, Inference
from roadworthy.workflow.model import Configuration, Price, Release, Target

DAY = 86_400.0
HISTORY = 56
"""Days whose calls are counted."""
COSTED = 28
"""Days whose calls say what one costs."""
LEAST_CALLS = 30
"""Live calls under which the cost of a call is taken from evals, where there are any."""
EVAL_DAYS = 90
EVAL_SD, FEW_SD = 0.3, 0.15
"""How far a live call's cost may lie from that of eval calls, and from that of under seven days: assumed."""
NOT_SERVED = frozenset({"bypassed", "limited"})
"""Outcomes of calls for which nobody was asked: in no figure of a forecast."""
REPRICED = 0.005
"""Difference of old and new prices that is worth saying."""
_ASKED = ",".join(outcome for outcome in OUTCOMES if outcome not in NOT_SERVED)


class Gathered(msgspec.Struct, frozen=True):
    """Everything that a forecast is made from."""

    seen: Seen
    plant: Plant
    starts: float
    """The next midnight."""
    cost_from: str
    cost_sd: float
    """As ``Assumptions``."""
    unpriced: float
    """Share of the live calls whose cost is not known."""
    notes: list[str]


class Gatherer:
    """Blocking."""

    def __init__(
        self,
        log: Log,
        costs: Costs,
        configuration: Callable[[], Configuration | None],
        price_of: Callable[[Target], Price | None],
        *,
        zone: Callable[[], ZoneInfo],
        workers: Callable[[], int],
    ) -> None:
        """``workers``: of all gateways."""
        self._log = log
        self._costs = costs
        self._configuration = configuration
        self._price_of = price_of
        self._zone = zone
        self._workers = workers

    def spent(self, workflow: str, since: float, until: float) -> float | None:
        """US dollars of live calls; ``None``: of none is the cost known."""
        return self._costs.whole(workflow, since, until).usd

    def live_days(self, workflow: str, now: float) -> int:
        """Whole days with live calls that were served."""
        return sum(count > 0 for count in self._days(workflow, now)[1])

    def gather(self, view: View, now: float, *, peak: float | None = None) -> Gathered:
        """``peak``: calls a second, instead of the declared one."""
        workflow, zone = view.flow.name, self._zone()
        today = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        first, counts = self._days(workflow, now)
        calls, more, cost_from, notes = self._calls(view, now)
        prices = self._prices()
        repriced = [(call, _repriced(call, prices)) for call in calls]
        known = [(call, usd) for call, usd in repriced if usd is not None]
        before = sum(call.cost_usd or 0.0 for call, _ in known)
        after = sum(usd for _, usd in known)
        if before > 0.0 and abs(after / before - 1.0) > REPRICED:
            notes.append(f"calls are priced as prices are now: {100 * (after / before - 1):+.0f} % of what was charged")
        elif not before and after > 0.0:
            notes.append("calls are priced as prices are now: they were free")
        if calls and len(known) < len(calls):
            share = 1 - len(known) / len(calls)
            notes.append(f"the cost of {100 * share:.1f} % of the calls is not known: they count as the others")
        live = sum(count > 0 for count in counts)
        evals = cost_from.startswith("eval")
        tally = unit.tallied(calls, lambda name: prices.get(name))
        return Gathered(
            seen=Seen(
                counts, first.weekday(), (today + timedelta(days=1)).weekday(), _by_day(known, zone, more),
                [] if evals else self._hours(workflow, now), _size(calls),
                unit.parts(tally, tally.total, 1.0, {}),
            ),
            plant=self._plant(view, peak),
            starts=midnight(today, 1),
            cost_from=cost_from,
            cost_sd=EVAL_SD if evals else 0.0 if live >= LEAST_DAYS else FEW_SD,
            unpriced=1 - len(known) / len(calls) if calls else 0.0,
            notes=notes + self._not_served(workflow, now),
        )  # fmt: skip

    # --- inside

    def _days(self, workflow: str, now: float) -> tuple[datetime, list[int]]:
        """(the first, served live calls of it and of each whole day after it).  The very first day of a workflow's
        traffic is rarely whole, so it is left out."""
        zone = self._zone()
        today = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        first = today - timedelta(days=HISTORY)
        where = Filter(
            workflow=workflow, traffic="live", outcome=_ASKED, since=first.timestamp(), until=today.timestamp()
        )
        rows = self._log.stats("day", where, zone).rows
        found = {row.group["day"] or "": row.count for row in rows}
        days = [first + timedelta(days=n) for n in range(HISTORY)]
        counts = [found.get(f"{day:%Y-%m-%d}", 0) for day in days]
        begun = next((n for n, count in enumerate(counts) if count), len(counts))
        if 0 < begun < len(counts):
            begun += 1
        return (days[begun] if begun < len(days) else today), counts[begun:]

    def _hours(self, workflow: str, now: float) -> list[int]:
        """Live calls of consecutive hours of whole days, the weekdays evenly."""
        first, counts = self._days(workflow, now)
        whole = min(len(counts), COSTED) // 7 * 7
        if not whole:
            return []
        until = first + timedelta(days=len(counts))
        since = (until - timedelta(days=whole)).timestamp()
        found = self._costs.hours(workflow, since, until.timestamp())
        return [*found.values(), *([0] * max(0, whole * 24 - len(found)))]

    def _calls(self, view: View, now: float) -> tuple[Sequence[Inference], float, str, list[str]]:
        """(calls that say what one costs, calls for each of them, where they come from, notes)."""
        workflow, since = view.flow.name, now - COSTED * DAY
        sample = self._costs.sample(workflow, since, now)
        live = [call for call in sample.read if call.outcome not in NOT_SERVED]
        notes: list[str] = []
        mine = [call for call in live if view.frozen is not None and call.digest == view.frozen.release.digest]
        zone = self._zone()
        if mine and len(mine) < len(live):
            if len({_day(call, zone) for call in mine}) >= LEAST_DAYS:
                live = mine
            else:
                share = 1 - len(mine) / len(live)
                notes.append(f"{100 * share:.0f} % of the calls that say what one costs are of other releases")
        if len(live) < LEAST_CALLS:
            evals = self._evals(view, now)
            if evals:
                return evals, 1.0, f"eval calls ({len(evals)})", notes
        return live, sample.more, f"live calls of {COSTED} days ({len(live):,} read)", notes

    def _evals(self, view: View, now: float) -> list[Inference]:
        """Of the release, the newest first a fresh answer each: what was answered from a cache asked nobody."""
        if view.frozen is None:
            return []
        sample = self._costs.sample(
            view.flow.name, now - EVAL_DAYS * DAY, now, traffic="eval", release=view.frozen.release.digest
        )
        return [call for call in sample.read if call.cost_usd is not None and call.outcome not in NOT_JUDGED]

    def _not_served(self, workflow: str, now: float) -> list[str]:
        outcomes = self._costs.outcomes(workflow, now - COSTED * DAY, now)
        calls = sum(each.calls for each in outcomes)
        away = sum(each.calls for each in outcomes if each.outcome in NOT_SERVED)
        if not calls or away / calls < 0.01:
            return []
        return [
            f"{100 * away / calls:.0f} % of the calls were not served (bypassed or limited) and cost nothing; were all "
            f"of them, a month would cost {calls / max(calls - away, 1):.2g} times as much"
        ]

    def _prices(self) -> Mapping[str, Price]:
        configuration = self._configuration()
        targets = {} if configuration is None else configuration.targets
        found = {name: self._price_of(target) for name, target in targets.items()}
        return {name: price for name, price in found.items() if price is not None}

    def _plant(self, view: View, peak: float | None) -> Plant:
        configuration = self._configuration()
        targets = {} if configuration is None else configuration.targets
        release = None if view.frozen is None else view.frozen.release
        names = [] if release is None else [release.behaviour.target, *_overflow(release)]
        if release is None and view.flow.passthrough is not None:
            names = [view.flow.passthrough]
        budget = view.flow.policy.budgets.workflow
        retries = 0
        if release is not None:
            steps = release.handling.ladder.get("throttled", [])
            retries = sum(step.times for step in steps if step.kind == "retry")
        return Plant(
            view.flow.name, [self._place(targets[name]) for name in names if name in targets],
            Money(budget.day, budget.month), view.flow.policy.projected_peak if peak is None else peak, retries,
        )  # fmt: skip

    def _place(self, target: Target) -> Place:
        limits = target.limits
        return Place(
            target.name, limits.requests_per_minute, limits.tokens_per_minute,
            float(limits.concurrency * max(1, self._workers())), self._price_of(target),
        )  # fmt: skip


def midnight(day: datetime, days: int) -> float:
    """When the day so many days after ``day``'s begins, in its zone."""
    later = day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
    return later.timestamp()


def _overflow(release: Release) -> list[str]:
    """The target to which the ladder sends calls that our own limits turned away."""
    steps = release.handling.ladder.get("throttled", [])
    return [step.target for step in steps if step.kind == "target" and step.target is not None][:1]


def _day(call: Inference, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(call.ts, zone):%Y-%m-%d}"


def _repriced(call: Inference, prices: Mapping[str, Price]) -> float | None:
    """What the call would cost now; what cannot be priced anew costs what it did."""
    if call.cost_usd is None:
        return None
    usd = call.cost_usd
    for attempt in call.attempts:
        price = prices.get(attempt.target)
        if price is not None and attempt.tokens is not None and attempt.cost_usd is not None:
            usd += cost_of(attempt.tokens, price) - attempt.cost_usd
    return max(0.0, usd)


def _by_day(known: Sequence[tuple[Inference, float]], zone: ZoneInfo, more: float) -> list[DayCalls]:
    days: dict[str, list[float]] = {}
    for call, usd in known:
        days.setdefault(_day(call, zone), []).append(usd)
    return [DayCalls(max(1, round(len(mine) * more)), sum(mine) / len(mine), mine) for _, mine in sorted(days.items())]


def _size(calls: Sequence[Inference]) -> Size:
    """The mean call.  Attempts that a cache or a canned answer spared count as what they are: none."""
    if not calls:
        return Size()
    n = len(calls)
    return Size(
        input=sum(call.tokens.input for call in calls) / n,
        cache_read=sum(call.tokens.cache_read for call in calls) / n,
        cache_write=sum(call.tokens.cache_write for call in calls) / n,
        output=sum(call.tokens.output for call in calls) / n,
        attempts=sum(len(call.attempts) for call in calls) / n,
        seconds=sum(call.latency for call in calls) / n,
    )
