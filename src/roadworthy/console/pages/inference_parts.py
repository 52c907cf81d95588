"""Parts of the page of one call: its record as plain JSON, its attempts on a line, what was said.  Pure."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec

from roadworthy.inference_log import telling
from roadworthy.inference_log.model import Entry
from roadworthy.workflow.inference import Attempt, Inference

WIDE = 1000
"""Units of a time line's width."""
THIN = 4
"""Units of the thinnest bar: nothing is invisible."""
LONG = 1200
"""Characters above which a text is folded."""


class Bar(NamedTuple):
    """One attempt on the time line, in ``WIDE`` units."""

    attempt: Attempt
    start: int
    waited: int
    """Width until the first token."""
    answered: int
    """Width from then on."""
    result: str
    tokens: str
    kind: str
    """``good`` or ``bad``."""


class Passage(NamedTuple):
    """One text of a call."""

    title: str
    text: str
    long: bool
    code: bool
    """It is JSON, indented."""


def facts_of(entry: Entry) -> dict[str, Any]:
    """The record as the journal and the admin API have it."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(entry.inference))
    return found


def timeline(call: Inference) -> list[Bar]:
    """Attempts over the time that the call took."""
    end = max([call.latency, *(attempt.ended for attempt in call.attempts)]) or 1.0

    def place(seconds: float) -> int:
        return min(WIDE, max(0, round(seconds / end * WIDE)))

    found = []
    for attempt in call.attempts:
        start, finish = place(attempt.started), place(attempt.ended)
        first = finish if attempt.first_token is None else min(max(place(attempt.first_token), start), finish)
        if finish - start < THIN:
            start, first, finish = min(start, WIDE - THIN), min(start, WIDE - THIN), min(start, WIDE - THIN) + THIN
        plain = msgspec.to_builtins(attempt)
        found.append(
            Bar(
                attempt, start, first - start, finish - first, telling.result(plain),
                telling.tokens(plain.get("tokens")), "bad" if attempt.failure else "good",
            )
        )  # fmt: skip
    return found


def passages(facts: telling.Facts) -> list[Passage]:
    """Texts in their order; JSON is indented, so that it can be read."""
    found = []
    for title, text in telling.texts(facts):
        shown, code = _pretty(text)
        found.append(Passage(title, shown, len(shown) > LONG, code))
    return found


def _pretty(text: str) -> tuple[str, bool]:
    if text[:1] in ("{", "["):
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False), True
        except ValueError:
            pass
    return text, False
