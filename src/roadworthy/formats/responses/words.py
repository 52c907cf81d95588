"""What both directions of the pair read alike."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.formats.model import compact, refuse

_decode = msgspec.json.Decoder().decode


def mapped(json: bytes, where: str) -> dict[str, Any]:
    found = _decode(json)
    if not isinstance(found, dict):
        refuse(where, "expected an object")
    return found


def listed(json: bytes, where: str) -> list[Any]:
    found = _decode(json)
    if not isinstance(found, list):
        refuse(where, "expected a list")
    return found


def within(raw: msgspec.Raw | None, members: dict[str, Any]) -> msgspec.Raw:
    """An object with these members set; without ``raw`` they are all of it."""
    found = _decode(raw) if raw is not None else None
    return msgspec.Raw(compact({**found, **members} if isinstance(found, dict) else members))
