"""The words shared by everything that serves, records or measures an inference.

An *inference* is one served call of a workflow, whatever answered it; its *attempts* are the calls of a
target that it took.  Every other package takes these literals and records from here, so a word means the
same in the code, the journal, the log, the CLI and the docs (design vocabulary).

Units: durations are seconds (float), instants are Unix seconds (float, UTC), money is US dollars (float).
Unknown is ``None`` with a reason beside it, never zero.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from roadworthy.formats import reading
from roadworthy.formats.model import Format

Outcome = Literal[
    "answered",  # the first attempt was good
    "recovered",  # a retry, repair, hedge, continuation or another target was good
    "cached",
    "canned",
    "escalated",
    "blocked",
    "limited",
    "bypassed",
    "abandoned",  # the client left
    "error",
]
"""How an inference ended."""

Failure = Literal[
    "unavailable",
    "slow",
    "truncated",
    "invalid",
    "refused",
    "unsafe",
    "overlimit",  # the provider's 429
    "throttled",  # our limit
    "overspent",
    "context_length",
    "bad_request",
    "misconfigured",  # 401-404: never retried, alerts
    "gateway_lost",
]
"""Why an attempt (or an inference) was not good enough."""

Route = Literal["release", "previous", "passthrough", "bypass", "off"]
"""Which side served.  ``passthrough`` is an adopted workflow without a release (digest ``None``)."""

TrafficClass = Literal["live", "tester", "drill", "load", "eval", "shadow"]
"""Never the caller's to choose, never pooled."""

StepKind = Literal["retry", "repair", "target", "cache", "canned", "escalate", "drop"]
"""What a ladder may do next."""

