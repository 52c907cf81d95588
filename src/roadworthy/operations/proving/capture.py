"""Traffic becomes examples: a varied sample of what was asked, redacted, with what was answered for people to score.

Calls are drawn from the inference log in two steps: a bounded number at random, by the digits of their ids, then the
sample (``evals.sampling``).  Bodies that were never written, or are gone by now, cannot become examples; how many is
said.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec

from roadworthy.evals.examples import identified, question_of
from roadworthy.evals.importing import MOST_CHARACTERS
from roadworthy.evals.model import Captured, Example
from roadworthy.evals.pool import Pool, Taken
from roadworthy.evals.sampling import Call, Coverage, Drawn, draw
from roadworthy.evals.service import Refused
from roadworthy.inference_log.model import Filter
from roadworthy.workflow.digest import canonical
from roadworthy.workflow.inference import SERVED_BY_MODEL, Inference
from roadworthy.workflow.model import Prompt, Workflow
from roadworthy.workflow.prompt import SYSTEM_ROLES, Template
from roadworthy.workflow.service import Actor, Workflows

Source = Literal["live", "observe", "drafts", "shadow"]

FEWEST: Final = 50
"""Under which no gate passes."""
MOST: Final = 200
"""What people can score in an afternoon."""
MOST_CALLS: Final = 4000
"""That are looked at: about 50 MB while it runs."""
DAY: Final = 86_400.0
NOT_ASKED: Final = frozenset({"limited", "abandoned", "error"})
"""Outcomes that say little of what users ask: turned away, hung up, or broken."""


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workflow: str
    count: int = 100
    source: Source = "live"
    days: float = 30.0
    seed: str = ""
    """Another one draws another sample."""


class Passed(msgspec.Struct, kw_only=True):
    """Calls that could not become examples, and why."""

    without_body: int = 0
    unreadable: int = 0
    """No chat messages in them, or too long."""
    known: int = 0
    """In the set or the pool already."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What would be captured."""

    workflow: str
    source: Source
    days: float
    found: list[tuple[Example, Captured | None]]
    coverage: Coverage
    calls: int
    """In that time."""
    looked_at: int
    passed: Passed
    redacted: bool
    """By the rules that the policy names."""


class LogReader(Protocol):
    def scan(self, where: Filter, bodies: bool = False) -> Iterator[Inference]: ...


class Redactor(Protocol):
    def json(self, body: bytes) -> bytes | None: ...


class Ports(msgspec.Struct, frozen=True):
    """What wiring gives."""

    log: LogReader
    redactor: Callable[[Workflow], Redactor | None]
    """Of the policy in force; ``None``: it names no rule."""
    unit: Callable[[str], str]
    """Hash of a user or session, keyed."""
    draft: Callable[[str], str | None]
    """What a model drafted for an inference that people answered; ``None``: nothing."""
    clock: Callable[[], float]


