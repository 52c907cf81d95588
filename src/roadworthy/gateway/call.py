"""One inference under way: what is known about it, and the record that it becomes."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from roadworthy.fallback.model import Tried
from roadworthy.formats.model import Format, Lost
from roadworthy.gateway.limits import pricing
from roadworthy.gateway.limits.plans import Plan, Tab
from roadworthy.gateway.messages import Headers, Request
from roadworthy.gateway.ports import Fields, Operation
from roadworthy.gateway.surfaces.model import Surface, ids_of
from roadworthy.gateway.world import ServedKey, ServedTarget, Serving
from roadworthy.kill_switch.model import State
from roadworthy.workflow.inference import (
    Attempt,
    Check,
    Failure,
    Inference,
    InferenceStart,
    Outcome,
    Route,
    Rung,
    TrafficClass,
    UnitSource,
)

MOST_LOGGED_BYTES = 4 * 1024 * 1024
"""A longer body is left out of the record (``too_large``)."""

MOST_REDACTED_BYTES = 256 * 1024
"""The same where bodies are redacted: what keeps the event loop's pause to a few milliseconds."""

NOTHING: Fields = {}
NO_HEADERS: Headers = []
_NO_ATTEMPT = Attempt("")
_encode = msgspec.json.encode


class Trace:
    """W3C trace context: continues the caller's ``traceparent`` or begins a trace."""

    __slots__ = ("header", "parent", "span", "trace")

    def __init__(self, given: bytes | None, bits: int) -> None:
        """``bits``: 192 random bits, 128 for a new trace id and 64 for our span id."""
        self.span = f"{(bits & 0xFFFFFFFFFFFFFFFF) or 1:016x}"
        parts = _parse_traceparent(given) if given is not None else None
        if parts is None:
            self.trace, self.parent, flags = f"{(bits >> 64) or 1:032x}", "", "01"
        else:
            self.trace, self.parent, flags = parts
        self.header = f"00-{self.trace}-{self.span}-{flags}".encode()
        """Value of ``traceparent``, as sent upstream and told to the caller."""


