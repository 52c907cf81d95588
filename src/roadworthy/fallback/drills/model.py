"""What a drill declares, what was seen of one, and what was wrong: frozen data.

A drill is a fault injected on purpose with the outcome that must follow.  Its fault is a misbehaving server on
loopback; everything from our HTTP client on is what serves every day.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from roadworthy.fallback.drills.catalogue import Row
from roadworthy.formats.model import Format
from roadworthy.workflow.inference import Failure, Outcome
from roadworthy.workflow.model import Budgets, Handling, Price, ProviderKind

if TYPE_CHECKING:
    from roadworthy.fallback.drills.copy import Copy
    from roadworthy.fallback.drills.exchange import Exchange

GuardKind = Literal["step", "check", "clock", "rule", "budget", "setting"]
Place = Literal["unresolvable", "closed", "deaf", "untrusted"]
"""A fault that is an address: a name that does not resolve, a port that refuses, one that never accepts, and a server
whose certificate nobody vouches for."""

Told = Literal["none", "alert", "incident"]
Role = Literal["workflow", "cost"]
"""Whose matter it is: the workflow's owner, or its cost owner."""
Asked = Literal["any", "whole", "stream"]
Need = Literal[
    "chat", "text", "words", "schema", "tools", "stream", "cache", "continuation", "repair", "managed", "price",
    "prompt", "fallback",
]  # fmt: skip
"""What a release must have for a drill to mean something: a chat; a chat whose answers are free text, have room for
words (free text, or a string of their JSON), are JSON of a schema or tool calls; answers relayed while they come; a
cache; a declared continuation; a ``repair`` step; a managed prompt; a known price; any prompt; a second target on the
ladder of ``unavailable``."""

WIRES: tuple[Format, ...] = ("chat", "responses", "messages")
"""Formats that a misbehaving server speaks."""

MENDED: frozenset[Outcome] = frozenset({"recovered", "cached", "canned", "escalated"})
"""Outcomes that are right when an attempt was not good enough."""
CLEAN: frozenset[Outcome] = frozenset({"answered"})
"""The fault is taken in our stride."""


class Guard(msgspec.Struct, frozen=True):
    """What stands between the fault and the customer.  With it taken away the drill must fail.

    ``step``: the ladder of a failure, by its name.  ``check``: a declared check, by its kind.  ``clock``: a field of
    ``Clocks``.  ``rule``: a function of ours, as ``package.module:name``.  ``budget``: a field of ``Budgets``.
    ``setting``: another field of ``Handling``.
    """

    kind: GuardKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Wait(msgspec.Struct, frozen=True):
    """The longest wait that the customer may have, as seconds and multiples of the release's clocks."""

    seconds: float = 1.0
    connect: float = 0.0
    first_token: float = 0.0
    idle: float = 0.0
    total: float = 0.0

    def of(self, handling: Handling) -> float:
        """Seconds for a release; never more than its deadline."""
        clocks = handling.clocks
        clocked = self.connect * clocks.connect + self.first_token * clocks.first_token
        return min(handling.deadline, self.seconds + clocked + self.idle * clocks.idle + self.total * clocks.total)

    def __str__(self) -> str:
        parts = [f"{self.seconds:g} s"]
        for name in ("connect", "first_token", "idle", "total"):
            times = getattr(self, name)
            if times:
                parts.append(f"{times:g} × {name}" if times != 1 else name)
        return " + ".join(parts)


DEADLINE = Wait(seconds=1e9)
"""As long as the release allows at all."""


