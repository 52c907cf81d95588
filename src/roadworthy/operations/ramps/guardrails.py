"""What the inference log says of a ramp: the feed of its guardrails.

Live calls only (at the testers' stage, theirs), both sides, since the stage was entered; classes are never pooled, but
for shadow calls in what is said of answers alone: whether they are unsafe, and what scorers say of them.
"""

from __future__ import annotations

from roadworthy.inference_log.model import Counted, Counting, Measured, Side
from roadworthy.inference_log.ports import LogStore
from roadworthy.rollout.model import DAY, DRAFTS, Arms, Guardrail, Observed, Rollout, Tally, Traffic
from roadworthy.rollout.planning import versus

LOOKS_BACK = 7 * DAY
"""Over so long a calendar's volume is counted."""
LEAST_DAYS = 1 / 24
"""A workflow that has been called for minutes is taken to have been called for an hour."""
THUMBS = "thumb"
"""Feedback that users give: about what they read, so never about shadow calls."""
_FACTS = ("errors", "fallbacks", "escalations", "unsafe", "cost", "latency")
_NOT_OF_DRAFTS = ("escalations", "fallbacks")
"""A draft always goes to a person, on purpose."""


class LogFeed:
    """``rollout.ports.Feed`` over the log.  Blocking."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def observe(self, rollout: Rollout, now: float) -> Observed:
        stage = rollout.stage
        traffic = "tester" if stage.share == 0.0 and stage.name != DRAFTS.name else "live"
        guardrails = [one for one in rollout.plan.guardrails if _asked(one, stage.name)]
        two_sides = traffic == "live" and 0 < rollout.share < 1
        compared = two_sides and rollout.predecessor is not None
        digests = (rollout.digest, rollout.predecessor) if compared and rollout.predecessor else (rollout.digest,)
        found = self._store.count(
            Counting(rollout.workflow, rollout.entered_at, digests, traffic, _measures(guardrails))
        )
        shadow = self._shadow(rollout, guardrails)
        treated = found[rollout.digest]
        control = found[rollout.predecessor] if compared and rollout.predecessor is not None else Side()
        arms = {
            one.name: Arms(
                _tally(one, treated, shadow if one in _of_answers(guardrails) else None), _tally(one, control)
            )
            for one in guardrails
        }
        users = self._store.sides(rollout.workflow, rollout.entered_at, rollout.digest) if two_sides else None
        return Observed(
            stage=stage.name,
            since=rollout.entered_at,
            until=now,
            calls=treated.calls,
            last_call=treated.last_call,
            arms=arms,
            compared=compared,
            users=users,
            share=rollout.share,
        )

    def traffic(self, workflow: str, now: float) -> Traffic:
        found = self._store.callers(workflow, now - LOOKS_BACK, now + 1)
        oldest = found.oldest if found.oldest is not None else now - LOOKS_BACK
        days = min(max((now - oldest) / DAY, LEAST_DAYS), LOOKS_BACK / DAY)
        return Traffic(found.calls, found.unknown, found.users, found.tester_calls, days)

    def _shadow(self, rollout: Rollout, guardrails: list[Guardrail]) -> Side | None:
        measured = _measures(_of_answers(guardrails))
        if not measured:
            return None
        asked = Counting(rollout.workflow, rollout.entered_at, (rollout.digest,), "shadow", measured)
        return self._store.count(asked)[rollout.digest]


def _asked(guardrail: Guardrail, stage: str) -> bool:
    return stage != DRAFTS.name or versus(guardrail.name)[0] not in _NOT_OF_DRAFTS


def _of_answers(guardrails: list[Guardrail]) -> list[Guardrail]:
    """Those that a call which nobody sees is as good for as any."""
    return [one for one in guardrails if _said(one) not in ("", THUMBS) or versus(one.name)[0] == "unsafe"]


def _said(guardrail: Guardrail) -> str:
    """Name of the feedback that a guardrail is about; empty: it is about none."""
    base = versus(guardrail.name)[0]
    if base in _FACTS or guardrail.measure == "quantile":
        return ""
    return THUMBS if base == "thumbs_down" else base


def _measures(guardrails: list[Guardrail]) -> tuple[Measured, ...]:
    found: dict[str, Measured] = {}
    for one in guardrails:
        base = versus(one.name)[0]
        if one.measure == "quantile":
            found[base] = Measured(base, "slower", above=one.budget)
            found[_over(base)] = Measured(_over(base), "slower", above=one.limit)
        elif said := _said(one):
            found[base] = Measured(base, "said", said=said)
        else:
            found[base] = Measured(base, base)  # type: ignore[arg-type]  # one of _FACTS, which are kinds
    return tuple(found.values())


def _over(name: str) -> str:
    return f"{name} over its limit"


def _tally(guardrail: Guardrail, side: Side, shadow: Side | None = None) -> Tally:
    base = versus(guardrail.name)[0]
    counted = _sum(side.counted.get(base, Counted()), None if shadow is None else shadow.counted.get(base))
    over = side.counted.get(_over(base), Counted())
    design = counted.n / counted.alone if counted.alone else 1.0
    bad_design = counted.total / counted.alone_total if counted.alone_total and guardrail.measure != "mean" else 0.0
    return Tally(counted.n, counted.total, counted.squares, design, bad_design, over.total)


def _sum(one: Counted, other: Counted | None) -> Counted:
    if other is None:
        return one
    return Counted(*(getattr(one, name) + getattr(other, name) for name in one.__struct_fields__))
