"""The alerts that wake a person.  There are few, and each says why it cannot wait until the morning.

A new one belongs here only when customers are harmed now and a person can change that.
"""

from __future__ import annotations

from typing import Final

from roadworthy.people.alerts.model import Alert

SERVING: Final = "serving"
SAFETY: Final = "safety"
MONEY: Final = "money"

PAGES: Final = (
    Alert(
        name="error_burn_fast",
        cls="page",
        title="Customers get errors or stand-in texts, far above the objective",
        means="For an hour and for the last five minutes, calls that failed came at 14.4 times the share that the "
        "objective allows: 2 % of a month's allowance is gone in one hour. A call failed when its caller read an "
        "error, or a canned or holding text because a target or our own form checks let the call down. An answer that "
        "a retry or another target saved counts as good, and so does one that was held back for what it said.",
        check=(
            "The incident says what the evidence points to. Start there: `roadworthy incidents show INCIDENT`",
            "Which targets fail, and how: `roadworthy status`",
            "The calls themselves: `roadworthy log last hour --workflow WORKFLOW --outcome error,canned,escalated`",
            "What changed: `roadworthy audit list`",
        ),
        do=(
            "The provider fails and a substitute is healthy: put it into the ladder and apply. Until then the ladder "
            "holds, and people answer what was escalated: `roadworthy escalations`",
            "A release of ours fails: go back to the last good one, `roadworthy rollout rollback WORKFLOW`",
            "What customers read meanwhile is worse than the old path: `roadworthy kill WORKFLOW`",
        ),
        minimum=5,
        resolves_by_itself=True,
        group=SERVING,
    ),
    Alert(
        name="error_burn",
        cls="page",
        title="Customers get errors or stand-in texts, above the objective for hours",
        means="For six hours and for the last half hour, calls that failed came at 6 times the share that the "
        "objective allows: 5 % of a month's allowance is gone. It is slower than error_burn_fast and does not go away.",
        check=(
            "The cause that the evidence points to: `roadworthy incidents show INCIDENT`",
            "Did it begin with a release, a price, a key or a policy? `roadworthy audit list`",
            "The calls: `roadworthy log last hour --workflow WORKFLOW --outcome error,canned,escalated`",
        ),
        do=(
            "Go back to the last good release: `roadworthy rollout rollback WORKFLOW`",
            "Take the failing target out of the ladder and apply.",
            "Say what the objective should be if it was never met: policy.objective.error_share in workflow.yaml.",
        ),
        minimum=5,
        resolves_by_itself=True,
        group=SERVING,
    ),
    Alert(
        name="latency_burn",
        cls="page",
        title="Customers wait longer than the objective allows",
        means="The objective names a p95, so one call in twenty may be slower. For an hour and five minutes at 14.4 "
        "times that share, or for six hours and half an hour at 6 times, calls were slower than it.",
        check=(
            "Where the time goes: `roadworthy stats --by target last hour`",
            "One slow call, attempt by attempt: `roadworthy log last hour --workflow WORKFLOW --slower-than 10s`",
            "Do calls wait for a slot? `roadworthy status` shows each target's queue.",
        ),
        do=(
            "The provider is slow: shorten the attempt's time-out, so that the ladder takes over sooner.",
            "Calls queue: raise the target's concurrency if its limit allows, or lower the share of the ramp: "
            "`roadworthy rollout rollback WORKFLOW --to share`",
            "The old path is faster than waiting: `roadworthy kill WORKFLOW`",
        ),
        minimum=20,
        resolves_by_itself=True,
        group=SERVING,
    ),
    Alert(
        name="targets_down",
        cls="page",
        title="No target of a workflow answers",
        means="Every target that the workflow calls refused (401 to 404) or failed at least nineteen attempts of "
        "twenty: for five minutes, or for two where it is tried ten times or its breaker is open in every worker. No "
        "model answers its callers: they get stand-in texts or errors. A target that is never tried counts for none.",
        check=(
            "What each target says: `roadworthy status`, then `roadworthy doctor`",
            "One call, attempt by attempt: `roadworthy log last hour --workflow WORKFLOW`, then "
            "`roadworthy show INFERENCE`",
            "The provider's status page.",
        ),
        do=(
            "They refuse us: the key, the model's name or the address is wrong. Mend the target in "
            "roadworthy.yaml or the secret and apply: it acts in a second.",
            "They do not answer: breakers let probes through by themselves, so nothing has to be restarted.",
            "Nobody can wait: `roadworthy kill WORKFLOW` sends callers to the old path at once.",
        ),
        minimum=3,
        resolves_by_itself=True,
        group=SERVING,
    ),
    Alert(
        name="unsafe_share",
        cls="page",
        title="Too many answers are unsafe",
        means="In ten minutes more than the allowed share of answers (policy.kill.unsafe_share, 2 % unless it says "
        "otherwise), and at least five, were found unsafe by a check or by the provider's filter. Those that a check "
        "found were held back or went on with the ladder; what no check sees reaches customers.",
        check=(
            "What they say: `roadworthy log last hour --workflow WORKFLOW --failure unsafe`, then "
            "`roadworthy show INFERENCE`",
            "One user, or many? An attack has one author: `roadworthy stats --by unit last hour`",
            "Did a release, a prompt or a model change? `roadworthy audit list`",
        ),
        do=(
            "The kill switch may have gone off by itself: `roadworthy status`. If it has not and you are unsure: "
            "`roadworthy kill WORKFLOW`. You can take that back for ten minutes.",
            "A new release does it: `roadworthy rollout rollback WORKFLOW`",
            "One user does it: revoke the key that it comes by, `roadworthy keys revoke KEY`",
        ),
        minimum=5,
        resolves_by_itself=True,
        group=SAFETY,
    ),
    Alert(
        name="hard_limit",
        cls="page",
        title="A budget is used up: no model is called until it is raised",
        means="The budget of a workflow or of its team for this day or month is spent. No call of a model is allowed "
        "any more: callers get what the ladder has without a model, or are limited.",
        check=(
            "Which budget, since when: `roadworthy budgets WORKFLOW`",
            "What it went for: `roadworthy cost unit WORKFLOW`",
            "One key or user, or all? `roadworthy stats --by key today`",
        ),
        do=(
            "It is real demand: raise policy.budgets in workflow.yaml (the owner's approval is asked) and apply.",
            "It is a run-away caller: `roadworthy keys revoke KEY`. A budget for each key or user would have held it.",
            "Leave it: the period ends at midnight, or with the month, in the install's zone.",
        ),
        resolves_by_itself=True,
        group=MONEY,
    ),
    Alert(
        name="kill_unconfirmed",
        cls="page",
        title="A gateway has not confirmed a stop",
        means="Somebody, or a trigger, stopped an AI feature more than a minute ago and at least one gateway has not "
        "said that it obeys. It may be serving the model that was stopped.",
        check=(
            "Which gateway, and what to run there: `roadworthy status`",
            "Is it alive? `roadworthy gateways`",
        ),
        do=(
            "On the gateway's machine: touch KILL in its data folder. It is obeyed in a tenth of a second and needs "
            "neither control nor the network.",
            "The machine is gone: take it out of the load balancer, then `roadworthy gateways --remove NAME`",
        ),
        resolves_by_itself=True,
    ),
    Alert(
        name="journal_disk_full",
        cls="page",
        title="A gateway's disk is full: it cannot record what it serves",
        means="A gateway could not write its journal. With disk_full: bypass (the default) it serves no model until "
        "there is room; with serve_unlogged it serves, and what it serves leaves no record.",
        check=(
            "How full: df on the data folder of the gateway that the incident names.",
            "Does control take the journal in? `roadworthy status` says how much waits.",
        ),
        do=(
            "Make room: the journal is read in and deleted by itself once there is some.",
            "Keep bodies for fewer days: retention.bodies in roadworthy.yaml, then apply.",
            "Control is down and the journal grows: start it, `roadworthy doctor`",
        ),
        resolves_by_itself=True,
    ),
)
