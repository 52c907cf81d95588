"""People as people call them: "Ada Lovelace" where records hold "ada".  One place for every page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from roadworthy.workflow.model import Person

OURS: Final = {"engine": "Roadworthy", "nobody": "nobody"}
"""Actors that are no people."""
_ID = r"[\w.@-]+"
_BEFORE = re.compile(rf"\b((?:by|to|reach|after|workflow:|prompt:|cost:) )({_ID})")
_MORE = rf"(?:, | or | and ){_ID}"
_AFTER = re.compile(
    rf"(?<![\w.@-])({_ID})((?:{_MORE})*(?: on call\b|,? who (?:owns|answers)\b"
    r"| (?:both owns|has not|has left|owns|answers for|may not|may change)\b))"
)
"""Where sentences of ours hold a person's id: elsewhere the same letters are a word."""


class Names:
    """``people``: everybody by id."""

    def __init__(self, people: Callable[[], Mapping[str, Person]]) -> None:
        self._people = people
        self._known: Mapping[str, Person] = {}

    def look(self) -> None:
        """Once a page: it names many."""
        self._known = self._people()

    def name(self, ident: str | None) -> str:
        """Of an actor: a person's name, ``Roadworthy``, ``the command line``; what is none of these stays as it is."""
        if not ident:
            return ""
        if ident in OURS:
            return OURS[ident]
        if ident.startswith("os:"):
            return "the command line"
        found = self._known.get(ident)
        return ident if found is None else found.name

    def within(self, text: str) -> str:
        """A sentence of ours, with names for ids.  Never what a model, a customer or a person wrote."""
        text = _AFTER.sub(lambda found: self.name(found[1]) + self._listed(found[2]), text)
        return _BEFORE.sub(lambda found: found[1] + self._end(found[2]), text)

    def _listed(self, rest: str) -> str:
        return re.sub(rf"(, | or | and )({_ID})", lambda found: found[1] + self.name(found[2]), rest)

    def _end(self, ident: str) -> str:
        """A full stop belongs to the sentence."""
        plain = ident.rstrip(".")
        return self.name(plain) + ident[len(plain) :]
