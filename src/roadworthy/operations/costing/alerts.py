"""Cost alerts: every one says why, hours that cost far more than usual make one, and what is over is closed.

A budget that passes a share is noted by the gateway in the record that took it there, and opened as an alert when that
record is shipped (``operations/notices.py``).  Nobody is told before ``Alerts.round`` has looked the cause up, seconds
later.  Where the log cannot be read it is told without a cause, with the reason: an alert is never kept back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from roadworthy.cost import causes, spikes
from roadworthy.cost.budgets import Period, period_at
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Log
from roadworthy.operations.costing.spending import PAID, Spends, spent, usual
from roadworthy.operations.costing.subjects import Subject, day_of
from roadworthy.people.incident.model import Incident, Notice
from roadworthy.people.incident.service import Incidents
from roadworthy.workflow.model import Configuration, Price, Target, Workflow

HISTORY = 7 * 86_400.0
"""Seconds of hours that an hour is held against."""
MOST_SUSPECTS = 3
"""Keys, and users, of a workflow whose past is looked up in one round."""
LEADS = 0.6
"""Share of a workflow's hour from which on one key or user is named as where it comes from."""

PATIENCE = 20.0
"""Seconds that the call which gave cause for an alert may take to reach the log."""
MOST_KNOWN = 10_000

PriceOf = Callable[[Target], Price | None]


