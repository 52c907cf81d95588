"""Where a continued answer joins what was said before it broke.  Pure: text in, text out.

A model that goes on with a broken answer repeats some of it, goes on exactly where it stopped, or begins anew.  What it
repeats is taken out: the longest end of what was said with which the continuation begins, if it is too long to be
chance; a new beginning is followed, silently, up to what was said.  Nothing is guessed: "10" continued by "000" is
10000, so a short repetition is none; and a continuation that was asked to repeat the last words (``proof``) and did not
is refused rather than glued on.

Text that repeats itself ("ha ha ha …") can be joined in more than one way, and nobody can tell which one was meant;
then the longest repetition counts, unless it has fewer than ``DISTINCT`` different characters.
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

_BEFORE = r"[\s\"'“”„«»‘’…*>]*"
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

    Text is held until it is known what it repeats: ``LEAST`` characters where nothing is repeated, ``MOST`` or up to
    the length of what was said otherwise.
    """

    def __init__(self, said: str, *, proof: bool) -> None:
        """``proof``: the continuation must begin with words of ``said``, for it was asked to repeat them."""
        self._said = said
        self._white = said[len(said.rstrip()) :]
        self._proof = proof
        self._held: str | None = ""
        """``None``: the seam is found."""
        self._anchor: re.Pattern[str] | None = None
        if proof and (words := anchor_of(said).split()):
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
        """How many characters of ``held`` were said already; ``None``: it needs more to tell."""
        said = self._said
        if self._anchor is not None and (match := self._anchor.match(held)) is not None:
            rest = held[match.end() :]
            if over or rest.strip():
                return match.end() + _common(self._white, rest)
        settled = over or len(held) >= MOST
        if self._begins_anew(held):
            if len(held) >= len(said):
                return len(said)
            if over:
                raise Unjoinable("it began anew and ended before what was said")
            return None
        if not settled:
            return None if self._proof or not self._surely_new(held) else self._straight_on(held)
        overlap = _overlap(said, held[:MOST], self._proof)
        if overlap:
            return overlap
        if self._proof:
            raise Unjoinable("it does not begin with the words at which the answer stopped")
        if _common(said, held) >= ANEW:
            raise Unjoinable("it began anew and says something else")
        return self._straight_on(held)

    def _begins_anew(self, held: str) -> bool:
        """Does all of it repeat the beginning of what was said (as far as that goes)?"""
        length = min(len(held), len(self._said))
        if length < (min(LEAST, len(self._said)) if self._proof else LEAST):
            return False
        return self._said.startswith(held[:length]) and (self._proof or len(set(held[:length])) >= DISTINCT)

    def _surely_new(self, held: str) -> bool:
        """Can no repetition that counts begin like this?"""
        return len(held) >= LEAST and held[:LEAST] not in self._said and bool(held.strip())

    def _straight_on(self, held: str) -> int:
        """It goes on after the last letter; white space that was said after it is not said again."""
        return _common(self._white, held)


def _overlap(said: str, start: str, proof: bool) -> int:
    """Length of the longest end of ``said`` with which ``start`` begins, 0 for none that counts."""
    least = min(LEAST, len(said)) if proof else LEAST
    for length in range(min(len(said), len(start)), least - 1, -1):
        if said.endswith(start[:length]):
            counts = len(set(start[:length])) >= DISTINCT or length == len(said)
            return length if counts else 0
    return 0


def _common(one: str, other: str) -> int:
    """Length of their common beginning."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
