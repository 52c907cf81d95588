"""What a ramp would be like, before it begins: its stages, its calendar, and what stands in its way.  Pure."""

from __future__ import annotations

import msgspec

from roadworthy.rollout.analysis import calendar
from roadworthy.rollout.gates import percent
from roadworthy.rollout.model import Due, Grounds, Rollout, Traffic
from roadworthy.rollout.rules import first_stage
from roadworthy.workflow.model import Policy


class Prospect(msgspec.Struct, frozen=True):
    """Shown before anybody is asked."""

    workflow: str
    digest: str
    predecessor: str | None
    stage: str
    share: float
    ceiling: float
    unknown_share: float
    calls_per_day: float
    users_per_day: float
    calendar: list[Due]
    warnings: list[str]


def prospect(
    rollout: Rollout, policy: Policy, traffic: Traffic, grounds: Grounds, stage: str | None, now: float
) -> Prospect:
    """At the volume of ``traffic``, should the release be healthy."""
    first = first_stage(rollout.plan, stage)
    calls, users = traffic.calls / traffic.days, traffic.users / traffic.days
    testers = min(traffic.tester_calls / traffic.days, policy.tester_calls_per_day * max(len(policy.testers), 1))
    due = calendar(
        rollout.plan, now, calls, users_per_day=users or None, tester_calls_per_day=testers or None, first=first
    )
    begun = rollout.plan.stages[first]
    return Prospect(
        workflow=rollout.workflow,
        digest=rollout.digest,
        predecessor=rollout.predecessor,
        stage=begun.name,
        share=min(begun.share, grounds.ceiling),
        ceiling=grounds.ceiling,
        unknown_share=traffic.unknown_share,
        calls_per_day=calls,
        users_per_day=users,
        calendar=due,
        warnings=list(_warnings(rollout, policy, traffic, grounds)),
    )


def _warnings(rollout: Rollout, policy: Policy, traffic: Traffic, grounds: Grounds) -> list[str]:
    found = []
    highest = max(stage.share for stage in rollout.plan.stages)
    if grounds.ceiling < highest:
        allowed = [stage.name for stage in rollout.plan.stages if stage.share <= grounds.ceiling]
        found.append(
            f"its evidence allows {percent(grounds.ceiling)} today, so it stops after {allowed[-1]}: "
            f"`roadworthy ready {rollout.workflow}` shows what raises it"
        )
    if not traffic.calls:
        found.append("no live call came in lately, so nothing would ever be proven: the dates come with the calls")
    if not policy.testers and rollout.plan.stages[0].share == 0.0:
        live = next((stage.name for stage in rollout.plan.stages if stage.share > 0), "")
        found.append(
            "its policy names no testers, so nobody calls at the testers' stage: name some, or begin with "
            f"--stage {live.replace(' ', '')}"
        )
    if rollout.predecessor is None:
        found.append("there is no release before it: whoever is outside its share gets the bypass")
    return found
