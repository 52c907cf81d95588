"""Kinds of evidence: what each one states, the facets that it is about, and how long it holds.

A kind is one frozen struct (its schema) and one row of ``KINDS``.  Figures are what a run saw; what they are worth is
decided by ``readiness``.  Durations are seconds, instants Unix seconds, shares in [0, 1], money US dollars.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Facet = Literal["behaviour", "handling", "workflow", "install"]
"""What evidence can be about: a facet of a release (bound by its digest), a workflow (by its name), this install."""

Verdict = Literal["PASS", "FAIL", "INSUFFICIENT"]
Role = Literal["workflow", "prompt", "cost", "on_call"]

INSTALL = "this"
"""What evidence about the install is bound to: what another install signed is no evidence here anyway."""

DAY = 86400.0

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Usd = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]


class _Figures(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base: ``kind`` in JSON says which one it is."""


class LoadTest(_Figures, frozen=True, tag="load_test"):
    """A release under load."""

    seconds: Seconds
    """How long the full rate was held."""
    rate: Annotated[float, Meta(ge=0)]
    """Calls a second that were held."""
    calls: Count
    p50: Seconds
    p95: Seconds
    p99: Seconds
    error_share: Share
    objective_p95: Seconds | None = None
    """The workflow's objective when it ran; ``None``: none was declared."""
    objective_errors: Share | None = None
    objective_p99: Seconds | None = None
    live_probe: bool = False
    """Rehearsed against a simulated target, and a probe of the live one agrees with its clocks."""
    judged: Verdict | None = None
    """By the three figures of ``latency/verdict.py``; ``None``: another tool measured it."""
    why: str = ""
    saturated: bool = False
    """Calls under way and the time to the first token both kept rising."""
    first_token_ratio: Annotated[float, Meta(ge=0)] | None = None
    """p99 over p50 of the time to the first token; ``None``: nobody saw it."""
    matched_ratio: Annotated[float, Meta(ge=0)] | None = None
    """p99 over p50 among answers of matched length."""
    projected: Annotated[float, Meta(ge=0)] | None = None
    """The projected peak that it was made for, calls a second."""
    projected_from: str = ""


class Forecast(_Figures, frozen=True, tag="cost_forecast"):
    """What the workflow will cost."""

    unit: Usd
    """An inference."""
    month_peak: Usd
    """A month at the projected peak."""
    month_five: Usd
    """A month at five times of it."""
    month_spent: Usd
    """Spent in the thirty days before, by live calls: what it foretells."""
    prices: Name
    """Hash of the prices that it was made with."""
    unit_high: Usd = 0.0
    """Upper ends of the 80 % intervals: a later forecast, and what is spent, stay inside.  0: the figure itself."""
    month_peak_high: Usd = 0.0
    month_five_high: Usd = 0.0
    days: Count = 0
    """With live calls that it was made from."""
    assumed: bool = False
    """Made from too few days: an assumption, no forecast."""
    peak: Annotated[float, Meta(ge=0)] = 0.0
    """Calls a second of the peak that it was made for; 0: not known."""

    @property
    def most(self) -> Forecast:
        """The same with every figure at its upper end."""
        return msgspec.structs.replace(
            self,
            unit=max(self.unit, self.unit_high),
            month_peak=max(self.month_peak, self.month_peak_high),
            month_five=max(self.month_five, self.month_five_high),
        )


class Canary(_Figures, frozen=True, tag="canary"):
    """One marked call, looked for wherever calls must show."""

    log: bool
    metrics: bool
    trace: bool
    otlp: bool | None = None
    """``None``: no export is configured."""
    seconds: Seconds = 0.0
    """Until it was found everywhere."""


class FallbackDrills(_Figures, frozen=True, tag="fallback_drills"):
    """A fault for every failure, injected on purpose."""

    failures: dict[str, Literal["PASS", "FAIL", "SKIPPED"]]
    """Failure → the worst that its drills came to; SKIPPED: all of them mean nothing for this release."""
    untested: list[str] = []
    """Failures that can happen to the release and that no drill ended on."""
    drills: Count = 0


class Acceptance(_Figures, frozen=True, tag="acceptance"):
    """A named person takes a role."""

    role: Role
    person: Name


class EvalGate(_Figures, frozen=True, tag="eval_gate"):
    """The gate's judgement of a behaviour on hand-scored examples."""

    verdict: Verdict
    """By the gate's statistics, before what it stands on is looked at."""
    floors_met: bool
    """Every floor holds in the sample itself, whatever its size."""
    examples: Count
    """Hand-scored ones."""
    set_version: Name
    """Of the published example set."""
    scorers: Name
    """Hash of the scorers and their versions."""
    rubric: str = ""
    """Hash of the rubric."""
    rubric_signed_by: str = ""
    """Who signed the rubric; empty: nobody."""
    policy: str = ""
    """Hash of the policy that it ran under."""
    floors: dict[str, float] = {}
    scores: dict[str, float] = {}
    """Floor → what the run reached."""
    critical: Count = 0
    """Critical examples."""
    targets: dict[str, bool] = {}
    """Other target of the ladder → it passed every critical example."""


