"""Every key of ``policy`` in workflow.yaml: what may change without a release.

Which way is looser stands in ``strictness``; a test fails when a field has no entry there.
"""

from __future__ import annotations

from typing import Any, Final

from roadworthy.workflow.fields import Field, ListOf, MapOf, Section
from roadworthy.workflow.kinds import (
    Amount,
    Boolean,
    BooleanOrShare,
    Choice,
    Duration,
    Number,
    Ref,
    Share,
    ShareOrNone,
    Shares,
    Text,
)
from roadworthy.workflow.model import (
    Budgets,
    EscalationPolicy,
    GatePolicy,
    KillPolicy,
    Objective,
    Policy,
    RampBudget,
    RampStage,
    RolloutPolicy,
    ShadowPolicy,
)
from roadworthy.workflow.tables import BUDGET

KILL: Final = Section(
    "a kill policy: {streams, stale, usd_per_hour, unsafe_share, error_burn, to}",
    {
        "streams": Field(
            Choice(("drain", "cut")), "What becomes of answers under way: finished, or cut off.", default="drain"
        ),
        "stale": Field(
            Choice(("hold", "off")),
            "What a gateway does that has not heard of control for 30 s: go on, or stop the workflow.",
            default="hold",
        ),
        "usd_per_hour": Field(Number(0.0, 1e9, "US dollars"), "Spend of an hour that stops it.", default="no limit"),
        "unsafe_share": Field(Share(), "Share of unsafe answers in ten minutes that stops it.", default="2%"),
        "error_burn": Field(
            Number(1.0, 1000.0, "times the objective's error share"),
            "Times the objective's error share, for an hour and for five minutes, that stops it.",
            default="14.4",
        ),
        "to": Field(Choice(("guarded", "assist", "off")), "State that such a trigger brings about.", default="guarded"),
    },
    lambda read: KillPolicy(**read),
)


def _stage(read: dict[str, Any]) -> RampStage:
    return RampStage(**{"name": "testers" if read["share"] == 0 else f"{read['share'] * 100:g} %"} | read)


ROLLOUT: Final = Section(
    "a rollout policy: {stages, drafts, guardrails, alpha, beta, shadow}",
    {
        "stages": Field(
            ListOf(
                Section(
                    "a stage: {share: 10%}",
                    {
                        "share": Field(ShareOrNone(), "Share of live traffic; 0%: testers only.", True),
                        "name": Field(
                            Text("a name of at most 40 characters", r".{1,40}"), "Name.", default="the share"
                        ),
                        "dwell": Field(Duration(0.0, 90 * 86400.0), "How long it lasts at least.", default="1d"),
                        "calls": Field(
                            Number(0, 1_000_000, "a whole number of calls", whole=True),
                            "How many calls of the release it takes at least.",
                            default="100",
                        ),
                        "approval": Field(Boolean(), "Must a person let the release in?", default="true"),
                    },
                    _stage,
                ),
                20,
            ),
            "Stages, from the smallest share to the largest.",
            default="testers, 1 %, 10 %, 25 %, 50 %, 100 %, over a week",
        ),
        "drafts": Field(Boolean(), "After the testers, drafts that only a person can send.", default="false"),
        "guardrails": Field(
            MapOf(
                Section(
                    "a guardrail: {budget: 1%, limit: 3%}",
                    {
                        "budget": Field(Amount(), "A release at or below it is healthy.", True),
                        "limit": Field(Amount(), "A release at or above it may not go on.", True),
                    },
                    lambda read: RampBudget(**read),
                ),
                "guardrails by name",
            ),
            "What must stay small, instead of or beside the built-in ones; docs/rollout.md has the names.",
        ),
        "alpha": Field(Share(), "Chance that a healthy release is rolled back on its way.", default="5%"),
        "beta": Field(Share(), "Chance that a release at a limit passes a stage.", default="5%"),
        "shadow": Field(
            Section(
                "shadow calls: {share, usd_per_day}",
                {
                    "share": Field(Share(), "Share of live calls that is repeated.", default="5%"),
                    "usd_per_day": Field(Number(0.0, 1e6, "US dollars"), "Most that it may cost a day.", default="1"),
                },
                lambda read: ShadowPolicy(**read),
            ),
            "Answers of a new release that nobody sees, scored.",
            default="none",
        ),
    },
    lambda read: RolloutPolicy(**read),
)

GATE: Final = Section(
    "a gate policy: {floors, margin, primary, slices}",
    {
        "floors": Field(MapOf(Share(), "floors by scorer"), "Least share of examples by score, proven at 95 %."),
        "margin": Field(ShareOrNone(), "How much worse than the release before it may be.", default="10%"),
        "primary": Field(
            Text("the name of a score"),
            "Score whose difference from the release before decides.",
            default="every score that has a floor",
        ),
        "slices": Field(
            ListOf(Text("a tag of examples"), 20), "Tags of examples that are judged apart: they can FAIL a gate."
        ),
    },
    lambda read: GatePolicy(**read),
)

