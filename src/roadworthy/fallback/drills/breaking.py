"""Texts that a release's own checks forbid, for a provider under drill to say.  Pure.

What a workflow forbids, and which languages it allows, only its owner knows: so a text is made up from what is
declared, and it counts only when the check itself finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from roadworthy.fallback.checks import registry
from roadworthy.fallback.checks.model import Context
from roadworthy.workflow.check_options import option
from roadworthy.workflow.model import CheckKind, CheckSpec, Release

MADE_UP: frozenset[CheckKind] = frozenset({"forbidden", "language"})
"""Kinds whose text depends on what is declared."""

_TONGUES = (
    "Ihre Bestellung haben wir heute Morgen erhalten, und sobald sie verschickt ist, schreiben wir Ihnen noch einmal.",
    "Nous avons bien reçu votre commande ce matin et nous vous écrirons de nouveau dès qu'elle sera partie.",
    "Hemos recibido su pedido esta mañana y volveremos a escribirle en cuanto salga de nuestro almacén.",
    "Otrzymaliśmy dziś rano Państwa zamówienie i napiszemy ponownie, gdy tylko zostanie wysłane z magazynu.",
    "Olemme vastaanottaneet tilauksenne tänä aamuna ja kirjoitamme teille uudelleen heti kun se on lähetetty.",
    "We have received your order this morning, and we will write to you again as soon as it has left our warehouse.",
)


def breaking(release: Release) -> dict[CheckKind, str]:
    """Kind of check → a text that a declared check of this kind finds; kinds without one are left out."""
    found: dict[CheckKind, str] = {}
    for spec in release.handling.checks.values():
        if spec.kind in MADE_UP and not spec.record_only and spec.kind not in found:
            text = next(_found(spec), None)
            if text is not None:
                found[spec.kind] = text
    return found


def _found(spec: CheckSpec) -> Iterator[str]:
    try:
        check = registry.build(spec)
    except ValueError:  # never released: freezing refuses it
        return
    candidates = _sayings(spec) if spec.kind == "forbidden" else _TONGUES
    for text in candidates:
        if check(text, Context()) is not None:
            yield text


def _sayings(spec: CheckSpec) -> Iterable[str]:
    for phrase in option(spec, "phrases"):
        yield f"Good news: {phrase}."
    for pattern in option(spec, "patterns"):
        try:
            said = _Pattern(pattern).said()
        except Unknown:
            continue
        yield f"Good news: {said}."
        yield said


class Unknown(Exception):
    """A pattern that no example can be made of."""


class _Pattern:
    """An RE2 pattern as the shortest of its matches that is easily read off: first branch, fewest repeats."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def said(self) -> str:
        """Raises ``Unknown``."""
        text = self._branches()
        if self._at < len(self._pattern):
            raise Unknown(self._pattern)
        return text

    def _branches(self) -> str:
        first = self._sequence()
        while self._next("|"):
            self._sequence()
        return first

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            piece = self._piece()
            parts.append(piece * self._repeats())
        return "".join(parts)

    def _piece(self) -> str:
        if self._next("("):
            return self._group()
        if self._next("["):
            return self._one_of()
        if self._next("\\"):
            return self._escaped()
        letter = self._pattern[self._at]
        self._at += 1
        if letter in "^$":
            return ""
        return "a" if letter == "." else letter

    def _group(self) -> str:
        if self._next("?"):
            if self._next("P<") or self._next("<"):
                self._until(">")
            else:
                flags = self._until(":)")
                if flags.endswith(")"):
                    return ""
        inside = self._branches()
        if not self._next(")"):
            raise Unknown(self._pattern)
        return inside

    def _one_of(self) -> str:
        if self._next("^") or self._next("[:"):
            raise Unknown(self._pattern)
        first = self._escaped() if self._next("\\") else self._pattern[self._at : self._at + 1]
        self._until("]", escaped=True)
        return first

    def _escaped(self) -> str:
        letter = self._pattern[self._at : self._at + 1]
        self._at += 1
        if not letter.isalnum():
            return letter
        plain = {"s": " ", "d": "1", "w": "a", "b": "", "n": "\n", "t": "\t", "A": "", "z": "", "S": "a", "D": "a"}
        if letter not in plain:
            raise Unknown(self._pattern)
        return plain[letter]

    def _repeats(self) -> int:
        """Fewest of the quantifier that follows."""
        fewest = 1
        if self._next("*") or self._next("?"):
            fewest = 0
        elif self._next("{"):
            counted = self._until("}")[:-1].partition(",")[0]
            fewest = int(counted) if counted.isdigit() else 0
        else:
            self._next("+")
        self._next("?")  # lazy or greedy
        return fewest

    def _next(self, token: str) -> bool:
        """Step over ``token`` if it comes next."""
        here = self._pattern.startswith(token, self._at)
        self._at += len(token) * here
        return here

    def _until(self, ends: str, *, escaped: bool = False) -> str:
        """Step over everything up to one of ``ends`` and return it all.  ``escaped``: a backslash hides an end."""
        begin = self._at
        while self._at < len(self._pattern):
            letter = self._pattern[self._at]
            self._at += 2 if escaped and letter == "\\" else 1
            if letter in ends:
                return self._pattern[begin : self._at]
        raise Unknown(self._pattern)
