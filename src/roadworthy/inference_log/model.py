"""What the inference log takes and gives: filters, pages, sums, and what one shipment brings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.inference_log.segments import SegmentName
from roadworthy.workflow.inference import (
    FAILURES,
    OUTCOMES,
    ROUTES,
    TRAFFIC_CLASSES,
    Escalation,
    Feedback,
    Inference,
    InferenceStart,
    Tokens,
)

LARGEST_PAGE = 1000
"""Most inferences that one page holds."""

BUCKET = 300
"""Seconds of the buckets that the log sums into."""

Dimension = Literal[
    "workflow", "team", "release", "stage", "route", "outcome", "failure", "code", "target", "model",
    "traffic", "key", "unit", "session", "stream", "would", "kill", "hour", "day",
]  # fmt: skip
DIMENSIONS: tuple[str, ...] = Dimension.__args__  # type: ignore[attr-defined]
"""What ``stats`` groups by, beside ``tag:NAME``."""

BUCKET_DIMENSIONS: frozenset[str] = frozenset(
    {"workflow", "team", "release", "route", "outcome", "target", "traffic", "hour", "day"}
)
"""What 5-minute buckets can answer; everything else is summed from facts."""

ASKED = "release,previous,passthrough"
"""Routes on which the AI is asked.  A bypass takes no time, and says nothing of how long answers take."""

EQUAL = {
    "team": "team", "workflow": "workflow", "unit": "unit", "target": "target", "key": "key", "session": "session",
    "stage": "stage", "model": "model_answered",
}  # fmt: skip
"""Fields of ``Filter`` that must equal a field of the inference → its name."""

_ALIASES = {"class": "traffic", "digest": "release", "user": "unit", "model_answered": "model"}
_WORDS: dict[str, tuple[str, ...]] = {
    "outcome": OUTCOMES,
    "failure": FAILURES,
    "route": ROUTES,
    "traffic": TRAFFIC_CLASSES,
    "kill": ("guarded", "assist", "off"),
}
WORDED = tuple(_WORDS)
"""Fields of ``Filter`` that take one word, or several joined by commas."""
ANY = "any"


class FilterRefused(ValueError):
    """A filter, a dimension or a cursor that the log does not understand: names field, what was found, the mend."""


class Filter(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which inferences.  ``None`` means any; all conditions must hold."""

    team: str | None = None
    workflow: str | None = None
    unit: str | None = None
    outcome: str | None = None
    """One outcome, or several joined by commas; so for failure, route, traffic and kill."""
    failure: str | None = None
    release: str | None = None
    """Digest, or its beginning with or without ``rel_``."""
    route: str | None = None
    target: str | None = None
    traffic: str | None = None
    key: str | None = None
    since: float | None = None
    """Unix seconds, inclusive."""
    until: float | None = None
    """Unix seconds, exclusive."""
    min_cost: float | None = None
    """US dollars; an unknown cost never matches."""
    slower_than: float | None = None
    """Seconds of latency, exclusive."""
    text: str | None = None
    """Held by prompt, request or answer, without regard to case (ASCII).  Reads bodies: narrow it by time."""
    tag: str | None = None
    """``name=value``, or ``name`` for any value."""
    session: str | None = None
    model: str | None = None
    """The model that answered."""
    stage: str | None = None
    """Of the ramp, as people call it: ``10 %``."""
    would: str | None = None
    """Beginning of what enforcement would have done instead (``bypassed``, ``previous``); ``any``: anything."""
    kill: str | None = None
    """State of the kill switch that decided."""
    among: str | None = None
    """Workflows joined by commas: of one of these, which is all that whoever asks may read."""

    def words(self, field: str) -> tuple[str, ...]:
        """The values that one of ``WORDED`` may have; empty for any."""
        value = getattr(self, field)
        return tuple(value.split(",")) if value else ()

    @property
    def tag_pair(self) -> tuple[str, str | None]:
        """Name and value of ``tag``."""
        name, sign, value = (self.tag or "").partition("=")
        return name, value if sign else None

    @property
    def digest_prefix(self) -> str | None:
        if self.release is None:
            return None
        return self.release if self.release.startswith("rel_") else f"rel_{self.release}"


def parse_filter(values: Mapping[str, str], zone: ZoneInfo | None = None) -> Filter:
    """A filter from the texts of a query string.

    Instants are Unix seconds or ISO 8601 (without an offset: in ``zone``, default UTC).  Raises
    ``FilterRefused`` for an unknown field, an unknown word or an unreadable number.
    """
    fields: dict[str, str | float] = {}
    for given, value in values.items():
        name = _ALIASES.get(given, given).replace("-", "_")
        if name not in Filter.__struct_fields__:
            known = ", ".join(Filter.__struct_fields__)
            raise FilterRefused(f"filter {given!r} is not known: use one of {known}")
        if value == "":
            continue
        if name in ("since", "until"):
            fields[name] = _instant(name, value, zone or ZoneInfo("UTC"))
        elif name in ("min_cost", "slower_than"):
            fields[name] = _number(name, value)
        else:
            _vet_words(name, value)
            fields[name] = value
    found = msgspec.convert(fields, Filter)
    if found.since is not None and found.until is not None and found.since >= found.until:
        raise FilterRefused(f"since ({values['since']}) is not before until ({values['until']}): swap them")
    return found


