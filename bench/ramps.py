"""What ramps decide: ``python -m bench.ramps [RAMPS] [--seed N]``; a thousand of each kind take some minutes.

Each ramp is decided by the rules and the analysis of the product, on simulated traffic with an hourly look: the counts
are drawn, the verdicts are not.  An approval is given within the hour in which it is asked for.

- *healthy*: every guardrail at half of its budget.  Does it reach 100 % in the days that its calendar named?
- *at its budgets*: every guardrail exactly at its budget, the worst that is still healthy.  Is it ever rolled back?
- *bad*: one guardrail at 2, 4 or 10 times its budget.  After how many calls of the release is it rolled back?

Exit code 1 when a promise does not hold.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from math import ceil, log
from statistics import median

import numpy as np

from roadworthy.rollout.analysis import analyse, calendar
from roadworthy.rollout.events import Approve, Ask, Look, Start
from roadworthy.rollout.model import DAY, GUARDRAILS, Arms, Guardrail, Observed, Plan, Rollout, Tally
from roadworthy.rollout.rules import begin, decide
from roadworthy.statistics.eprocess import log_above
from roadworthy.workflow.shares import inside, position

HOUR = 3600.0
LONGEST = 90 * DAY
CALLS_PER_DAY = 20_000
USERS_PER_DAY = 8_000
TESTER_CALLS_PER_DAY = 60
RATED = 0.05
"""Of the calls get a thumb."""
SCORED = Guardrail("bad_answers", 0.02, 0.05, back_to="release")
"""A registered scorer on every call: the guardrail that goes bad."""
PLAN = Plan(guardrails=(*GUARDRAILS, SCORED))
PROMISED_IN_TIME = 0.80
TABLE = "| | found | promised | holds |\n|---|---|---|---|"


@dataclass
class Ran:
    """How one ramp ended."""

    rolled_back: bool
    full_at: float | None
    """When it reached 100 %, in seconds."""
    calls: int
    """Of the release until its end, its testers' included."""
    live_calls: int


@dataclass
class World:
    """What the release really is, and what has been seen of its stage."""

    rng: np.random.Generator
    truth: dict[str, float]
    tallies: dict[str, tuple[int, int]] = field(default_factory=dict)
    users: tuple[int, int] = (0, 0)
    calls: int = 0
    since: float = 0.0

    def enter(self, now: float) -> None:
        self.tallies, self.users, self.calls, self.since = {}, (0, 0), 0, now

    def goes_on(self, share: float, seconds: float) -> int:
        """Calls of the release in that time."""
        a_day = CALLS_PER_DAY * share if share else TESTER_CALLS_PER_DAY
        calls = int(self.rng.poisson(a_day * seconds / DAY))
        for name, truth in self.truth.items():
            judged = int(self.rng.binomial(calls, RATED)) if name == "thumbs_down" else calls
            n, bad = self.tallies.get(name, (0, 0))
            self.tallies[name] = n + judged, bad + int(self.rng.binomial(judged, truth))
        if share:
            arrived = int(self.rng.poisson(USERS_PER_DAY * seconds / DAY))
            treated = int(self.rng.binomial(arrived, share))
            self.users = self.users[0] + treated, self.users[1] + arrived - treated
        self.calls += calls
        return calls

    def observed(self, rollout: Rollout, now: float) -> Observed:
        arms = {name: Arms(Tally(n, bad)) for name, (n, bad) in self.tallies.items()}
        users = self.users if 0 < rollout.share < 1 else None
        return Observed(rollout.stage.name, self.since, now, self.calls, now if self.calls else None, arms, users=users)


def ramp(seed: int, truth: dict[str, float], every: float = HOUR) -> Ran:
    """One ramp, looked at ``every`` so many seconds, from its start until it is done or rolled back."""
    world = World(np.random.default_rng(seed), truth)
    rollout, _ = decide(begin("team", "bench", "rel_new", PLAN), Start("owner", 1.0, 0.0), 0.0)
    now, all_calls, live_calls, full_at = 0.0, 0, 0, None
    while rollout.state == "ramping" and now < LONGEST:
        now += every
        calls = world.goes_on(rollout.share, every)
        all_calls += calls
        live_calls += calls if rollout.share else 0
        analysis = analyse(PLAN, rollout.stage, world.observed(rollout, now), foretell=False)
        at = rollout.at
        rollout, effects = decide(rollout, Look(1.0, analysis), now)
        if any(isinstance(effect, Ask) for effect in effects):
            rollout, _ = decide(rollout, Approve("owner", 1.0, analysis), now)
        if rollout.at != at:
            world.enter(now)
            if rollout.share == 1.0:
                full_at = now
    return Ran(rollout.state == "rolled_back", full_at, all_calls, live_calls)


def truths(of_budget: float, worst: float | None = None) -> dict[str, float]:
    """Every guardrail at a multiple of its budget; the scored one at ``worst`` times it."""
    found = {guardrail.name: guardrail.budget * of_budget for guardrail in PLAN.guardrails}
    if worst is not None:
        found[SCORED.name] = SCORED.budget * worst
    return found


