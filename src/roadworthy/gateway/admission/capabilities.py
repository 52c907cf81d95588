"""What a target cannot do (``capabilities`` of its configuration), held against one request.

Such a request is refused by name before it leaves, and a ladder passes over the target: a provider that ignores
tools, an image or a schema answers something else than was asked, and nobody notices.
"""

from __future__ import annotations

import msgspec

from roadworthy.gateway.admission.body import loosely
from roadworthy.gateway.ports import Fields, Unusable
from roadworthy.workflow.model import FORCING, Target

_NOTHING = (b"null", b"[]", b'"none"', b'"auto"')
_TOOL_FIELDS = ("tools", "tool_choice", "functions", "function_call")


def is_limited(target: Target) -> bool:
    """Is there anything that it cannot do?"""
    able = target.capabilities
    return not (able.tools and able.images and able.response_schema)


def refuse_what_it_lacks(target: Target, fields: Fields) -> None:
    """Raises ``Unusable`` (``bad_request``) naming the field that ``target`` cannot serve."""
    field = lacking(target, fields)
    if field is not None:
        raise Unusable.bad_request(f"`{field}`: target {target.name} {_WHY[field]}; use another target", field)


def lacking(target: Target, fields: Fields) -> str | None:
    """The first field that ``target`` cannot serve."""
    able = target.capabilities
    if not able.tools:
        for name in _TOOL_FIELDS:
            if name in fields and bytes(fields[name]).strip() not in _NOTHING:
                return name
    if not able.images and "messages" in fields and has_image(fields["messages"]):
        return "messages"
    if not able.response_schema and target.provider not in FORCING and "response_format" in fields:
        kind = loosely(fields["response_format"])
        if isinstance(kind, dict) and kind.get("type") == "json_schema":
            return "response_format"
    return None


_WHY = {
    **dict.fromkeys(_TOOL_FIELDS, "calls no tools (capabilities.tools: false)"),
    "messages": "reads no images (capabilities.images: false)",
    "response_format": "obeys no JSON schema (capabilities.response_schema: false)",
}


def has_image(messages: msgspec.Raw) -> bool:
    """Does a message hold an image?  Decoded only where the word is there at all."""
    if b'"image_url"' not in bytes(messages):
        return False
    found = loosely(messages)
    if found is None:
        return True
    contents = [message.get("content") for message in found if isinstance(message, dict)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return any(isinstance(part, dict) and part.get("type") == "image_url" for part in parts)
