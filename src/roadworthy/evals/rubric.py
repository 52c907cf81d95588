"""``rubric.md``: how people score an answer, in prose, and the few named values that a score may be.  Pure.

    ## good = 1
    A colleague would send it as it is.
    > "Your parcel left on Monday and arrives by Thursday."

Two to four values, each a level-2 heading ``name = score`` with at least one quoted example beneath it.  Other
headings and text are for people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

FEWEST: Final = 2
MOST: Final = 4
"""Values: people agree on few, and each has a key of its own."""
LONGEST: Final = 64 * 1024
"""Characters of a rubric."""
KEYS: Final = frozenset("usq?")
"""Letters that mean something else while scoring: undo, skip, quit, help."""

_HEADING = re.compile(r"^##(?!#)\s*(.*?)\s*#*\s*$")
_ANY_HEADING = re.compile(r"^#{1,2}(?!#)\s")
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_QUOTE = re.compile(r"^\s{0,3}>\s?(.*)$")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,23}")
_MEND: Final = "write, for example, '## good = 1'"


class Value(msgspec.Struct, frozen=True):
    """One of the words that a score may be."""

    name: str
    score: float
    """In [0, 1]; 1 is best."""
    text: str
    """What it means."""
    examples: list[str]
    """Answers that have it, as quoted in the rubric."""


class Rubric(msgspec.Struct, frozen=True):
    values: list[Value]
    """In the order in which they are written."""

    def named(self, name: str) -> Value | None:
        return next((each for each in self.values if each.name == name), None)

    def keys(self) -> dict[str, Value]:
        """Key → value: its number from 1, and its first letter where that is nobody else's."""
        found = {str(at): value for at, value in enumerate(self.values, 1)}
        letters = [value.name[0] for value in self.values]
        found |= {
            letter: value
            for letter, value in zip(letters, self.values, strict=True)
            if letters.count(letter) == 1 and letter not in KEYS
        }
        return found


class Unusable(Exception):
    """Nobody can score by this text; ``problems`` name file, line and mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


def read(text: str, file: str = "rubric.md") -> Rubric:
    """Raises ``Unusable``."""
    if len(text) > LONGEST:
        raise Unusable([f"{file}: has {len(text):,} characters, expected at most {LONGEST:,}; shorten it"])
    problems: list[str] = []
    found: list[tuple[int, Value]] = []
    for line, title, body in _sections(text):
        if "=" not in title:
            continue
        value = _value(f"{file}:{line}", title, body, problems)
        if value is not None:
            found.append((line, value))
    problems += _together(file, found) if not problems else []
    if problems:
        raise Unusable(problems)
    return Rubric([value for _, value in found])


def _sections(text: str) -> list[tuple[int, str, list[str]]]:
    """(line, title, lines beneath) of the level-2 headings; what stands in a code block is no heading."""
    found: list[tuple[int, str, list[str]]] = []
    inside, fenced = False, False
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if _FENCE.match(line):
            fenced = not fenced
        heading = None if fenced else _HEADING.match(line)
        if heading is not None:
            found.append((number, heading[1], []))
            inside = True
        elif not fenced and _ANY_HEADING.match(line):
            inside = False
        elif inside:
            found[-1][2].append(line)
    return found


def _value(where: str, title: str, body: Sequence[str], problems: list[str]) -> Value | None:
    name, _, number = (part.strip() for part in title.partition("="))
    if not _NAME.fullmatch(name):
        problems.append(
            f"{where}: the value is called '{name}'; expected a word of small letters, digits, - and _; {_MEND}"
        )
        return None
    try:
        score = float(number)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        problems.append(f"{where}: '{name}' scores '{number}'; expected a number from 0 to 1; {_MEND}")
        return None
    examples = _quoted(body)
    if not examples:
        problems.append(f"{where}: '{name}' has no example; write an answer that has it beneath, each line after '> '")
        return None
    prose = "\n".join(line for line in body if not _QUOTE.match(line)).strip()
    return Value(name, score, prose, examples)


def _quoted(body: Sequence[str]) -> list[str]:
    """The quotations, each a run of lines after ``>``."""
    found: list[list[str]] = []
    going = False
    for line in body:
        quote = _QUOTE.match(line)
        if quote is not None and going:
            found[-1].append(quote[1])
        elif quote is not None:
            found.append([quote[1]])
        going = quote is not None
    texts = ["\n".join(lines).strip() for lines in found]
    return [text for text in texts if text]


def _together(file: str, found: Sequence[tuple[int, Value]]) -> list[str]:
    if not FEWEST <= len(found) <= MOST:
        return [
            f"{file}: has {len(found)} named values, expected {FEWEST} to {MOST}: level-2 headings with a score each "
            f"('## good = 1', '## bad = 0'), with an example beneath ('> …')"
        ]
    for known in ("name", "score"):
        seen: dict[object, int] = {}
        for line, value in found:
            this = getattr(value, known)
            if this in seen:
                return [
                    f"{file}:{line}: '{value.name} = {value.score:g}' has the {known} of line {seen[this]}; "
                    "give each value its own"
                ]
            seen[this] = line
    return []
