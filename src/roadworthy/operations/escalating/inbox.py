"""The desk of whoever answers: what they see, and what follows from their answer in one step.

Claiming, answering and the lease are the queue's (``people.escalation``); this joins it to the log (who is the user),
to the examples (the answer is what should have been said) and to the scores of drafts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from roadworthy.evals.hand import digest_of
from roadworthy.evals.model import Example, HandScore
from roadworthy.evals.rubric import Rubric, Unusable, Value, read
from roadworthy.evals.service import Refused as EvalRefused
from roadworthy.inference_log.model import Entry
from roadworthy.operations.escalating import words
from roadworthy.operations.escalating.history import LogReader, Past, history, whole
from roadworthy.people.escalation import rules
from roadworthy.people.escalation.model import Action, Escalation
from roadworthy.people.escalation.service import Queue
from roadworthy.people.ports import PeopleState
from roadworthy.people.roles import Standing
from roadworthy.workflow.inference import Feedback, Inference
from roadworthy.workflow.model import Configuration, Workflow
from roadworthy.workflow.service import Actor, Unknown

DRAFT_SCORE: Final = "draft"
"""Name of the feedback that says what became of a draft."""
WORTH: Final[dict[Action, float]] = {"sent": 1.0, "edited": 0.5, "discarded": 0.0}
LONGEST_FIELD: Final = 80
"""Characters of a field of an answer that is expected again word by word."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """All that whoever answers needs.  Says nothing of a draft that is hidden, but that it is."""

    escalation: Escalation
    why: str
    origin: words.Origin
    transcript: list[tuple[str, str]]
    """(role, text), oldest first."""
    draft_hidden: bool
    history: list[Past]
    promised: str
    """What the customer reads meanwhile."""
    policy: list[str]
    reading: float
    """Seconds that message and draft take to read."""
    may_add: str
    """Why it cannot become an example; empty: it can."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer brought about."""

    escalation: Escalation
    example: str = ""
    """Id of the example that it became."""
    not_added: str = ""
    """Why it became none although that was wanted; the customer has the answer all the same."""
    scored: str = ""
    """What the draft was scored, by the rubric."""
    not_scored: str = ""
    """Why the draft of a drafts stage has no hand score."""


class Ports(msgspec.Struct, frozen=True):
    """What wiring gives."""

    log: LogReader
    keep: Callable[[list[Feedback]], None]
    """Into the log."""
    add: Callable[[str, Actor, dict[str, object], str | None, bool], tuple[Example, Inference]]
    """``evals add``."""
    score: Callable[[str, str, str, str, Actor], HandScore]
    """(workflow, example, answer, value, actor): a hand score.  Raises ``evals.service.Refused`` and ``Unknown``."""
    fields: Callable[[str], Sequence[str]]
    """Fields of the answer that a workflow's examples compare."""
    clock: Callable[[], float]


