"""How ``policy`` is read: every key of the kill switch, the ramp and the gate, and what must hold between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.rollout.planning import plan_of
from roadworthy.rollout.rules import vet
from roadworthy.workflow.files import read_configuration
from roadworthy.workflow.model import (
    GatePolicy,
    KillPolicy,
    Policy,
    RampBudget,
    RampStage,
    RolloutPolicy,
    ShadowPolicy,
)
from roadworthy.workflow.problems import errors

FLOW = "workflows/triage/workflow.yaml"
DAY = 86_400.0
BASE = (
    "owners: {workflow: ada, prompt: ada, cost: ada}\ntarget: main\nbypass: app\n"
    "prompt: {mode: managed, system: p.md}\n"
)
FILES = {
    "roadworthy.yaml": "version: 1\ntargets:\n  main: {provider: simulated, model: m, price: {input: 0, output: 0}}\n",
    "people.yaml": "people:\n  ada: {name: Ada, email: ada@example.com}\n",
    "workflows/triage/p.md": "You are kind.\n",
}


def read(policy: str, more: str = "") -> tuple[Policy | None, list[str]]:
    checked = read_configuration(FILES | {FLOW: f"{BASE}{more}policy:\n{policy}"})
    found = None if checked.configuration is None else checked.configuration.workflows["triage"].policy
    return found, [f"{problem.field}: {problem.found}" for problem in errors(checked.problems)]


def test_every_key_of_kill_rollout_gate_and_grace_is_read() -> None:
    policy, wrong = read(
        "  kill: {streams: cut, stale: off, usd_per_hour: 20, unsafe_share: 1%, error_burn: 6, to: off}\n"
        "  rollout:\n"
        "    stages:\n"
        "      - {share: 10%, dwell: 2d, calls: 300, approval: false}\n"
        "      - {name: everybody, share: 100%}\n"
        "    drafts: true\n"
        "    guardrails: {errors: {budget: 2%, limit: 4%}, latency_p99: {budget: 1500ms, limit: 3s}}\n"
        "    alpha: 1%\n"
        "    beta: 2%\n"
        "    shadow: {share: 10%, usd_per_day: 2.5}\n"
        "  gate: {floors: {topic: 35%}, margin: 0%}\n"
        "  grace: 7d\n"
    )
    assert wrong == []
    assert policy == Policy(
        kill=KillPolicy("cut", "off", 20.0, 0.01, 6.0, "off"),
        rollout=RolloutPolicy(
            stages=[RampStage("10 %", 0.1, 2 * DAY, 300, False), RampStage("everybody", 1.0)],
            drafts=True,
            guardrails={"errors": RampBudget(0.02, 0.04), "latency_p99": RampBudget(1.5, 3.0)},
            alpha=0.01,
            beta=0.02,
            shadow=ShadowPolicy(0.1, 2.5),
        ),
        gate=GatePolicy({"topic": 0.35}, 0.0),
        grace=7 * DAY,
    )


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("  grace: 31d\n", "policy.grace: '31d'"),
        ("  rollout: {stages: [{share: 10%}, {share: 5%}]}\n", "policy.rollout.stages: 10 %, 5 %"),
        ("  rollout: {stages: [{share: 0%}]}\n", "policy.rollout.stages: no stage with live traffic"),
        ("  rollout: {stages: [{share: 5%, name: a}, {share: 9%, name: a}]}\n", "two stages named 'a'"),
        ("  rollout: {guardrails: {errors: {budget: 3%, limit: 1%}}}\n", "errors: budget 0.03, limit 0.01"),
        ("  rollout: {guardrails: {unsafe: {budget: 1, limit: 2}}}\n", "unsafe: budget 1, limit 2"),
        ("  rollout: {guardrails: {errors: {budget: 3%}}}\n", "policy.rollout.guardrails.errors.limit: no such key"),
        ("  rollout: {alpha: 100%}\n", "policy.rollout.alpha: 1"),
        ("  kill: {to: assist}\n", "policy.kill.to: 'to: assist' without a holding answer"),
        ("  kill: {to: on}\n", "policy.kill.to:"),
        ("  kill: {usd_an_hour: 3}\n", "policy.kill.usd_an_hour: an unknown key"),
        ("  gate: {floors: {topic: 0%}}\n", "policy.gate.floors.topic"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_place(policy: str, said: str) -> None:
    found, wrong = read(policy)
    assert found is None
    assert any(said in each for each in wrong), wrong


def test_assist_is_good_with_a_holding_answer() -> None:
    assert read("  kill: {to: assist}\n", "holding: {text: A colleague answers soon.}\n")[1] == []


SHARES = st.sampled_from(["0%", "1%", "5%", "10%", "50%", "100%"])
LEVELS = st.sampled_from(["1%", "5%", "100%"])
BUDGETS = st.tuples(*[st.sampled_from(["0%", "1%", "2%", "99%", "100%"])] * 2)


@given(st.lists(SHARES, max_size=4), BUDGETS, LEVELS)
def test_what_passes_the_files_passes_the_ramp_itself(shares: list[str], budgets: tuple[str, str], level: str) -> None:
    stages = ", ".join(f"{{share: {share}}}" for share in shares)
    rail = f"errors: {{budget: {budgets[0]}, limit: {budgets[1]}}}"
    policy, _ = read(f"  rollout: {{stages: [{stages}], guardrails: {{{rail}}}, alpha: {level}}}\n")
    if policy is not None:
        vet(plan_of(policy))
