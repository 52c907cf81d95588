"""How many calls people will be handed at a share of the traffic, and how many they can answer.  Pure.

*Arrive*: calls of the busiest time of the day, times the share of them that is escalated, of the release and of the
rest alike.  That time is as long as an answer may take: a queue evens out what comes within it.
*Answer*: answers for each hour that somebody spent answering, times the people, at ``OCCUPANCY``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from roadworthy.people.escalation.model import Worked
from roadworthy.people.escalation.rules import LEASE
from roadworthy.statistics.rates import poisson_interval, wilson_interval

OCCUPANCY: Final = 0.85
"""Of an hour, how much somebody answers.  Beyond it queues grow without end at the smallest surprise."""
ASSUMED_RATE: Final = 12.0
"""Answers an hour of one person, until ``FEWEST_ANSWERS`` were timed."""
FEWEST_ANSWERS: Final = 10
HOURS: Final = 24

AgentsFrom = Literal["declared", "roles", "answers", "assumed"]
Holds = Literal["PASS", "FAIL", "INSUFFICIENT"]


class Estimate(msgspec.Struct, frozen=True):
    """A figure and its 95 % interval."""

    point: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        return Estimate(self.point * factor, self.low * factor, self.high * factor)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was counted, over some days."""

    by_hour: tuple[float, ...]
    """Live calls of the workflow in each hour of the day, on average; 24 of them."""
    calls: int = 0
    """Live calls of the release, without those that were escalated on purpose (drafts, assist)."""
    escalated: int = 0
    """Of them, those that failed into a person's hands."""
    other_calls: int = 0
    """Of what serves everybody else."""
    other_escalated: int = 0
    answered: int = 0
    """Answers that were timed."""
    hours: float = 0.0
    """In which people were at it."""
    agents: int = 1
    agents_from: AgentsFrom = "assumed"
    within: float = 4 * 3600.0
    """Seconds that an answer may take."""


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What people can carry.  Figures are an hour."""

    share: float
    """That was asked about."""
    arrive: Estimate
    answer: Estimate
    holds_at: float
    """Largest share at which as many are answered as arrive."""
    verdict: Holds
    text: str


def forecast(seen: Seen, share: float) -> Capacity:
    """At this share of the traffic."""
    window = max(1, min(HOURS, round(seen.within / 3600.0)))
    busiest = _busiest(seen.by_hour, window)
    mine, rest = _escalates(seen.escalated, seen.calls), _escalates(seen.other_escalated, seen.other_calls)
    arrive = Estimate(
        *(busiest * (share * one + (1 - share) * other) for one, other in zip(_parts(mine), _parts(rest), strict=True))
    )
    answer = _answers(seen)
    verdict: Holds = "PASS" if seen.calls else "INSUFFICIENT"
    if arrive.point > answer.point:
        verdict = "FAIL" if arrive.low > answer.high else "INSUFFICIENT"
    holds_at = _holds_at(busiest, mine.point, rest.point, answer.point)
    return Capacity(
        share=share, arrive=arrive, answer=answer, holds_at=holds_at, verdict=verdict,
        text=_text(seen, share, window, arrive, answer, verdict, holds_at),
    )  # fmt: skip


def busy_hours(worked: Sequence[Worked]) -> tuple[int, float]:
    """(answers that were timed, hours in which their agents were at it).

    From the claim to the answer; what one agent held at the same time counts once, and a claim for at most a lease.
    """
    spans: dict[str, list[tuple[float, float]]] = {}
    count = 0
    for each in worked:
        found = each.escalation
        if found.answer is None or found.claimed_at is None or found.closed_at is None:
            continue
        count += 1
        agent = found.answer.agent or found.answer.by
        spans.setdefault(agent, []).append((max(found.claimed_at, found.closed_at - LEASE), found.closed_at))
    return count, sum(_union(mine) for mine in spans.values()) / 3600.0


def _union(spans: list[tuple[float, float]]) -> float:
    total, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def _busiest(by_hour: Sequence[float], window: int) -> float:
    """Calls an hour in the busiest ``window`` hours of the day."""
    if not by_hour:
        return 0.0
    around = [*by_hour, *by_hour[: window - 1]]
    return max(sum(around[at : at + window]) / window for at in range(len(by_hour)))


def _escalates(escalated: int, calls: int) -> Estimate:
    if calls == 0:
        return Estimate(0.0, 0.0, 0.0)
    return Estimate(min(escalated, calls) / calls, *wilson_interval(min(escalated, calls), calls))


def _answers(seen: Seen) -> Estimate:
    people = seen.agents * OCCUPANCY
    if seen.answered < FEWEST_ANSWERS or seen.hours <= 0:
        return Estimate(ASSUMED_RATE, ASSUMED_RATE / 2, ASSUMED_RATE * 2).times(people)
    low, high = poisson_interval(seen.answered)
    return Estimate(seen.answered / seen.hours, low / seen.hours, high / seen.hours).times(people)


def _holds_at(busiest: float, mine: float, rest: float, answer: float) -> float:
    if busiest <= 0 or busiest * max(mine, rest) <= answer:
        return 1.0
    if mine <= rest:
        return 1.0 if busiest * mine <= answer else 0.0
    return max(0.0, min(1.0, (answer / busiest - rest) / (mine - rest)))


def _parts(each: Estimate) -> tuple[float, float, float]:
    return each.point, each.low, each.high


def _text(
    seen: Seen, share: float, window: int, arrive: Estimate, answer: Estimate, verdict: Holds, holds_at: float
) -> str:
    at = f"at {share * 100:g} %"
    if seen.calls == 0 and arrive.point <= answer.point:
        return f"{at}: no live call of the release yet, so nobody knows how many it hands to people"
    when = "hour" if window == 1 else f"{window} hours"
    people = f"{seen.agents} {'person' if seen.agents == 1 else 'people'}"
    said = (
        f"{at} about {_number(arrive.point)} an hour arrive in the busiest {when}, {people} {_FROM[seen.agents_from]}"
    )
    said += f"{'answers' if seen.agents == 1 else 'answer'} {_number(answer.point)}"
    if seen.answered < FEWEST_ANSWERS:
        said += f" (assumed: {ASSUMED_RATE:g} an hour each until {FEWEST_ANSWERS} answers were timed)"
    if verdict == "PASS":
        return said
    likely = "" if verdict == "FAIL" else f"; {_number(arrive.low)} to {_number(arrive.high)} may come"
    return f"{said}: holds at {_share(holds_at)}{likely}"


_FROM: Final[dict[AgentsFrom, str]] = {
    "declared": "", "roles": "", "answers": "who answered lately ", "assumed": "(assumed) ",
}  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 9.5 else f"{value:.1f}".removesuffix(".0")


def _share(value: float) -> str:
    percent = value * 100
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %".replace(".0 %", " %")
