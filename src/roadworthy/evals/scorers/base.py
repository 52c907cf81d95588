"""What every scorer is given, what it must be, and whom those may ask that cannot tell by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Protocol, runtime_checkable

import msgspec

ScorerKind = Literal["assertion", "score", "label"]
"""What a scorer's answers are: true or false, a number in [0, 1], one of a few words."""
Needs = Literal["workflow", "http", "python"]
"""Whom an asking scorer asks."""

LONGEST_REASON: Final = 500
"""Characters of a reason that are kept."""


class Case(msgspec.Struct, frozen=True):
    """An answer that a model gave, and what was expected."""

    text: str
    expected: Mapping[str, Any] = {}
    """Name → what a person expects there."""
    expected_text: str | None = None
    """The whole answer that a person expects."""
    schema: dict[str, Any] | None = None
    """Of the release's output."""
    messages: Sequence[Mapping[str, Any]] = ()
    """What was asked, as an OpenAI client sends it."""
    inputs: Mapping[str, str] = {}
    """Holes of a managed prompt."""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """``{name, arguments}`` each, arguments decoded where they are JSON."""
    seconds: float | None = None
    """How long the whole answer took; ``None``: unknown."""
    usd: float | None = None
    """What it cost; ``None``: unknown."""
    other: str | None = None
    """The answer of the release that this one is held against, for pairwise judges."""


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a scorer says of one case.  Never a silent 0: what could not be scored has no value, and says why."""

    value: float | None
    """In [0, 1]; ``None``: it could not be scored."""
    label: str = ""
    """The word that a labelling scorer gave."""
    reason: str = ""
    usd: float | None = 0.0
    """What asking cost; ``None``: unknown."""
    broke: str = ""
    """Why it could not be scored, in words; empty: it was."""
    again: bool = False
    """Nobody could be asked just now, so it is asked again.  Else the mark is final, whatever it says."""


class CannotScore(Exception):
    """This case cannot be scored; the message says why and how to mend it."""

    def __init__(self, why: str, usd: float | None = 0.0) -> None:
        super().__init__(why)
        self.usd = usd
        """What finding that out cost."""


class Unreached(CannotScore):
    """Nobody could be asked just now: it says nothing of the case, which may be asked again."""


@runtime_checkable
class Scorer(Protocol):
    """A frozen struct: its fields are its arguments, so that it can be rebuilt from what was recorded.

    Either ``Pure`` or ``Asking``.
    """

    word: ClassVar[str]
    """In the registry."""
    version: ClassVar[int]
    """Raised with every change of what it would say; older gates are stale then."""

    @property
    def name(self) -> str:
        """Of its score: what a floor names."""
        ...

    @property
    def kind(self) -> ScorerKind: ...

    @property
    def expects(self) -> bool:
        """Does an example have to say what is right?  Live answers can only be scored by those that need not know."""
        ...


class Base(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What scorers have in common."""

    word: ClassVar[str] = ""
    version: ClassVar[int] = 1

    title: str = ""
    """Name of the score in ``evals.scorers``; empty: the scorer's own."""

    @property
    def name(self) -> str:
        return self.title or self.word

    @property
    def kind(self) -> ScorerKind:
        return "assertion"

    @property
    def expects(self) -> bool:
        return True


@runtime_checkable
class Pure(Scorer, Protocol):
    """Says the same of the same case, always: never kept, computed whenever it is looked at."""

    def score(self, case: Case) -> float | bool:
        """As its ``kind`` says; total on any case.  Raises ``CannotScore``: the example lacks what it compares with."""
        ...

    def why(self, case: Case) -> str:
        """What keeps the score from 1, in words, for people; only asked when it is shown."""
        ...


@runtime_checkable
class Asking(Scorer, Protocol):
    """Asks somebody, who may say another thing tomorrow: its marks are kept with the answer."""

    needs: ClassVar[Needs]

    async def ask(self, case: Case, asker: Asker) -> Mark:
        """Raises ``CannotScore``."""
        ...


class Judge(msgspec.Struct, frozen=True):
    """A workflow of this install that is asked, as it was frozen."""

    workflow: str
    behaviour: str
    """Digest: model, prompt and parameters.  Another one is another judge."""


class Said(msgspec.Struct, frozen=True):
    """What a workflow answered."""

    text: str
    usd: float | None = None
    """``None``: unknown."""
    inference: str = ""


class Embedded(msgspec.Struct, frozen=True):
    """One vector a text, in their order."""

    vectors: list[list[float]]
    usd: float | None = None


class Asker(Protocol):
    """Carries the questions of asking scorers; ``operations.proving.scoring`` fills it.

    Every method raises ``CannotScore``: nobody there, too late, out of dollars, an answer of which nothing can be made.
    """

    async def chat(self, judge: Judge, messages: Sequence[Mapping[str, Any]]) -> Said:
        """Ask a workflow of this install through the gateway that serves."""
        ...

    async def embed(self, judge: Judge, texts: Sequence[str]) -> Embedded: ...

    async def post(self, url: str, body: Mapping[str, Any], *, key: str, private: bool, seconds: float) -> Any:
        """JSON that the endpoint answers.  ``key``: name of a secret that goes as bearer token; empty: none."""
        ...

    async def call(
        self, sources: Mapping[str, str], path: str, text: str, context: Mapping[str, Any], seconds: float
    ) -> Any:
        """What ``scorers.MODULE:FUNCTION`` of these sources returns."""
        ...


def marked(scorer: Pure, case: Case, *, reasons: bool = False) -> Mark:
    """What a pure scorer says, as a mark; with ``reasons``, why it is not 1."""
    try:
        value = float(scorer.score(case))
        return Mark(value, reason=scorer.why(case)[:LONGEST_REASON] if reasons and value < 1 else "")
    except CannotScore as cannot:
        return told(cannot)


def told(cannot: CannotScore) -> Mark:
    return Mark(None, broke=str(cannot)[:LONGEST_REASON], usd=cannot.usd, again=isinstance(cannot, Unreached))


def decoded(text: str) -> Any:
    """The JSON in a text; ``msgspec.UNSET``: it is none."""
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.UNSET
