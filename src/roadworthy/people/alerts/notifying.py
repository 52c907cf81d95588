"""The alerts that wait for working hours: something is to be mended, and the ladder, a limit or a rule holds it."""

from __future__ import annotations

from typing import Final

from roadworthy.people.alerts.model import Alert
from roadworthy.people.alerts.paging import SERVING

NOTIFIES: Final = (
    Alert(
        name="error_burn_slow",
        cls="notify",
        title="The error objective will not be met at this rate",
        means="Failed calls come at 3 times the allowed share for a day and two hours, or at that share itself for "
        "three days and six hours: 10 % of a month's allowance is gone. Nobody has to get up for it; left alone it "
        "uses up the month.",
        check=(
            "Which failure, at which target: `roadworthy stats --by failure,target yesterday`",
            "Since when: `roadworthy anomalies`",
        ),
        do=(
            "Mend the commonest failure first; docs/fallback.md says what the ladder can do for each.",
            "Change the objective if it was never what customers need.",
        ),
        minimum=5, resolves_by_itself=True, group=SERVING,
    ),
    Alert(
        name="latency_burn_slow",
        cls="notify",
        title="The latency objective will not be met at this rate",
        means="Calls slower than the objective's p95 come at 3 times the allowed share for a day and two hours, or at "
        "that share itself for three days and six hours.",
        check=("Which target, which hours: `roadworthy stats --by target,hour yesterday`",),
        do=("Shorten answers, choose a faster target, or give calls more room: docs/overload.md.",),
        minimum=20, resolves_by_itself=True, group=SERVING,
    ),
    Alert(
        name="target_down",
        cls="notify",
        title="A target does not answer; another one does",
        means="One target failed or was shut by its breaker for five minutes, and another target of the same workflow "
        "answers in its place. Customers get answers, perhaps slower or dearer ones.",
        check=("How it fails: `roadworthy status`", "The provider's status page."),
        do=("Nothing, if the provider is at it: the breaker lets probes through and closes by itself.",
            "Put the substitute first in the ladder if it lasts."),
        minimum=3, resolves_by_itself=True, group=SERVING,
    ),
    Alert(
        name="misconfigured",
        cls="notify",
        title="A target refuses us",
        means="The provider answered 401 to 404: a key, a model name or an address is wrong. Such a call is never "
        "retried; every call that wants this target goes on with its ladder. When no other target answers, "
        "targets_down pages.",
        check=("What exactly it refuses: `roadworthy doctor`",
               "Did somebody change a key or a target? `roadworthy audit list`"),
        do=("Mend the target in roadworthy.yaml, or the secret that it names, and apply.",),
    ),
    Alert(
        name="unsafe",
        cls="notify",
        title="An answer was unsafe",
        means="A check, or the provider's own filter, found an answer unsafe and held it back or recorded it. One is "
        "looked into; many in ten minutes page as unsafe_share.",
        check=("Read it: `roadworthy show INFERENCE`",
               "Are there more like it? `roadworthy log yesterday --failure unsafe`"),
        do=("Was the check wrong? Add the call to the examples and mend the check: `roadworthy evals add INFERENCE`",
            "Was the answer wrong? The same, and mend the prompt.",
            "Then close it: `roadworthy resolve INCIDENT`"),
    ),
    Alert(
        name="reported",
        cls="notify",
        title="Somebody reported an answer as wrong",
        means="A person who read an answer says that it is wrong, and why. Nothing was changed by it.",
        check=("Read the answer and the reason: `roadworthy show INFERENCE`",),
        do=("Make it an example, so that no later release answers so: `roadworthy evals add INFERENCE`",
            "Tell the customer if it mattered; then `roadworthy resolve INCIDENT`"),
    ),
    Alert(
        name="kill",
        cls="notify",
        title="An AI feature was stopped",
        means="A person, a KILL file or a trigger took a workflow, or all, to guarded, assist or off. It acts already; "
        "customers read the bypass. A stop that a gateway has not confirmed pages as kill_unconfirmed.",
        check=("Who, why, and what customers read now: `roadworthy status`",
               "What led to it: `roadworthy log last hour --workflow WORKFLOW`"),
        do=("A mistake: whoever pressed takes it back within ten minutes, `roadworthy undo WORKFLOW`",
            "Mended: its owner brings it back, `roadworthy restore WORKFLOW --reason WHY`"),
        resolves_by_itself=True,
    ),
    Alert(
        name="rollout",
        cls="notify",
        title="A ramp was taken back, held or lowered",
        means="A guardrail failed, the split of the customers is wrong, or the evidence allows less than before. The "
        "engine has already given the release less traffic; the release before, or the bypass, serves the others.",
        check=("Which guardrail, on which counts: `roadworthy rollout status WORKFLOW`",
               "The calls: `roadworthy log yesterday --release DIGEST`"),
        do=("Mend the release and freeze a new one, or show that the guardrail is wrong.",
            "Evidence has lapsed: `roadworthy ready WORKFLOW` says what renews it."),
    ),
    Alert(
        name="rollout_ask",
        cls="notify",
        title="A release may go on to its next stage, if you say so",
        means="Time, evidence, guardrails and ceiling are met. Approval is the last condition, and the owner's.",
        check=("What the stage has shown: `roadworthy rollout status WORKFLOW`",),
        do=("Approve: `roadworthy rollout approve WORKFLOW`", "Or hold it: `roadworthy rollout hold WORKFLOW`"),
        resolves_by_itself=True,
    ),
    Alert(
        name="rollout_forged",
        cls="notify",
        title="The record of a ramp is not what control signed",
        means="The ramp in the database does not carry the signature of this control. It counts for nothing: its "
        "release gets no live traffic.",
        check=("Was a database put back, or edited? `roadworthy audit verify`",),
        do=("A database that was put back: docs/enforcement.md says how an owner accepts it.",
            "Begin the ramp anew: `roadworthy rollout start WORKFLOW`",
            "Neither of you did it: treat the machine as broken into."),
    ),
    Alert(
        name="nightly",
        cls="notify",
        title="A release answers worse than when it was judged",
        means="The nightly sample of the examples got worse scores than the gate run did, and the gate was run again "
        "in full. Its verdict is in the summary; a FAIL has already taken the release to its testers.",
        check=("The examples that went wrong: `roadworthy evals show RUN --wrong`",),
        do=("The provider changed the model: pin the exact one, or prove the new one, `roadworthy evals run WORKFLOW`",
            "Only a few examples: read them; an example may have aged."),
    ),
    Alert(
        name="drift",
        cls="notify",
        title="Something has moved away from what was proven",
        means="Live scores fell, customers ask other questions than before, or a target answers with another model "
        "than the gate saw. The evidence may no longer speak of what is served.",
        check=("One call that shows it: `roadworthy show INFERENCE`",
               "Live scores: `roadworthy evals online WORKFLOW`"),
        do=("Add such calls to the examples: `roadworthy evals capture WORKFLOW`", "Run the gate again: "
            "`roadworthy evals run WORKFLOW`"),
    ),
    Alert(
        name="anomaly",
        cls="notify",
        title="An hour is unlike the hours before",
        means="Errors, fallbacks, latency, volume or the cost of a call were odd in the last complete hour and in one "
        "of the two before it, held against the same hours of earlier days. The text names the reference and the "
        "counts.",
        check=("All of them: `roadworthy anomalies`", "The hours: `roadworthy stats --by hour,outcome yesterday`"),
        do=("Find the change that fits: a release, a campaign, a provider. Nothing found and customers well: "
            "`roadworthy resolve INCIDENT`",),
        minimum=3, resolves_by_itself=True,
    ),
    Alert(
        name="lapses",
        cls="notify",
        title="Evidence is about to lapse",
        means="An item of the go-live checklist counts for seven more days or fewer. Without it no share rises, and "
        "after the days of grace it falls to a pilot's.",
        check=("What renews it, and how many minutes that takes: `roadworthy ready WORKFLOW`",),
        do=("Run the command that the summary names; what a machine can renew is renewed at night by itself.",),
    ),
    Alert(
        name="budget",
        cls="notify",
        title="A budget has passed one of its shares",
        means="A workflow, team, key, user or tester has spent a declared share (policy.budgets.alert_at) of its day "
        "or month, or all of it. The message says why it is dearer than before. A workflow's or team's that is used "
        "up pages as hard_limit.",
        check=("What is left: `roadworthy budgets WORKFLOW`", "What it went for: `roadworthy cost unit WORKFLOW`"),
        do=("Expected: raise the budget in workflow.yaml.", "Not expected: `roadworthy stats --by key,unit today`"),
    ),
    Alert(
        name="overspent",
        cls="notify",
        title="A call had no allowance left",
        means="The allowance of one inference, or a budget that the record does not name, let a call go on without "
        "the model.",
        check=("The call: `roadworthy show INFERENCE`",),
        do=("Raise policy.budgets.inference, or shorten what is asked: a long ladder pays for each attempt.",),
    ),
    Alert(
        name="spike",
        cls="notify",
        title="An hour cost far more than usual",
        means="A workflow, a key or one user spent in an hour at least the declared number of times "
        "(policy.budgets.spike_at) what such an hour usually costs.",
        check=("Whose calls: `roadworthy stats --by key,unit last hour`", "What for: `roadworthy cost unit WORKFLOW`"),
        do=("A run-away caller: `roadworthy keys revoke KEY`",
            "Set a stop by itself: policy.kill.usd_per_hour in workflow.yaml."),
    ),
    Alert(
        name="budget_test",
        cls="notify",
        title="Test of the cost alert",
        means="Nothing is wrong: somebody, or the yearly renewal, shows that cost alerts arrive. It is item 9 of the "
        "checklist.",
        check=("That it reached you by the way that you would look at.",),
        do=("Nothing.",),
    ),
    Alert(
        name="price_unknown",
        cls="notify",
        title="Nobody knows what a model costs",
        means="Calls of this model are recorded with an unknown cost and reserved at the dearest known price, so "
        "budgets bind too early and cost reports have a hole.",
        check=("Which model answered: `roadworthy show INFERENCE`",),
        do=("Declare price on the target in roadworthy.yaml and apply: it acts in a second.",),
    ),
    Alert(
        name="usage_implausible",
        cls="notify",
        title="A target reports tokens that cannot be",
        means="The provider's usage does not fit the text (more output than the limit, none for a long answer). The "
        "call was charged by estimate.",
        check=("The call: `roadworthy show INFERENCE`",
               "The provider's bill: `roadworthy cost reconcile FILE`"),
        do=("Tell the provider, or whoever runs the proxy in between.",),
    ),
    Alert(
        name="dead_letter",
        cls="notify",
        title="A place takes no messages",
        means="A helpdesk, a callback or a notifier refused a message until its tries were used up. Whoever should "
        "have been told does not know.",
        check=("Which messages, and the last error: `roadworthy escalations dead`",),
        do=("Mend the address or the secret in roadworthy.yaml and apply.",
            "Send it anew: `roadworthy escalations retry MESSAGE`"),
    ),
    Alert(
        name="unanswered",
        cls="notify",
        title="An escalated call was not answered in time",
        means="A customer was promised a person and none came by the time that the release promises; the caller was "
        "told so.",
        check=("Who waits still: `roadworthy escalations WORKFLOW`",),
        do=("Answer what waits. If it happens often there are too few people for this share: "
            "`roadworthy rollout rollback WORKFLOW --to share`",),
    ),
    Alert(
        name="rubber_stamping",
        cls="notify",
        title="Drafts are sent without being read",
        means="An agent sent at least nine of ten drafts as they were, half of them in less than half of the time that "
        "reading takes. A person between the model and the customer is then a person in name only.",
        check=("Whose, and how fast: `roadworthy escalations capacity WORKFLOW`",),
        do=("Talk to the agent, and look at how many answers an hour are expected.",
            "Have answers judged again: policy.escalation.hide_draft shows the draft after the agent has written."),
    ),
    Alert(
        name="on_call_gap",
        cls="notify",
        title="Nobody is on call for a while",
        means="In the next two weeks there is a time in which no person of the rotation is on call. A page would go "
        "straight to the catch-all, or to nobody.",
        check=("When, and why: `roadworthy oncall`",),
        do=("Put somebody in, or mend the rotation in people.yaml and apply.",),
        resolves_by_itself=True,
    ),
    Alert(
        name="on_call_unread",
        cls="notify",
        title="The on-call schedule cannot be read",
        means="The schedule in PagerDuty was not read for hours. What was read last still serves, so the wrong person "
        "may be paged.",
        check=("The error is in the summary; is the token still good, and may it read schedules?",),
        do=("Mend the token or the address and apply.",),
        resolves_by_itself=True,
    ),
    Alert(
        name="heartbeat",
        cls="notify",
        title="The heartbeat does not arrive",
        means="Roadworthy tells a service outside that it is alive, so that somebody notices when the whole machine is "
        "gone. That service does not take the calls: it will think that Roadworthy is down, or already does.",
        check=("The error is in the summary: the address, a proxy, or the service itself.",),
        do=("Mend heartbeat.url or its secret in roadworthy.yaml and apply.",),
        resolves_by_itself=True,
    ),
)  # fmt: skip
