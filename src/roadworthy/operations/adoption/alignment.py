"""Finding the template behind texts that were rendered from it.  Pure.

Texts are cut into words, runs of space and dates; what all texts have in common, in order, is literal, and what
lies between is a hole.  A date that is the day of the call becomes a hole even when every call was made on one day.
The result matches every text it was made from: ``derive_template`` makes sure of it.
"""

from __future__ import annotations

import calendar
import datetime
import itertools
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

from roadworthy.workflow.prompt import Template, normalise_newlines

MAX_CHARS: Final = 200_000
"""Longest text that is aligned; longer ones make ``TooLong``."""

_MONTHS: Final = tuple(calendar.month_name)[1:]
_MONTH: Final = "|".join(f"{month}|{month[:3]}" for month in _MONTHS)
_DATE: Final = (
    rf"\d{{4}}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    rf"|\d{{1,2}} (?:{_MONTH}) \d{{4}}|(?:{_MONTH}) \d{{1,2}},? \d{{4}}|\d\d?[./]\d\d?[./]\d{{4}}"
)
_TOKEN: Final = re.compile(rf"(?:{_DATE})|\s+|[^\s\w]|\w+")
_DATE_TOKEN: Final = re.compile(_DATE)
_HOLE: Final = ""
"""Stands for a hole in a list of tokens; no token is empty."""
_LEAST_WORDS: Final = 4
"""Letters and digits that a literal between two holes must have: less is chance."""


class TooLong(ValueError):
    """A text is too long to be aligned."""


def derive_template(texts: Sequence[str], days: Sequence[datetime.date | None] = ()) -> Template:
    """The most literal template found that matches all ``texts``; ``days`` are the days of the calls.

    Raises ``TooLong``.  Holes are named after what stands before them, else ``hole_1``, ``hole_2``…
    """
    clean = [normalise_newlines(text) for text in texts]
    if any(len(text) > MAX_CHARS for text in clean):
        raise TooLong(f"a text of more than {MAX_CHARS:,} characters")
    pattern: list[str] | None = None
    for text, day in dict(zip(clean, days or [None] * len(clean), strict=True)).items():
        tokens = _tokens(text, day)
        pattern = tokens if pattern is None else _common(pattern, tokens)
    literals = _literals(_merged(pattern or []))
    literals = _give_back_punctuation(literals, clean)
    template = Template.build(literals, _names(literals))
    if not all(template.match(text) is not None for text in clean):
        raise AssertionError("the derived prompt does not match every observed call")
    return template


def _tokens(text: str, day: datetime.date | None) -> list[str]:
    tokens = _TOKEN.findall(text)
    if day is None:
        return tokens
    return [_HOLE if _DATE_TOKEN.fullmatch(token) and _is_day(token, day) else token for token in tokens]


def _is_day(token: str, day: datetime.date) -> bool:
    """Could the token be the day of the call, somewhere on earth?"""
    near = [day + datetime.timedelta(days=shift) for shift in (-1, 0, 1)]
    for one in near:
        month = _MONTHS[one.month - 1]
        forms = {one.isoformat()}
        for number in (f"{one.day}", f"{one.day:02}"):
            forms |= {f"{number} {name} {one.year}" for name in (month, month[:3])}
            forms |= {f"{name} {number}{comma} {one.year}" for name in (month, month[:3]) for comma in (",", "")}
            for number_of_month in (f"{one.month}", f"{one.month:02}"):
                forms |= {f"{number}{sign}{number_of_month}{sign}{one.year}" for sign in "./"}
                forms |= {f"{number_of_month}/{number}/{one.year}"}
        if token[:10] == one.isoformat() or token in forms:
            return True
    return False


def _common(pattern: list[str], tokens: list[str]) -> list[str]:
    """The pattern with a hole wherever ``tokens`` differ from it."""
    start = 0
    while start < min(len(pattern), len(tokens)) and pattern[start] == tokens[start]:
        start += 1
    end = 0
    while end < min(len(pattern), len(tokens)) - start and pattern[-1 - end] == tokens[-1 - end]:
        end += 1
    left, right = pattern[start : len(pattern) - end], tokens[start : len(tokens) - end]
    out = pattern[:start]
    at = other = 0
    for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        if block.a > at or block.b > other:
            out.append(_HOLE)
        out += left[block.a : block.a + block.size]
        at, other = block.a + block.size, block.b + block.size
    return out + pattern[len(pattern) - end :]


def _merged(pattern: list[str]) -> list[str]:
    """Literals between two holes that are too short to mean anything become part of the hole."""
    places = [index for index, token in enumerate(pattern) if token == _HOLE]
    if not places:
        return pattern
    out = pattern[: places[0] + 1]
    for place, following in itertools.pairwise(places):
        between = pattern[place + 1 : following]
        if sum(character.isalnum() for character in "".join(between)) >= _LEAST_WORDS:
            out += [*between, _HOLE]
    return out + pattern[places[-1] + 1 :]


def _literals(pattern: list[str]) -> list[str]:
    places = [-1, *(index for index, token in enumerate(pattern) if token == _HOLE), len(pattern)]
    return ["".join(pattern[start + 1 : end]) for start, end in itertools.pairwise(places)]


def _give_back_punctuation(literals: list[str], texts: Sequence[str]) -> list[str]:
    """Let holes start and end at words: what all fillings begin or end with belongs to the literals."""
    names = [f"hole_{number}" for number in range(1, len(literals))]
    out = list(literals)
    for index, name in enumerate(names):
        while True:
            template = Template.build(out, names)
            fillings = [(template.match(text) or {}).get(name, "") for text in texts]
            if any(len(filling) < 2 for filling in fillings):
                break
            first, last = fillings[0][0], fillings[0][-1]
            if not first.isalnum() and all(filling[0] == first for filling in fillings):
                changed = [*out[:index], out[index] + first, *out[index + 1 :]]
            elif not last.isalnum() and all(filling[-1] == last for filling in fillings):
                changed = [*out[: index + 1], last + out[index + 1], *out[index + 2 :]]
            else:
                break
            moved = Template.build(changed, names)
            if not all(moved.match(text) is not None for text in texts):
                break
            out = changed
    return out


def _names(literals: Sequence[str]) -> list[str]:
    """A name for the hole after each literal but the last: its label or tag when it has one."""
    names: list[str] = []
    for number, literal in enumerate(literals[:-1], 1):
        label = re.search(r"(?:([A-Za-z][A-Za-z ]{0,30}?)\s*[:=]|<([A-Za-z][\w-]{0,30})>)[\s\"']*$", literal)
        words = (label[1] or label[2]).split() if label else []
        name = re.sub(r"\W+", "_", "_".join(words[-3:]).lower()).strip("_")
        if not name:
            name = f"hole_{number}"
        base, again = name, 2
        while name in names:
            name, again = f"{base}_{again}", again + 1
        names.append(name)
    return names
