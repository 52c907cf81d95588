"""The ramp of a release, its plan and what was measured on it, as frozen data.

Shares are in [0, 1], durations seconds, instants Unix seconds, money US dollars.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from roadworthy.evidence.kinds import Verdict

DAY: Final = 86_400.0

State = Literal["frozen", "ramping", "held", "rolled_back", "done"]
"""``frozen``: not begun; ``held``: stays where it is until somebody resumes it; ``rolled_back``: back at the last share
that had its evidence, or at the release before; ``done``: at the last stage, and proven there."""
STATES: tuple[State, ...] = ("frozen", "ramping", "held", "rolled_back", "done")

Measure = Literal["share", "mean", "quantile"]
"""A call is bad or not; or has a value (dollars, a score where less is better), of which the mean counts, or, as with
latencies, a quantile: p99 is above 2 s when more than 1 % of the calls are slower than 2 s."""
Against = Literal["fixed", "difference", "ratio"]
"""What a budget is held against: the treated side alone, treated - control, or treated / control."""
BackTo = Literal["share", "release"]

ENGINE: Final = "engine"
"""Who acted, when nobody did."""


class _Frozen(msgspec.Struct, frozen=True, omit_defaults=True):
    pass


class Stage(_Frozen, frozen=True):
    """One step of a ramp."""

    name: str
    share: float
    """Of live traffic.  0: testers, or drafts that only a person can send."""
    dwell: float = DAY
    """Time floor: how long it lasts at least."""
    calls: int = 100
    """Evidence floor: how many calls of the release it takes at least."""
    approval: bool = True
    """Must a person let the release in?"""
    proves: bool = True
    """``False``: too few calls to prove anything; its guardrails must not FAIL, and that is all."""


TESTERS: Final = Stage("testers", 0.0, calls=25, approval=False, proves=False)
DRAFTS: Final = Stage("drafts", 0.0, calls=50, proves=False)
STAGES: Final[tuple[Stage, ...]] = (
    TESTERS,
    Stage("1 %", 0.01),
    Stage("10 %", 0.10),
    Stage("25 %", 0.25, dwell=2 * DAY),
    Stage("50 %", 0.50, dwell=2 * DAY),
    Stage("100 %", 1.00),
)
"""A week from the first tester to everybody; ``DRAFTS`` may stand behind ``TESTERS``."""


class Guardrail(_Frozen, frozen=True):
    """What must stay small.  Proven above ``budget``: FAIL, roll back.  Proven below ``limit``: PASS."""

    name: str
    budget: float
    """A release at or below it is healthy."""
    limit: float
    """A release at or above it may not go on; above the budget, or nothing could ever be told apart."""
    measure: Measure = "share"
    against: Against = "fixed"
    back_to: BackTo = "share"
    """What a FAIL says: too much traffic for it (latency, errors), or a bad release at any share (unsafe answers)."""
    proves: bool = True
    """``False``: it only rolls back; too few calls are judged (thumbs down) to wait for a proof."""
    quantile: float = 0.0
    """Of ``quantile``: 0.99 for p99; held against fixed figures only."""

    @property
    def beyond(self) -> float:
        """Share of the calls that lies above the quantile."""
        return 1.0 - self.quantile


GUARDRAILS: Final[tuple[Guardrail, ...]] = (
    Guardrail("errors", 0.01, 0.03),
    Guardrail("fallbacks", 0.05, 0.10),
    Guardrail("escalations", 0.10, 0.20),
    Guardrail("unsafe", 0.002, 0.01, back_to="release"),
    Guardrail("thumbs_down", 0.05, 0.15, back_to="release", proves=False),
)
"""The same for every workflow, unless it declares its own."""


class Plan(_Frozen, frozen=True):
    """How a release is ramped."""

    stages: tuple[Stage, ...] = STAGES
    guardrails: tuple[Guardrail, ...] = GUARDRAILS
    alpha: float = 0.05
    """Probability that a healthy release is rolled back anywhere on its way; split over guardrails and stages.  Whoever
    resumes a ramp that was rolled back begins the tests of its stage anew, and takes that chance once more."""
    beta: float = 0.05
    """Probability that a release at a limit passes a stage.  Not split: *all* guardrails must PASS (an
    intersection-union test; R. L. Berger, Technometrics 24 (1982) 295-300)."""
    analysis_age: float = 1800.0
    """Older than this an analysis decides nothing."""
    quiet: float = DAY
    """Without a call for so long there is no traffic to learn from."""

    @property
    def alpha_each(self) -> float:
        """Level of one test against a budget; the sample ratio is one of them."""
        return self.alpha / ((len(self.guardrails) + 1) * len(self.stages))


class Tally(_Frozen, frozen=True):
    """What one side showed of one guardrail."""

    n: float = 0
    """Calls that were judged."""
    total: float = 0.0
    """Bad ones, or the sum of their values; ``quantile``: those above the budget."""
    squares: float = 0.0
    """``mean``: the sum of the squared values."""
    design: float = 1.0
    """Calls of a user that count as one: 1 when they are independent, at most the calls that a user makes (Kish)."""
    bad_design: float = 0.0
    """The same of the bad ones, where they come from other users than most; 0: as ``design``."""
    over: float = 0.0
    """``quantile``: those above the limit."""

    @property
    def counting(self) -> tuple[float, float]:
        """(calls, bad ones) that count.  One user who fails in a loop is one: that proves nothing of a release."""
        return self.n / self.design, self.total / (self.bad_design or self.design)

    def at_worst(self, bad: float) -> float:
        """Of ``bad`` ones, those that count against a proof that they are few: never a smaller share than was seen."""
        return max(bad / (self.bad_design or self.design), bad / self.design)


class Arms(_Frozen, frozen=True):
    """Both sides of one guardrail."""

    treated: Tally
    control: Tally = Tally()


class Observed(_Frozen, frozen=True):
    """What a stage showed from when it was entered until now.  Classes of traffic are not pooled."""

    stage: str
    since: float
    until: float
    calls: int
    """Of the release."""
    last_call: float | None = None
    arms: dict[str, Arms] = {}
    """Guardrail → what was counted; one that is missing has seen nothing."""
    compared: bool = False
    """Is there a release on the other side?  The bypass is none, and at 100 % nobody is left there."""
    users: tuple[int, int] | None = None
    """Users on the release's side and on the other, each counted once; ``None``: a stage without two sides."""
    share: float | None = None
    """Of the traffic that was served, when the ceiling held it under the stage's own."""