def planned_days() -> int:
    """Until 100 %, as the calendar says it at this volume."""
    dated = calendar(PLAN, 0.0, CALLS_PER_DAY, users_per_day=USERS_PER_DAY, tester_calls_per_day=TESTER_CALLS_PER_DAY)
    full = dated[-1].enters
    if full is None:
        raise RuntimeError("the calendar of the simulated workflow never reaches 100 %")
    return ceil(full / DAY)


def run(name: str, ramps: int, truth: dict[str, float], seed: int) -> list[Ran]:
    """That many ramps, on every core, with a line of progress."""
    done: list[Ran] = []
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for one in pool.map(ramp, range(seed, seed + ramps), repeat(truth), chunksize=10):
            done.append(one)
            if sys.stderr.isatty() and len(done) % 10 == 0:
                print(f"\r{name}: {len(done):,} of {ramps:,}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(f"\r{name}: {ramps:,} in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return done


def calls_to_rollback(times: float, level: float) -> int:
    """Median calls when every call is looked at: exact, by following the distribution of the count of bad ones."""
    truth = SCORED.budget * times
    alive, back = np.array([1.0]), 0.0
    for n, edge in enumerate(_edges(level), start=1):
        grown = np.append(alive * (1 - truth), 0.0)
        grown[1:] += alive * truth
        back += float(grown[edge:].sum())
        alive = grown[:edge]
        if back >= 0.5:
            return n
    raise AssertionError("edges never end")


def _edges(level: float) -> Iterator[int]:
    """Bad calls of 1, 2, … at which the test rolls back."""
    bad, n = 1, 0
    while True:
        n += 1
        while bad <= n and log_above(bad, n, SCORED.budget) < log(1 / level):
            bad += 1
        yield bad


def buckets(users: int) -> bool:
    """Does 1 % of the users get in at 1 %, and does anybody leave as the share widens?"""
    shares = [stage.share for stage in PLAN.stages if stage.share]
    let_in = left = 0
    for number in range(users):
        where = position("bench", "support-reply", f"user-{number}")
        sides = [inside(where, share) for share in shares]
        let_in += sides[0]
        left += sides != sorted(sides)
    error = let_in / users / shares[0] - 1
    return all([
        _row(f"users inside at 1 %, of {users:,}", f"{let_in:,} ({error:+.2%})", "± 3 %", abs(error) <= 0.03),
        _row("users who leave as the share widens", str(left), "0", left == 0),
    ])  # fmt: skip


def _row(name: str, found: str, promised: str, holds: bool) -> bool:
    print(f"| {name} | {found} | {promised} | {'yes' if holds else '**no**'} |", flush=True)
    return holds


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("ramps", nargs="?", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    held = report(asked.ramps, asked.seed)
    return 0 if buckets(1_000_000) and held else 1


def report(ramps: int, seed: int = 1) -> bool:
    """Print what so many ramps of each kind came to.  Returns whether every promise holds."""
    days = planned_days()
    print(
        f"{ramps:,} ramps of each kind, {CALLS_PER_DAY:,} calls a day, {len(PLAN.guardrails)} guardrails and the "
        f"sample ratio, a look every hour; calendar: 100 % after {days} days\n\n{TABLE}"
    )
    healthy = run("healthy", ramps, truths(0.5), seed)
    edge = run("at their budgets", ramps, truths(1.0), seed + ramps)
    in_time = sum(one.full_at is not None and one.full_at <= days * DAY for one in healthy) / len(healthy)
    wrong = sum(one.rolled_back for one in edge) / len(edge)
    wrong_healthy = sum(one.rolled_back for one in healthy) / len(healthy)
    holds = [
        _row("healthy: at 100 % within the planned days", f"{in_time:.1%}", "≥ 80 %", in_time >= PROMISED_IN_TIME),
        _row("healthy: rolled back", f"{wrong_healthy:.1%}", f"≤ {PLAN.alpha:.0%}", wrong_healthy <= PLAN.alpha),
        _row("exactly at every budget: rolled back", f"{wrong:.1%}", f"≤ {PLAN.alpha:.0%}", wrong <= PLAN.alpha),
    ]
    for times in (2, 4, 10):
        bad = run(f"{times}× the budget", ramps, truths(0.5, times), seed + times * 10**6)
        back = [one for one in bad if one.rolled_back]
        found = f"{len(back) / len(bad):.1%}"
        if back:
            calls, live = median(one.calls for one in back), median(one.live_calls for one in back)
            found += f", after a median of {calls:,.0f} calls, {live:,.0f} of them live"
        holds.append(_row(f"{times}× the budget: rolled back", found, "all but 5 %", len(back) >= 0.95 * len(bad)))
        single = (
            f"{calls_to_rollback(times, 0.05)} alone at 5 %, {calls_to_rollback(times, PLAN.alpha_each)} in this plan"
        )
        _row(f"{times}× the budget: median calls when each is looked at", single, "", True)
    return all(holds)


if __name__ == "__main__":
    sys.exit(main())
