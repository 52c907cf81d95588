"""Answers that run in circles: the same piece over and over, as characters, words, sentences or lines.

A piece of ``p`` units that follows itself ``times`` times is a run of ``p * (times - 1)`` places at which a unit equals
the one ``p`` before it.  The units are written as one large number; that number XOR itself moved by ``p`` units has
zeros at just those places.  Exact, and for each of the few periods one pass over the text at the speed of memory.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.workflow.check_options import option
from roadworthy.workflow.model import CheckSpec

FEWEST_CHARS = 80
"""A loop that covers less is emphasis ("no, no, no") rather than a fault."""
WORD_PERIODS = 32
LINE_PERIODS = 12
FEWEST_IN_LINE = 15
"""Characters of a line that may be counted wherever it stands."""
CHAR_PERIODS = 40
SHARE = 0.5
"""Of the text: the same line so often, and in so much of the text, is a loop even with others in between."""

_NOT_ZERO = re.compile(rb"[^\x00]")
_WORD = re.compile(r"\S+")
_LINE = re.compile(r"[^\n.!?。！？]+[.!?。！？]*")
_NUMBER = re.compile(r"^\s*(?:[-*•>#]+|\(?\d{1,4}[.):]|\[\d{1,4}\])*\s*")

Units = Sequence[tuple[str, int, int]]
"""(what is compared, begin, end) in the order of the text."""


class Repetition:
    def __init__(self, times: int) -> None:
        self._times = times

    def __call__(self, text: str, context: Context) -> Finding | None:
        if len(text) < FEWEST_CHARS:
            return None
        words = [(word[0], word.start(), word.end()) for word in _WORD.finditer(text)]
        found = self._loop(words, WORD_PERIODS, text)
        if found is None:
            lines = _lines(text)
            found = self._loop(lines, LINE_PERIODS, text) or self._scattered(lines, text)
        if found is None:
            found = self._within_words(words)
        if found is None:
            return None
        begin, end = found
        return Finding("runs in circles", max(0.1, min(1.0, (end - begin) / len(text))), (begin, end))

    def _loop(self, units: Units, periods: int, text: str) -> tuple[int, int] | None:
        numbers: dict[str, int] = {}
        codes = array("I", [numbers.setdefault(name, len(numbers)) for name, _, _ in units])
        for period, first, last in _runs(codes.tobytes(), codes.itemsize, periods, self._times):
            begin, end = units[first][1], units[last][2]
            if end - begin >= FEWEST_CHARS and _says_something(text[begin : units[first + period][1]]):
                return begin, end
        return None

    def _scattered(self, lines: Units, text: str) -> tuple[int, int] | None:
        """One sentence that makes up most of the text."""
        counted = Counter(name for name, _, _ in lines if len(name) >= FEWEST_IN_LINE)
        if not counted:
            return None
        line, count = counted.most_common(1)[0]
        if count < self._times or count * len(line) < SHARE * len(text) or not _says_something(line):
            return None
        places = [(begin, end) for name, begin, end in lines if name == line]
        return places[0][0], places[-1][1]

    def _within_words(self, words: Units) -> tuple[int, int] | None:
        """Loops without white space: ``aaaa``, and languages that write none."""
        for word, begin, _ in words:
            if len(word) < FEWEST_CHARS:
                continue
            width = 1 if word.isascii() else 4
            data = word.encode("ascii" if width == 1 else "utf-32-le", "replace")
            for period, first, last in _runs(data, width, CHAR_PERIODS, self._times):
                if last + 1 - first >= FEWEST_CHARS and _says_something(word[first : first + period]):
                    return begin + first, begin + last + 1
        return None


def _runs(data: bytes, width: int, periods: int, times: int) -> Iterator[tuple[int, int, int]]:
    """(period, first unit, last unit) of every piece that follows itself ``times`` times or more.

    ``data``: the units, ``width`` bytes each.
    """
    count = len(data) // width
    whole = int.from_bytes(data, "little")
    for period in range(1, min(periods, count // times) + 1):
        differs = (whole ^ (whole >> 8 * width * period)).to_bytes(len(data), "little")
        end_of_all = width * (count - period)
        need = period * (times - 1)
        at = differs.find(b"\x00" * (width * need), 0, end_of_all)
        while at >= 0:
            found = _NOT_ZERO.search(differs, at, end_of_all)
            end = found.start() if found is not None else end_of_all
            first, after = -(-at // width), end // width  # a unit's own zero bytes may come before the run
            if after - first >= need:
                yield period, first, after + period - 1
            at = differs.find(b"\x00" * (width * need), end, end_of_all)


def _lines(text: str) -> Units:
    """Sentences and lines without their numbering."""
    units = []
    for line in _LINE.finditer(text):
        name = _NUMBER.sub("", line[0], count=1).strip().lower()
        if name:
            units.append((name, line.start(), line.end()))
    return units


def _says_something(piece: str) -> bool:
    """Rules, dots and columns of figures repeat themselves in good answers."""
    return any(letter.isalpha() for letter in piece)


def build(spec: CheckSpec) -> TextCheck:
    return Repetition(option(spec, "times"))
