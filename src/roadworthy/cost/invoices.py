"""A provider's bill, read from CSV, against the log: by UTC day and model, each difference split into causes.  Pure.

Columns are known by name, in whatever order: the usage and cost exports of OpenAI's and Anthropic's dashboards (as they
name them in 2026), or a table of one's own with ``date``, ``model`` and ``usd``.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final, Literal

import msgspec

from roadworthy.cost.rules import cost_of
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import Price

LARGEST = 32 * 1024 * 1024
"""Bytes of a file."""
MOST_ROWS = 500_000
Maker = Literal["openai", "anthropic", "own"]

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "day": ("usage_date_utc", "date", "day", "start_time_iso", "start_time"),
    "model": ("model_version", "model", "line_item"),
    "usd": ("usd", "cost_usd", "amount_value", "cost", "amount"),
    "currency": ("amount_currency", "currency"),
    "calls": ("num_model_requests", "requests", "calls"),
    "fresh": ("usage_input_tokens_no_cache", "uncached_input_tokens"),
    "input": ("input_tokens", "prompt_tokens"),
    "cache_read": ("usage_input_tokens_cache_read", "input_cached_tokens", "cache_read_tokens"),
    "cache_write": ("usage_input_tokens_cache_write_5m", "cache_write_tokens"),
    "cache_write_1h": ("usage_input_tokens_cache_write_1h",),
    "output": ("usage_output_tokens", "output_tokens", "completion_tokens"),
}
"""Field → names of its column.  ``input`` counts what was cached, ``fresh`` does not."""
_TOKENS: Final = ("fresh", "input", "cache_read", "cache_write", "cache_write_1h", "output")

SAME = 0.01
"""Share by which tokens or dollars may differ and still agree: rounding, and calls at midnight."""
CENT = 0.01


class NotRead(ValueError):
    """The file is no bill that we can read: names line, column, what was found and what would do."""


class Billed(msgspec.Struct, frozen=True):
    """What one day of one model was billed."""

    day: str
    model: str
    """As the bill names it."""
    usd: float | None
    """``None``: the file has no amounts."""
    tokens: Tokens | None
    """``None``: it has no tokens."""
    calls: int | None = None


class Bill(msgspec.Struct, frozen=True):
    maker: Maker
    rows: list[Billed]
    """One a day and model, by day."""
    passed_over: int = 0
    """Rows without any amount."""
    repeated: int = 0
    """Rows that are another one to the letter; they are added up as the rest."""


class Logged(msgspec.Struct, frozen=True):
    """What the log has of one day and model."""

    day: str
    model: str
    calls: int
    unpriced: int
    """Calls whose cost is not known."""
    usd: float
    tokens: Tokens


Why = Literal["round", "unpriced", "price", "not_billed"]
WHY: Final[tuple[Why, ...]] = ("round", "unpriced", "price", "not_billed")


class Difference(msgspec.Struct, frozen=True):
    """One day of one model.  ``parts`` add up to ``difference``."""

    day: str
    model: str
    billed: float
    estimated: bool
    """The bill has no amount: its tokens, priced by us."""
    logged: float
    calls: int
    """In the log."""
    parts: dict[Why, float]
    """Cause → US dollars: calls that went round Roadworthy; calls without a known price; the same tokens at another
    price; what was logged and not billed."""

    @property
    def difference(self) -> float:
        return self.billed - self.logged

    @property
    def agrees(self) -> bool:
        return abs(self.difference) <= max(CENT, SAME * max(self.billed, self.logged))


class Reconciled(msgspec.Struct, frozen=True):
    maker: Maker
    since: str
    until: str
    """Days, both inclusive."""
    rows: list[Difference]
    """By day, then model."""
    notes: list[str]

    @property
    def billed(self) -> float:
        return math.fsum(row.billed for row in self.rows)

    @property
    def logged(self) -> float:
        return math.fsum(row.logged for row in self.rows)

    @property
    def parts(self) -> dict[Why, float]:
        return {why: math.fsum(row.parts.get(why, 0.0) for row in self.rows) for why in WHY}

    @property
    def agrees(self) -> bool:
        return all(row.agrees for row in self.rows)


# --- reading


def read(text: str, name: str = "the file") -> Bill:
    """Raises ``NotRead``."""
    sample = text.lstrip("\ufeff")
    if not sample.strip():
        raise NotRead(f"{name} is empty: export it anew as CSV")
    first = sample.splitlines()[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(sample), delimiter=delimiter, strict=True)
    try:
        header = [cell.strip().lower() for cell in next(rows)]
        at = _columns(header, name)
        return _bill(rows, header, at, name)
    except csv.Error as error:
        raise NotRead(f"{name}, line {rows.line_num}: no CSV: {error}") from error


def _columns(header: Sequence[str], name: str) -> dict[str, int]:
    at = {
        field: header.index(found)
        for field, known in _COLUMNS.items()
        if (found := next((each for each in known if each in header), None)) is not None
    }
    for field in ("day", "model"):
        if field not in at:
            wanted = " or ".join(repr(each) for each in _COLUMNS[field])
            found = ", ".join(cell[:40] for cell in header[:12]) or "nothing"
            raise NotRead(f"{name}, line 1: no column for the {field}: found {found}; expected {wanted}")
    if "usd" not in at and not any(field in at for field in ("fresh", "input", "output")):
        raise NotRead(f"{name}, line 1: neither amounts nor tokens: expected a column usd, or input_tokens and "
                      "output_tokens")  # fmt: skip
    return at


def _bill(rows: Iterator[list[str]], header: Sequence[str], at: Mapping[str, int], name: str) -> Bill:
    sums: dict[tuple[str, str], Billed] = {}
    passed_over = repeated = 0
    known: set[int] = set()
    """Hashes: half a million rows are kept in no other way."""
    for number, row in enumerate(rows, 2):
        if number > MOST_ROWS:
            raise NotRead(f"{name}: more than {MOST_ROWS:,} rows: export fewer days at once")
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise NotRead(f"{name}, line {number}: {len(row)} cells; expected {len(header)}, as in line 1")
        billed = _row(row, at, f"{name}, line {number}")
        if billed is None:
            passed_over += 1
            continue
        at_all = len(known)
        known.add(hash(tuple(row)))
        repeated += len(known) == at_all
        key = billed.day, model_of(billed.model)
        sums[key] = billed if key not in sums else _sum(sums[key], billed)
    if not sums:
        raise NotRead(f"{name}: no row has an amount or tokens: export a time with usage")
    maker: Maker = "own"
    if "usage_date_utc" in header:
        maker = "anthropic"
    elif "num_model_requests" in header or "line_item" in header or "organization_id" in header:
        maker = "openai"
    return Bill(maker, [sums[key] for key in sorted(sums)], passed_over, repeated)


def _row(row: Sequence[str], at: Mapping[str, int], where: str) -> Billed | None:
    def cell(field: str) -> str:
        return row[at[field]].strip() if field in at else ""

    if not any(cell(field) for field in ("usd", "calls", *_TOKENS)):
        return None
    currency = cell("currency").lower()
    if currency not in ("", "usd"):
        raise NotRead(f"{where}: currency {currency[:10]!r}: amounts are compared in US dollars; convert them first")
    day = _day(cell("day"), where)
    number = {field: _number(cell(field), where, field) for field in ("usd", "calls", *_TOKENS)}
    tokens = None
    if any(cell(field) for field in _TOKENS):
        read_ = number["cache_read"] or 0.0
        kept, hour = number["cache_write"] or 0.0, number["cache_write_1h"] or 0.0
        fresh = number["fresh"]
        if fresh is None:
            fresh = max(0.0, (number["input"] or 0.0) - read_)
        tokens = Tokens(
            input=round(fresh), cache_read=round(read_), cache_write=round(kept + hour),
            output=round(number["output"] or 0.0), cache_write_1h=round(hour),
        )  # fmt: skip
    model = re.sub(r",\s*[\w ]+$", "", cell("model"))  # "gpt-4o-mini-2024-07-18, cached input"
    calls = number["calls"]
    return Billed(day, model, number["usd"], tokens, None if calls is None else round(calls))


def _day(text: str, where: str) -> str:
    try:
        if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
            return datetime.fromtimestamp(float(text), UTC).date().isoformat()
        if len(text) > 10:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo is None else moment.astimezone(UTC)).date().isoformat()
        return date.fromisoformat(text).isoformat()
    except (ValueError, OverflowError, OSError):
        raise NotRead(f"{where}: {text[:40]!r} is no day: expected 2026-11-23, an ISO time or Unix seconds") from None


def _number(text: str, where: str, field: str) -> float | None:
    if not text:
        return None
    found = float(plain) if (plain := _plain(text, whole=field != "usd")) is not None else math.nan
    if not -1e12 < found < 1e15:
        raise NotRead(f"{where}: {text[:40]!r} is no number for {field}, or two: write it as 1234.56")
    return found


_PLAIN = re.compile(r"\d*\.?\d+(e[+-]?\d{1,3})?|\d+\.", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"(\d+|\d{1,3}(\.\d{3})+),\d+", re.ASCII)


def _plain(text: str, *, whole: bool) -> str | None:
    """The number as Python writes it; ``None``: it is none, or can be read in two ways.  ``whole``: it is a count.

    ``1,234.56`` and ``1.234,56`` are told by their last sign, ``0,56`` by its digits.  An amount of ``1,234`` may be
    either, and a bill that is wrong by a thousand must not pass for one that is right.
    """
    sign, rest = ("-", text[1:]) if text[:1] in "-−" else ("", text)
    if rest.startswith("(") and rest.endswith(")"):  # a credit, as accountants write it
        sign, rest = "-", rest[1:-1]
    rest = rest.strip().removeprefix("$").strip()
    if _PLAIN.fullmatch(rest):
        return sign + rest
    grouped, comma = _GROUPED.fullmatch(rest), _DECIMAL_COMMA.fullmatch(rest)
    if grouped and comma and not whole:
        return None
    if grouped:
        return sign + rest.replace(",", "")
    return sign + rest.replace(".", "").replace(",", ".") if comma else None


def _sum(one: Billed, other: Billed) -> Billed:
    usd = None if one.usd is None and other.usd is None else (one.usd or 0.0) + (other.usd or 0.0)
    tokens = (
        None if one.tokens is None and other.tokens is None else (one.tokens or Tokens()) + (other.tokens or Tokens())
    )
    calls = None if one.calls is None and other.calls is None else (one.calls or 0) + (other.calls or 0)
    return Billed(one.day, one.model, usd, tokens, calls)


def model_of(name: str) -> str:
    """One name for a model, its dated versions and how a bill writes it: ``Claude Sonnet 4`` and
    ``claude-sonnet-4-20250514`` are one."""
    plain = re.sub(r"[\s._]+", "-", name.strip().lower()).rpartition("/")[2]
    return re.sub(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$", "", plain)


# --- comparing


def reconcile(bill: Bill, logged: Sequence[Logged], price_of: Callable[[str], Price | None]) -> Reconciled:
    """``logged``: of the bill's days, UTC; ``price_of``: of a model, for bills without amounts."""
    ours: dict[tuple[str, str], Logged] = {}
    for each in logged:
        key = each.day, model_of(each.model)
        before = ours.get(key)
        ours[key] = each if before is None else Logged(
            each.day, before.model, before.calls + each.calls, before.unpriced + each.unpriced,
            before.usd + each.usd, before.tokens + each.tokens,
        )  # fmt: skip
    theirs = {(row.day, model_of(row.model)): row for row in bill.rows}
    rows, unknown = [], set()
    for key in sorted({*theirs, *ours}):
        billed, mine = theirs.get(key), ours.get(key)
        price = price_of(billed.model if billed is not None else key[1])
        if billed is not None and billed.usd is None and price is None:
            unknown.add(billed.model)
        rows.append(_difference(key, billed, mine, price))
    notes = [
        f"nobody knows what {model or 'an unnamed model'} costs, and the bill has no amounts: it counts as $0"
        for model in sorted(unknown)
    ]
    notes += _shifted(rows)
    if bill.passed_over:
        notes.append(f"{bill.passed_over:,} rows of the file have neither amounts nor tokens")
    if bill.repeated:
        notes.append(
            f"{bill.repeated:,} rows of the file are another one to the letter, and are added up: was it put together "
            "of exports that overlap?"
        )
    days = [row.day for row in bill.rows]
    return Reconciled(bill.maker, min(days), max(days), rows, notes)


