"""``cache_control``, Anthropic's mark of what is worth keeping: it changes what an answer costs, never what it says.

A translated request keeps it, for targets that read it in chat completions.  Most cache by themselves what requests
have in common, and some refuse a field that they do not know: to those it is sent without.
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.formats.model import Fields, compact

_MARK = "cache_control"
_WRITTEN = b'"cache_control"'


def unmarked(fields: Fields) -> Fields:
    """A chat request without marks; the same object where there are none."""
    found = [name for name in ("messages", "tools") if name in fields and _WRITTEN in bytes(fields[name])]
    if not found and _MARK not in fields:
        return fields
    made = {name: raw for name, raw in fields.items() if name != _MARK}
    for name in found:
        made[name] = msgspec.Raw(compact([_without(said) for said in msgspec.json.decode(fields[name])]))
    return made


def _without(said: dict[str, Any]) -> dict[str, Any]:
    """A message or a tool without the marks on itself, on its parts and on its calls: no other place has any."""
    made = {name: value for name, value in said.items() if name != _MARK}
    content = made.get("content")
    if isinstance(content, list):
        parts = [{name: value for name, value in part.items() if name != _MARK} for part in content]
        alone = len(parts) == 1 and parts[0].keys() == {"type", "text"}
        made["content"] = parts[0]["text"] if alone else parts
    if "tool_calls" in made:
        calls = made["tool_calls"]
        made["tool_calls"] = [{name: value for name, value in call.items() if name != _MARK} for call in calls]
    return made
