"""What kind of question is it: how long, in which language.  Pure, and rough on purpose: it is compared, not shown.

A text is one bucket of each feature.  Languages are told by script, and within Latin script by their commonest words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import msgspec

LENGTHS: Final = (50, 150, 400, 1_000, 3_000, 10_000)
"""Characters at which another bucket begins."""
LONGEST: Final = 4_000
"""Characters that are read of a text to tell its language."""
LEAST_WORDS: Final = 2
"""Common words that must be found."""

_COMMON: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "English": "the and is to of you my it for have what with this not are was i can please how when do",
        "German": "der die das und ist nicht ich sie mein eine mit für auf haben wie kann bitte wann war den dem es",
        "French": "le la les et est je vous une pas mon que dans pour avec avez quand comment bonjour suis des du",
        "Spanish": "el los las y es mi que en por una con para no cuando cómo está hola gracias pero del se",
        "Italian": "il lo gli e è mio che di per una con non quando come sono grazie ho della nel alla",
        "Portuguese": "o os as e é meu que em por uma com para não quando como está obrigado do da você",
        "Dutch": "de het een en is mijn niet ik je met voor van wanneer hoe kan graag dat heb op zijn",
        "Polish": "i w na nie jest się mój że do z co jak kiedy proszę czy mam dla to po",
    }.items()
}
_SCRIPTS: Final = {
    "CYRILLIC": "Cyrillic script", "GREEK": "Greek", "ARABIC": "Arabic script", "HEBREW": "Hebrew",
    "CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean",
    "DEVANAGARI": "Devanagari script", "THAI": "Thai",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")


def question(request: bytes | msgspec.Raw | None) -> str:
    """What the caller's last message says; empty: no body, or nothing in it that is text."""
    try:
        body = msgspec.json.decode(request or b"")
    except (msgspec.DecodeError, RecursionError):
        return ""
    if not isinstance(body, dict):
        return ""
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return text_of(message.get("content"))
    return text_of(body.get("input"))


def text_of(content: Any) -> str:
    """Of a message's content: text, or parts of which some are text."""
    if isinstance(content, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in content)
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def length(text: str) -> str:
    for least, most in zip((0, *LENGTHS), LENGTHS, strict=False):
        if len(text) < most:
            return f"{least:,} to {most - 1:,} characters" if least else f"under {most} characters"
    return f"{LENGTHS[-1]:,} characters or more"


def language(text: str) -> str:
    """A guess; ``other`` where nothing speaks for one."""
    letters = [char for char in text[:LONGEST] if char.isalpha()]
    scripts: dict[str, int] = {}
    for char in letters[:400]:
        script = unicodedata.name(char, "").partition(" ")[0]
        scripts[script] = scripts.get(script, 0) + 1
    script = max(scripts, key=lambda each: scripts[each], default="")
    if script != "LATIN":
        if {"HIRAGANA", "KATAKANA"} & set(scripts):
            return "Japanese"
        return _SCRIPTS.get(script, "other")
    words = [word.lower() for word in _WORD.findall(text[:LONGEST])]
    hits = {name: sum(word in common for word in words) for name, common in _COMMON.items()}
    best = max(hits, key=lambda each: hits[each])
    return best if hits[best] >= min(LEAST_WORDS, max(len(words) // 2, 1)) else "other"