def _difference(key: tuple[str, str], billed: Billed | None, mine: Logged | None, price: Price | None) -> Difference:
    day, name = key
    model = (billed.model if billed is not None else mine.model if mine is not None else name) or name
    amount, estimated = 0.0, False
    if billed is not None:
        estimated = billed.usd is None
        amount = billed.usd if billed.usd is not None else _priced(billed.tokens, price)
    ours = mine or Logged(day, model, 0, 0, 0.0, Tokens())
    return Difference(day, model, amount, estimated, ours.usd, ours.calls, _parts(amount, billed, ours))


def _parts(amount: float, billed: Billed | None, ours: Logged) -> dict[Why, float]:
    """The difference, split so that nothing is left over: first what was never logged (by tokens, else by calls), then
    what was logged without a price; what remains is charged otherwise than we priced it."""
    if billed is None:
        return {"not_billed": -ours.usd} if ours.usd else {}
    if not ours.calls:
        return {"round": amount} if amount else {}
    theirs, mine = _weights(billed, ours)
    parts: dict[Why, float] = {}
    if theirs and mine and theirs > mine * (1.0 + SAME):
        parts["round"] = amount * (1.0 - mine / theirs)
    elif theirs and mine and mine > theirs * (1.0 + SAME):
        parts["not_billed"] = -ours.usd * (1.0 - theirs / mine)
    if ours.unpriced:
        parts["unpriced"] = (amount - parts.get("round", 0.0)) * ours.unpriced / ours.calls
    rest = amount - ours.usd - sum(parts.values())
    if abs(rest) > 1e-12:
        parts["price"] = rest
    return parts


