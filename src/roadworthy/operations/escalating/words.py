"""Why a call was handed to a human, and what binds who answers it, in words that need no manual.  Pure."""

from __future__ import annotations

from typing import Final, Literal

from roadworthy.people.escalation.model import Escalation
from roadworthy.workflow.inference import Failure
from roadworthy.workflow.model import Workflow

Origin = Literal["drafts", "assist", "failure", "bypass"]
"""The ramp's drafts stage; the kill switch at assist; an answer that was not good enough; a bypass by people."""

AT_DRAFTS: Final = "the ramp is at drafts"
AT_ASSIST: Final = "the kill switch is at assist"
"""How the detail begins that ``gateway.stopping.drafts`` writes; a test holds the two together."""

BECAUSE: Final[dict[Failure, str]] = {
    "unavailable": "No model could be reached.",
    "slow": "The model did not answer in time.",
    "truncated": "The model's answer broke off before its end.",
    "invalid": "The model's answer did not have the form that the app needs.",
    "refused": "The model refused to answer.",
    "unsafe": "A safety check stopped the model's answer. Do not send it on without reading every word.",
    "overlimit": "The provider turned the call away: too many calls.",
    "throttled": "One of our own limits turned the call away.",
    "overspent": "A budget is used up, so no model was asked.",
    "context_length": "The message was too long for the model.",
    "bad_request": "The model's provider did not accept the request.",
    "misconfigured": "A model is set up wrongly, so it could not be asked.",
    "gateway_lost": "The gateway stopped during the call.",
}


def origin(escalation: Escalation) -> Origin:
    if escalation.detail.startswith(AT_DRAFTS):
        return "drafts"
    if escalation.detail.startswith(AT_ASSIST):
        return "assist"
    return "bypass" if escalation.failure is None else "failure"


def why(escalation: Escalation) -> str:
    """One or two sentences for whoever answers."""
    match origin(escalation):
        case "drafts":
            said = "This release is being tried out: a person sends every answer. Judge the draft as your own words."
            return said if escalation.failure is None else f"{said} {BECAUSE[escalation.failure]}"
        case "assist":
            said = "The AI only drafts for now: a person answers every message."
            return said if escalation.failure is None else f"{said} {BECAUSE[escalation.failure]}"
        case "bypass":
            return "The AI does not answer here now, so a person does."
        case "failure":
            assert escalation.failure is not None
            return BECAUSE[escalation.failure]


def promised(escalation: Escalation) -> str:
    """What the customer was told meanwhile."""
    return escalation.holding or "nothing: the app shows that it is not answered yet"


def policy(flow: Workflow | None, waiting: int) -> list[str]:
    """What binds the answer: time, room, draft."""
    if flow is None:
        return ["Its workflow is not configured any more; the answer still reaches whoever asks for it."]
    rules = flow.policy.escalation
    lines = [
        f"Answers are promised within {span(rules.answer_within)}.",
        f"{waiting} of at most {rules.capacity} wait; beyond that nobody is promised a person.",
    ]
    if rules.hide_draft >= 1:
        lines.append("The draft is shown once you have written an answer of your own.")
    elif rules.hide_draft > 0:
        lines.append(f"For {rules.hide_draft * 100:g} % the draft is shown once you have written an answer.")
    if rules.helpdesk is not None:
        lines.append(f"It is in the helpdesk {rules.helpdesk} too; the first answer counts.")
    return lines


def span(seconds: float) -> str:
    """ "4 h", "30 min", "2 days"."""
    for unit, size in (("days", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size * (2 if unit == "days" else 1):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
