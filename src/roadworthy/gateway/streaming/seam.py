"""Where a continued answer joins what was said before it broke.  Pure: text in, text out.

A target that takes up a begun answer by itself (``native``) goes on at the very character, so nothing is taken out; but
some tell the begun answer again first, and that is followed, silently, up to what was said.

A target that was asked in words to go on (``asked``) must begin with the last words of what was said: that shows that
it knows the place.  They are taken out, the longest end of what was said with which the continuation begins.  One that
begins otherwise is refused, not glued on.

Nothing is guessed.  "10" continued by "000" is 10000, so a short repetition is none; and of text that repeats itself
("ha ha ha …") nobody can tell how much was repeated: then the longest repetition counts, unless it has fewer than
``DISTINCT`` different characters.
"""

from __future__ import annotations

import re

LEAST = 12
"""Characters of the shortest repetition that is not taken for chance."""

DISTINCT = 5
"""Different characters that a repetition has at least; rules of dashes and dots have fewer."""

MOST = 400
"""Characters at the start of a continuation in which a repetition is looked for."""

ANEW = 24
"""Characters of a common beginning that show a continuation to have begun anew, in other words later on."""

ANCHOR = 64
"""Characters at the end of what was said that a continuation may be asked to repeat."""

MARKS = ("<last_words>", "</last_words>")
"""What stands around the words to repeat; models copy it at times."""

_BEFORE = rf"(?:\s*{MARKS[0]})?[\s\"'“”„«»‘’…*>]*"
"""What may stand before repeated words: quotes and dots that say "I quote"."""


class Unjoinable(Exception):
    """The continuation does not begin where the answer stopped; the message says how."""


def anchor_of(said: str) -> str:
    """The last words of ``said``, at most ``ANCHOR`` characters, from the start of a word where there is one."""
    end = said.rstrip()[-ANCHOR:]
    if len(end) < ANCHOR:
        return end.lstrip()
    cut = re.search(r"\s\S", end)
    return end[cut.start() + 1 :] if cut is not None and len(end) - cut.start() > LEAST else end


class Seam:
    """``feed`` the pieces of a continuation, then ``end``: each returns the text that is new.

    Text is held until it is known what it repeats: ``LEAST`` characters of a continuation that goes straight on, the
    repeated words and the next one of one that was asked to repeat them, else at most ``MOST`` or what was said.
    """

    def __init__(self, said: str, *, asked: bool) -> None:
        """``asked``: the continuation was asked to begin with the last words of ``said``."""
        self._said = said
        self._white = said[len(said.rstrip()) :]
        self._asked = asked
        self._held: str | None = ""
        """``None``: the seam is found."""
        self._anchor: re.Pattern[str] | None = None
        if asked and (words := anchor_of(said).split()):
            self._anchor = re.compile(_BEFORE + r"\s+".join(map(re.escape, words)))

    @property
    def found(self) -> bool:
        return self._held is None

    def feed(self, text: str) -> str:
        """Raises ``Unjoinable``."""
        if self._held is None:
            return text
        self._held += text
        return self._resolve(over=False)

    def end(self) -> str:
        """The continuation is over.  Raises ``Unjoinable``."""
        return "" if self._held is None else self._resolve(over=True)

    def _resolve(self, *, over: bool) -> str:
        held = self._held or ""
        cut = self._cut(held, over=over)
        if cut is None:
            return ""
        self._held = None
        return held[cut:]

    def _cut(self, held: str, *, over: bool) -> int | None:
        """How many characters of ``held`` were said already; ``None``: too few to tell.  Raises ``Unjoinable``."""
        if self._anchor is not None and (match := self._anchor.match(held)) is not None:
            cut = match.end()
            bare = held[cut:].lstrip()
            if bare.startswith(MARKS[1]):
                cut = len(held) - len(bare) + len(MARKS[1])
                cut += held.startswith("\n", cut)  # the line end belongs to the mark
                bare = held[cut:].lstrip()
            if over or (bare and not MARKS[1].startswith(bare)):
                return cut + _common(self._white, held[cut:])
        if self._begins_anew(held):
            if len(held) >= len(self._said):
                return len(self._said)
            if over:
                raise Unjoinable("it began anew and ended before what was said")
            return None
        enough = MOST if self._asked else LEAST
        if not over and (len(held) < enough or not held.strip()):
            return None
        if overlap := _overlap(self._said, held[:MOST]) if self._asked else 0:
            return overlap
        if _common(self._said, held) >= ANEW:
            raise Unjoinable("it began anew and says something else")
        if self._asked:
            raise Unjoinable("it does not begin with the words at which the answer stopped")
        return _common(self._white, held)  # white space that was said is not said again

    def _begins_anew(self, held: str) -> bool:
        """Does all of it repeat the beginning of what was said (as far as that goes)?"""
        length = min(len(held), len(self._said))
        if length < (min(LEAST, len(self._said)) if self._asked else LEAST):
            return False
        return self._said.startswith(held[:length]) and (self._asked or len(set(held[:length])) >= DISTINCT)


def _overlap(said: str, start: str) -> int:
    """Length of the longest end of ``said`` with which ``start`` begins, 0 for none that counts."""
    least = min(LEAST, len(said))
    for length in range(min(len(said), len(start)), least - 1, -1):
        if said.endswith(start[:length]):
            counts = len(set(start[:length])) >= DISTINCT or length == len(said)
            return length if counts else 0
    return 0


def _common(one: str, other: str) -> int:
    """Length of their common beginning."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
