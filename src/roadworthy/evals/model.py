"""Examples, rubric signatures, runs and answers as frozen data.

Instants are Unix seconds, durations seconds, money US dollars, scores and shares in [0, 1].
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from roadworthy.evals.scorers.base import Mark
from roadworthy.evidence.kinds import Verdict
from roadworthy.workflow.inference import Failure, Outcome, Tokens


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is asked, and what a good answer holds, as a person labelled it."""

    id: str
    """``exm_`` + 16 hex digits of its content."""
    messages: list[dict[str, Any]]
    """As an OpenAI client sends them."""
    expected: dict[str, Any] = {}
    """Field of the JSON answer → what a person expects there."""
    text: str | None = None
    """The whole answer that a person expects; ``None``: only fields are compared."""
    inputs: dict[str, str] = {}
    """Holes of a managed prompt that this example fills."""
    label: str = ""
    """``id`` of the row that it came from, for people; no part of its content."""
    critical: bool = False
    """One answer that is not good fails the gate, on every target that the ladder names."""
    tags: dict[str, str] = {}
    """Slices that it belongs to, such as ``{"topic": "return"}``."""
    held_out: bool = False
    """Nobody looks at it while a prompt is worked on."""
    cluster: str = ""
    """User or thread that it came from: examples of one are alike, and count as fewer; empty: of its own."""


class Examples(msgspec.Struct, frozen=True):
    """A set, content-addressed: the same examples have the same version on any machine."""

    version: str
    """``set_`` + 64 hex digits."""
    items: list[Example]

    @property
    def fields(self) -> list[str]:
        """Fields that are compared."""
        return sorted({name for each in self.items for name in each.expected})

    @property
    def whole(self) -> bool:
        """Is the whole text compared?"""
        return any(each.text is not None for each in self.items)