def _weights(billed: Billed, ours: Logged) -> tuple[float, float]:
    """How much was billed and how much was logged, in the same unit; (0, 0): they cannot be compared."""
    if billed.tokens is not None and billed.tokens.total and ours.tokens.total:
        return float(billed.tokens.total), float(ours.tokens.total)
    if billed.calls:
        return float(billed.calls), float(ours.calls)
    return 0.0, 0.0


def _priced(tokens: Tokens | None, price: Price | None) -> float:
    return 0.0 if tokens is None or price is None else cost_of(tokens, price)


def _shifted(rows: Sequence[Difference]) -> list[str]:
    """Models whose days differ while their sum does not: calls around midnight."""
    found = []
    for model in dict.fromkeys(model_of(row.model) for row in rows):
        mine = [row for row in rows if model_of(row.model) == model]
        billed, logged = (math.fsum(getattr(row, side) for row in mine) for side in ("billed", "logged"))
        differ = [row for row in mine if not row.agrees]
        if len(differ) > 1 and abs(billed - logged) <= max(CENT, SAME * max(billed, logged)):
            found.append(f"{mine[0].model}: single days differ and their sum does not: calls around midnight UTC")
    return found


def in_words(why: Why) -> str:
    return {
        "round": "went round Roadworthy: billed, never logged",
        "unpriced": "logged without a known price: declare a price on the target",
        "price": "the same calls at another price: contract, discount, batch, or fees of the provider's own tools",
        "not_billed": "logged and not billed: free quota, another account, or tokens that were estimated",
    }[why]
