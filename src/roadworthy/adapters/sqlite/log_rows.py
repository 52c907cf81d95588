"""How an inference lies in a row of facts, in SQLite and in Parquet alike.

Columns that are filtered, grouped or summed stand alone; attempts are one JSON column, tags another, and what is
only ever shown is a third (``more``).  Bodies are kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from roadworthy.formats.model import Format
from roadworthy.workflow.inference import Attempt, Check, Inference, Rung, Tokens

TEXTS = (
    "team", "workflow", "digest", "stage", "route", "traffic", "unit", "unit_source", "session", "key", "outcome",
    "failure", "code", "target", "model_asked", "model_answered",
)  # fmt: skip
COUNTS = ("status", "stream")
TOKENS = ("input", "cache_read", "cache_write", "output", "reasoning")
NUMBERS = ("cost_usd", "latency", "first_token", "overhead")
LATER = ("would", "kill")
"""Texts that came after the first version of the log: NULL for the empty one."""
COLUMNS = ("id", "ts", *TEXTS, *COUNTS, *TOKENS, *NUMBERS, "tags", "attempts", "more", *LATER)
"""Order of a fact row everywhere."""

MOST_COUNT = 2**53
"""What a column takes at most: one line with a larger number must not keep all others out of the log."""

_AT = {name: index for index, name in enumerate(COLUMNS)}

Row = Sequence[Any]


class _More(msgspec.Struct, omit_defaults=True):
    """Fields that are shown and never searched."""

    trace: str = ""
    span: str = ""
    parent_span: str = ""
    provider_request_id: str | None = None
    cost_unknown: str = ""
    checks: list[Check] = []
    overrides: list[str] = []
    notes: list[str] = []
    worker: str = ""
    bodies_dropped: str = ""
    ladder: list[Rung] = []
    cached_age: float | None = None
    cached_from: str = ""
    permit: str = ""
    drill: str = ""
    surface: Format = "chat"


_texts_of = attrgetter(*TEXTS)
_tokens_of = attrgetter(*TOKENS)
_more_of = attrgetter(*_More.__struct_fields__)
_more = msgspec.json.Decoder(_More)
_attempts = msgspec.json.Decoder(list[Attempt])
_tags = msgspec.json.Decoder(dict[str, str])
_json = msgspec.json.Encoder()


def pack_id(inference: str) -> bytes | str:
    """``inf_`` + 32 hex digits → 16 bytes that sort alike; any other id stays text."""
    if len(inference) == 36 and inference.startswith("inf_"):
        try:
            packed = bytes.fromhex(inference[4:])
        except ValueError:
            return inference
        if len(packed) == 16 and packed.hex() == inference[4:]:
            return packed
    return inference


def unpack_id(packed: bytes | str) -> str:
    return packed if isinstance(packed, str) else f"inf_{packed.hex()}"


def to_row(identity: bytes | str, inference: Inference) -> tuple[Any, ...]:
    """The fact row of an inference, whose id is given packed.

    A lost call has no latency: NULL, so that no percentile counts it as 0 s.
    """
    more = _More(*_more_of(inference))
    counts = _tokens_of(inference.tokens)
    if max(counts) > MOST_COUNT:
        counts = tuple(min(count, MOST_COUNT) for count in counts)
    return (
        identity,
        inference.ts,
        *_texts_of(inference),
        inference.status,
        int(inference.stream),
        *counts,
        inference.cost_usd,
        None if inference.failure == "gateway_lost" else inference.latency,
        inference.first_token,
        inference.overhead,
        _json.encode(inference.tags).decode() if inference.tags else None,
        _json.encode(inference.attempts).decode() if inference.attempts else None,
        _json.encode(more).decode(),
        inference.would or None,
        inference.kill or None,
    )


def from_row(row: Row) -> Inference:
    """The inference of a fact row, without bodies."""
    more = _more.decode(row[_AT["more"]])
    fields = {name: row[_AT[name]] for name in TEXTS}
    tags, attempts = row[_AT["tags"]], row[_AT["attempts"]]
    return Inference(
        id=unpack_id(row[0]),
        ts=row[1],
        **fields,
        status=row[_AT["status"]],
        stream=bool(row[_AT["stream"]]),
        tokens=Tokens(*(row[_AT[name]] for name in TOKENS)),
        cost_usd=row[_AT["cost_usd"]],
        latency=row[_AT["latency"]] or 0.0,
        first_token=row[_AT["first_token"]],
        overhead=row[_AT["overhead"]],
        tags=_tags.decode(tags) if tags else {},
        attempts=_attempts.decode(attempts) if attempts else [],
        would=row[_AT["would"]] or "",
        kill=row[_AT["kill"]] or "",
        **{name: getattr(more, name) for name in _More.__struct_fields__},
    )
