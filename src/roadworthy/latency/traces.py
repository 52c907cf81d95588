"""Traces to replay: when calls came and how long they were, from our own log or a file of Azure's shape.

Azure's shape is that of the Azure LLM inference traces (Patel et al., "Splitwise", ISCA 2024): a CSV with the columns
``TIMESTAMP,ContextTokens,GeneratedTokens``, the instants with up to seven decimals.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import floor, sqrt
from pathlib import Path

import msgspec

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_MOST_TOKENS = 10_000_000
_LONGEST_FILE = 256 * 1024 * 1024


class Traced(msgspec.Struct, frozen=True, gc=False):
    """One call as it once came."""

    at: float
    """Unix seconds."""
    input_tokens: int | None = None
    output_tokens: int | None = None


class TraceRefused(ValueError):
    """A file is no trace; the message names it, the line, what was found and what was expected."""


class Burstiness(msgspec.Struct, frozen=True):
    """What a trace looks like."""

    calls: int
    seconds: float
    """From the first to the last call."""
    rate: float
    cv: float
    """Coefficient of variation of the gaps between calls: 1 for Poisson, more for bursts; 0 under three calls."""
    most_in_a_second: int
    """Within one second of the clock."""


def read_azure(path: Path) -> list[Traced]:
    """The calls of a CSV of Azure's shape, oldest first.  Raises ``TraceRefused``, and ``OSError`` as it comes."""
    if path.stat().st_size > _LONGEST_FILE:
        raise TraceRefused(f"{path}: longer than {_LONGEST_FILE // 2**20} MiB: cut it into pieces")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            found = _rows(path, csv.reader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise TraceRefused(f"{path}: not a CSV file in UTF-8 ({error}), expected {','.join(COLUMNS)}") from None
    if not found:
        raise TraceRefused(f"{path}: holds no calls, expected a line under {','.join(COLUMNS)} for each")
    return in_order(found)


def of_log(calls: Iterable[tuple[float, int | None, int | None]]) -> list[Traced]:
    """A trace of our own inferences: (Unix seconds when it came, input tokens, output tokens) of each, in any order."""
    return in_order([Traced(*each) for each in calls])


def in_order(trace: Iterable[Traced]) -> list[Traced]:
    """Oldest first; calls of the same instant stay as they were."""
    return sorted(trace, key=lambda each: each.at)


def burstiness(starts: Sequence[float]) -> Burstiness:
    """Of instants in ascending order, in seconds."""
    count = len(starts)
    if count < 2:
        return Burstiness(count, 0.0, 0.0, 0.0, count)
    seconds = starts[-1] - starts[0]
    mean = seconds / (count - 1)
    squares = sum((later - earlier - mean) ** 2 for earlier, later in pairwise(starts))
    spread = sqrt(squares / (count - 2)) if count > 2 else 0.0
    cv = spread / mean if mean else 0.0
    return Burstiness(count, seconds, (count - 1) / seconds if seconds else 0.0, cv, _most_in_a_second(starts))


def _most_in_a_second(starts: Sequence[float]) -> int:
    return max(Counter(map(floor, starts)).values())


def _rows(path: Path, rows: Iterable[list[str]]) -> list[Traced]:
    found: list[Traced] = []
    places: tuple[int, int, int] | None = None
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        if places is None:
            places = _header(path, number, row)
            continue
        try:
            instant, asked, answered = (row[place] for place in places)
        except IndexError:
            raise TraceRefused(f"{path}, line {number}: {len(row)} columns, expected {','.join(COLUMNS)}") from None
        found.append(
            Traced(
                _instant(path, number, instant),
                _tokens(path, number, COLUMNS[1], asked),
                _tokens(path, number, COLUMNS[2], answered),
            )
        )
    return found


def _header(path: Path, number: int, row: list[str]) -> tuple[int, int, int]:
    names = [name.strip().lower() for name in row]
    missing = [name for name in COLUMNS if name.lower() not in names]
    if missing:
        said = ",".join(row)[:100]
        raise TraceRefused(
            f"{path}, line {number}: no column {', '.join(missing)} in {said!r}, "
            f"expected the header {','.join(COLUMNS)}"
        )
    first, second, third = (names.index(name.lower()) for name in COLUMNS)
    return first, second, third


def _instant(path: Path, number: int, text: str) -> float:
    """Unix seconds; an instant without an offset is UTC."""
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise TraceRefused(
            f"{path}, line {number}, {COLUMNS[0]}: {text[:60]!r}, "
            "expected an instant such as 2023-11-16 18:15:46.6805900"
        ) from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _tokens(path: Path, number: int, column: str, text: str) -> int | None:
    """A count; ``None`` for an empty cell: unknown."""
    text = text.strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > _MOST_TOKENS:
        raise TraceRefused(f"{path}, line {number}, {column}: {text[:60]!r}, expected a number of tokens, 0 or more")
    return int(text)
