"""What callers read when no model's answer is left: our own texts, which ``explain`` foretells and gateways send."""

from __future__ import annotations

from typing import Final

from roadworthy.workflow.inference import Failure
from roadworthy.workflow.model import Canned

BLOCKED: Final = Canned("We cannot show an answer to this request.")
"""What a caller reads whose answer was dropped, where the release declares nothing."""

FAILED: Final[dict[Failure, str]] = {
    "unavailable": "The model could not be reached",
    "slow": "The model did not answer in time",
    "truncated": "The model's answer was cut short",
    "invalid": "The model's answer was not usable",
    "refused": "The model refused to answer",
    "unsafe": "The model's answer was withheld",
    "overlimit": "The provider's rate limit is reached",
    "throttled": "Too many calls of this target are under way",
    "overspent": "The budget of this call is spent",
    "misconfigured": "The target refused our credentials, model name or address",
    "gateway_lost": "The gateway was lost while it served this call",
}
"""Failure → how its error begins.  ``bad_request`` and ``context_length`` carry the provider's own words."""

NO_STEP_LEFT: Final = "and the workflow's ladder has no further step"

MEANS: Final[dict[Failure, str]] = {
    "unavailable": "the target cannot be reached, or says 5xx",
    "slow": "a clock ran out: connect, first token, idle or total",
    "truncated": "the answer broke off, or met its token limit",
    "invalid": "the answer is empty, no JSON, against the schema, or fails a check of that kind",
    "refused": "the model or its content filter declined",
    "unsafe": "a safety check found something in the answer",
    "overlimit": "the provider's rate limit (429)",
    "throttled": "our limit: of the caller's key, or calls under way at the target",
    "overspent": "a budget has nothing left",
    "misconfigured": "the target refuses our key, model name or address (401 to 404)",
    "context_length": "the request is too long for the model",
    "bad_request": "the provider finds the request wrong (400)",
}
"""Failure → what it is, for people."""
