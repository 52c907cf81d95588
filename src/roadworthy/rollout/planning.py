"""From a workflow's policy to the plan of its ramps.  Pure."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from roadworthy.rollout.model import DRAFTS, GUARDRAILS, STAGES, TESTERS, Against, Guardrail, Plan, Stage
from roadworthy.workflow.model import Policy, RampBudget, RolloutPolicy

KNOWN: Final[dict[str, Guardrail]] = {
    **{guardrail.name: guardrail for guardrail in GUARDRAILS},
    "cost": Guardrail("cost", 0.0, 0.0, measure="mean"),
    "latency": Guardrail("latency", 0.0, 0.0, measure="mean"),
    "latency_p50": Guardrail("latency_p50", 0.0, 0.0, measure="quantile", quantile=0.50),
    "latency_p95": Guardrail("latency_p95", 0.0, 0.0, measure="quantile", quantile=0.95),
    "latency_p99": Guardrail("latency_p99", 0.0, 0.0, measure="quantile", quantile=0.99),
}
"""What the feed counts by itself: shares of calls, dollars a call, seconds.  Any other name is a scorer's: the share of
its scored calls that it calls bad."""

LATENCY_LIMIT: Final = 1.5
"""Times the objective's latency from which on a release may not go on, where the workflow says nothing else."""
VERSUS: Final[dict[str, Against]] = {"_ratio": "ratio", "_difference": "difference"}
"""End of a name → against the release before, instead of a fixed figure."""


def plan_of(policy: Policy) -> Plan:
    """The built-in plan with what the workflow says instead or beside; ``rules.vet`` judges it."""
    own = policy.rollout
    guardrails = {guardrail.name: guardrail for guardrail in GUARDRAILS}
    objective = policy.objective.latency_p95
    if objective is not None:
        guardrails["latency_p95"] = replace(KNOWN["latency_p95"], budget=objective, limit=objective * LATENCY_LIMIT)
    guardrails |= {name: guardrail(name, budget) for name, budget in own.guardrails.items()}
    return Plan(stages=_stages(own), guardrails=tuple(guardrails.values()), alpha=own.alpha, beta=own.beta)


def guardrail(name: str, budget: RampBudget) -> Guardrail:
    """By its name: one that is known, one of those against the release before, or a scorer's."""
    base, against = versus(name)
    known = KNOWN.get(base, Guardrail(base, 0.0, 0.0, back_to="release"))
    return replace(known, name=name, budget=budget.budget, limit=budget.limit, against=against)


def versus(name: str) -> tuple[str, Against]:
    """What is counted, and what it is held against: ``cost_ratio`` → cost, ratio."""
    for end, against in VERSUS.items():
        if name.endswith(end) and len(name) > len(end):
            return name.removesuffix(end), against
    return name, "fixed"


def _stages(own: RolloutPolicy) -> tuple[Stage, ...]:
    live = tuple(
        Stage(each.name, each.share, dwell=each.dwell, calls=each.calls, approval=each.approval)
        for each in own.stages
        if each.share > 0
    )
    before = tuple(
        Stage(each.name, 0.0, dwell=each.dwell, calls=each.calls, approval=each.approval, proves=False)
        for each in own.stages
        if each.share == 0
    ) or (TESTERS,)
    if own.drafts and all(stage.name != DRAFTS.name for stage in before):
        before = (*before, DRAFTS)
    return (*before, *(live or tuple(stage for stage in STAGES if stage.share > 0)))