class Inbox:
    """Thread-safe; blocking."""

    def __init__(self, queue: Queue, state: PeopleState, ports: Ports) -> None:
        self._queue = queue
        self._state = state
        self._ports = ports

    def view(self, ident: str, actor: Actor, standing: Standing | None) -> View:
        """That it was read is audited, with its history, which holds only what ``standing`` lets a person read;
        ``None``: an OS user, who is not asked.  Raises ``Unknown``."""
        seen = self._queue.read(ident, actor)
        whole_one = self._queue.find(ident)
        with self._state.read() as tx:
            configuration = _configuration(tx)
            waiting = tx.open_escalations().get(seen.workflow, 0)
        flow = None if configuration is None else configuration.workflows.get(seen.workflow)
        shown = whole_one.draft is not None and seen.draft is not None
        return View(
            escalation=seen, why=words.why(seen), origin=words.origin(seen),
            transcript=whole(list(rules.said(seen.messages))),
            draft_hidden=whole_one.draft is not None and not shown,
            history=[
                each for each in history(seen, self._ports.log, self._state, self._ports.clock())
                if standing is None or standing.may("read_text", each.workflow)
            ],
            promised=words.promised(seen), policy=words.policy(flow, waiting),
            reading=rules.reading_time(rules.last_of_user(seen.messages), seen.draft or ""),
            may_add=self._may_add(seen, flow),
        )  # fmt: skip

    def answer(
        self, ident: str, actor: Actor, text: str, action: Action | None = None, *, add_example: bool = False
    ) -> Done:
        """The caller has the answer first; then the draft is scored and the call becomes an example.

        Raises what ``Queue.answer`` raises, and then nothing has happened.
        """
        done = self._queue.answer(ident, actor, text, action)
        drafted = words.origin(done) == "drafts" and done.draft is not None
        if drafted:
            self._say(done)
        if not add_example:
            return Done(escalation=done)
        try:
            example, _ = self._ports.add(done.id, actor, *self._expected(done), False)
        except (EvalRefused, Unknown) as refused:
            return Done(escalation=done, not_added=str(refused))
        scored, why_not = self._score(done, example, actor) if drafted else ("", "")
        return Done(escalation=done, example=example.id, scored=scored, not_scored=why_not)

    # --- inside

    def _may_add(self, seen: Escalation, flow: Workflow | None) -> str:
        if flow is None:
            return "its workflow is not configured any more"
        entry: Entry | None = self._ports.log.get(seen.id)
        if entry is None or entry.inference.request is None:
            return "the log keeps no text of it"
        return ""

    def _expected(self, done: Escalation) -> tuple[dict[str, object], str | None]:
        """What a good answer holds, as the person wrote it: the fields that are compared, or the text."""
        assert done.answer is not None
        found: Any = msgspec.json.decode(done.answer.json)
        if not isinstance(found, dict):
            return {}, done.answer.text
        compared = self._ports.fields(done.workflow)
        return {name: value for name, value in found.items() if _to_expect(name, value, compared)}, None

    def _say(self, done: Escalation) -> None:
        """What became of the draft is its score: the ramp's guardrails can watch it."""
        assert done.answer is not None
        action = done.answer.action
        line = Feedback(done.id, self._ports.clock(), DRAFT_SCORE, WORTH[action], action, f"agent:{done.answer.by}")
        self._ports.keep([line])

    def _score(self, done: Escalation, example: Example, actor: Actor) -> tuple[str, str]:
        """By the rubric that its owner signed → (value, why there is none)."""
        assert done.answer is not None
        with self._state.read() as tx:
            configuration = _configuration(tx)
        flow = None if configuration is None else configuration.workflows.get(done.workflow)
        value = None if flow is None else value_of(flow.rubric or "", done.answer.action)
        if value is None:
            return "", f"{done.workflow} has no rubric with named values"
        try:
            self._ports.score(done.workflow, example.id, digest_of(done.draft or ""), value.name, actor)
        except (EvalRefused, Unknown) as refused:
            return "", str(refused)
        return value.name, ""


def value_of(rubric: str, action: Action) -> Value | None:
    """What the rubric calls a draft that was sent (its best value), discarded (its worst) or edited (the one nearest
    to the middle of the others; with two values the worst: it could not be sent as it was).  Pure."""
    try:
        found: Rubric = read(rubric)
    except Unusable:
        return None
    rising = sorted(found.values, key=lambda each: each.score)
    if action == "sent":
        return rising[-1]
    between = rising[1:-1]
    if action == "discarded" or not between:
        return rising[0]
    middle = (rising[0].score + rising[-1].score) / 2
    return min(between, key=lambda each: abs(each.score - middle))


def _to_expect(name: str, value: object, compared: Sequence[str]) -> bool:
    if compared:
        return name in compared
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= LONGEST_FIELD)


def _configuration(tx: Any) -> Configuration | None:
    applied = tx.applied()
    return None if applied is None else applied.configuration
