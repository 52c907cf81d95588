"""``/v1/messages/count_tokens``: what is asked, what is answered, and an estimate where no target can count.

Source: Anthropic API reference, "Count tokens in a Message"; "Vision" and "PDF support" for what media cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadworthy.formats.model import Fields, compact

_NOT_COUNTED = frozenset(
    ["max_tokens", "stop_sequences", "stream", "temperature", "top_p", "top_k", "metadata", "service_tier", "container"]
)
"""Fields of a message's request that counting refuses; none of them is input."""
_READ = ("system", "messages", "tools")
_BYTES_A_TOKEN = 3.5
"""Of JSON as it is sent; English text has about four a token, JSON and other languages less."""
_IMAGE_TOKENS = 1600
"""Of the largest image; a larger one is scaled down."""
_PDF_BYTES_A_TOKEN = 25
"""Of base64: pages of some 50 KB with some 2,000 tokens of text and picture."""


class _Counted(msgspec.Struct):
    input_tokens: int


_counted = msgspec.json.Decoder(_Counted)


def counted(fields: Mapping[str, msgspec.Raw]) -> Fields:
    """What of a Messages request is sent to be counted."""
    return {name: raw for name, raw in fields.items() if name not in _NOT_COUNTED}


def read(body: bytes) -> int:
    """Input tokens as a provider counted them.  Raises ``msgspec.DecodeError``."""
    found = _counted.decode(body).input_tokens
    if found < 0:
        raise msgspec.ValidationError("`input_tokens` is negative")
    return found


def estimate(fields: Mapping[str, msgspec.Raw]) -> int:
    """Input tokens by the bytes of what the model reads; right to within a third for text, a guess for media."""
    told = [fields[name] for name in _READ if name in fields]
    size, media = float(sum(map(len, told))), 0
    if any(b'"base64"' in bytes(raw) for raw in told):
        for raw in told:
            for source, kind in _media(msgspec.json.decode(raw)):
                size -= len(source)
                media += _IMAGE_TOKENS if kind == "image" else len(source) // _PDF_BYTES_A_TOKEN
    return max(1, round(size / _BYTES_A_TOKEN) + media)


def _media(found: Any) -> list[tuple[str, str]]:
    """(base64, type of its block) of all images and documents in what was said."""
    media: list[tuple[str, str]] = []
    left = [found]
    while left:  # no recursion: a request may be nested as deeply as it can be parsed
        block = left.pop()
        if isinstance(block, list):
            left += block
        elif isinstance(block, dict):
            source = block.get("source")
            if isinstance(source, dict) and source.get("type") == "base64" and isinstance(source.get("data"), str):
                media.append((source["data"], str(block.get("type"))))
            else:
                left.append(block.get("content"))
    return media


def body(tokens: int, *, estimated: bool) -> bytes:
    """``roadworthy.estimated`` tells a caller that nobody counted."""
    told: dict[str, Any] = {"input_tokens": tokens}
    if estimated:
        told["roadworthy"] = {"estimated": True}
    return compact(told)
