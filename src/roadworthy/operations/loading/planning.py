"""Gathers what is known before a test: release, limits, prices, recorded calls, questions.  Blocking."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import msgspec

from roadworthy.evals.model import Example
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.ports import LogStore
from roadworthy.kill_switch.model import State as Switch
from roadworthy.latency import traces
from roadworthy.latency.model import Arrivals, Body
from roadworthy.latency.pacing import Unplannable, check, expected
from roadworthy.operations.loading import asking, fitting, limit, preflight
from roadworthy.operations.loading.model import Fit, LoadRefused, Order, Peak, PerCall, Preflight
from roadworthy.operations.loading.preflight import CLASSES, LEAST_RECORDED, Grounds
from roadworthy.workflow.inference import SERVED_BY_MODEL, Inference
from roadworthy.workflow.model import FrozenRelease, Policy, Price, Target, Workflow

DAY = 86_400.0
LOOKS_BACK = 7 * DAY
RECORDED = 1000
"""Newest calls from which means and fits are taken."""
WITH_BODIES = 200
"""Newest ones whose questions are asked again, and whose answers a rehearsal says."""
MOST_SCANNED = 500_000
"""Recorded calls that are gone through for a peak."""
MOST_CALLS = 2_000_000
LONGEST = 6600.0
"""Seconds: a permit holds for two hours, and the last calls must end."""
HIGHEST_RATE = 20_000.0
MOST_PROBE = 1000
LEAST_UNDER_WAY, MOST_UNDER_WAY = 64, 20_000
TIMES_EXPECTED = 4.0
"""How many more calls than are expected may be under way before one is dropped."""
SIMULATED_SAMPLES = 200
"""Answers to a schema whose mean length is taken."""


class Known(msgspec.Struct, frozen=True):
    """What wiring gives.  The callables block."""

    flow: Callable[[str], Workflow]
    """Raises ``Unknown``."""
    frozen: Callable[[str, str], FrozenRelease | None]
    """(workflow, release as it was named; empty: the one that readiness judges).  Raises ``Unknown``."""
    target: Callable[[str], Target | None]
    snapshot: Callable[[], Snapshot | None]
    price_of: Callable[[Target], Price | None]
    examples: Callable[[str], list[Example]]
    """Of the published set; empty: none is."""
    store: LogStore
    switch: Callable[[str], Switch]
    workers: Callable[[], int]
    example: Callable[[object], object]
    """JSON Schema → what the simulated target would say to it."""
    load_permits: Callable[[str], list[str]]
    """Of the newest load tests of a workflow that called its real target at a rate that it was to hold."""
    clock: Callable[[], float]


class Ready(msgspec.Struct, frozen=True):
    """Everything that a test needs."""

    order: Order
    flow: Workflow
    policy: Policy
    frozen: FrozenRelease
    plan: Preflight
    bodies: list[Body]
    arrivals: Arrivals
    trace: list[tuple[float, int | None, int | None]]
    each: PerCall
    first_rate: float
    """``limit`` only: where the search begins."""


class Planner:
    """Plans tests; decides nothing about the world."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def ready(self, order: Order) -> Ready:
        """Raises ``Unknown`` and ``LoadRefused``."""
        vet(order)
        known = self._known
        flow = known.flow(order.workflow)
        frozen = known.frozen(order.workflow, order.release)
        if frozen is None:
            raise LoadRefused(f"{flow.name} has no release to test; freeze one: roadworthy freeze {flow.name}")
        if frozen.release.behaviour.kind != "chat":
            raise LoadRefused(
                f"{flow.name} answers with {frozen.release.behaviour.kind}; load tests ask chat questions"
            )
        if (switch := known.switch(flow.name)) != "on":
            raise LoadRefused(f"{flow.name} is {switch}: nothing of it can be called; roadworthy restore {flow.name}")
        policy = self._policy(flow)
        if order.kind == "limit" and not any((policy.objective.latency_p95, policy.objective.latency_p99)):
            raise LoadRefused(
                f"{flow.name} declares no latency objective, so no rate can miss it; declare it in "
                f"workflows/{flow.name}/workflow.yaml and apply:\n  policy:\n    objective: {{latency_p95: 3s}}"
            )
        bodies, said = self._bodies(order, frozen)
        peak = preflight.projected(order, policy, self._minutes(order, policy))
        trace = self._trace(order)
        arrivals = self._arrivals(order, peak, trace)
        try:
            check(arrivals, len(bodies), traces.of_log(trace))
        except Unplannable as error:
            raise LoadRefused(str(error)) from error
        return self._planned(order, flow, policy, frozen, bodies, said, peak, arrivals, trace)

    def fit(self, ready: Ready) -> Fit:
        """The simulated target of a rehearsal.  Raises ``LoadRefused``."""
        target = ready.frozen.release.behaviour.target
        short: fitting.NotFitted | None = None
        for traffic in CLASSES:
            calls = self._recorded(ready.order.workflow, traffic)
            try:
                shown = self._shown(ready, calls)
                return fitting.fitted(calls, target, shown, traffic=traffic, seed=ready.order.seed + 1)
            except fitting.NotFitted as error:
                short = short or error
        raise LoadRefused(f"nothing to rehearse with: {short}")

    # --- inside

    def _planned(
        self, order: Order, flow: Workflow, policy: Policy, frozen: FrozenRelease, bodies: list[Body], said: str,
        peak: Peak | None, arrivals: Arrivals, trace: list[tuple[float, int | None, int | None]],
    ) -> Ready:  # fmt: skip
        known = self._known
        name = frozen.release.behaviour.target
        target = known.target(name)
        if target is None:
            raise LoadRefused(
                f"target {name} of release {frozen.number} is not configured (any more); add it and apply"
            )
        snapshot = known.snapshot()
        price = None if snapshot is None else snapshot.prices.get(name)
        grounds = Grounds(
            frozen=frozen, policy=policy, target=target, price=price or known.price_of(target),
            workers=max(1, known.workers()), recorded=self._best_recorded(flow.name),
            minutes={}, usage={name: self._usage(name)},
            characters=sum(len(msgspec.json.encode(body.messages)) for body in bodies) / len(bodies),
            bodies=len(bodies), bodies_from=said,
        )  # fmt: skip
        first = limit.first_rate(None if peak is None else peak.rate)
        calls = (
            limit.most_calls(first, order.seconds)
            if order.kind == "limit"
            else expected(arrivals, traces.of_log(trace))
        )
        if calls > MOST_CALLS:
            raise LoadRefused(
                f"{calls:,.0f} calls: {MOST_CALLS:,} are the most from this machine; `roadworthy load --export locust` "
                "spreads more over several"
            )
        plan = preflight.preflight(order, grounds, calls, peak)
        return Ready(order, flow, policy, frozen, plan, bodies, arrivals, trace, plan.per_call, first)

    def _policy(self, flow: Workflow) -> Policy:
        """As it is in force: what was loosened waits for its owner."""
        snapshot = self._known.snapshot()
        served = None if snapshot is None else snapshot.workflows.get(flow.name)
        return flow.policy if served is None else served.policy

    def _arrivals(self, order: Order, peak: Peak | None, trace: list[tuple[float, int | None, int | None]]) -> Arrivals:
        if order.shape == "replay" or order.kind == "limit":
            return preflight.arrivals(order, 1.0)
        if peak is None:
            raise LoadRefused(
                f"nobody knows the projected peak of {order.workflow}: give --peak 20/s, declare "
                f"policy.projected_peak, or serve it for {preflight.LEAST_MINUTES} minutes"
            )
        rate = peak.rate * order.factor
        if rate > HIGHEST_RATE:
            raise LoadRefused(f"{rate:,.0f} calls/s: {HIGHEST_RATE:,.0f} are the most that is tried from one machine")
        made = preflight.arrivals(order, rate)
        return msgspec.structs.replace(made, start_rate=rate / 10) if order.shape == "ramp" else made

    def _bodies(self, order: Order, frozen: FrozenRelease) -> tuple[list[Body], str]:
        """(what is asked, in words where it came from)."""
        workflow, release = order.workflow, frozen.release
        try:
            if order.bodies == "file":
                return asking.vetted(release, order.rows), "the file given"
            if order.bodies in ("any", "log"):
                found = asking.of_log(self._with_bodies(workflow))
                if len(found) >= LEAST_RECORDED or (found and order.bodies == "log"):
                    return found, f"{len(found)} recorded live questions, redacted as the policy says"
            if order.bodies in ("any", "examples"):
                found = asking.of_examples(release, self._known.examples(workflow))
                if found:
                    return found, f"the {len(found)} published examples"
        except asking.CannotAsk as error:
            raise LoadRefused(str(error)) from error
        raise LoadRefused(
            f"there is nothing to ask {workflow}: no recorded questions and no published examples; import some "
            f"(`roadworthy evals import {workflow} FILE`) or give --bodies FILE"
        )

    def _with_bodies(self, workflow: str) -> Iterator[Inference]:
        """The newest live calls that hold their bodies."""
        store = self._known.store
        for row in store.find(Filter(workflow=workflow, traffic="live,tester"), limit=WITH_BODIES).items:
            entry = store.get(row.id)
            if entry is not None and entry.inference.request is not None:
                yield entry.inference

    def _recorded(self, workflow: str, traffic: str) -> list[Inference]:
        """The newest ones; of load tests those that held one rate, for a search for the limit goes past it."""
        since = self._known.clock() - 30 * DAY
        where = Filter(workflow=workflow, traffic=traffic, since=since)
        if traffic != "load":
            return self._known.store.find(where, limit=RECORDED).items
        found: list[Inference] = []
        for permit in self._known.load_permits(workflow):
            found += self._known.store.find(msgspec.structs.replace(where, key=permit), limit=RECORDED).items
        return found[:RECORDED]

    def _best_recorded(self, workflow: str) -> dict[str, list[Inference]]:
        """The first class that has enough of them."""
        for traffic in CLASSES:
            found = self._recorded(workflow, traffic)
            if sum(call.outcome in SERVED_BY_MODEL for call in found) >= LEAST_RECORDED:
                return {traffic: found}
        return {}

    def _minutes(self, order: Order, policy: Policy) -> Mapping[int, int]:
        if order.peak is not None or policy.projected_peak is not None:
            return {}
        where = Filter(workflow=order.workflow, traffic="live", since=self._known.clock() - LOOKS_BACK)
        return Counter(int(call.ts // 60) for call in islice(self._known.store.scan(where), MOST_SCANNED))

    def _usage(self, target: str) -> tuple[float, float, float]:
        where = Filter(target=target, traffic="live", since=self._known.clock() - DAY)
        calls = islice(self._known.store.scan(where), MOST_SCANNED)
        return preflight.busiest_minutes((call.ts, call.latency, call.tokens.total) for call in calls)

    def _trace(self, order: Order) -> list[tuple[float, int | None, int | None]]:
        """Without lengths of answer: the release says how long they may be."""
        if order.shape != "replay":
            return []
        if order.trace:
            return [(at, size, None) for at, size, _ in order.trace]
        where = Filter(
            workflow=order.workflow, traffic="live", since=self._known.clock() - order.seconds * order.compression
        )
        found: list[tuple[float, int | None, int | None]] = [
            (call.ts, call.tokens.total - call.tokens.output or None, None)
            for call in islice(self._known.store.scan(where), MOST_SCANNED)
        ]
        if not found:
            raise LoadRefused(
                f"the log holds no live call of {order.workflow} in that time: there is nothing to replay"
            )
        return found

    def _shown(self, ready: Ready, calls: list[Inference]) -> fitting.Shown:
        """What the simulated target says."""
        schema = ready.frozen.release.behaviour.schema
        if schema is not None:
            lengths = [
                -(-len(msgspec.json.encode(self._known.example(schema))) // fitting.CHARS_PER_TOKEN)
                for _ in range(SIMULATED_SAMPLES)
            ]
            return fitting.Shown(pieces=sum(lengths) / len(lengths))
        store = self._known.store
        answers = []
        for row in calls[:WITH_BODIES]:
            entry = store.get(row.id) if row.outcome in SERVED_BY_MODEL else None
            text = "" if entry is None else asking.answer_of(entry.inference)
            if text:
                answers.append(text)
        return fitting.Shown(answers=answers)


def vet(order: Order) -> None:
    """Raises ``LoadRefused``."""
    numbers: list[tuple[str, float | None, float, float]] = [
        ("peak", order.peak, 0.0, HIGHEST_RATE),
        ("factor", order.factor, 0.0, 100.0),
        ("growth", order.growth, 0.0, 1000.0),
        ("max cost", order.usd, 0.0, 1e6),
        ("errors", order.errors, 0.0, 1.0),
        ("cv", order.cv, 0.0, 100.0),
        ("compression", order.compression, 0.0, 10_000.0),
    ]
    for name, value, above, most in numbers:
        if value is not None and not (math.isfinite(value) and above < value <= most):
            raise LoadRefused(f"{name}: found {value:g}, expected more than {above:g} and at most {most:g}")
    if not 1.0 <= order.seconds <= LONGEST:
        raise LoadRefused(
            f"duration: found {order.seconds:,.0f} s, expected 1 s to {LONGEST:,.0f} s: a permit holds for two hours"
        )
    if not 0 <= order.probe <= MOST_PROBE:
        raise LoadRefused(f"probe: found {order.probe}, expected 0 to {MOST_PROBE} calls")
    if order.most_under_way and not 1 <= order.most_under_way <= MOST_UNDER_WAY:
        raise LoadRefused(f"most under way: found {order.most_under_way}, expected 1 to {MOST_UNDER_WAY}")
    if order.kind == "limit" and order.kill:
        raise LoadRefused("a search for the limit presses no kill switch: test the rate that it finds --with-kill")
    if order.bodies == "file" and not order.rows:
        raise LoadRefused("bodies: the file holds no question")
    if order.shape == "replay" and order.kind == "limit":
        raise LoadRefused("a replay has its own rate, so no limit can be looked for with it")


def most_under_way(order: Order, rate: float, each: PerCall) -> int:
    """Calls that may be under way before one is dropped."""
    if order.most_under_way:
        return order.most_under_way
    wanted = math.ceil(TIMES_EXPECTED * rate * max(each.seconds, 1.0))
    return min(max(LEAST_UNDER_WAY, wanted), MOST_UNDER_WAY)
