"""The system prompt in the answer: its canary token, or a long piece of it word by word.

What callers put into the prompt's holes is theirs to read again, and what the prompt sets in double quotes is meant to
be said; neither counts.

Any common piece of ``run`` characters holds a whole block of ``run // 2`` characters of a division of either text into
such blocks.  So the blocks of the prompt are looked up in the answer (or those of the answer in the prompt, when the
prompt is the longer one), and what is found is measured out.
"""

from __future__ import annotations

import functools
import re

from roadworthy.fallback.checks.model import Context, Finding, TextCheck
from roadworthy.workflow.check_options import option
from roadworthy.workflow.model import CheckSpec

_QUOTED = re.compile(r'"[^"\n]{1,2000}"|“[^”\n]{1,2000}”|«[^»\n]{1,2000}»|„[^“”\n]{1,2000}[“”]')
MOST_PLACES = 20
"""At which one block is looked at; a block of dots is in a thousand."""

_GAP = "\x00"
"""Stands where a piece was taken out: no answer holds it."""


class PromptLeak:
    def __init__(self, run: int) -> None:
        self._run = run

    def __call__(self, text: str, context: Context) -> Finding | None:
        if context.canary:
            at = text.lower().find(context.canary.lower())
            if at >= 0:
                return Finding("holds the canary token of the system prompt", span=(at, at + len(context.canary)))
        held = _secret_part(context.prompt)
        if len(held) < self._run or len(text) < self._run:
            return None
        folded = _folded(text.replace(_GAP, " "))
        found = _common(folded, held, self._run)
        if found is None:
            return None
        begin, end = found
        share = (end - begin) / len(held)
        span = (begin, end) if len(folded) == len(text) else None
        return Finding(f"holds {end - begin} characters of the system prompt", min(1.0, 0.5 + share), span)


@functools.lru_cache(maxsize=64)
def _secret_part(prompt: str) -> str:
    return _folded(_QUOTED.sub(_GAP, prompt))


def _folded(text: str) -> str:
    """Case and the kind and amount of white space do not matter."""
    return " ".join(text.lower().split())


def _common(text: str, held: str, run: int) -> tuple[int, int] | None:
    """Span in ``text`` of a piece of ``held`` of at least ``run`` characters."""
    size = run // 2
    swapped = len(text) <= len(held)
    blocks, whole = (text, held) if swapped else (held, text)
    for start in range(0, len(blocks) - size + 1, size):
        block = blocks[start : start + size]
        place = -1 if _GAP in block else whole.find(block)
        for _ in range(MOST_PLACES):
            if place < 0:
                break
            at, other = (start, place) if swapped else (place, start)
            begin, end = _widened(text, at, held, other, size)
            if end - begin >= run:
                return begin, end
            place = whole.find(block, place + 1)
    return None


def _widened(text: str, at: int, held: str, place: int, size: int) -> tuple[int, int]:
    begin, end, other, after = at, at + size, place, place + size
    while begin > 0 and other > 0 and text[begin - 1] == held[other - 1]:
        begin, other = begin - 1, other - 1
    while end < len(text) and after < len(held) and text[end] == held[after]:
        end, after = end + 1, after + 1
    return begin, end


def build(spec: CheckSpec) -> TextCheck:
    return PromptLeak(option(spec, "run"))