class KillDrill(_Figures, frozen=True, tag="kill_drill"):
    """The reserved drill workflow, stopped under traffic."""

    gateways: dict[str, Seconds | None]
    """Gateway → seconds until nothing more was sent; ``None``: it never confirmed."""
    p50: Seconds
    max: Seconds
    late_attempts: Count
    """Attempts that the upstream counted after the acknowledgement."""
    presses: Count = 0
    attempts: Count = 0
    """That the upstream counted while it was on."""
    without_traffic: list[str] = []
    """Gateways with a worker that no call came through, so that what they confirmed proves nothing."""
    drained: Count = 0
    """Streams under way that finished."""
    cut: Count = 0
    """Streams under way that ended with an explicit error event."""
    broken: Count = 0
    """Streams under way that ended otherwise than was declared (``drain``, ``cut``)."""


class OnCallSchedule(_Figures, frozen=True, tag="on_call_schedule"):
    """Who can be woken, and until when somebody can."""

    covered_until: float
    """The first instant without anybody."""
    people: list[Name] = []
    why: str = ""
    """Why nobody is on call then."""


class OnCallPage(_Figures, frozen=True, tag="on_call_page"):
    """A test page and the human who acknowledged it."""

    to: Name
    acknowledged_by: str = ""
    """Empty: nobody did."""
    seconds: Seconds | None = None


class CostAlertTest(_Figures, frozen=True, tag="cost_alert_test"):
    """A test alert on the way that a budget's alert takes."""

    thresholds: dict[str, Usd]
    """Budget → US dollars at which somebody is told."""
    to: Name
    delivered: bool


class FailureCatalogue(_Figures, frozen=True, tag="failure_catalogue"):
    """What customers see in each failure, as the drills saw it."""

    content: Name
    """Hash of the catalogue's text: unchanged, it stays accepted."""
    failures: list[str]
    drills: Name
    """Id of the evidence that it was made from."""


class Attestation(_Figures, frozen=True, tag="attestation"):
    """A person's word for what no run has shown."""

    instead_of: Name
    """The kind that it stands for."""
    words: Name


Figures = (
    LoadTest
    | Forecast
    | Canary
    | FallbackDrills
    | Acceptance
    | EvalGate
    | KillDrill
    | OnCallSchedule
    | OnCallPage
    | CostAlertTest
    | FailureCatalogue
    | Attestation
)


class Kind(msgspec.Struct, frozen=True):
    """One row of the table."""

    figures: type[msgspec.Struct]
    title: str
    """As people call it."""
    about: tuple[Facet, ...]
    life: float
    """Seconds that it holds, at most."""
    by_word: bool = True
    """May a person's word, or what another tool measured, stand for it?"""
    accepted_by: Role | None = None
    """Who must accept it before it counts."""


KINDS: dict[str, Kind] = {
    "load_test": Kind(LoadTest, "load test", ("behaviour",), 90 * DAY),
    "cost_forecast": Kind(Forecast, "cost forecast", ("behaviour",), 30 * DAY, accepted_by="cost"),
    "canary": Kind(Canary, "canary", ("install",), 7 * DAY),
    "fallback_drills": Kind(FallbackDrills, "fallback drills", ("behaviour", "handling"), 30 * DAY, by_word=False),
    "acceptance": Kind(Acceptance, "acceptance", ("workflow",), 180 * DAY, by_word=False),
    "eval_gate": Kind(EvalGate, "eval gate", ("behaviour",), 35 * DAY, by_word=False),
    "kill_drill": Kind(KillDrill, "kill drill", ("install",), 30 * DAY, by_word=False),
    "on_call_schedule": Kind(OnCallSchedule, "on-call schedule", ("workflow",), 30 * DAY),
    "on_call_page": Kind(OnCallPage, "on-call test page", ("workflow",), 30 * DAY),
    "cost_alert_test": Kind(CostAlertTest, "cost alert test", ("workflow",), 90 * DAY),
    "failure_catalogue": Kind(
        FailureCatalogue, "failure catalogue", ("behaviour", "handling"), 30 * DAY, accepted_by="workflow"
    ),
}
"""Kind → what it is.  ``attestation`` has no row: it takes the row of the kind that it stands for."""


def kind_of(figures: msgspec.Struct) -> str:
    """The word for it in JSON."""
    return str(figures.__struct_config__.tag)