class Capture:
    """Thread-safe; blocking."""

    def __init__(self, workflows: Workflows, pool: Pool, ports: Ports) -> None:
        self._workflows = workflows
        self._pool = pool
        self._ports = ports

    def look(self, wanted: Wanted) -> Sample:
        """What would be captured; nothing is changed.  Raises ``Unknown`` and ``Refused``."""
        if not 1 <= wanted.count <= MOST:
            raise Refused(f"{wanted.count} examples: expected {FEWEST} to {MOST}; people have to score them")
        if not 0 < wanted.days <= 400:
            raise Refused(f"{wanted.days:g} days: expected more than 0 and at most 400")
        flow = self._workflows.named(wanted.workflow)
        passed, (seen, calls) = Passed(), self._calls(wanted)
        known = {question_of(each) for each in self._pool.examples(flow.name).values()}
        redactor, prompt = self._ports.redactor(flow), self._prompt(flow.name)
        ready: dict[str, tuple[Example, Inference]] = {}
        asked: list[Call] = []
        for call in calls:
            example = self._example(call, prompt, redactor, passed)
            if example is None:
                continue
            already = question_of(example) in known
            passed.known += already
            ready[call.id] = example, call
            asked.append(Call(call.id, _text(example), call.outcome, already))
        if not asked:
            raise Refused(_nothing(wanted, seen, passed))
        drawn = draw(asked, wanted.count, wanted.seed)
        found = [self._captured(*ready[each.id], drawn, redactor, flow.team) for each in drawn.calls]
        return Sample(
            workflow=flow.name, source=wanted.source, days=wanted.days, found=found, coverage=drawn.coverage,
            calls=seen, looked_at=len(calls), passed=passed, redacted=redactor is not None,
        )  # fmt: skip

    def take(self, wanted: Wanted, actor: Actor) -> tuple[Sample, Taken]:
        """Capture them into the pool; audited.  Raises ``Unknown`` and ``Refused``."""
        sample = self.look(wanted)
        if not sample.found:
            raise Refused("every call of that time is an example already")
        return sample, self._pool.add(sample.workflow, sample.found, actor, f"captured: {wanted.source}")

    def one(
        self, call: Inference, actor: Actor, *, expected: Mapping[str, Any], text: str | None = None,
        critical: bool = False,
    ) -> tuple[Example, Taken]:  # fmt: skip
        """One call into the pool, with what a person says that it should have been answered; audited.

        Raises ``Unknown`` and ``Refused``.
        """
        flow = self._workflows.named(call.workflow)
        passed, redactor = Passed(), self._ports.redactor(flow)
        found = self._example(call, self._prompt(flow.name), redactor, passed)
        if found is None:
            why = "the log holds no body of it" if passed.without_body else "it is no chat, or too long"
            raise Refused(f"{call.id} cannot become an example: {why}")
        tags = {"outcome": call.outcome, "came": "live" if call.traffic == "live" else call.traffic}
        made = identified(
            msgspec.structs.replace(found, expected=dict(expected), text=text, critical=critical, tags=tags)
        )
        answered = self._answered(made, call, redactor, flow.team)
        return made, self._pool.add(flow.name, [(made, answered)], actor, f"added: {call.id}", "evals.add")

    # --- inside

    def _calls(self, wanted: Wanted) -> tuple[int, list[Inference]]:
        """(calls of that time, at most ``MOST_CALLS`` of them at random, with their bodies)."""
        where = _filter(wanted, self._ports.clock())
        drawn: list[tuple[str, str]] = []
        seen = 0
        for call in self._ports.log.scan(where):
            if not _is_of(call, wanted.source):
                continue
            seen += 1
            lot = (_lot(call.id), call.id)
            if len(drawn) < MOST_CALLS:
                heapq.heappush(drawn, lot)
            elif lot > drawn[0]:
                heapq.heapreplace(drawn, lot)
        chosen = {ident for _, ident in drawn}
        found = [call for call in self._ports.log.scan(where, bodies=True) if call.id in chosen]
        return seen, found

    def _prompt(self, workflow: str) -> Prompt | None:
        frozen = self._workflows.candidates().get(workflow)
        return None if frozen is None else frozen.release.behaviour.prompt

    def _example(
        self, call: Inference, prompt: Prompt | None, redactor: Redactor | None, passed: Passed
    ) -> Example | None:
        asked = call.asked()
        if asked is None:
            passed.without_body += 1
            return None
        raw = bytes(asked) if redactor is None else redactor.json(bytes(asked))
        body = _decoded(raw)
        messages = body.get("messages")
        if not isinstance(messages, list) or not all(isinstance(each, dict) and each.get("role") for each in messages):
            passed.unreadable += 1
            return None
        messages = [each for each in messages if not _rendered_anew(each, prompt)]
        told = body.get("roadworthy")
        inputs = told.get("inputs") if isinstance(told, dict) else None
        inputs = {str(name): value for name, value in inputs.items() if isinstance(value, str)} if inputs else {}
        made = Example("", messages, inputs=inputs, label=call.id, cluster=self._cluster(call))
        if not _text(made).strip() or len(canonical([messages, inputs])) > MOST_CHARACTERS:
            passed.unreadable += 1
            return None
        return identified(made)

    def _cluster(self, call: Inference) -> str:
        """The user, else the thread: what one of them asks is alike, and is found when they are forgotten."""
        if call.unit and call.unit_source != "random":
            return self._ports.unit(call.unit)
        return self._ports.unit(f"session {call.session}") if call.session else ""

    def _captured(
        self, example: Example, call: Inference, drawn: Drawn, redactor: Redactor | None, team: str
    ) -> tuple[Example, Captured | None]:
        outcome, length, theme = drawn.kinds[call.id]
        tagged = msgspec.structs.replace(example, tags={"outcome": outcome, "length": length, "theme": theme})
        return tagged, self._answered(tagged, call, redactor, team)

    def _answered(self, example: Example, call: Inference, redactor: Redactor | None, team: str) -> Captured | None:
        text = self._answer(call, redactor)
        if not text.strip():
            return None
        return Captured(
            team=team, workflow=call.workflow, example=example.id, text=text, at=call.ts, inference=call.id,
            release=call.digest or "", model_answered=call.model_answered or "", cluster=example.cluster,
        )  # fmt: skip

    def _answer(self, call: Inference, redactor: Redactor | None) -> str:
        """What a model wrote for this very call; a canned text or a human's answer says nothing of it."""
        if call.outcome == "escalated":
            text = self._ports.draft(call.id) or ""
            if redactor is None or not text:
                return text
            redacted = redactor.json(msgspec.json.encode(text))
            said = None if redacted is None else msgspec.json.decode(redacted)
            return said if isinstance(said, str) else ""
        whole = call.said()
        if call.outcome not in SERVED_BY_MODEL or whole is None:
            return ""
        raw = bytes(whole) if redactor is None else redactor.json(bytes(whole))
        choices = _decoded(raw).get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, dict) else None
        content = message.get("content") if isinstance(message, dict) else None
        return content if isinstance(content, str) else ""


