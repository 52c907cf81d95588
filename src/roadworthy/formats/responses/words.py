"""What both directions of the pair read alike."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.formats.model import compact, refuse

FOREIGN = "is not expressed by chat completions; use a target that speaks Responses"
"""Why something is lost."""

_decode = msgspec.json.Decoder().decode


def full_name(namespace: str | None, name: str) -> str:
    """Of a tool, in one word: chat completions have no namespaces."""
    return name if namespace is None else f"{namespace}__{name}"


class Names:
    """Full names of the tools that a request has in namespaces → namespace and name."""

    def __init__(self, tools: msgspec.Raw | None) -> None:
        """``tools``: of the request; it was read before."""
        self._known: dict[str, tuple[str, str]] = {}
        json = bytes(tools) if tools is not None else b""
        if b'"namespace"' not in json:
            return
        for space in _decode(json):
            for tool in space["tools"] if space.get("type") == "namespace" else ():
                self._known[full_name(space["name"], tool["name"])] = (space["name"], tool["name"])

    def of(self, name: str) -> dict[str, str]:
        """``name``, and ``namespace`` where it has one."""
        found = self._known.get(name)
        return {"name": name} if found is None else {"namespace": found[0], "name": found[1]}


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