POLICY: Final = Section(
    "a policy",
    {
        "testers": Field(ListOf(Ref("people", "the id of a person"), 25), "People with tester keys, at most 25."),
        "pilot_share": Field(
            Share(),
            "Share of traffic of a pilot, 1% at most; it may have 25 calls a day where that is more.",
            default="1%",
        ),
        "projected_peak": Field(Number(0.0001, 1e6, "calls a second"), "Expected peak, in calls a second."),
        "objective": Field(
            Section(
                "objectives",
                {
                    "latency_p95": Field(Duration(), "95 % of calls are answered within this."),
                    "latency_p99": Field(
                        Duration(), "99 % are: with it a load test may pass whose tail is long answers, not the system."
                    ),
                    "error_share": Field(Share(), "At most this share of calls ends as an error."),
                },
                lambda read: Objective(**read),
            ),
            "What the workflow aims for.",
        ),
        "limits": Field(
            Section(
                "limits",
                {
                    "requests_per_minute_per_key": Field(
                        Number(1, 10_000_000, "a whole number of calls", whole=True), "Most calls a minute of one key."
                    )
                },
            ),
            "Limits on callers.",
        ),
        "tester": Field(
            Section(
                "tester limits",
                {
                    "calls_per_day": Field(
                        Number(1, 1_000_000, "a whole number of calls", whole=True), "Of one tester key.", default="200"
                    ),
                    "usd_per_day": Field(Number(0.0, 1e6, "US dollars"), "Of one tester key.", default="5"),
                },
            ),
            "What one tester may use.",
        ),
        "redact": Field(
            ListOf(Ref("redaction", "the name of a redaction rule")), "Rules applied before anything is written."
        ),
        "budgets": Field(
            Section(
                "budgets: {inference, user, key, workflow, alert_at, spike_at}",
                {
                    "inference": Field(
                        Number(0.0, 1e6, "US dollars"),
                        "Most US dollars of one call, all of its attempts and checks included.",
                        default="no limit",
                    ),
                    "user": Field(BUDGET, "Of each user of the workflow."),
                    "key": Field(BUDGET, "Of each key on the workflow."),
                    "workflow": Field(BUDGET, "Of the workflow."),
                    "alert_at": Field(
                        Shares(),
                        "Shares of a budget at which the cost owner is told why, and when it is used up.",
                        default="[50%, 80%, 100%]",
                    ),
                    "spike_at": Field(
                        Number(1.1, 1000.0, "times the usual"),
                        "Times what an hour usually costs at which the cost owner is told.",
                        default="3",
                    ),
                },
                lambda read: Budgets(**read),
            ),
            "What may be spent; calls beyond it go to the ladder of 'overspent'.",
        ),
        "escalation": Field(
            Section(
                "an escalation policy",
                {
                    "helpdesk": Field(
                        Ref("helpdesks", "the name of a helpdesk"),
                        "Helpdesk to which calls go.",
                        default="our own queue",
                    ),
                    "answer_within": Field(Duration(1.0, 30 * 86400.0), "Time that a human has.", default="4h"),
                    "capacity": Field(
                        Number(1, 1_000_000, "a whole number of calls", whole=True),
                        "Open escalations at which 'escalate' is passed over.",
                        default="200",
                    ),
                    "hide_draft": Field(
                        BooleanOrShare(),
                        "Does an agent see the draft only after writing an answer of their own?  Always (true), "
                        "never, or for a share of the calls.",
                        default="false",
                    ),
                    "agents": Field(
                        Number(1, 100_000, "a whole number of people", whole=True),
                        "People who answer at the same time.",
                        default="as roles and answers show",
                    ),
                },
                lambda read: EscalationPolicy(**read),
            ),
            "How escalated calls reach a human.",
        ),
        "log_bodies": Field(Boolean(), "Are prompts and answers kept in the log?", default="true"),
        "kill": Field(KILL, "How it is stopped, and what stops it without a person (docs/kill-switch.md)."),
        "rollout": Field(ROLLOUT, "How its releases are ramped (docs/rollout.md)."),
        "gate": Field(GATE, "What an eval gate asks of a release."),
        "grace": Field(
            Duration(0.0, 30 * 86400.0),
            "How long an earned share is kept on evidence that has lapsed, at most 30d.",
            default="14d",
        ),
    },
    lambda read: Policy(
        **{k: v for k, v in read.items() if k not in ("limits", "tester")},
        **read.get("limits", {}),
        **{f"tester_{k}": v for k, v in read.get("tester", {}).items()},
    ),
)