def _filter(wanted: Wanted, now: float) -> Filter:
    traffic = "shadow" if wanted.source == "shadow" else "live"
    stage = "drafts" if wanted.source == "drafts" else None
    return Filter(workflow=wanted.workflow, traffic=traffic, stage=stage, since=now - wanted.days * DAY, until=now + 1)


def _is_of(call: Inference, source: Source) -> bool:
    if call.outcome in NOT_ASKED:
        return False
    if source == "observe":
        return call.route == "passthrough" or bool(call.would)
    return True


def _lot(ident: str) -> str:
    """By what a call is drawn: the random digits of its id."""
    return ident[16:]


def _rendered_anew(message: Mapping[str, Any], prompt: Prompt | None) -> bool:
    """Is it a system message that the release, or whoever asks by it, renders again?"""
    if prompt is None or message.get("role") not in SYSTEM_ROLES:
        return False
    return prompt.mode == "managed" or not Template.parse(prompt.system).holes


def _decoded(raw: bytes | None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw or b"null")
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(example: Example) -> str:
    """What users wrote, and the fields that the app filled."""
    said: list[str] = []
    for message in example.messages:
        content = message.get("content")
        parts: Sequence[Any] = content if isinstance(content, list) else [{"text": content}]
        if message.get("role") == "user":
            said += [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return " ".join([*said, *example.inputs.values()])


def _nothing(wanted: Wanted, seen: int, passed: Passed) -> str:
    time = f"the last {wanted.days:g} days"
    if not seen:
        return (
            f"{wanted.workflow} had no call of the kind '{wanted.source}' in {time}; roadworthy stats --workflow "
            f"{wanted.workflow} shows what it had, and roadworthy evals import takes examples from a file"
        )
    return (
        f"none of the {seen:,} calls of {wanted.workflow} in {time} can become an example: "
        f"{passed.without_body:,} have no body (see retention and policy.redact), {passed.unreadable:,} hold no chat "
        "messages, or too long ones"
    )
