"""The finance sheet and its closed months: gathers what the log, the configuration and the books say.

Nothing is decided here but who may close and correct: the cost owner.  A closed month is signed and kept; the log may
say something else later (late journals, a user who was forgotten), and then the sheet says both.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.cost import sheet as pages
from roadworthy.cost.books import BookState, BookTransaction
from roadworthy.cost.budgets import period_at
from roadworthy.cost.model import Interval, Priced
from roadworthy.cost.sheet import (
    RESOLVED,
    SAFETY,
    BadMonth,
    Closed,
    Correction,
    Covers,
    Expected,
    Figures,
    Line,
    Most,
    PriceLine,
    Sheet,
)
from roadworthy.cost.tokens import CLOSED, CORRECTION
from roadworthy.evidence.ports import Signer, Verifier
from roadworthy.evidence.sealing import Forged, Seal, TooLong
from roadworthy.inference_log.model import Filter, StatsRow
from roadworthy.inference_log.service import Log
from roadworthy.operations.costing.reading import Costs
from roadworthy.operations.costing.spending import PAID
from roadworthy.workflow.audit import Event, chain
from roadworthy.workflow.model import Budget, Configuration, Target, Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

T = TypeVar("T")
DAY = 86_400.0
LOOKED_AT = 28
"""Full days whose mean stands for those to come."""
NOTED = 5
"""Reasons of unknown costs that are told."""
SAMPLED = 2000
"""Calls in which such reasons are looked for, about."""
CENT = 0.005
LONGEST_REASON = 500
NO_CENTRE = "none"


class Refused(ValueError):
    """It is not done; the message says why and what would be.  The refusal is audited."""


class Books:
    """Blocking; thread-safe as its store is."""

    def __init__(
        self,
        state: BookState,
        log: Log,
        costs: Costs,
        configuration: Callable[[], Configuration | None],
        price: Callable[[Target], Priced],
        signer: Signer,
        verifier: Verifier,
        *,
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
        forecast: Callable[[str], Interval | None] = lambda workflow: None,
    ) -> None:
        """``forecast``: of a workflow's next thirty days, where one is kept."""
        self._state = state
        self._log = log
        self._costs = costs
        self._configuration = configuration
        self._price = price
        self._signer = signer
        self._verifier = verifier
        self._zone = zone
        self._clock = clock
        self._forecast = forecast

    # --- the sheet

    def sheet(self, covers: Covers, name: str = "", month: str = "") -> Sheet:
        """``name``: of the workflow or team; ``month``: the one that runs, unless told.  Raises ``Unknown``,
        ``BadMonth``."""
        configuration = self._configured()
        now, zone = self._clock(), self._zone()
        month = month or datetime.fromtimestamp(now, zone).strftime("%Y-%m")
        first = pages.read_month(month)
        begin = datetime(first.year, first.month, 1, tzinfo=zone).timestamp()
        if begin > now:
            raise BadMonth(f"month {month} has not begun: the sheet of a month to come is `roadworthy forecast`")
        end = period_at("month", begin + DAY, zone).end
        flows = self._chosen(configuration, covers, name)
        kept, corrections = self._kept([flow.name for flow in flows], month)
        figures, differs = [], {}
        for flow in flows:
            found = self._figures(configuration, flow, month, begin, min(end, now))
            closed = kept.get(flow.name)
            if closed is not None and abs(found.spent - closed.figures.spent) >= CENT:
                differs[flow.name] = found.spent - closed.figures.spent
            figures.append(found if closed is None else closed.figures)
        finance = configuration.settings.finance
        shown = [closed.currency for closed in kept.values()]
        same = len(shown) == len(flows) and all(each == shown[0] for each in shown)
        return Sheet(
            covers=covers, name=name, month=month, made_at=now, over=end <= now,
            currency=shown[0] if same else finance,
            cost_centres=sorted({each.cost_centre for each in figures} - {NO_CENTRE}),
            most=self._most(configuration, flows, pages.days_in(first)),
            approved=_approved([flow.policy.budgets.workflow for flow in flows]),
            expected=None if end <= now else self._expected(flows, figures, now, end),
            figures=figures, closed=[kept[flow.name] for flow in flows if flow.name in kept], differs=differs,
            corrections=corrections, prices=self._prices(configuration, figures),
            notes=self._notes(flows, figures),
        )  # fmt: skip

    def _most(self, configuration: Configuration, flows: Sequence[Workflow], days: int) -> Most:
        """A budget binds by what calls may cost, so without any known price none does (``gateway/limits/plans``)."""
        targets = configuration.targets.values()
        unknown = [target.name for target in targets if self._price(target).price is None]
        if targets and len(unknown) == len(targets):
            return Most(None, "no target has a known price, so nothing can be reserved and no budget binds")
        budgets = [(flow.name, flow.team, flow.policy.budgets.workflow) for flow in flows]
        found = pages.most(budgets, configuration.settings.team_budgets, days)
        if found.usd is None or not unknown:
            return found
        said = f"calls of {', '.join(unknown)}, whose price nobody knows, count at the dearest known price"
        return msgspec.structs.replace(found, by=f"{found.by}; {said}")

    def _figures(self, configuration: Configuration, flow: Workflow, month: str, since: float, until: float) -> Figures:
        where = Filter(workflow=flow.name, traffic=PAID, since=since, until=until)
        rows = self._log.stats("traffic,outcome", where, self._zone()).rows
        live = [row for row in rows if row.group["traffic"] == "live"]
        spent, of_live = _usd(rows), _usd(live)
        hedges = self._hedges(flow.name, since, until) if flow.handling.hedge is not None else 0.0
        safety = [_line(word, [row for row in rows if row.group["traffic"] == word]) for word in SAFETY]
        unpriced = sum(row.cost_unknown for row in rows)
        return Figures(
            workflow=flow.name, team=flow.team, month=month, cost_centre=centre(configuration, flow),
            spent=spent or 0.0, live=of_live or 0.0, calls=sum(row.count for row in live),
            resolved=sum(row.count for row in live if row.group["outcome"] in RESOLVED), unpriced=unpriced,
            all_calls=sum(row.count for row in rows),
            safety=[*(line for line in safety if line.calls),
                    *([Line("hedges", hedges, note="part of live calls")] if hedges else [])],
            hedges=hedges, targets=self._targets(where),
            why_unpriced=self._why(where) if unpriced else [],
        )  # fmt: skip

    def _hedges(self, workflow: str, since: float, until: float) -> float:
        parts = self._costs.unit(workflow, since, until).parts
        return sum(part.usd or 0.0 for part in parts if part.name == "hedges")

    def _targets(self, where: Filter) -> list[Line]:
        found: dict[str, list[StatsRow]] = {}
        for row in self._log.stats("target", where, self._zone()).rows:
            found.setdefault(row.group["target"] or "", []).append(row)
        lines = [_line(name, rows) for name, rows in found.items() if name]
        return sorted(lines, key=lambda line: -(line.usd or 0.0))

    def _why(self, where: Filter) -> list[str]:
        """Why calls have no known cost, most frequent first, from a sample."""
        counts: dict[str, int] = {}
        calls = sum(row.count for row in self._log.stats("workflow", where).rows)
        for call in self._log.sample(where, min(1.0, SAMPLED / max(1, calls))):
            if call.cost_usd is None:
                why = call.cost_unknown or "unknown"
                counts[why] = counts.get(why, 0) + 1
        return sorted(counts, key=lambda why: -counts[why])[:NOTED]

    def _expected(
        self, flows: Sequence[Workflow], figures: Sequence[Figures], now: float, end: float
    ) -> Expected | None:
        """From kept forecasts where each workflow has one, else at the rate of the last full days."""
        left = (end - now) / DAY
        spent = sum(each.spent for each in figures)
        known = [self._forecast(flow.name) for flow in flows]
        if known and all(each is not None for each in known):
            low, point, high = (
                sum(getattr(each, side) for each in known) / 30.0 * left for side in ("low", "point", "high")
            )
            whole = "spent so far, and the newest forecast for the days left"
            return Expected(spent + low, spent + point, spent + high, whole, assumption=False)
        return pages.expected(spent, self._days([flow.name for flow in flows], now), left)

    def _days(self, workflows: Sequence[str], now: float) -> list[float]:
        """US dollars of each of the last full days since the first call."""
        zone = self._zone()
        today = period_at("day", now, zone).begin
        by_day: dict[str, float] = {}
        for workflow in workflows:
            where = Filter(workflow=workflow, traffic=PAID, since=today - LOOKED_AT * DAY, until=today)
            for row in self._log.stats("day", where, zone).rows:
                day = (row.group["day"] or "")[:10]
                by_day[day] = by_day.get(day, 0.0) + (row.cost_usd or 0.0)
        if not by_day:
            return []
        at, last = datetime.fromisoformat(min(by_day)).date(), datetime.fromtimestamp(today - 1.0, zone).date()
        return [by_day.get((at + timedelta(days=number)).isoformat(), 0.0) for number in range((last - at).days + 1)]

    def _prices(self, configuration: Configuration, figures: Sequence[Figures]) -> list[PriceLine]:
        found = []
        for name in dict.fromkeys(line.name for each in figures for line in each.targets):
            target = configuration.targets.get(name)
            if target is None:
                found.append(PriceLine(name, "", None, None, None, "not configured any more"))
                continue
            priced = self._price(target)
            price = priced.price
            if price is None:
                found.append(PriceLine(name, target.model, None, None, None, priced.unknown))
                continue
            read = price.input if price.cache_read is None else price.cache_read
            found.append(
                PriceLine(name, target.model, price.input * 1e6, price.output * 1e6, read * 1e6, price.source,
                          target.discount)
            )  # fmt: skip
        return found

    def _notes(self, flows: Sequence[Workflow], figures: Sequence[Figures]) -> list[str]:
        found = []
        observed = [flow.name for flow in flows if flow.enforcement == "observe"]
        if observed:
            found.append(f"{', '.join(observed)}: enforcement is `observe`; budgets are kept all the same")
        for each in figures:
            found += [f"{each.workflow}: {why}" for why in each.why_unpriced]
        return found

    # --- books

    def close(self, month: str, actor: Actor) -> list[Closed]:
        """Freeze the figures of every workflow whose cost owner ``actor`` is.  Those closed before stay as they are.

        Raises ``BadMonth`` and ``Refused``.
        """
        configuration = self._configured()
        event = Event(actor.id, "month.close", f"month/{month[:7]}", on_behalf_of=actor.on_behalf_of)
        own = [flow for flow in configuration.workflows.values() if flow.owners.cost == actor.id]
        if not own:
            raise self._denied(event, f"{actor.id} is the cost owner of no workflow, and only that one closes a month")
        page = self.sheet("all", month=month)
        if not page.over:
            raise self._denied(event, f"{month} is not over: its figures still grow")
        before = {closed.workflow for closed in page.closed}
        made = []
        now = self._clock()
        with self._state.write() as tx:
            for figures in page.figures:
                if figures.workflow in before or configuration.workflows[figures.workflow].owners.cost != actor.id:
                    continue
                closed = Closed("mon_" + secrets.token_hex(8), figures, actor.id, now, configuration.settings.finance)
                tx.put_book(closed.id, figures.team, figures.workflow, month, now, self._sealed(CLOSED, closed))
                self._audit(tx, event, f"workflow/{figures.workflow}", closed.id, msgspec.to_builtins(closed), now)
                made.append(closed)
        return made

    def correct(self, month: str, workflow: str, usd: float, reason: str, actor: Actor) -> Correction:
        """Book an amount onto a closed month.  Raises ``Unknown``, ``BadMonth`` and ``Refused``."""
        configuration = self._configured()
        flow = self._chosen(configuration, "workflow", workflow)[0]
        pages.read_month(month)
        event = Event(
            actor.id, "month.correct", f"workflow/{workflow}", on_behalf_of=actor.on_behalf_of, team=flow.team
        )
        if flow.owners.cost != actor.id:
            raise self._denied(event, f"only {flow.owners.cost}, the cost owner of {workflow}, corrects its months")
        if not reason.strip() or len(reason) > LONGEST_REASON:
            raise self._denied(event, f"a correction needs a reason of 1 to {LONGEST_REASON} characters")
        if not usd or abs(usd) > 1e9:
            raise self._denied(event, f"{usd:g} is no amount to book: give US dollars, negative to take off")
        if workflow not in self._kept([workflow], month)[0]:
            raise self._denied(event, f"{month} is not closed for {workflow}: roadworthy cost close {month}")
        now = self._clock()
        made = Correction("cor_" + secrets.token_hex(8), workflow, month, usd, reason.strip(), actor.id, now, flow.team)
        with self._state.write() as tx:
            tx.put_book(made.id, flow.team, workflow, month, now, self._sealed(CORRECTION, made))
            self._audit(tx, event, f"workflow/{workflow}", made.id, msgspec.to_builtins(made), now, reason.strip())
        return made

    def _kept(self, workflows: Sequence[str], month: str) -> tuple[dict[str, Closed], list[Correction]]:
        closed: dict[str, Closed] = {}
        corrections = []
        with self._state.read() as tx:
            tokens = [token for workflow in workflows for token in tx.books(workflow, month)]
        for token in tokens:
            month_closed = self._opened(CLOSED, token)
            if month_closed is not None and month_closed.figures.month == month:
                closed.setdefault(month_closed.workflow, month_closed)  # the first one stays
            correction = self._opened(CORRECTION, token)
            if correction is not None and correction.month == month:
                corrections.append(correction)
        return closed, corrections

    # --- inside

    def _configured(self) -> Configuration:
        found = self._configuration()
        if found is None:
            raise Unknown("nothing is configured yet: roadworthy apply DIR")
        return found

    def _chosen(self, configuration: Configuration, covers: Covers, name: str) -> list[Workflow]:
        flows = configuration.workflows
        if covers == "all":
            return [flows[each] for each in sorted(flows)]
        if covers == "team":
            found = [flows[each] for each in sorted(flows) if flows[each].team == name]
            if not found:
                raise Unknown(f"no team '{name}': {did_you_mean(name, {flow.team for flow in flows.values()})}")
            return found
        if name not in flows:
            raise Unknown(f"no workflow '{name}': {did_you_mean(name, flows)}")
        return [flows[name]]

    def _sealed(self, seal: Seal[T], record: T) -> str:
        try:
            return seal.sealed(record, self._signer)
        except TooLong as error:
            raise Refused(str(error)) from error

    def _opened(self, seal: Seal[T], token: str) -> T | None:
        try:
            return seal.opened(token.encode(), [self._signer.public_key], self._verifier)
        except Forged:
            return None

    def _audit(
        self, tx: BookTransaction, event: Event, target: str, ident: str, after: object, now: float, reason: str = ""
    ) -> None:
        said = dataclasses.replace(event, target=target, evidence=ident, after=after, reason=reason)
        tx.append_audit(chain(tx.last_audit(), said, now))

    def _denied(self, event: Event, why: str) -> Refused:
        with self._state.write() as tx:
            tx.append_audit(
                chain(tx.last_audit(), dataclasses.replace(event, outcome="denied", reason=why), self._clock())
            )
        return Refused(why)


def centre(configuration: Configuration, flow: Workflow) -> str:
    """Who pays for a workflow."""
    return flow.cost_centre or configuration.settings.finance.cost_centres.get(flow.team, NO_CENTRE)


def _approved(budgets: Sequence[Budget]) -> float | None:
    limits = [budget.month for budget in budgets]
    return None if not limits or None in limits else sum(limit for limit in limits if limit is not None)


def _usd(rows: Sequence[StatsRow]) -> float | None:
    paid = [row.cost_usd for row in rows if row.cost_usd is not None]
    return sum(paid) if paid else None


def _line(name: str, rows: Sequence[StatsRow]) -> Line:
    return Line(name, _usd(rows), sum(row.count for row in rows), sum(row.cost_unknown for row in rows))