class Finding(_Frozen, frozen=True):
    """What an analysis says of one guardrail."""

    guardrail: str
    verdict: Verdict
    text: str
    observed: float | None = None
    """Share or mean of the release's side, its difference from or ratio to the other; ``None``: nothing yet."""
    n: float = 0
    needs: int | None = None
    """INSUFFICIENT: more calls (users, for the sample ratio) that would decide if all stays as it was."""
    days: float | None = None
    """INSUFFICIENT: days until then at this rate."""


class Analysis(_Frozen, frozen=True):
    """Verdicts on one stage: ``since`` is when the stage was entered, so an analysis of another visit is another."""

    stage: str
    since: float
    until: float
    calls: int
    findings: tuple[Finding, ...]
    sample_ratio: Finding | None = None
    """``None``: a stage without two sides."""
    last_call: float | None = None

    @property
    def failed(self) -> tuple[str, ...]:
        """Guardrails proven to be above their budget."""
        return tuple(finding.guardrail for finding in self.findings if finding.verdict == "FAIL")


class Passed(_Frozen, frozen=True):
    """A stage that was left upwards: on what evidence, and who allowed the next one."""

    stage: str
    at: float
    by: str
    analysis: Analysis | None = None
    reason: str = ""


class Lock(_Frozen, frozen=True):
    """The change lock: nothing is widened, begun or resumed."""

    by: str
    at: float
    reason: str = ""