def _parse_traceparent(given: bytes) -> tuple[str, str, str] | None:
    """(trace id, parent span, flags), or ``None`` where the W3C recommendation says to start anew."""
    parts = given.strip().split(b"-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2]:
        return None
    if parts[0] == b"ff" or (parts[0] == b"00" and len(parts) > 4):
        return None
    if (
        any(part.strip(b"0123456789abcdef") for part in parts[:4])
        or not parts[1].strip(b"0")
        or not parts[2].strip(b"0")
    ):
        return None
    return parts[1].decode(), parts[2].decode(), parts[3].decode()


class Turns(NamedTuple):
    """How a conversation goes on after an answer that is no good."""

    said: str
    """By the model: the answer, or as much of it as came."""
    asked: str | None
    """Of it now; ``None``: it goes on by itself where ``said`` ends (``Wire.prefilled``)."""


class Call:
    """State of one inference.  Clocks in it are seconds since ``began`` (monotonic)."""

    __slots__ = (
        "attempts",
        "bad_answer",
        "began",
        "cache_key",
        "cached_age",
        "cached_from",
        "checks",
        "deadline",
        "draft",
        "drafted",
        "dropped",
        "ended_by",
        "escalation",
        "fields",
        "forwarded",
        "good",
        "history",
        "id",
        "key",
        "kill",
        "left_as_is",
        "logged",
        "lost",
        "model",
        "money",
        "n",
        "notes",
        "operation",
        "overrides",
        "own",
        "prompt",
        "recorded",
        "relayed",
        "repair",
        "request",
        "route",
        "rungs",
        "served_by",
        "serving",
        "session",
        "stage",
        "stream",
        "structured",
        "surface",
        "tab",
        "tags",
        "trace",
        "traffic",
        "ts",
        "turns",
        "unit",
        "unit_source",
        "usage_asked",
        "would",
    )  # fmt: skip

    def __init__(
        self, id: str, ts: float, began: float, request: Request, key: ServedKey, trace: Trace, surface: Surface
    ) -> None:
        self.id = id
        self.ts = ts
        self.began = began
        self.request = request
        self.key = key
        self.trace = trace
        self.surface = surface
        """The wire format that its caller speaks."""
        self.operation: Operation = surface.operation
        self.serving: Serving | None = None
        self.route: Route = "release"
        self.stage: str | None = None
        """Of the ramp that decided its side."""
        self.deadline = began
        self.traffic: TrafficClass = key.traffic
        self.unit: str | None = None
        self.unit_source: UnitSource = "random"
        self.session: str | None = None
        self.tags: dict[str, str] = {}
        self.stream = False
        self.usage_asked = False
        self.n = 1
        self.structured = False
        """A schema or tools apply to the answer."""
        self.left_as_is = False
        """``observe`` or passthrough: a whole answer is served as it came, its faults only recorded."""
        self.logged = False
        """Its start line is in the journal."""
        self.model = ""
        """What the caller asked for."""
        self.relayed = False
        """A committed stream: its ``Relay`` records the end."""
        self.drafted = False
        """What a model writes for it is a draft for a human; the caller reads the holding answer."""
        self.kill: State | Literal[""] = ""
        """State of the kill switch that decided; empty: it was on."""
        self.would = ""
        """``observe``: what enforcement would have done."""
        self.recorded = False
        """Its end is in the journal (or could not be written and was counted)."""
        self.fields: Fields = {}
        """What is asked, as chat completions (or embeddings), whatever its caller speaks."""
        self.own: Fields = NOTHING
        """What is asked in the caller's own format, as it came, where that is another one."""
        self.lost: Lost | None = None
        """Something that ``own`` says and ``fields`` cannot: only a target that speaks the caller's format can be
        asked."""
        self.forwarded: Headers = NO_HEADERS
        """Headers that such a target is sent as they came."""
        self.turns: Turns | None = None
        """What a ``repair`` or ``continuation`` attempt puts behind ``fields``."""
        self.prompt: str | None = None
        self.overrides: list[str] = []
        self.notes: list[str] = []
        self.checks: list[Check] = []
        self.attempts: list[Attempt] = []
        self.history: list[Tried] = []
        self.money: Plan | None = None
        """The budgets that hold for it, once it is admitted; ``None``: none does."""
        self.tab: Tab | None = None
        """What it spent and reserved; ``None`` while it was nothing."""
        self.served_by: ServedTarget | None = None
        self.good: Attempt | None = None
        """The attempt that answered; with a hedge not always the last one."""
        self.ended_by: Attempt | None = None
        """The attempt that goes on with the stream of ``good``, which broke."""
        self.rungs: list[Rung] = []
        """Steps that the ladder took."""
        self.dropped = False
        """An answer was withheld for good: nobody is shown it, and without a further step the call is ``blocked``."""
        self.draft: str | None = None
        """Text of the last answer that a check refused, for a human; ``None``: none, or it was dropped."""
        self.bad_answer: str | None = None
        """Text of the last answer where it can be sent back with what is wrong with it."""
        self.repair: list[str] = []
        """What is wrong with ``bad_answer``, one sentence each."""
        self.cache_key: bytes | None = None
        """Set by the cache: what this call may share an answer by; empty: nothing."""
        self.cached_age: float | None = None
        self.cached_from = ""
        self.escalation: bytes | None = None
        """``{"id", "poll_url", "answer_by"}`` of a call that was handed to a human, as JSON."""

    @property
    def only(self) -> Format | None:
        """The format that a target must speak to be asked at all; ``None``: any."""
        return None if self.lost is None else self.surface.format

    def asked(self) -> bytes:
        """What the caller asked for, as it came, in chat's shape."""
        return self.surface.chat_request(self.request.body)

    def served(self, target: ServedTarget, attempt: Attempt) -> None:
        """``attempt`` is the good one."""
        self.served_by = target
        self.good = attempt

    @property
    def first_failure(self) -> Failure | None:
        """Of the first attempt that failed, by the order in which they began; else of what turned the call away."""
        for attempt in self.attempts:
            if attempt.failure is not None:
                return attempt.failure
        return self.history[0].failure if self.history else None

    def start_line(self) -> InferenceStart:
        serving = self.serving
        assert serving is not None
        return InferenceStart(
            self.id, self.ts, serving.team, serving.name, serving.digest, self.route, self.unit, self.unit_source,
            self.session, self.key.key.id, self.traffic, self.trace.trace, self.stream,
        )  # fmt: skip

    def record(
        self,
        outcome: Outcome,
        now: float,
        *,
        status: int,
        failure: Failure | None,
        code: str,
        response: bytes | None,
        worker: str,
    ) -> Inference:
        """The whole record, bodies as policy allows.  ``now``: monotonic seconds."""
        serving, trace, key, attempts = self.serving, self.trace, self.key.key, self.attempts
        tokens, cost, unknown = pricing.total(attempts)
        if self.checks:
            cost, unknown = pricing.with_checks(cost, unknown, self.checks)
        latency = idle = now - self.began
        covered = 0.0
        for attempt in attempts:  # in the order in which they began; a hedge runs beside another
            since = attempt.started if attempt.started > covered else covered
            if attempt.ended > since:
                idle -= attempt.ended - since
                covered = attempt.ended
        begun = self.good or (attempts[-1] if attempts else _NO_ATTEMPT)
        good = self.ended_by or self.good or _NO_ATTEMPT
        shown = self.ended_by or begun
        request, prompt, answer, dropped = self._bodies(response)
        # by position, in the order of ``Inference``: matching 45 names costs a microsecond
        return Inference(
            self.id, self.ts, key.team, serving.name if serving else "", outcome,
            self.route, serving.digest if serving else None, self.stage, self.traffic,
            self.unit, self.unit_source, self.session, trace.trace, trace.span, trace.parent, key.id,
            failure, code, status, self.stream,
            good.target or None, shown.model_asked, good.model_answered, good.provider_request_id,
            attempts, tokens, cost, unknown, latency, begun.first_token, idle if idle > 0.0 else 0.0,
            self.checks, self.overrides, self.notes, self.tags, worker,
            request, prompt, answer, dropped,
            self.rungs, self.cached_age, self.cached_from, self.key.permit, self.key.drill,
            self.would, self.kill, self.surface.format,
        )  # fmt: skip

    def _bodies(self, response: bytes | None) -> tuple[msgspec.Raw | None, str | None, msgspec.Raw | None, str]:
        """(request, prompt, response, why they are missing), redacted, as policy allows."""
        serving = self.serving
        if serving is None:
            return None, None, None, ""
        if not serving.policy.log_bodies:
            return None, None, None, "policy"
        request, prompt = self.request.body, self.prompt
        most = MOST_LOGGED_BYTES if serving.redactor is None else MOST_REDACTED_BYTES
        if len(request) + len(response or b"") > most:
            return None, None, None, "too_large"
        if serving.redactor is not None:
            redacted = serving.redactor.json(request)
            answer = None if response is None else serving.redactor.json(response)
            if redacted is None or (response is not None and answer is None):
                return None, None, None, "policy"
            request, response = redacted, answer
            prompt = None if prompt is None else serving.redactor.text(prompt)
        return msgspec.Raw(request), prompt, None if response is None else msgspec.Raw(response), ""


def roadworthy_object(record: Inference, serving: Serving | None, escalation: bytes | None = None) -> bytes:
    """What the caller is told about its inference, as JSON; ``escalation`` is JSON already."""
    made = b'{"inference":"%b"%b,"route":"%b","outcome":"%b"' % (
        record.id.encode(), serving.json_start if serving else b"", record.route.encode(), record.outcome.encode(),
    )  # fmt: skip
    if record.stage is not None:
        made += b',"stage":%b' % _encode(record.stage)
    if record.would:
        made += b',"would":%b' % _encode(record.would)
    if record.failure is not None:
        made += b',"failure":"%b"' % record.failure.encode()
    if record.target is not None:
        made += b',"target":%b' % _encode(record.target)
    if record.cached_age is not None:
        made += b',"age_seconds":%d' % record.cached_age
    if escalation is not None:
        made += b',"escalation":%b' % escalation
    if record.notes:
        made += b',"notes":%b' % _encode(record.notes)
    if record.overrides:
        made += b',"overrides":%b' % _encode(record.overrides)
    return made + b',"cost_usd":%b}' % _encode(record.cost_usd)


def _header(text: str) -> bytes:
    """``text`` as a header can carry it."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text).encode()


def answer_headers(call: Call, outcome: Outcome | None) -> Headers:
    """Headers of any answer to an authenticated call; ``outcome`` where it is known."""
    ident = call.id.encode()
    headers = ids_of(call.surface, ident)
    if call.key.key.headers == "minimal":
        return headers
    headers += [(b"x-roadworthy-inference", ident), (b"traceparent", call.trace.header)]
    if call.serving is not None:
        headers += call.serving.headers
        headers.append((b"x-roadworthy-route", call.route.encode()))
        if call.stage is not None:
            headers.append((b"x-roadworthy-stage", _header(call.stage)))
        if call.would:
            headers.append((b"x-roadworthy-would", _header(call.would)))
    if outcome is not None:
        headers.append((b"x-roadworthy-outcome", outcome.encode()))
    if call.cached_age is not None:
        age = b"%d" % call.cached_age
        headers += [(b"age", age), (b"x-roadworthy-age", age)]
    return headers