def _vet_words(name: str, value: str) -> None:
    known = _WORDS.get(name, ())
    for word in value.split(",") if known else ():
        if word not in known:
            raise FilterRefused(f"{name} {word!r} is not known: use one of {', '.join(known)}")


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not 0 <= number < float("inf"):
        raise FilterRefused(f"{name} {value!r} is not a number: give 0 or more, for example 0.25")
    return number


def _instant(name: str, value: str, zone: ZoneInfo) -> float:
    try:
        number = float(value)
    except ValueError:
        pass
    else:
        if 0 <= number < 1e11:
            return number
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        raise FilterRefused(
            f"{name} {value!r} is not an instant: give ISO 8601 (2026-11-23T14:00+01:00) or Unix seconds"
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()


def parse_dimensions(text: str) -> tuple[str, ...]:
    """``workflow,hour`` → dimensions, aliases resolved, each once.  Raises ``FilterRefused``."""
    found: dict[str, None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name = _ALIASES.get(part, part)
        if name not in DIMENSIONS and not (name.startswith("tag:") and len(name) > 4):
            raise FilterRefused(f"dimension {part!r} is not known: use {', '.join(DIMENSIONS)} or tag:NAME")
        found[name] = None
    return tuple(found)


class Cursor(msgspec.Struct, frozen=True, order=True):
    """A place in the log: everything is ordered by (ts, id)."""

    ts: float
    id: str

    def __str__(self) -> str:
        return f"{self.ts!r}~{self.id}"

    @classmethod
    def of(cls, inference: Inference) -> Cursor:
        return cls(inference.ts, inference.id)

    @classmethod
    def parse(cls, text: str) -> Cursor:
        ts, sign, identity = text.partition("~")
        try:
            if sign and identity:
                return cls(float(ts), identity)
        except ValueError:
            pass
        raise FilterRefused(f"cursor {text[:80]!r} is not one: give `next` or `previous` of an earlier page")


class Page(msgspec.Struct, frozen=True):
    """Inferences without their bodies, newest first."""

    items: list[Inference]
    next: str | None = None
    """Give as ``after`` for the older page; ``None`` at the end."""
    previous: str | None = None
    """Give as ``before`` for the newer page (again and again to follow the log); ``None`` when the page is empty."""
    reached: float | None = None
    """A search that ran out of patience: Unix seconds to which it has looked; ``next`` (``previous``) goes on there."""


class Reach(msgspec.Struct, frozen=True):
    """Instants of the oldest and the newest fact; below ``warm`` facts are in cold days, which take longer to read."""

    oldest: float
    newest: float
    warm: float


class Entry(msgspec.Struct, frozen=True):
    """One inference whole: bodies and what was said of it later."""

    inference: Inference
    feedback: list[Feedback] = []


class StatsRow(msgspec.Struct, frozen=True):
    """Sums of one group.  Durations in seconds; percentiles are over all outcomes of the group."""

    group: dict[str, str | None]
    """Dimension → value, the traffic class always among them: classes are never pooled."""
    count: int
    outcomes: dict[str, int]
    p50: float | None
    p95: float | None
    p99: float | None
    first_token_p50: float | None
    tokens: Tokens
    cost_usd: float | None
    """Sum of the known costs; ``None`` when no call's cost is known."""
    cost_unknown: int
    """Calls that are not in ``cost_usd``."""


class Stats(msgspec.Struct, frozen=True):
    by: tuple[str, ...]
    rows: list[StatsRow]
    source: Literal["buckets", "facts"]
    relative_error: float
    """Of the percentiles: 0.01 from buckets, 0 from facts."""


class Lag(msgspec.Struct, frozen=True):
    """Accepted / stored / dropped / lag, since the log began."""

    accepted: int
    """Inferences whose beginning (or end) reached the log."""
    stored: int
    in_flight: int
    """Begun, not ended, their worker alive as far as the log has read."""
    lost: int
    """Recorded as ``gateway_lost`` (part of ``stored``)."""
    duplicates: int
    """Lines read twice and stored once."""
    malformed: int
    """Lines that were no journal lines: kept in quarantine."""
    torn: int
    """Last lines that a dying writer did not finish."""
    forgotten: int
    """Lines not stored because their user was forgotten."""
    pending_bytes: int
    """Journal bytes not shipped yet."""
    pending_seconds: float
    """Age of the oldest line not shipped yet."""


# --- shipping ------------------------------------------------------------------------------------------------


class Progress(msgspec.Struct, frozen=True):
    """How far a segment has been read."""

    offset: int = 0
    finished: bool = False
    """Sealed or its writer dead, and read to the end: may be deleted."""


class Quarantined(msgspec.Struct, frozen=True):
    segment: SegmentName
    offset: int
    reason: str
    data: bytes


class Batch(msgspec.Struct):
    """What one transaction brings.  Lines keep the order in which their worker wrote them."""

    progress: dict[SegmentName, Progress] = {}
    starts: list[tuple[str, int, InferenceStart]] = []
    """(worker, boot, start) of the starts whose end is not in this batch."""
    ends: list[Inference] = []
    lost: list[Inference] = []
    """Made by the shipper for the starts of dead workers; a real end that turns up later replaces them."""
    feedback: list[Feedback] = []
    escalations: list[Escalation] = []
    """Not the log's: they are opened before the batch is committed."""
    malformed: list[Quarantined] = []
    torn: int = 0
    deleted: list[SegmentName] = []
    """Segments whose files are gone: their progress need not be kept."""

    @property
    def empty(self) -> bool:
        return not (self.progress or self.lost or self.deleted)


class Shipped(msgspec.Struct):
    """What a shipment did."""

    stored: int = 0
    lost: int = 0
    duplicates: int = 0
    feedback: int = 0
    malformed: int = 0
    torn: int = 0
    forgotten: int = 0
    segments_deleted: int = 0
    replaced: int = 0
    """Calls given up for lost whose real end turned up."""

    def __iadd__(self, other: Shipped) -> Shipped:
        for field in self.__struct_fields__:
            setattr(self, field, getattr(self, field) + getattr(other, field))
        return self


class Expired(msgspec.Struct, frozen=True):
    """What retention did."""

    bodies: int = 0
    moved: int = 0
    """Facts moved into Parquet days."""
    days: int = 0
    """Parquet days written."""
    facts: int = 0
    """Facts deleted because they are older than their retention."""

    def __add__(self, other: Expired) -> Expired:
        return Expired(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


# --- both sides of a ramp --------------------------------------------------------------------------------------

Kind = Literal["errors", "fallbacks", "escalations", "unsafe", "cost", "latency", "slower", "said"]
"""What of a call is measured.  Bad or not: ``errors``; ``fallbacks`` (its first attempt was not good enough);
``escalations``; ``unsafe`` (found in any answer, whatever became of it); ``slower`` than so many seconds; ``said``
(feedback of that name calls it bad).  A value: ``cost`` in dollars, ``latency`` in seconds, of calls that a model
answered."""

NOT_JUDGED: tuple[str, ...] = ("abandoned", "limited", "bypassed")
"""Outcomes that say nothing of a release: the client left, or nobody was asked."""
BAD_SCORE = 0.5
"""Feedback with a score below it, or without one and with a label of ``BAD_LABELS``, calls a call bad."""
BAD_LABELS: tuple[str, ...] = ("bad", "down", "fail", "no", "thumbs_down", "wrong")


class Measured(msgspec.Struct, frozen=True):
    """One thing that is counted of each call; a call of which it is unknown is not judged."""

    name: str
    kind: Kind
    above: float = 0.0
    """``slower``: seconds."""
    said: str = ""
    """``said``: name of the feedback."""


class Counting(msgspec.Struct, frozen=True):
    """Which calls are counted, and what of them.  Calls made while a kill switch decided are left out."""

    workflow: str
    since: float
    digests: tuple[str, ...]
    """The sides."""
    traffic: str
    """One class: classes are never pooled."""
    measured: tuple[Measured, ...]


class Counted(msgspec.Struct):
    """Sums over calls, and over users, of one measure on one side."""

    n: float = 0.0
    """Calls that were judged."""
    total: float = 0.0
    squares: float = 0.0
    sizes: float = 0.0
    """Over users: the squared number of calls."""
    totals: float = 0.0
    """Over users: the squared sum."""
    products: float = 0.0
    """Over users: number x sum."""
    alone: float = 0.0
    """Calls that count, where those of one user are alike (``statistics.clusters``)."""
    alone_total: float = 0.0
    """``total`` over them."""


class Side(msgspec.Struct):
    """What one release showed."""

    calls: int = 0
    last_call: float | None = None
    counted: dict[str, Counted] = {}


SCORER = "scorer:"
"""How ``by`` of the feedback begins that our own scorers give."""
CALLERS_SAY: tuple[str, ...] = ("thumb", "score", "comment")
"""Names of feedback that callers may give, whoever they say that they are: no scorer may have one."""


class Rating(msgspec.Struct, frozen=True):
    """What one of our scorers said of one call."""

    inference: str
    ts: float
    """Of the call."""
    user: str
    """Who called; of callers that name nobody, the call itself."""
    digest: str | None
    name: str
    """Of the score."""
    score: float
    """In [0, 1]."""


class Callers(msgspec.Struct, frozen=True):
    """Who called a workflow in a time."""

    calls: int = 0
    """Live ones."""
    unknown: int = 0
    """Of them, those that named no user."""
    users: int = 0
    """Different ones that were named."""
    tester_calls: int = 0
    oldest: float | None = None
    """First live call in that time."""