class Rollout(_Frozen, frozen=True):
    """The ramp of one release of a workflow."""

    team: str
    workflow: str
    digest: str
    plan: Plan
    predecessor: str | None = None
    """Release that everybody else gets; ``None``: the bypass."""
    state: State = "frozen"
    at: int = 0
    """Stage, as an index into the plan's."""
    entered_at: float = 0.0
    """When this visit of the stage (at this share) began: its evidence is counted from here."""
    ceiling: float = 0.0
    """What the evidence allowed when it was last asked."""
    passed: tuple[Passed, ...] = ()
    """Oldest first."""
    asked: str = ""
    """Stage for which a person was asked."""
    lock: Lock | None = None
    epoch: int = 0
    """Rises when sessions must not keep their release (``workflow.shares``)."""
    by: str = ""
    """Who brought it into this state, and why."""
    reason: str = ""

    @property
    def stage(self) -> Stage:
        return self.plan.stages[self.at]

    @property
    def next(self) -> Stage | None:
        """The stage after this one, and no other."""
        return self.plan.stages[self.at + 1] if self.at + 1 < len(self.plan.stages) else None

    @property
    def share(self) -> float:
        """Of live traffic that the release gets: its stage's, never above the ceiling."""
        return 0.0 if self.state == "frozen" else min(self.stage.share, self.ceiling)

    @property
    def standing(self) -> State | Literal["locked"]:
        """The word for people."""
        return self.state if self.lock is None else "locked"

    @property
    def under_way(self) -> bool:
        return self.state in ("ramping", "held") or (self.state == "rolled_back" and self.stage.share > 0)


class Gate(_Frozen, frozen=True):
    """One condition of promotion: FAIL refuses, INSUFFICIENT waits."""

    name: str
    verdict: Verdict
    detail: str


class Due(_Frozen, frozen=True):
    """One line of the calendar that is printed before a ramp begins."""

    stage: str
    share: float
    enters: float | None
    """``None``: never, at today's volume."""
    leaves: float | None
    calls: float | None
    """Of the release while it lasts."""
    bound: str
    """What takes so long: ``time floor``, ``evidence floor``, or the name of a guardrail."""
    approval: bool
    """A person must let the release in."""


class Room(_Frozen, frozen=True):
    """Can people answer what the next stage hands to them?"""

    verdict: Verdict = "PASS"
    text: str = ""
    """How many would arrive and how many are answered; empty: nothing is handed to people."""


class Grounds(_Frozen, frozen=True):
    """What stands behind a share: named in the audit record of whoever allowed it."""

    ceiling: float = 0.0
    receipt: str = ""
    """Id of the receipt in force; empty: there is none."""
    evidence: tuple[str, ...] = ()
    """Ids of the evidence that readiness counted."""
    label: str = ""
    """``pilot``, ``lapsed pilot`` or ``production``."""
    drilled: bool = False
    """Have the drills of this very handling passed?"""
    room: Room = Room()
    """Of the stage after the one that it is at."""


class Traffic(_Frozen, frozen=True):
    """What a workflow was called lately."""

    calls: int = 0
    """Live ones."""
    unknown: int = 0
    """Of them, those that named no user."""
    users: int = 0
    """Different ones that were named."""
    tester_calls: int = 0
    days: float = 1.0
    """Over which these were counted."""

    @property
    def unknown_share(self) -> float:
        return self.unknown / self.calls if self.calls else 0.0


class Kept(_Frozen, frozen=True):
    """What control stores and signs of a ramp."""

    rollout: Rollout
    seq: int
    """Rises by one with every change that is audited; the audit record says it too, so an older row is a replay."""
    at: float
    analysis: Analysis | None = None
    """The last one; of the visit that it names."""
    shadow: bool = False
    """A share of the live calls is repeated with this release, and nobody sees the answers."""
