"""Which alerts fire in a round, and which are held back because something else says more.  Pure.

- Objective: burn rates over a long and a short window at once (Google SRE Workbook, ch. 5, table 5-8); a latency
  objective is a p95, so its budget is one call in twenty.
- A target that answers fewer than one of ``HARDLY`` attempts is down: a lucky answer ends nothing.  Where it is tried
  often, two minutes show it.  A substitute that nobody tries answers nobody.
- ``targets_down`` holds back the burns and the single targets of its workflow: they say nothing that it does not.
- A workflow that is off, or that people answer (``assist``), has no burn and no target: nobody is served by a model.
- No alert fires on fewer bad events than its minimum in the registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from roadworthy.inference_log.analysis import BURN_RULES, DAY, HOUR
from roadworthy.kill_switch.model import EVERY
from roadworthy.kill_switch.triggers import Window
from roadworthy.operations.alerting.model import Installed, TargetView, WorkflowView
from roadworthy.people.alerts.registry import ALERTS

SLOW_BUDGET: Final = 0.05
"""Share of calls that may be slower than a p95."""
PAGES_FROM: Final = 6.0
"""Burn rate."""
HARDLY: Final = 20
OFTEN: Final = 10
"""Failed attempts of two minutes that are enough."""
SHORTEST: Final = {
    "error_burn_fast": 300.0, "error_burn": 1800.0, "error_burn_slow": 2 * HOUR,
    "latency_burn": 300.0, "latency_burn_slow": 2 * HOUR,
}  # fmt: skip
"""Seconds of the window of each alert in which the trouble must still be."""
UNSERVED: Final = frozenset({"assist", "off"})
"""States of the kill switch in which no customer reads what a model wrote."""


class Fired(msgspec.Struct, frozen=True):
    """An alert that is so in this round."""

    alert: str
    workflow: str
    """Empty: it is about no workflow."""
    team: str
    text: str
    """One sentence for a person."""
    part: str = ""
    key: str = ""
    """Of its incident; empty: that of its group."""
    since: float = 0.0

    @property
    def incident(self) -> str:
        group = ALERTS[self.alert].group
        return self.key or (f"{group}/{self.workflow}" if group else f"{self.alert}/{self.workflow}")


class HeldBack(msgspec.Struct, frozen=True):
    """An alert that is so, and is said in another incident instead."""

    fired: Fired
    why: str


def fired(view: WorkflowView, now: float) -> tuple[list[Fired], list[HeldBack]]:
    """Of one workflow."""
    found = [*_burns(view, now), *_targets(view), *_unsafe(view), *_limits(view)]
    if view.state in UNSERVED:
        why = f"the AI is {view.state}"
        serving = [each for each in found if ALERTS[each.alert].group == "serving"]
        return [each for each in found if each not in serving], [HeldBack(each, why) for each in serving]
    down = any(each.alert == "targets_down" for each in found)
    if down:
        less = [each for each in found if ALERTS[each.alert].group == "serving" and each.alert != "targets_down"]
        why = "no target answers, which says it all"
        return [each for each in found if each not in less], [HeldBack(each, why) for each in less]
    return found, []


def of_install(seen: Installed) -> list[Fired]:
    """What is about no workflow, or about gateways."""
    found = []
    for kill in seen.unconfirmed:
        what = "everything" if kill.workflow == EVERY else kill.workflow
        text = f"Gateway {kill.gateway} has not confirmed that {what} is {kill.state}. Run there: {kill.run}"
        if kill.workflow != EVERY:
            key = f"kill_unconfirmed/{kill.workflow}"
            found.append(Fired("kill_unconfirmed", kill.workflow, kill.team, text, kill.gateway, key, kill.at))
            continue
        for team in seen.teams or ("default",):  # whoever is paged may read it
            key = f"kill_unconfirmed/{EVERY}/{team}"
            found.append(Fired("kill_unconfirmed", "", team, text, kill.gateway, key, kill.at))
    for disk in seen.full:
        lost = f", {disk.dropped} are lost" if disk.dropped else ""
        text = f"Gateway {disk.gateway} cannot write its journal: {disk.waiting} records wait in its memory{lost}."
        for team in seen.teams or ("default",):
            key = f"journal_disk_full/{team}"
            found.append(Fired("journal_disk_full", "", team, text, part=disk.gateway, key=key))
    for one in seen.unusual:
        key = f"anomaly/{one.workflow}/{one.metric}"
        found.append(Fired("anomaly", one.workflow, one.team, one.text, part=one.metric, key=key))
    return found


def _burns(view: WorkflowView, now: float) -> Iterator[Fired]:
    """At most one of each objective: the most urgent."""
    if view.error_budget is not None and 0.0 < view.error_budget < 1.0:
        names = ("error_burn_fast", "error_burn", "error_burn_slow")
        yield from _burn(view, view.errors, view.error_budget, names, "failed", now)
    if view.latency_p95 is not None:
        names = ("latency_burn", "latency_burn", "latency_burn_slow")
        yield from _burn(view, view.slow, SLOW_BUDGET, names, f"took longer than {view.latency_p95:g} s", now)


def _burn(
    view: WorkflowView, windows: Mapping[float, Window], budget: float, names: Sequence[str], did: str, now: float
) -> Iterator[Fired]:
    for long, short, rate, severity, meaning in BURN_RULES:
        name = names[0] if long == HOUR else names[1] if severity == "page" else names[2]
        of_long, of_short = windows.get(long, Window()), windows.get(short, Window())
        if of_long.bad < ALERTS[name].minimum or not of_short.bad:
            continue
        limit = _reachable(rate, budget)
        if of_long.share >= limit and of_short.share >= limit:
            text = (
                f"{of_long.bad} of {of_long.calls} calls in {_span(long)} and {of_short.bad} of {of_short.calls} in "
                f"{_span(short)} {did}: {of_long.share / budget:.1f} times what the objective allows ({meaning})."
            )
            yield Fired(name, view.name, view.team, text, since=now - long)
            return


def _reachable(rate: float, budget: float) -> float:
    """A share that fires the rule; a lax objective can fire at all."""
    return min(rate * budget, (1.0 + budget) / 2)


def _targets(view: WorkflowView) -> Iterator[Fired]:
    if not view.targets:
        return
    down = [target for target in view.targets if is_down(target)]
    tries = sum(target.attempts.down for target in down)
    answering = [target for target in view.targets if target not in down and target.attempts.good]
    if down and not answering and tries >= ALERTS["targets_down"].minimum:
        untried = [target.name for target in view.targets if target not in down and not target.attempts.down]
        lucky = any(target.newest.good for target in down)
        text = f"{'Hardly any' if lucky else 'No'} target answers: " + "; ".join(how(target) for target in down)
        text += f"; {' and '.join(untried)} {'is' if len(untried) == 1 else 'are'} not tried" if untried else ""
        yield Fired("targets_down", view.name, view.team, f"{text}.")
    for target in down:
        substitute = next((other.name for other in answering), "")
        if substitute and target.attempts.down >= ALERTS["target_down"].minimum:
            text = f"{how(target)}; {substitute} answers in its place."
            yield Fired("target_down", view.name, view.team, text, part=target.name)


def judged(view: WorkflowView, alert: str, part: str = "") -> bool:
    """Can this round tell that an alert which does not fire is over?  Nobody knows from calls that nobody makes: it
    takes an answer, or an hour without any call."""
    windows = view.slow if alert.startswith("latency_") else view.errors
    if not windows.get(HOUR, Window()).calls:
        return True
    if alert in ("targets_down", "target_down"):
        about = [target for target in view.targets if part in ("", target.name)]
        return not about or any(target.attempts.good for target in about)
    short = SHORTEST.get(alert)
    return short is None or windows.get(short, Window()).calls > 0


def is_down(target: TargetView) -> bool:
    """No answer, or hardly any, in five minutes; in two where it is tried often or its breaker is open everywhere."""
    least, newest = ALERTS["target_down"].minimum, target.newest
    if target.attempts.good * HARDLY < target.attempts.down and target.attempts.down >= least:
        return True
    if target.shut and not newest.good:
        return target.attempts.down > 0 or not target.attempts.good
    return newest.down >= OFTEN and newest.good * HARDLY < newest.down


def how(target: TargetView) -> str:
    """``main: 12 of 12 attempts failed (unavailable)``."""
    attempts = target.attempts
    most = max(attempts.failures, key=lambda name: attempts.failures[name], default="")
    refused = attempts.misconfigured and attempts.misconfigured * 2 >= attempts.down
    kind = "were refused" if refused else f"failed ({most})"
    said = f"{attempts.down} of {attempts.down + attempts.good} attempts {kind}" if attempts.down else ""
    shut = "its breaker is open" if target.shut else ""
    return f"{target.name}: " + ", ".join(part for part in (said, shut) if part)


def _unsafe(view: WorkflowView) -> Iterator[Fired]:
    window = view.unsafe
    if window.bad >= ALERTS["unsafe_share"].minimum and window.share > view.unsafe_share:
        text = (
            f"{window.bad} of {window.calls} answers in 10 min were found unsafe, over the {100 * view.unsafe_share:g} "
            "% that the policy allows."
        )
        yield Fired("unsafe_share", view.name, view.team, text)


def _limits(view: WorkflowView) -> Iterator[Fired]:
    for budget in view.used_up:
        of_team = budget.scope == "team"
        whose = f"The budget of team {view.team}" if of_team else f"The budget of {view.name}"
        text = f"{whose} for the {budget.period} (${budget.limit:,.2f}) is used up: no model is called."
        yield Fired(
            "hard_limit", "" if of_team else view.name, view.team, text, part=f"{budget.scope} {budget.period}",
            key=f"money/team/{view.team}" if of_team else "",
        )  # fmt: skip


def _span(seconds: float) -> str:
    if seconds < HOUR:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / HOUR:.0f} h" if seconds < DAY else f"{seconds / DAY:.0f} d"
