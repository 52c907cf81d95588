"""What is stricter acts at once; what is looser waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.rollout.model import GUARDRAILS
from roadworthy.workflow.model import (
    Budget,
    Budgets,
    EscalationPolicy,
    GatePolicy,
    KillPolicy,
    Objective,
    Owners,
    Policy,
    RampBudget,
    RampStage,
    RolloutPolicy,
    ShadowPolicy,
)
from roadworthy.workflow.strictness import BUILT_IN, RULES, Terms, changed, inside, strictest, waiting

LIMITS = st.none() | st.sampled_from([1.0, 2.0, 3.0])
SHARES = st.sampled_from([0.01, 0.05, 0.2])
BUDGET = st.builds(Budget, LIMITS, LIMITS)
RAILS = st.dictionaries(
    st.sampled_from(["errors", "unsafe", "tone"]),
    st.sampled_from([RampBudget(0.001, 0.002), RampBudget(0.01, 0.03), RampBudget(0.02, 0.5)]),
    max_size=2,
)
STAGES = st.lists(
    st.builds(
        RampStage,
        st.just("s"),
        st.sampled_from([0.1, 0.5, 1.0]),
        st.sampled_from([1.0, 2.0]),
        st.sampled_from([10, 20]),
        st.booleans(),
    ),
    max_size=3,
    unique_by=lambda stage: stage.share,
).map(lambda stages: sorted(stages, key=lambda stage: stage.share))
POLICIES = st.builds(
    Policy,
    testers=st.lists(st.sampled_from("abc"), unique=True),
    pilot_share=SHARES,
    projected_peak=LIMITS,
    objective=st.builds(Objective, LIMITS, LIMITS),
    requests_per_minute_per_key=st.none() | st.integers(1, 3),
    redact=st.lists(st.sampled_from(["email", "card"]), unique=True),
    log_bodies=st.booleans(),
    budgets=st.builds(Budgets, LIMITS, BUDGET, BUDGET, BUDGET, SHARES),
    escalation=st.builds(EscalationPolicy, answer_within=st.sampled_from([1.0, 2.0])),
    kill=st.builds(
        KillPolicy,
        st.sampled_from(["drain", "cut"]),
        st.sampled_from(["hold", "off"]),
        LIMITS,
        st.none() | SHARES,
        LIMITS,
        st.sampled_from(["guarded", "assist", "off"]),
    ),
    rollout=st.builds(
        RolloutPolicy,
        STAGES,
        st.booleans(),
        RAILS,
        SHARES,
        SHARES,
        st.none() | st.builds(ShadowPolicy, SHARES, st.sampled_from([1.0, 2.0])),
    ),
    gate=st.builds(GatePolicy, st.dictionaries(st.sampled_from("xy"), SHARES), SHARES),
    grace=st.sampled_from([0.0, 1.0, 2.0]),
)
OWNERS = st.builds(Owners, *[st.sampled_from(["ada", "bo"])] * 3)
TERMS = st.builds(Terms, OWNERS, st.sampled_from(["enforce", "observe"]), POLICIES)


def leaves(kind: Any, path: str = "") -> Iterator[str]:
    """Every field of a struct, into those that have no rule of their own."""
    for field in msgspec.structs.fields(kind):
        name = f"{path}.{field.name}" if path else field.name
        if name in RULES or not (isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)):
            yield name
        else:
            yield from leaves(field.type, name)


def test_every_field_says_which_way_is_looser() -> None:
    assert set(leaves(Terms)) == set(RULES)


def test_the_guardrails_of_every_ramp_are_the_ones_that_own_ones_are_compared_with() -> None:
    assert {rail.name: RampBudget(rail.budget, rail.limit) for rail in GUARDRAILS} == BUILT_IN


@given(TERMS, TERMS)
def test_what_is_in_force_waits_for_nothing_and_is_what_both_allow(agreed: Terms, wanted: Terms) -> None:
    now = strictest(agreed, wanted)
    assert strictest(agreed, agreed) == agreed
    assert waiting(agreed, now) == []
    assert strictest(now, wanted) == now, "to settle on it changes nothing"
    assert {wait.field for wait in waiting(now, wanted)} == {wait.field for wait in waiting(agreed, wanted)}


@given(TERMS, TERMS)
def test_all_approved_is_as_configured_and_each_alone_is_that_field(agreed: Terms, wanted: Terms) -> None:
    waits = [wait.field for wait in waiting(agreed, wanted)]
    assert strictest(agreed, wanted, approved=waits) == wanted
    for field in waits:
        after = strictest(agreed, wanted, approved=[field])
        assert [wait.field for wait in waiting(after, wanted)] == [each for each in waits if each != field]
        assert set(changed(strictest(agreed, wanted), after)) == {field}


@given(TERMS, TERMS, TERMS)
def test_a_detour_loosens_nothing_that_the_straight_way_does_not(a: Terms, b: Terms, c: Terms) -> None:
    """Applying b in between never lets c have more than it had without, but for a plan of stages of another make."""
    straight, detour = strictest(a, c), strictest(strictest(a, b), c)
    looser = {wait.field for wait in waiting(straight, detour)}
    assert looser <= {
        "policy.projected_peak",
        "policy.rollout.stages",
        "policy.rollout.guardrails",
        "policy.rollout.shadow",
    }


def policy(**fields: Any) -> Terms:
    return Terms(Owners("ada", "bo", "bo"), "enforce", Policy(**fields))


@pytest.mark.parametrize(
    ("agreed", "wanted", "field"),
    [
        (policy(), policy(testers=["eve"]), "policy.testers"),
        (policy(budgets=Budgets(user=Budget(day=1))), policy(), "policy.budgets.user.day"),
        (policy(kill=KillPolicy(usd_per_hour=5)), policy(), "policy.kill.usd_per_hour"),
        (policy(), policy(kill=KillPolicy(unsafe_share=0.5)), "policy.kill.unsafe_share"),
        (policy(kill=KillPolicy(to="off")), policy(), "policy.kill.to"),
        (policy(gate=GatePolicy({"topic": 0.5})), policy(gate=GatePolicy({"topic": 0.4})), "policy.gate.floors"),
        (policy(gate=GatePolicy({"topic": 0.5})), policy(), "policy.gate.floors"),
        (policy(), policy(gate=GatePolicy(margin=0.5)), "policy.gate.margin"),
        (policy(), policy(grace=20 * 86_400.0), "policy.grace"),
        (
            policy(),
            policy(rollout=RolloutPolicy(guardrails={"errors": RampBudget(0.2, 0.4)})),
            "policy.rollout.guardrails",
        ),
        (policy(), policy(rollout=RolloutPolicy(stages=[RampStage("all", 1.0)])), "policy.rollout.stages"),
        (
            policy(rollout=RolloutPolicy(stages=[RampStage("a", 0.1), RampStage("b", 1.0)])),
            policy(rollout=RolloutPolicy(stages=[RampStage("a", 0.1), RampStage("b", 1.0, approval=False)])),
            "policy.rollout.stages",
        ),
        (Terms(Owners("ada", "bo", "bo"), "enforce", Policy()), Terms(Owners("eve", "bo", "bo"), "enforce", Policy()),
         "owners.workflow"),
        (Terms(Owners("ada", "bo", "bo"), "enforce", Policy()), Terms(Owners("ada", "bo", "bo"), "observe", Policy()),
         "enforcement"),
    ],
)  # fmt: skip
def test_each_way_of_asking_for_more_waits(agreed: Terms, wanted: Terms, field: str) -> None:
    assert [wait.field for wait in waiting(agreed, wanted)] == [field]
    assert waiting(agreed, strictest(agreed, wanted)) == waiting(strictest(agreed, wanted), agreed) == []


@pytest.mark.parametrize(
    ("agreed", "wanted"),
    [
        (policy(testers=["a", "b"]), policy(testers=["b"])),
        (policy(), policy(rollout=RolloutPolicy(guardrails={"errors": RampBudget(0.005, 0.01)}))),
        (policy(), policy(rollout=RolloutPolicy(guardrails={"tone": RampBudget(0.3, 0.5)}))),
        (policy(rollout=RolloutPolicy(guardrails={"errors": RampBudget(0.1, 0.2)})), policy()),
        (policy(), policy(kill=KillPolicy(usd_per_hour=3.0, to="off", streams="cut", stale="off"))),
        (policy(), policy(gate=GatePolicy({"topic": 0.3}))),
    ],
)
def test_each_way_of_asking_for_less_acts_at_once(agreed: Terms, wanted: Terms) -> None:
    assert waiting(agreed, wanted) == []


def test_a_change_that_is_both_acts_as_far_as_it_is_stricter() -> None:
    agreed = policy(testers=["ada", "bo"], kill=KillPolicy(usd_per_hour=10))
    wanted = policy(testers=["bo", "eve"], kill=KillPolicy(usd_per_hour=50, streams="cut"))
    now = strictest(agreed, wanted).policy
    assert now.testers == ["bo"]
    assert now.kill == KillPolicy(usd_per_hour=10, streams="cut")


def test_a_field_is_named_by_itself_or_by_what_it_lies_in() -> None:
    assert inside("policy.kill.to", "policy.kill")
    assert not inside("policy.killing", "policy.kill")