class Alerts:
    """Blocking; ``round`` and ``look`` are called by one thread each."""

    def __init__(
        self,
        log: Log,
        incidents: Incidents,
        configuration: Callable[[], Configuration | None],
        price_of: PriceOf,
        *,
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
    ) -> None:
        self._log = log
        self._incidents = incidents
        self._configuration = configuration
        self._price_of = price_of
        self._zone = zone
        self._clock = clock
        self._tried: set[str] = set()
        """Incidents whose cause was being looked up when a round ended."""
        self._first_seen: dict[str, float] = {}
        self._budgets: dict[tuple[str, str], object] = {}
        """As they were when the last round ended: (``team`` or ``workflow``, name) → its budgets."""

    # --- causes

    def round(self) -> None:
        """Explain what waits for its cause, and close what is over."""
        now, zone = self._clock(), self._zone()
        waiting = self._incidents.unexplained()
        self._tried &= {incident.id for incident in waiting}
        for incident in waiting:
            if incident.id in self._tried:  # the last round ended in it
                self._incidents.explain(incident.id, "Why could not be looked up: the inference log did not answer.")
            elif self._logged(incident, now):
                self._tried.add(incident.id)
                self._incidents.explain(incident.id, self._cause(incident, now))
        changed = self._changed()
        for incident in self._incidents.list(open_only=True, limit=1000):
            subject = Subject.of(incident.key.partition("/drill/")[0])
            if subject is None:
                continue
            held = "team" if subject.scope == "team" else "workflow", subject.owner
            if subject.when != day_of(now, zone, subject.period):
                self._incidents.close(incident.id, f"its {subject.period} is over")
            elif subject.kind == "budget" and held in changed and not incident.unexplained:
                # an open one would only be counted when a share of the new budget is passed
                self._incidents.close(incident.id, "its budget was changed")

    def _changed(self) -> set[tuple[str, str]]:
        """Whose budgets are others than a round ago."""
        configuration = self._configuration()
        if configuration is None:
            return set()
        before, self._budgets = (
            self._budgets,
            {
                **{("workflow", name): flow.policy.budgets for name, flow in configuration.workflows.items()},
                **{("team", name): budget for name, budget in configuration.settings.team_budgets.items()},
            },
        )
        return {each for each, budgets in before.items() if self._budgets.get(each) != budgets}

    def why(self, subject: Subject, at: float, unit: str | None = None) -> str:
        """One sentence: what was spent until ``at``, how that differs from the usual, and what made the difference.

        ``unit``: the user, where the budget is a user's.
        """
        zone = self._zone()
        begin = at - spikes.HOUR if subject.period == "hour" else _period(subject.period, at, zone).begin
        where = _where(subject, unit)
        after = spent(self._log, where, (begin, at))
        before = usual(self._log, where, subject.period, begin, at, zone)
        whose, when = _whose(subject), _when(subject.period, at, zone)
        if not before.words:
            return _first_time(after, whose, when)
        found = causes.split(before.spent, after, self._listed)
        return causes.sentence(found, whose=whose, when=when, usual=before.words)

    def _logged(self, incident: Incident, now: float) -> bool:
        """Is the call that gave cause for it in the log yet?  What is lost is not awaited."""
        since = self._first_seen.setdefault(incident.id, now)
        if len(self._first_seen) > MOST_KNOWN:
            self._first_seen.clear()
        newest = incident.inferences[-1:]
        return not newest or now - since >= PATIENCE or self._log.get(newest[0]) is not None

    def _cause(self, incident: Incident, now: float) -> str:
        subject = Subject.of(incident.key.partition("/drill/")[0])
        if subject is None:
            return ""
        unit = None
        if subject.scope == "user" and incident.inferences:
            entry = self._log.get(incident.inferences[-1])
            unit = None if entry is None else entry.inference.unit or ""
        return self.why(subject, min(now, incident.seen_at + PATIENCE), unit)

    def _listed(self, target: str) -> Price | None:
        configuration = self._configuration()
        found = None if configuration is None else configuration.targets.get(target)
        return None if found is None else self._price_of(found)

    # --- spikes

    def look(self) -> None:
        """Tell of every workflow, key and user whose last hour cost far more than such an hour does."""
        configuration = self._configuration()
        if configuration is None:
            return
        now = self._clock()
        found = [notice for flow in configuration.workflows.values() for notice in self._spikes(flow, now)]
        # one an hour-spike and day is enough: whoever was told is at it
        self._incidents.take([notice for notice in found if self._incidents.newest(notice.key) is None])

    def _spikes(self, flow: Workflow, now: float) -> Iterator[Notice]:
        budgets = flow.policy.budgets
        of_flow = Filter(workflow=flow.name, traffic=PAID)
        hour = self._sum(replace(of_flow, since=now - spikes.HOUR, until=now), "workflow")
        total = sum(hour.values())
        days = [each for each in (budgets.workflow.day, budgets.key.day, budgets.user.day) if each is not None]
        if total < spikes.least(min(days, default=None)):
            return
        times = budgets.spike_at
        if self._is_spike(of_flow, total, times, spikes.least(budgets.workflow.day), now):
            yield self._notice(flow, "workflow", "", now, total, self._leads(flow, total, now))
            return  # its keys and users are named in it
        for scope, dimension, day in (("key", "key", budgets.key.day), ("user", "unit", budgets.user.day)):
            floor = spikes.least(day)
            hour = self._sum(replace(of_flow, since=now - spikes.HOUR, until=now), dimension)
            dearest = sorted(hour.items(), key=lambda item: -item[1])[:MOST_SUSPECTS]
            for who, usd in dearest:
                narrowed = replace(of_flow, **{dimension: who})
                if who and usd >= floor and self._is_spike(narrowed, usd, times, floor, now):
                    yield self._notice(flow, scope, who, now, usd, "")

    def _is_spike(self, where: Filter, usd: float, times: float, floor: float, now: float) -> bool:
        if usd < floor:
            return False
        rows = self._log.stats("hour", replace(where, since=now - HISTORY, until=now - spikes.HOUR), UTC).rows
        hours: dict[int, float] = {}
        for row in rows:
            at = int(datetime.fromisoformat(row.group["hour"] or "").timestamp() // spikes.HOUR)
            hours[at] = hours.get(at, 0.0) + (row.cost_usd or 0.0)
        return spikes.spikes(usd, spikes.usual(hours, int(now // spikes.HOUR)), times, floor)

    def _leads(self, flow: Workflow, total: float, now: float) -> str:
        """Which key or user most of the hour comes from."""
        where = Filter(workflow=flow.name, traffic=PAID, since=now - spikes.HOUR, until=now)
        for word, dimension in (("user", "unit"), ("key", "key")):
            who, usd = max(self._sum(where, dimension).items(), key=lambda item: item[1], default=("", 0.0))
            if who and usd >= LEADS * total:
                named = f"key {who}" if word == "key" else "one user"
                return f" {usd / total * 100:.0f} % of it is {named}'s."
        return ""

    def _sum(self, where: Filter, dimension: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for row in self._log.stats(dimension, where).rows:
            name = row.group[dimension] or ""
            found[name] = found.get(name, 0.0) + (row.cost_usd or 0.0)
        return found

    def _notice(self, flow: Workflow, scope: str, who: str, now: float, usd: float, leads: str) -> Notice:
        named = who if scope == "key" else ""
        subject = Subject("spike", scope, flow.name, named, "hour", day_of(now, self._zone(), "hour"), "")
        whose = {"workflow": "", "key": f" by key {who}", "user": " by one user"}[scope]
        newest = Filter(workflow=flow.name, since=now - spikes.HOUR, until=now, traffic=PAID)
        if scope != "workflow":
            newest = replace(newest, **{"key" if scope == "key" else "unit": who})
        page = self._log.find(newest, 1).items
        return Notice(
            kind="alert", alert="spike", key=subject.key, team=flow.team, workflow=flow.name,
            title=f"{flow.name}: {causes.dollars(usd)} in the last hour{whose}, far more than usual",
            summary=f"An hour cost at least {flow.policy.budgets.spike_at:g} times the usual.{leads}",
            role="cost", at=now, inference=page[0].id if page else "", explain=True,
        )  # fmt: skip


UTC = ZoneInfo("UTC")


def _where(subject: Subject, unit: str | None) -> Filter:
    if subject.scope == "team":
        return Filter(team=subject.owner)
    where = Filter(workflow=subject.owner)
    if subject.scope in ("key", "tester"):
        return replace(where, key=subject.who)
    return where if unit is None else replace(where, unit=unit)


def _whose(subject: Subject) -> str:
    match subject.scope:
        case "team":
            return f"Team {subject.owner}"
        case "key" | "tester":
            return f"Key {subject.who} on {subject.owner}"
        case "user":
            return f"This user of {subject.owner}"
        case _:
            return subject.owner


def _when(period: str, at: float, zone: ZoneInfo) -> str:
    clock = datetime.fromtimestamp(at, zone).strftime("%H:%M")
    return {"day": f"today by {clock}", "month": "this month so far"}.get(period, f"in the hour before {clock}")


def _period(kind: str, at: float, zone: ZoneInfo) -> Period:
    return period_at("month" if kind == "month" else "day", at, zone)


def _first_time(after: Spends, whose: str, when: str) -> str:
    """Nothing to compare with: what it is made of."""
    usd, calls = sum(each.usd for each in after.values()), sum(each.calls for each in after.values())
    said = f"{whose} spent {causes.dollars(usd)} {when} on {calls:,.0f} calls, with no earlier time to compare with"
    dearest: Mapping[tuple[str, str], float] = {group: each.usd for group, each in after.items()}
    if usd > 0.0:
        (traffic, target), most = max(dearest.items(), key=lambda item: item[1])
        said += f": {most / usd * 100:.0f} % of it {traffic} calls of {target or 'no target'}"
    return f"{said}."