class Conditions(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the world of a drill differs, beside its targets' addresses.  Bound into its permit."""

    unpriced: bool = False
    """Nobody knows what the targets cost."""
    price: Price | None = None
    """What every target costs, instead of what it does cost: so a budget of the drill's own means a number of calls."""
    budgets: Budgets | None = None
    """Instead of the workflow's own; they bind this drill alone."""


NO_CONDITIONS = Conditions()

Script = Callable[["Exchange"], Awaitable[None]]
Scene = Callable[["Copy"], Awaitable["Seen"]]


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """One fault and what must follow."""

    says: str
    """What the provider does, one sentence, third person."""
    fault: Script | Place | None = None
    """How: it answers one call, on a connection of its own or a kept one; or it is a place where nobody answers."""
    scene: Scene | None = None
    """Correlated faults instead: what happens to a disposable copy of the install (``copy.py``)."""
    failure: Failure | None
    """What becomes of the attempt that meets it; ``None``: it is good all the same."""
    guard: Guard
    right: frozenset[Outcome] = MENDED
    """Which of them exactly is foretold from the release."""
    retry_after: float | None = None
    """Seconds that the provider asks us to wait."""
    repeatable: bool = True
    """``False``: the same target would fail the same way, so it is not asked again."""
    times: int | None = None
    """Only so many calls meet the fault, later ones are answered well; ``None``: every call does."""
    everywhere: bool = False
    """Every target commits it, not only the first one."""
    committed: bool = False
    """In a relayed stream: the customer has read the beginning when it happens."""
    asked: Asked = "any"
    """How the provider must have been asked for the fault to be possible.  ``any``: both ways are drilled."""
    wires: tuple[Format, ...] = WIRES
    """Formats of a target in which there is such a fault."""
    needs: tuple[Need, ...] = ("chat",)
    wait: Wait = DEADLINE
    attempts: int = 3
    """Most of the drilled call."""
    told: Told = "none"
    """What a human hears of."""
    role: Role = "workflow"
    """Who hears."""
    noted: str = ""
    """Note that its record must carry."""
    elsewhere: Failure | None = None
    """What becomes of attempts at the other targets, where that is something else."""
    conditions: Conditions = NO_CONDITIONS
    before: int = 0
    """Calls for the same user before the one that is looked at; they meet the fault too."""
    name: str = ""
    """Set by the registry, from the file's name."""
    row: Row = "server"
    """Set by the registry, from the folder's."""


class Expected(msgspec.Struct, frozen=True):
    """What must follow for one release, asked in one way."""

    outcomes: frozenset[Outcome]
    """One, where it can be foretold."""
    failure: Failure | None
    wait: float
    """Seconds."""
    deadline: float
    attempts: int
    told: Told
    role: Role = "workflow"


class Sent(msgspec.Struct):
    """One call as the misbehaving server saw it."""

    target: str
    number: int
    """From 1, over all of the drill's calls to this server."""
    nonce: str
    """Mark that a good answer to this call carries."""
    faulty: bool
    good: bool = False
    """A good answer left whole."""
    text: str = ""
    """What it said."""
    cut: bool = False
    """The client had gone when the server wrote."""
    wire: Format = "chat"
    """The format in which it was asked, and answered."""
    at: float = 0.0
    """When the call came; monotonic seconds of the server's process."""


class Seen(msgspec.Struct, kw_only=True):
    """What one drilled call came to: what the customer read, and what the record says."""

    stream: bool
    status: int
    """0: no answer."""
    text: str
    """What the customer read."""
    finished: bool
    """An end was told: a finish reason, or an error that says so."""
    seconds: float
    outcome: Outcome | None
    """As told to the caller, in the header or the ``roadworthy`` object; ``None``: it was not told."""
    failure: Failure | None
    code: str = ""
    """Error code that the caller read."""
    inference: str = ""
    retry_header: bool = True
    """A refusal said ``x-should-retry: false``."""
    recorded: Outcome | None = None
    """Outcome in the record; ``None``: there is no record."""
    record_failure: Failure | None = None
    first_failure: Failure | None = None
    """Of the first attempt."""
    attempts: int = 0
    cost_usd: float | None = None
    cost_unknown: str = ""
    tokens: int | None = None
    """In the record, reported or estimated; ``None``: there is no record."""
    model: str = ""
    """The model that the answer names; the first one, for a continued stream may name two."""
    model_recorded: str = ""
    notes: list[str] = []
    """Of the record."""
    traffic: str = ""
    """Class in the record."""
    mark: str = ""
    """Nonce of the answer that the customer read; empty: no model's."""
    told: Told | None = None
    """What a human heard of, marked DRILL; ``None``: nobody looked."""
    role: Role = "workflow"
    notified: bool | None = None
    """The notifier was given it to tell; ``None``: there is none, or nothing to tell."""
    sent: list[Sent] = []
    asked: list[dict[str, Any]] = []
    """Messages that the customer sent."""


class Miss(msgspec.Struct, frozen=True):
    """Something that is not as it must be."""

    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, found {self.found}"


Verdict = Literal["PASS", "FAIL", "SKIPPED"]


class Result(msgspec.Struct, kw_only=True):
    """One fault, asked in one way, and what came of it."""

    fault: str
    row: Row
    says: str
    guard: str
    stream: bool
    verdict: Verdict
    why: str = ""
    """Why it was skipped."""
    misses: list[str] = []
    expected: Expected | None = None
    seen: Seen | None = None


class Wire(msgspec.Struct, frozen=True):
    """By which of a target's wires its answers were read in a run."""

    provider: ProviderKind
    """Of the first target."""
    format: Format
    own: bool
    """It is the provider's own; else the provider was played in OpenAI's, for nobody here speaks its own."""
    callers: Format = "chat"
    """The format in which customers asked."""


RunState = Literal["running", "done", "interrupted", "failed"]


class DrillRun(msgspec.Struct, kw_only=True):
    """A run of drills against one release, as it is kept."""

    id: str
    """``drl_`` + 16 hex digits."""
    team: str
    workflow: str
    digest: str
    behaviour: str
    handling: str
    """Digests of the release and of its two facets: a drill is about both."""
    began: float
    ended: float | None = None
    by: str
    state: RunState = "running"
    detail: str = ""
    """Why it did not end well."""
    wanted: int = 0
    """Drilled calls in all."""
    estimate: float = 0.0
    """Seconds that it should take."""
    results: list[Result] = []
    draft: bool = False
    """Of a release that nobody had frozen: it was tried before that."""
    wire: Wire | None = None
    """``None``: of a run from before this was kept."""

    @property
    def failed(self) -> int:
        return sum(result.verdict == "FAIL" for result in self.results)
