"""What a test would do, cost and run into, from what is recorded and declared.  Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist

import msgspec

from roadworthy.latency.model import Arrivals
from roadworthy.operations.loading.model import (
    FULL_SECONDS,
    PEAKS,
    Headroom,
    Order,
    Peak,
    PerCall,
    Preflight,
)
from roadworthy.workflow.inference import SERVED_BY_MODEL, Inference
from roadworthy.workflow.model import FrozenRelease, Policy, Price, Target

LEAST_RECORDED = 20
"""Answered calls from which a mean is taken."""
LEAST_MINUTES = 60
"""Minutes of recorded traffic from which a peak is read."""
LEAST_CALLS = 100
CHARACTERS_A_TOKEN = 3.0
"""For the estimate: on the safe side for European languages."""
LONGEST_ANSWER = 1000
"""Tokens that an answer is thought to have at most where the release sets no limit."""
GUESSED_SECONDS = 5.0
"""Of a call that nobody has seen yet."""
LEAST_USD = 0.01
CLASSES = ("live", "tester", "eval", "load", "shadow")
"""Whose calls say what one takes, the best first; never two of them together."""
_NORMAL = NormalDist()


class Grounds(msgspec.Struct, frozen=True, kw_only=True):
    """What is known before a test."""

    frozen: FrozenRelease
    policy: Policy
    target: Target
    price: Price | None
    workers: int
    recorded: Mapping[str, Sequence[Inference]]
    """Class → its newest calls of this workflow, without bodies."""
    minutes: Mapping[int, int]
    """Minute (Unix time // 60) → live calls of the workflow in it, over the last days."""
    usage: Mapping[str, tuple[float, float, float]]
    """Target → what live traffic took in its busiest minute of the last day: requests, tokens, calls at once."""
    characters: float
    """Of a body, on average."""
    bodies: int
    bodies_from: str


def projected(order: Order, policy: Policy, minutes: Mapping[int, int]) -> Peak | None:
    """The peak, from who said it: the order, else the policy, else the busiest hundredth of the recorded minutes."""
    if order.peak is not None:
        return Peak(order.peak, "order", f"{order.peak:g} calls/s, given with the command")
    if policy.projected_peak is not None:
        return Peak(policy.projected_peak, "policy", f"{policy.projected_peak:g} calls/s, policy.projected_peak")
    if not minutes:
        return None
    span = max(minutes) - min(minutes) + 1
    if span < LEAST_MINUTES or sum(minutes.values()) < LEAST_CALLS:
        return None
    counts = sorted([*minutes.values(), *[0] * (span - len(minutes))])
    busiest = counts[min(len(counts) - 1, math.ceil(0.99 * len(counts)) - 1)] / 60.0
    rate = busiest * order.growth
    grown = f" × {order.growth:g} growth" if order.growth != 1 else ""
    return Peak(rate, "log", f"{rate:.3g} calls/s, the p99 minute of {span:,} recorded ones{grown}")


def per_call(grounds: Grounds) -> PerCall:
    """From what recorded calls took; where there are too few, from the length of the questions and the price."""
    for traffic in CLASSES:
        calls = [call for call in grounds.recorded.get(traffic, ()) if call.outcome in SERVED_BY_MODEL]
        if len(calls) >= LEAST_RECORDED:
            return _observed(calls, traffic)
    behaviour = grounds.frozen.release.behaviour
    system = len(behaviour.prompt.system) if behaviour.prompt is not None and behaviour.prompt.mode == "managed" else 0
    most = behaviour.parameters.get("max_tokens") or behaviour.parameters.get("max_completion_tokens")
    longest = most if isinstance(most, int) else LONGEST_ANSWER
    asked, price = (system + grounds.characters) / CHARACTERS_A_TOKEN, grounds.price
    usd = least = None
    if price is not None:
        least = asked / 2 * price.input + price.per_request
        usd = asked * price.input + longest * price.output + price.per_request
    said = "estimated from the length of the questions and the longest answer: no call of this workflow is recorded"
    return PerCall(asked, float(longest), usd, least, usd, GUESSED_SECONDS, said)


def _observed(calls: Sequence[Inference], traffic: str) -> PerCall:
    count = len(calls)
    inputs = sum(call.tokens.total - call.tokens.output for call in calls) / count
    outputs = sum(call.tokens.output for call in calls) / count
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    usd = lower = upper = None
    if costs:
        usd = sum(costs) / len(costs)
        spread = math.sqrt(sum((cost - usd) ** 2 for cost in costs) / max(len(costs) - 1, 1))
        error = _NORMAL.inv_cdf(0.975) * spread / math.sqrt(len(costs))
        lower, upper = max(0.0, usd - error), usd + error
    seconds = sum(call.latency for call in calls) / count
    return PerCall(inputs, outputs, usd, lower, upper, seconds, f"the mean of {count:,} recorded {traffic} calls")


def headroom(grounds: Grounds, rate: float, each: PerCall) -> list[Headroom]:
    """Every granted limit of the release's first target."""
    limits, name = grounds.target.limits, grounds.target.name
    requests, tokens, at_once = grounds.usage.get(name, (0.0, 0.0, 0.0))
    wanted = rate * 60.0
    size = each.input + each.output
    under_way = rate * each.seconds
    room: list[Headroom] = []
    granted = limits.requests_per_minute
    room.append(
        Headroom(name, "requests a minute", granted, requests, wanted, _excess(wanted, wanted, granted, requests))
    )
    granted = limits.tokens_per_minute
    room.append(
        Headroom(
            name, "tokens a minute", granted, tokens, wanted * size,
            _excess(wanted * size, wanted * size * size, granted, tokens),
        )
    )  # fmt: skip
    slots = (limits.concurrency + limits.queue) * grounds.workers
    refused = _excess(under_way, under_way, slots, at_once)
    return [*room, Headroom(name, "calls at once", slots, at_once, under_way, refused)]


def _excess(mean: float, variance: float, granted: float | None, taken: float) -> float:
    """Expected share above the limit of a Poisson load, by its normal approximation: E(N - g)+ / E N."""
    if granted is None or mean <= 0:
        return 0.0
    left, spread = granted - taken, math.sqrt(variance)
    z = (left - mean) / spread
    above = spread * (_NORMAL.pdf(z) - z * (1.0 - _NORMAL.cdf(z)))
    return min(1.0, max(0.0, above / mean))


def preflight(order: Order, grounds: Grounds, calls: float, peak: Peak | None) -> Preflight:
    """``calls``: how many the plan has; ``peak``: see ``projected``."""
    rate = calls / order.seconds
    each = per_call(grounds)
    live_calls = min(order.probe, math.ceil(calls)) if order.kind == "rehearsal" else math.ceil(calls)
    usd, lower, upper = _total(each, live_calls)
    room = headroom(grounds, rate, each)
    refused = max(one.refused for one in room if one.what != "calls at once")
    return Preflight(
        workflow=order.workflow, number=grounds.frozen.number, release=grounds.frozen.release.digest,
        target=grounds.target.name, provider=f"{grounds.target.provider}, {grounds.target.model}",
        kind=order.kind, peak=peak, factor=order.factor, rate=rate, seconds=order.seconds, shape=order.shape,
        calls=math.ceil(calls), per_call=each, input_tokens=math.ceil(live_calls * each.input),
        output_tokens=math.ceil(live_calls * each.output), usd=usd, usd_lower=lower, usd_upper=upper,
        max_usd=order.usd if order.usd is not None else max(2 * (upper or 0.0), LEAST_USD),
        live_calls=live_calls, headroom=room, predicted_429=refused, bodies=grounds.bodies,
        bodies_from=grounds.bodies_from, workers=grounds.workers, proves=_proves(order, rate, peak, grounds.target),
        does=_does(order, live_calls, grounds), stops=_stops(order, grounds.policy),
        warnings=list(_warnings(order, grounds, room, each, rate)),
    )  # fmt: skip


def _total(each: PerCall, calls: int) -> tuple[float | None, float | None, float | None]:
    if each.usd is None or each.usd_lower is None or each.usd_upper is None:
        return None, None, None
    return calls * each.usd, calls * each.usd_lower, calls * each.usd_upper


def _proves(order: Order, rate: float, peak: Peak | None, target: Target) -> str:
    """The most that readiness may make of it (``readiness/judging.py`` decides)."""
    if order.kind == "limit":
        return "nothing: it looks for the highest rate; test at twice the projected peak for evidence"
    if order.shape == "ramp":
        return "nothing: a ramp holds its full rate for an instant only"
    if peak is None:
        return "nothing: nobody knows the projected peak; declare policy.projected_peak"
    if order.kind == "live" and target.provider == "simulated":
        return f"nothing: {target.name} is simulated, so this counts as a rehearsal without a live probe"
    if peak.source == "log" or peak.source == "order":
        known = "; readiness compares it with policy.projected_peak"
    else:
        known = ""
    if order.seconds < FULL_SECONDS:
        return f"pilot only, INSUFFICIENT: {order.seconds:,.0f} s of {FULL_SECONDS:,.0f} s{known}"
    if rate < PEAKS * peak.rate * 0.999:
        return f"less than full traffic: {rate:g} calls/s are under {PEAKS:g} × {peak.rate:g}{known}"
    if order.kind == "rehearsal":
        if not order.probe:
            return "nothing: a rehearsal counts with a live probe that validates it"
        return f"up to 25 % of traffic, rehearsed with a live probe{known}"
    return f"up to 100 % of traffic{known}"


def _does(order: Order, live_calls: int, grounds: Grounds) -> list[str]:
    target, workflow = grounds.target, order.workflow
    calls = f"{live_calls:,} call{'s' if live_calls != 1 else ''}"
    if order.kind == "rehearsal":
        lines = [
            f"serves release {grounds.frozen.number} in a disposable copy of this install, against a simulated target "
            f"fitted to the recorded calls; nothing of it reaches {target.name}",
        ]
        if live_calls:
            lines.append(f"then makes {calls} of {target.name} through the gateway that serves, to validate the fit")
    else:
        lines = [
            f"calls {target.name} ({target.provider}) up to {live_calls:,} times through the gateway that serves, in a "
            "lane of its own: no limit, budget, breaker or cache is shared with live calls, but the provider and this "
            "machine are",
        ]
    if order.kill and order.kind == "rehearsal":
        lines.append(f"presses the kill switch of {workflow} in the copy, at the end, under the full rate")
    elif order.kill:
        lines.append(
            "presses the kill switch of Roadworthy's own drill workflows under the load, half-way; live calls of "
            f"{workflow} go on"
        )
    return lines


def _stops(order: Order, policy: Policy) -> list[str]:
    lines = [f"more than {100 * order.errors:g} % of the calls of the last seconds fail", "it is over-saturated"]
    objective = policy.objective
    if order.kind == "limit":
        return [f"a step misses the objective or fails more than {100 * order.errors:g} % of its calls"]
    if order.on_objective and any((objective.latency_p95, objective.latency_p99, objective.error_share)):
        lines.append("the objective cannot be met any more")
    return lines


def _warnings(order: Order, grounds: Grounds, room: Sequence[Headroom], each: PerCall, rate: float) -> Iterable[str]:
    target = grounds.target
    if each.usd is None and order.kind != "rehearsal":
        yield f"nobody knows what {target.name} costs: only calls and time limit it; declare `price` on the target"
    for one in room:
        left = None if one.granted is None else one.granted - one.live
        if left is not None and one.wanted > left and one.refused >= 0.001:
            yield (
                f"{one.what} of {target.name} bind: {one.wanted:,.0f} wanted, {left:,.0f} left of {one.granted:,.0f}; "
                f"about {100 * one.refused:.0f} % of the calls would be refused"
            )
    if order.kind == "live" and all(one.granted is None for one in room if one.what != "calls at once"):
        yield (
            f"no limit of {target.name} is declared, so 429s cannot be foretold: set limits.requests_per_minute and "
            "limits.tokens_per_minute to what the provider grants you"
        )
    if target.provider == "simulated" and order.kind == "live":
        yield f"{target.name} is simulated: what this shows of the model is what its profile says"
    if grounds.bodies < 20:
        yield f"{grounds.bodies} different questions only: a provider's prompt cache makes them look faster than yours"
    objective = grounds.policy.objective
    if not any((objective.latency_p95, objective.latency_p99, objective.error_share)):
        yield "policy.objective declares no latency or error share, so no goodput is counted and nothing can miss it"
    if rate * order.seconds < 1000:
        yield "under 1,000 calls: the p99 rests on fewer than ten of them"


def busiest_minutes(calls: Iterable[tuple[float, float, float]]) -> tuple[float, float, float]:
    """(requests, tokens, calls at once) of the busiest minute.  ``calls``: (began, seconds, tokens) of each."""
    requests: Counter[int] = Counter()
    tokens: Counter[int] = Counter()
    busy: Counter[int] = Counter()
    for began, seconds, size in calls:
        minute = int(began // 60)
        requests[minute] += 1
        tokens[minute] += int(size)
        busy[minute] += int(seconds * 1000)
    most = [max(found.values(), default=0) for found in (requests, tokens, busy)]
    return float(most[0]), float(most[1]), most[2] / 60_000.0


def arrivals(order: Order, rate: float) -> Arrivals:
    """The plan of the test itself; of a replay the rate is the trace's own."""
    return Arrivals(
        shape=order.shape, rate=0.0 if order.shape == "replay" else rate, seconds=order.seconds,
        cv=order.cv if order.shape == "gamma" else 1.0, compression=order.compression, seed=order.seed,
    )  # fmt: skip
