"""Answers that are nearly JSON, made JSON again without making anything up.  Pure.

Taken out: prose and code fences around it.  Mended (by json-repair): trailing commas, single quotes, comments, closing
brackets that are missing.  Never mended: prose that holds no JSON (json-repair makes plausible objects of it), a text
that ends inside of a string or number (its rest is lost), and two different answers in one text.  Whatever comes out
must hold the strings of the text and no others; it is then validated like any other answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

LONGEST = 256 * 1024
"""Characters; a longer text is left as it is."""
MOST_STARTS = 50

_OBJECT = re.compile(r"\{\s*(?:[\"'}]|[A-Za-z_][A-Za-z0-9_]{0,100}\s*:|//|/\*|#)")
_ARRAY = re.compile(r"\[\s*(?:[\[{\"'\]]|-?\d|true\b|false\b|null\b)")
_DEEPEST = 200


class _Cut(ValueError):
    """The text ends where its rest must have held something."""


def mended(text: str, *, array: bool = False) -> str | None:
    """JSON text of the one object (``array``: or list) in ``text``; ``None``: there is none that can be trusted."""
    if len(text) > LONGEST:
        return None
    whole = list(_whole(text, array))
    if whole:
        return whole[0] if all(json.loads(other) == json.loads(whole[0]) for other in whole[1:]) else None
    start = next(_starts(text, array), None)
    if start is None:
        return None
    try:
        return _repaired(text[start : start + _extent(text, start)])
    except (ValueError, RecursionError):
        return None


def _starts(text: str, array: bool) -> Iterator[int]:
    found = [match.start() for match in _OBJECT.finditer(text)]
    if array:
        found += [match.start() for match in _ARRAY.finditer(text)]
    yield from sorted(found)[:MOST_STARTS]


def _whole(text: str, array: bool) -> Iterator[str]:
    """Every outermost value that is JSON as it stands."""
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    after = 0
    for start in _starts(text, array):
        if start < after:
            continue
        try:
            value, after = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            after = start + 1
            if "}" in text[start:] or "]" in text[start:]:
                return  # what is broken here may hold what comes next: it is mended as one
            continue
        if value or text.strip() == text[start:after]:  # '{}' in prose is no answer
            yield text[start:after]


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _extent(text: str, start: int) -> int:
    """Length of the value at ``start`` by its brackets, to the end of the text where they do not close.

    Raises ``_Cut`` where the end lies inside of a string, number or word, or behind a comma or colon.
    """
    depth, quote, escaped, last = 0, "", False, ""
    for place in range(start, len(text)):
        letter = text[place]
        if quote:
            if escaped:
                escaped = False
            elif letter == "\\":
                escaped = True
            elif letter == quote:
                quote, last = "", letter
            continue
        if letter == '"' or (letter == "'" and last in "{[,:"):
            quote = letter
        elif letter in "{[":
            depth += 1
            if depth > _DEEPEST:
                raise _Cut("nested too deeply")
        elif letter in "}]":
            depth -= 1
            if depth == 0:
                return place + 1 - start
        if not letter.isspace():
            last = letter
    tail = text[start:].rstrip().removesuffix("```").rstrip()
    if quote or not (tail[-1:] in ('"', "'", "}", "]") or re.search(r"[:\[,\s](?:true|false|null)$", tail)):
        raise _Cut("the text ends before its JSON does")
    return len(tail)


def _repaired(text: str) -> str | None:
    import json_repair  # loaded by the workers whose releases have answers mended

    value = json_repair.loads(text, skip_json_loads=True)
    if not isinstance(value, dict if text.startswith("{") else list) or not value:
        return None
    plain = _spaceless(text)
    for string in _strings(value):
        as_it_stands = "\\" not in string and string in text  # json-repair leaves some escapes as they are written
        if not as_it_stands and _spaceless(json.dumps(string, ensure_ascii=False)[1:-1]) not in plain:
            return None
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _spaceless(text: str) -> str:
    return "".join(text.split())


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