class Publication(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """From then on a workflow is judged by this set.  Sealed: who writes the database publishes nothing."""

    id: str
    """``evs_`` + 16 hex digits."""
    team: str
    workflow: str
    version: str
    scorers: str
    """Hash of the scorers and their versions."""
    at: float
    by: str
    count: int
    source: str = ""
    """Name of the file that it came from."""
    scorer_records: list[dict[str, Any]] = []
    """The scorers with their arguments and versions, so that a run can be rebuilt from it."""
    critical: int = 0
    """Critical examples in it."""
    forgotten_from: list[str] = []
    """Versions that this one stands for since users were forgotten: the same, but for their examples."""
    eased: list[str] = []
    """What became of examples of the version before: left out, critical no more, corrected; in words."""


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An example in the pool: in the next version, if the owner publishes one.  Sealed."""

    team: str
    workflow: str
    example: Example
    at: float
    by: str
    source: str = ""
    """Name of the file, or ``captured``."""
    drop: bool = False
    """The next version does not hold it any more."""


class Captured(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a model answered in traffic to what became an example: people can score it.  Sealed."""

    team: str
    workflow: str
    example: str
    text: str
    at: float
    """Of the call."""
    inference: str
    release: str = ""
    """Digest; empty: passed through without one."""
    model_answered: str = ""
    cluster: str = ""
    """Of the example."""


class HandScore(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a person thinks of one answer by the rubric.  Sealed.

    It is about the text, whoever wrote it: a release that answers to the letter what another did has its scores.
    """

    team: str
    workflow: str
    example: str
    answer: str
    """``ans_`` + 32 hex digits of the text."""
    rubric: str
    """Digest of the rubric as its owner had signed it."""
    rater: str
    value: str
    """Name in the rubric."""
    score: float
    """In [0, 1]: what that name scores."""
    at: float
    blind: bool = False
    """Somebody had scored it before, and this rater did not see how."""
    release: str = ""
    """Digest of the release that wrote it where it was scored."""
    run: str = ""
    """Empty: it was captured from traffic."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A named person stands for a rubric.  Sealed."""

    id: str
    """``sgn_`` + 16 hex digits."""
    team: str
    workflow: str
    rubric: str
    """``rub_`` + 64 hex digits of its text."""
    person: str
    at: float


Purpose = Literal["gate", "check", "nightly", "answers"]
"""What a run is for; only a ``gate`` makes a receipt."""


class Run(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a run is about, fixed before its first call.  Sealed; it is complete when every example has an answer."""

    id: str
    """``evr_`` + 16 hex digits."""
    team: str
    workflow: str
    release: str
    """Digest."""
    number: int
    behaviour: str
    handling: str
    set_version: str
    scorers: str
    floors: dict[str, float]
    margin: float
    policy: str
    """Hash of the whole policy in force when it began."""
    rubric: str = ""
    signed_by: str = ""
    """Who had signed the rubric before it began; empty: nobody."""
    examples: int
    began: float
    by: str
    on_behalf_of: str = ""
    purpose: Purpose = "gate"
    against: str = ""
    """Digest of the release that it is held against; empty: the newest one before it whose gate passed."""
    repeat: int = 1
    """Times that each example is asked; the scores are averaged example by example."""
    sample: int = 0
    """Examples that are asked, chosen by ``seed`` with every critical one among them; 0: the whole set."""
    seed: str = ""
    """Of the sample; empty: its id."""
    targets: list[str] = []
    """Targets of the ladder on which the critical examples are asked besides, one by one."""
    primary: str = ""
    """Score whose difference from the release before decides; empty: every score that has a floor."""
    slices: list[str] = []
    """Tags whose values are judged apart."""
    scorer_records: list[dict[str, Any]] = []
    """The scorers as they were recorded; empty: those that the examples ask for."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the release answered to one example of a run.  Sealed."""

    run: str
    example: str
    at: float
    inference: str = ""
    outcome: Outcome | None = None
    """``None``: the gateway gave none."""
    failure: Failure | None = None
    text: str = ""
    seconds: float = 0.0
    usd: float | None = None
    """``None``: unknown."""
    detail: str = ""
    """Why nothing came, in words."""
    repeat: int = 0
    """Counted from 0."""
    asked_target: str = ""
    """The one target that its permit named; empty: the release's own ladder was climbed."""
    target: str = ""
    """Who answered."""
    model_answered: str = ""
    """As the provider names it."""
    tokens: Tokens | None = None
    """Of all attempts; ``None``: unknown."""
    tool_calls: list[dict[str, Any]] = []
    """``{name, arguments}`` each, arguments decoded where they are JSON."""
    marks: dict[str, Mark] = {}
    """Of scorers that asked somebody, who may say another thing tomorrow."""
    reused: str = ""
    """Id of the run in which it was asked; empty: in this one."""

    @property
    def slot(self) -> str:
        """Its place in the run: the example, and which of its askings."""
        return slot(self.example, self.repeat, self.asked_target)


def slot(example: str, repeat: int = 0, target: str = "") -> str:
    """``exm_…``, ``exm_…#1`` for a repeat, ``exm_…@backup`` for an asking of one target."""
    return example + (f"#{repeat}" if repeat else "") + (f"@{target}" if target else "")


Standing = Literal["good", "bad", "unanswered"]


class Scored(msgspec.Struct, frozen=True):
    """An answer beside what was expected."""

    example: Example
    answer: Answer | None
    standing: Standing
    """``unanswered``: nothing came that says anything about the release, and it is asked again."""
    scores: dict[str, float] = {}
    unscored: dict[str, str] = {}
    """Score → why there is none yet, though the example says what is right: it is asked again."""
    lost: dict[str, str] = {}
    """Score → why there is none and will be none: a judge that made nothing of the answer.  It counts as bad towards
    PASS and as good towards FAIL."""
    slot: str = ""
    """Its place in the run; empty: the example's."""


class FloorResult(msgspec.Struct, frozen=True, kw_only=True):
    """One floor, held against a run."""

    name: str
    floor: float
    share: float
    """What the sample reached; what was not answered counts as bad."""
    lower: float
    """One-sided Wilson bounds at 95 %, wider where examples come in clusters."""
    upper: float
    met: bool
    """In the sample itself."""
    verdict: Verdict
    needed: int | None = None
    """Examples at which this share would prove the floor; ``None``: none would, or it is proven."""
    examples: int = 0
    """That say what is right for this score."""


class PairResult(msgspec.Struct, frozen=True, kw_only=True):
    """One score, example by example beside the release before."""

    name: str
    gained: float
    lost: float
    difference: float
    lower: float
    """One-sided at 95 %: Tango's interval, or by the standard error for scores between 0 and 1."""
    upper: float
    margin: float
    verdict: Verdict
    needed: int | None = None
    decides: bool = True
    """``False``: another score is the primary one, and this is only shown."""
    mcnemar: float | None = None
    """Two-sided p-value; it is shown and decides nothing.  ``None``: the scores are not 0 or 1."""


class SliceResult(msgspec.Struct, frozen=True, kw_only=True):
    """The examples of one tag's value, judged apart: they can FAIL a gate, never hold it."""

    tag: str
    value: str
    name: str
    """Of the score."""
    examples: int
    share: float
    failed: str = ""
    """Why it fails for certain, in words; empty: it does not."""


class CriticalFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A critical example that was not answered well."""

    example: str
    scores: list[str]
    target: str = ""
    """On which it was asked; empty: on the release's own ladder."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What a run comes to."""

    verdict: Verdict
    floors_met: bool
    examples: int
    unanswered: int
    floors: list[FloorResult]
    pairs: list[PairResult] = []
    against: int | None = None
    """Number of the release that it is held against; ``None``: it is judged by its floors alone."""
    scores: dict[str, float] = {}
    """Every score, those without a floor too."""
    repeats: int = 1
    """Askings of the set that were averaged, example by example."""
    slices: list[SliceResult] = []
    critical: int = 0
    """Critical examples."""
    critical_failed: list[CriticalFailure] = []
    targets: dict[str, bool] = {}
    """Other target of the ladder → it passed every critical example; only asked where there are some."""
    why: list[str] = []
    sees: str = ""
    """What a set of this size can see."""
