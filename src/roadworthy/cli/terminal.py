"""Text of others made safe for a terminal.

A prompt or an answer may hold escape sequences that move the cursor, set the title, write the clipboard or
hide what follows.  Whatever comes from a model, a caller or a provider passes through ``clean`` (or ``line``)
before it is printed; JSON output passes through ``json_text``.
"""

from __future__ import annotations

import json
import re
from typing import Any

_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"  # two-character escapes
)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """``text`` without terminal control sequences; line ends and tabs stay, other controls become ``�``.

    Direction overrides (which make text read in another order than it is stored) are removed as well.
    """
    text = _SEQUENCES.sub("", text.replace("\r\n", "\n"))
    text = _CONTROLS.sub(lambda found: "" if found.group() >= "\u0600" else "�", text)
    return text.encode("utf-8", "replace").decode("utf-8")


def line(text: str, width: int | None = None) -> str:
    """``text`` cleaned, on one line, cut to ``width`` characters."""
    text = re.sub(r"\s+", " ", clean(text)).strip()
    return text if width is None or len(text) <= width else text[: max(width - 1, 0)] + "…"


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """JSON in which no character can act on a terminal (such characters are written as ``\\uXXXX``)."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
