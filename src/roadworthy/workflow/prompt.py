r"""Logic-less prompt templates: text with ``{{ holes }}``, filled by concatenation and nothing else.

A hole is ``{{ name }}`` with a name of ASCII letters, digits and ``_``.  ``\{{`` is a literal ``{{`` (and, only
there, ``\\`` a literal backslash); a lone ``{``, ``}`` or ``}}`` is text, so JSON examples need no escaping until
they hold ``{{``.  Values are never parsed again, so a caller's input cannot open a hole.

``Template.match`` answers whether a text could have been rendered from the template.  Every occurrence of a
hole matches any text, empty included, independently of the others; so taking each literal at its leftmost
place is exact and linear, with nothing to backtrack over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_OPEN: Final = re.compile(r"(\\*)(\{{2,})")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_HOLE: Final = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]{0,63})[ \t]*\}\}")

SYSTEM_ROLES: Final = frozenset({"system", "developer"})
"""Roles whose messages make up the system prompt."""


class TemplateError(ValueError):
    """A template that cannot be parsed; ``line`` and ``column`` count from 1."""

    def __init__(self, line: int, column: int, found: str, expected: str) -> None:
        super().__init__(f"line {line}, column {column}: found {found}, expected {expected}")
        self.line = line
        self.column = column
        self.found = found
        self.expected = expected


class Template:
    """A parsed template.  Immutable; rendering is one ``str.join``."""

    __slots__ = ("_literals", "_parts", "_slots", "holes", "text")

    text: str
    """The source, with ``\\n`` line ends."""
    holes: tuple[str, ...]
    """Names in order of first appearance, each once."""

    def __init__(self, text: str, literals: Sequence[str], names: Sequence[str]) -> None:
        """``literals`` is one longer than ``names``; callers use ``parse`` or ``build``."""
        self.text = text
        self._literals = tuple(literals)
        parts: list[str] = [literals[0]]
        for name, literal in zip(names, literals[1:], strict=True):
            parts += (name, literal)
        self._parts = tuple(parts)
        self._slots = tuple((2 * index + 1, name) for index, name in enumerate(names))
        self.holes = tuple(dict.fromkeys(names))

    @classmethod
    def parse(cls, text: str) -> Template:
        """Parse ``text``.  Raises ``TemplateError`` for an unclosed hole or a bad name."""
        text = normalise_newlines(text)
        literals: list[str] = []
        names: list[str] = []
        literal: list[str] = []
        at = 0
        while (opening := _OPEN.search(text, at)) is not None:
            backslashes, braces = len(opening[1]), len(opening[2])
            literal.append(text[at : opening.start()] + "\\" * (backslashes // 2))
            if backslashes % 2:
                literal.append("{{")
                at = opening.start(2) + 2
                continue
            literal.append("{" * (braces - 2))
            hole = _HOLE.match(text, opening.end())
            if hole is None:
                raise _bad_hole(text, opening.end() - 2)
            names.append(hole[1])
            literals.append("".join(literal))
            literal = []
            at = hole.end()
        literal.append(text[at:])
        literals.append("".join(literal))
        return cls(text, literals, names)

    @classmethod
    def build(cls, literals: Sequence[str], names: Sequence[str]) -> Template:
        """The template with these literal texts around these holes (one more literal than names)."""
        if len(literals) != len(names) + 1:
            raise ValueError(f"{len(names)} holes need {len(names) + 1} literals, found {len(literals)}")
        for name in names:
            if _NAME.fullmatch(name) is None:
                raise ValueError(f"hole name {name!r}: expected ASCII letters, digits and _, at most 64")
        clean = [normalise_newlines(literal) for literal in literals]
        source = "".join(
            _escape(literal, True) + "{{ " + name + " }}" for literal, name in zip(clean, names, strict=False)
        )
        return cls(source + _escape(clean[-1], False), clean, names)

    def render(self, values: Mapping[str, str]) -> str:
        """The text with every hole filled.  Raises ``KeyError`` naming a hole without a value."""
        if not self._slots:
            return self._literals[0]
        parts = list(self._parts)
        for index, name in self._slots:
            parts[index] = values[name]
        return "".join(parts)

    def match(self, text: str) -> dict[str, str] | None:
        """One filling of the holes that renders to ``text``, or ``None``.

        Linear in ``len(text)``.  A hole is given the shortest text that fits; of a hole that occurs more than
        once, the first occurrence is reported.  Newlines at the very end do not count: a prompt in a file and a
        prompt in code rarely agree about them.
        """
        if "\r" in text:
            text = normalise_newlines(text)
        found = self._match(text, self._literals)
        if found is None and (text.endswith("\n") or self._literals[-1].endswith("\n")):
            found = self._match(text.rstrip("\n"), (*self._literals[:-1], self._literals[-1].rstrip("\n")))
        return found

    def _match(self, text: str, literals: tuple[str, ...]) -> dict[str, str] | None:
        first, last = literals[0], literals[-1]
        if not self._slots:
            return {} if text == first else None
        end = len(text) - len(last)
        at = len(first)
        if at > end or not text.startswith(first) or not text.endswith(last):
            return None
        found: dict[str, str] = {}
        for (_, name), literal in zip(self._slots, literals[1:-1], strict=False):
            place = text.find(literal, at, end)
            if place < 0:
                return None
            found.setdefault(name, text[at:place])
            at = place + len(literal)
        found.setdefault(self._slots[-1][1], text[at:end])
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


def normalise_newlines(text: str) -> str:
    """Line ends as ``\\n``, so that the same file has the same digest on any machine."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def system_text(messages: Iterable[Mapping[str, Any]]) -> str | None:
    """The system prompt that a caller holds: its system and developer messages, joined by a blank line.

    Text parts of one message are concatenated.  ``None`` when there is no such message.  This is the text that
    an app-held template must match, in the gateway and in ``adopt`` alike.
    """
    texts = [content_text(message.get("content")) for message in messages if message.get("role") in SYSTEM_ROLES]
    return "\n\n".join(texts) if texts else None


def content_text(content: Any) -> str:
    """The text of a message's ``content``: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "".join(part for part in parts if isinstance(part, str))


def _escape(literal: str, before_hole: bool) -> str:
    def escaped(run: re.Match[str]) -> str:
        backslashes, braces = run[1] * 2, len(run[2])
        return backslashes + "\\{{" * (braces // 2) + "{" * (braces % 2)

    source = _OPEN.sub(escaped, literal)
    if before_hole and (tail := re.search(r"(\\+)(\{?)\Z", source)) is not None:
        source = source[: tail.start()] + tail[1] * 2 + tail[2]
    return source


def _bad_hole(text: str, at: int) -> TemplateError:
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    line_end = text.find("\n", at)
    rest = text[at : line_end if line_end >= 0 else len(text)]
    close = rest.find("}}")
    if close < 0:
        found = f"'{rest[:30]}', a hole that is never closed"
        return TemplateError(line, column, found, "'{{ name }}', or '\\{{' for a literal '{{'")
    inside = rest[2:close].strip()
    return TemplateError(
        line,
        column,
        f"'{{{{ {inside[:40]} }}}}'" if inside else "an empty hole '{{ }}'",
        "a name of ASCII letters, digits and _ (at most 64, not starting with a digit), or '\\{{' for a literal '{{'",
    )