UnitSource = Literal["header", "safety_identifier", "user", "session", "random"]
"""Where the unit (the user on whose behalf the call is made) was read; ``random`` means unknown."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
FAILURES: tuple[Failure, ...] = get_args(Failure)
ROUTES: tuple[Route, ...] = get_args(Route)
TRAFFIC_CLASSES: tuple[TrafficClass, ...] = get_args(TrafficClass)
STEP_KINDS: tuple[StepKind, ...] = get_args(StepKind)

FINAL_FAILURES: frozenset[Failure] = frozenset({"misconfigured", "bad_request", "context_length"})
"""The target said no for good: the same call fails again."""

SERVED_BY_MODEL: frozenset[Outcome] = frozenset({"answered", "recovered"})
"""Outcomes whose text a model wrote for this very call."""


class Tokens(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Token counts of one attempt or the sum over an inference.  All counts are >= 0."""

    input: int = 0
    """Uncached input tokens."""
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    """All output tokens, reasoning included."""
    reasoning: int = 0
    """Subset of ``output``."""
    cache_write_1h: int = 0
    """Subset of ``cache_write``: kept for an hour, which Anthropic charges more for."""

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.output + other.output,
            self.reasoning + other.reasoning,
            self.cache_write_1h + other.cache_write_1h,
        )

    @property
    def total(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.output


class Check(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One check of an output and its verdict."""

    name: str
    passed: bool
    detail: str = ""
    """What was found, at most 300 characters, never the whole text."""
    seconds: float = 0.0
    failure: Failure | None = None
    """What a failed check makes of the answer; ``None`` while it passed or is only recorded."""
    score: float | None = None
    """In [0, 1], where the check measures one: 1 is certainly bad."""
    span: tuple[int, int] | None = None
    """Characters of the answer's text that the finding is about, [begin, end)."""
    cost_usd: float | None = 0.0
    """Of a check that calls a target; ``None``: unknown."""
    broke: str = ""
    """Why the check itself could not be done (time-out, unreachable); ``passed`` then says fail-open or -closed."""


class Attempt(msgspec.Struct, omit_defaults=True, gc=False):
    """One call of one target.  Clocks are seconds since the inference was admitted."""

    target: str
    """Name of the target in the configuration."""
    step: Literal["first", "retry", "repair", "target", "hedge", "continuation"] = "first"
    started: float = 0.0
    connected: float | None = None
    """``None`` when a pooled connection was reused."""
    first_byte: float | None = None
    first_token: float | None = None
    ended: float = 0.0
    status: int | None = None
    """HTTP status of the provider; ``None`` when no response head arrived."""
    failure: Failure | None = None
    detail: str = ""
    """The failure in words for an engineer; holds no secret and no prompt; at most 300 characters."""
    model_asked: str = ""
    model_answered: str | None = None
    provider_request_id: str | None = None
    finish: str | None = None
    tokens: Tokens | None = None
    """``None``: the provider reported no usage."""
    tokens_estimated: bool = False
    cost_usd: float | None = None
    cost_unknown: str = ""
    """Why ``cost_usd`` is ``None`` ("no price for …", "no usage reported")."""
    queued: float = 0.0
    """Seconds that it waited for one of the target's slots before anything was sent."""


class Rung(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One step that the ladder took, for the record."""

    failure: Failure
    step: StepKind
    target: str = ""
    at: float = 0.0
    """Seconds since the inference was admitted."""


class InferenceStart(msgspec.Struct, tag_field="k", tag="start", omit_defaults=True, gc=False):
    """Journal line written at admission.  A start without an end becomes ``gateway_lost`` at recovery."""

    id: str
    ts: float
    team: str
    workflow: str
    digest: str | None = None
    route: Route = "release"
    unit: str | None = None
    unit_source: UnitSource = "random"
    session: str | None = None
    key: str = ""
    traffic: TrafficClass = "live"
    trace: str = ""
    stream: bool = False


class Inference(msgspec.Struct, tag_field="k", tag="end", omit_defaults=True, gc=False):
    """The whole record of one inference: journal line, log row and ``roadworthy show``.

    Nothing in it can hold an inference, so no cycle can arise, and the collector need not follow it (nor an attempt).
    """

    id: str
    """``inf_`` + 12 hex digits of Unix milliseconds + 20 random hex digits; also ``x-request-id``."""
    ts: float
    """When it was admitted."""
    team: str
    workflow: str
    """Empty when the caller was refused before a workflow was resolved."""
    outcome: Outcome
    route: Route = "release"
    digest: str | None = None
    """Release that served; ``None`` for ``passthrough``."""
    stage: str | None = None
    traffic: TrafficClass = "live"
    unit: str | None = None
    unit_source: UnitSource = "random"
    session: str | None = None
    trace: str = ""
    """W3C trace id, 32 hex digits."""
    span: str = ""
    """W3C span id of the inference, 16 hex digits."""
    parent_span: str = ""
    key: str = ""
    """Id of the key (``key_…``), never the key."""
    failure: Failure | None = None
    """The failure that the ladder could not mend, or the first one that it mended."""
    code: str = ""
    """The error ``code`` that the caller read, when it read one."""
    status: int = 200
    """HTTP status that the caller read."""
    stream: bool = False
    target: str | None = None
    """The target that answered; of a stream that was continued, the one that went on with it last."""
    model_asked: str = ""
    model_answered: str | None = None
    provider_request_id: str | None = None
    attempts: list[Attempt] = []
    tokens: Tokens = Tokens()
    """Sum over all attempts: what is paid for."""
    cost_usd: float | None = None
    cost_unknown: str = ""
    latency: float = 0.0
    first_token: float | None = None
    overhead: float = 0.0
    """Seconds of ``latency`` in which no attempt was under way."""
    checks: list[Check] = []
    overrides: list[str] = []
    """Request fields in which the caller differed from the release (applied, ignored or recorded)."""
    notes: list[str] = []
    """Things a person should know, as stable words: ``prompt_unreleased``, ``unit_unknown``, …"""
    tags: dict[str, str] = {}
    worker: str = ""
    request: msgspec.Raw | None = None
    """The caller's body (JSON, redacted), on one line."""
    prompt: str | None = None
    """The rendered system message of a managed prompt (redacted)."""
    response: msgspec.Raw | None = None
    """The body that the caller read, in chat-completion shape also for streams (JSON, redacted)."""
    bodies_dropped: str = ""
    """Why bodies are missing: ``policy``, ``disk_full``, ``too_large``, ``expired``."""
    ladder: list[Rung] = []
    """Steps that were taken, in order; empty for most."""
    cached_age: float | None = None
    """Seconds since a ``cached`` answer was made."""
    cached_from: str = ""
    """Inference that the model answered when the cached answer was made."""
    permit: str = ""
    """Id of the permit (``prm_…``) under which an eval, load, drill or shadow call was made."""
    drill: str = ""
    """Name of the fault that a drill call met."""
    would: str = ""
    """``observe`` only: what enforcement would have done instead, and why: ``bypassed: no receipt``."""
    kill: str = ""
    """State of the kill switch that decided: ``guarded``, ``assist``, ``off``; empty: it was on."""
    surface: Format = "chat"
    """The wire format in which ``request`` and ``response`` are told."""

    def asked(self) -> msgspec.Raw | None:
        """``request`` in chat-completions shape, whatever the caller spoke; what that cannot say is left out."""
        return reading.asked(self.surface, self.request)

    def said(self) -> msgspec.Raw | None:
        """``response`` in chat-completions shape."""
        return reading.said(self.surface, self.response)


class Feedback(msgspec.Struct, tag_field="k", tag="feedback", omit_defaults=True):
    """A later judgement about an inference: a journal line keyed by the inference's id."""

    inference: str
    ts: float
    name: str
    """What is judged.  From callers: ``thumb`` (label ``up`` or ``down``, score 1 or 0), ``score``, ``comment``."""
    score: float | None = None
    """In [0, 1]; 0 is bad."""
    label: str | None = None
    by: str = ""
    """The user on whose behalf it was said, else the key."""
    team: str = ""
    """Of the caller's key; empty: said by ourselves."""
    workflows: list[str] = []
    """What that key may call: who ships the line stores it only for an inference of one of these."""


class Escalation(msgspec.Struct, tag_field="k", tag="escalation", omit_defaults=True):
    """Journal line of a call that was handed to a human; its id is the inference's.

    Synced to disk before the holding answer leaves and never dropped as a body; control opens it at shipping.
    """

    inference: str
    ts: float
    team: str
    workflow: str
    failure: Failure | None
    """Why; ``None`` for a human bypass."""
    answer_by: float
    """Unix seconds by which a human should have answered."""
    digest: str | None = None
    unit: str | None = None
    session: str | None = None
    key: str = ""
    traffic: TrafficClass = "live"
    drill: str = ""
    detail: str = ""
    messages: msgspec.Raw | None = None
    """The caller's messages (JSON, redacted by policy)."""
    draft: str | None = None
    """What a model wrote and a check refused; ``None``: nothing, or it was dropped."""
    holding: str = ""
    """What the customer reads meanwhile."""
    callback: str | None = None
    """Registered URL to which the answer is sent."""
    structured: bool = False
    """A schema or tools apply to the answer that the caller expects."""
    own_schema: bool = False
    """It is a schema that the caller brought, not the release's."""
    surface: Format = "chat"
    """The format in which the caller asked, and reads the answer."""


class Seal(msgspec.Struct, tag_field="k", tag="seal"):
    """Last line of a segment that its writer closed in good order."""

    ts: float
    lines: int


JournalLine = InferenceStart | Inference | Feedback | Escalation | Seal


def new_inference_id(now: float, random80: int) -> str:
    """Time-ordered id: ``inf_`` + 12 hex digits of Unix milliseconds + 20 hex digits of ``random80``."""
    return f"inf_{int(now * 1000):012x}{random80:020x}"


def new_request_id(now: float, random80: int) -> str:
    """Of a request that is no inference and has no record: ``req_``, and the digits as those of an inference."""
    return f"req_{int(now * 1000):012x}{random80:020x}"
