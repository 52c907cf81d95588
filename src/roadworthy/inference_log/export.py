"""The log as JSON, CSV or Parquet: streamed, whatever its size.

Text in a CSV came from callers and models; a spreadsheet would run ``=HYPERLINK(…)``.  Every text that begins
like a formula gets an apostrophe in front (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal

import msgspec

from roadworthy.workflow.inference import Inference

Format = Literal["json", "csv", "parquet"]

ROWS = 2000
"""Inferences held at a time."""

_TEXT = [
    "id", "team", "workflow", "digest", "stage", "route", "traffic", "unit", "session", "key", "outcome", "failure",
    "code", "target", "model_asked", "model_answered", "provider_request_id", "cost_unknown", "trace", "worker",
    "cached_from", "permit", "drill", "would", "kill",
    "surface",
]  # fmt: skip
_NUMBERS = ["ts", "cost_usd", "latency", "first_token", "overhead", "cached_age"]
_COUNTS = ["status"]
_TOKENS = ["input", "cache_read", "cache_write", "output", "reasoning"]
_JSON = ["attempts", "checks", "overrides", "notes", "tags", "ladder"]
_BODIES = ["request", "prompt", "response"]


def export(inferences: Iterable[Inference], kind: Format, *, bodies: bool) -> Iterator[bytes]:
    """Chunks of one document.  JSON is an array with one inference a line; CSV and Parquet have flat columns."""
    match kind:
        case "json":
            return _json(inferences)
        case "csv":
            return _csv(inferences, bodies)
        case "parquet":
            return _parquet(inferences, bodies)


def _json(inferences: Iterable[Inference]) -> Iterator[bytes]:
    before = b"[\n"
    for inference in inferences:
        yield before + msgspec.json.encode(inference)
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def flat(inference: Inference, bodies: bool) -> dict[str, Any]:
    """One row: texts, numbers, token counts as ``tokens_*``, lists and maps as JSON text."""
    row: dict[str, Any] = {name: getattr(inference, name) for name in (*_TEXT, *_NUMBERS, *_COUNTS)}
    row["stream"] = inference.stream
    row.update({f"tokens_{name}": getattr(inference.tokens, name) for name in _TOKENS})
    row.update({name: msgspec.json.encode(getattr(inference, name)).decode() for name in _JSON})
    if bodies:
        row["request"] = _text(inference.request)
        row["prompt"] = inference.prompt
        row["response"] = _text(inference.response)
    return row


def columns(bodies: bool) -> list[str]:
    tokens = [f"tokens_{name}" for name in _TOKENS]
    return [*_TEXT, *_NUMBERS, *_COUNTS, "stream", *tokens, *_JSON, *(_BODIES if bodies else [])]


def _text(body: msgspec.Raw | None) -> str | None:
    return None if body is None else bytes(body).decode("utf-8", "replace")


def guarded(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def _csv(inferences: Iterable[Inference], bodies: bool) -> Iterator[bytes]:
    names = columns(bodies)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(names)
    rows = iter(inferences)
    while True:
        batch = list(islice(rows, ROWS // 10))
        for inference in batch:
            row = flat(inference, bodies)
            writer.writerow([guarded(row[name]) for name in names])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
        if not batch:
            return


class _Sink(io.RawIOBase):
    """Takes what the Parquet writer writes until it is handed on."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def _parquet(inferences: Iterable[Inference], bodies: bool) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {name: pa.float64() for name in _NUMBERS}
    kinds |= {name: pa.int64() for name in (*_COUNTS, *(f"tokens_{name}" for name in _TOKENS))}
    kinds["stream"] = pa.bool_()
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns(bodies)])
    sink = _Sink()
    rows = iter(inferences)
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        while batch := list(islice(rows, ROWS)):
            table = pa.Table.from_pylist([flat(inference, bodies) for inference in batch], schema=schema)
            writer.write_table(table)
            yield sink.take()
    yield sink.take()
