"""Content blocks of a Messages request as messages of chat completions."""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.formats.losses import Losses
from roadworthy.formats.messages.words import FAILED, IMAGES, PDF, UNNAMED
from roadworthy.formats.model import compact, refuse

Message = dict[str, Any]
Part = dict[str, Any]

_ROLES = ("user", "assistant", "system")


def known(found: Any, losses: Losses) -> msgspec.Raw:
    """The ``messages`` that could not be read, without the members that are not ours to know: betas add some
    (``output_config`` of a turn), and whoever speaks this format is sent them as they came."""
    if not isinstance(found, list):
        refuse("messages", f"expected a list of messages, found {type(found).__name__}")
    for index, turn in enumerate(found):
        where = f"messages[{index}]"
        if not isinstance(turn, dict):
            refuse(where, "expected an object with role and content")
        if turn.get("role") not in _ROLES:
            refuse(f"{where}.role", f"expected user, assistant or system, found {turn.get('role')!r}")
        if "content" not in turn:
            refuse(f"{where}.content", "expected text or a list of blocks, found none")
        for name in turn:
            if name not in ("role", "content"):
                losses.note(f"{where}.{name}", "chat completions have no counterpart; leave it out", unknown=True)
    return msgspec.Raw(compact([{"role": turn["role"], "content": turn["content"]} for turn in found]))


def system(content: Any, where: str, losses: Losses) -> str | list[Part]:
    """The system prompt in blocks."""
    if not isinstance(content, list):
        refuse(where, "expected text or a list of text blocks")
    return _content([_text(block, f"{where}[{index}]", losses) for index, block in enumerate(content)])


def messages(role: str, content: Any, where: str, losses: Losses) -> list[Message]:
    """One turn; tool results become messages of their own."""
    where = f"{where}.content"
    if role == "system":
        return [{"role": "system", "content": system(content, where, losses)}]
    if not isinstance(content, list):
        refuse(where, "expected text or a list of blocks")
    if role == "assistant":
        return [_assistant(content, where, losses)]
    if not content:
        refuse(where, "is empty; expected at least one block")
    made: list[Message] = []
    parts: list[Part] = []
    for index, block in enumerate(content):
        at = f"{where}[{index}]"
        if _kind(block, at) != "tool_result":
            parts += _asked(block, at, losses)
            continue
        if parts:
            made.append({"role": "user", "content": _content(parts)})
            parts = []
        made.append(_result(block, at, losses))
    if parts or not made:
        made.append({"role": "user", "content": _content(parts)})
    return made


def _kind(block: Any, where: str) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        refuse(where, "expected a block with a type")
    return kind


def _content(parts: list[Part]) -> str | list[Part]:
    """Text alone is written as such: what every provider reads."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        text: str = parts[0]["text"]
        return text
    return parts


def _text(block: Any, where: str, losses: Losses) -> Part:
    if _kind(block, where) != "text" or not isinstance(block.get("text"), str):
        refuse(where, f"expected a text block with its text, found {block.get('type')!r}")
    if block.get("citations"):
        losses.note(f"{where}.citations", "chat completions cannot cite; leave them out")
    return _hinted({"type": "text", "text": block["text"]}, block)


def _hinted(made: Part, block: dict[str, Any]) -> Part:
    if isinstance(block.get("cache_control"), dict):
        made["cache_control"] = block["cache_control"]
    return made


def _asked(block: dict[str, Any], where: str, losses: Losses) -> list[Part]:
    """Parts of a user's message for one block; none where there is nothing to read in it."""
    kind = block["type"]
    if kind == "text":
        return [_text(block, where, losses)]
    if kind == "image":
        return _image(block, where, losses)
    if kind == "document":
        return _document(block, where, losses)
    losses.note(f"{where}.type", f"chat completions have no {kind} blocks; use a target that speaks Messages")
    if kind == "search_result" and isinstance(block.get("content"), list):
        inner = enumerate(block["content"])
        return [_text(found, f"{where}.content[{index}]", losses) for index, found in inner]
    return []


def _image(block: dict[str, Any], where: str, losses: Losses) -> list[Part]:
    source = _source(block, where)
    if block.get("transformations"):
        losses.note(f"{where}.transformations", "chat completions have no counterpart; leave it out")
    kind = source.get("type")
    if kind == "base64":
        if source.get("media_type") not in IMAGES or not isinstance(source.get("data"), str):
            refuse(f"{where}.source", f"expected data in base64 and one of {', '.join(IMAGES)} as media_type")
        url = f"data:{source['media_type']};base64,{source['data']}"
    elif kind == "url":
        if not isinstance(source.get("url"), str):
            refuse(f"{where}.source.url", "expected a URL")
        url = source["url"]
    else:
        losses.note(f"{where}.source.type", f"chat completions take images as base64 or by url, found {kind!r}")
        url = f"{kind}:"  # there is an image, for whoever asks what a target must be able to read
    return [_hinted({"type": "image_url", "image_url": {"url": url}}, block)]


def _source(block: dict[str, Any], where: str) -> dict[str, Any]:
    source = block.get("source")
    if not isinstance(source, dict):
        refuse(f"{where}.source", "expected an object")
    return source


def _document(block: dict[str, Any], where: str, losses: Losses) -> list[Part]:
    """A PDF is a file to both.  Any other kind is lost, but its text can be read."""
    source = _source(block, where)
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        losses.note(f"{where}.citations", "chat completions cannot cite; leave it out")
    if block.get("context"):
        losses.note(f"{where}.context", "chat completions have no counterpart; put it into a text block")
    kind = source.get("type")
    if kind == "base64":
        if source.get("media_type") != PDF or not isinstance(source.get("data"), str):
            refuse(f"{where}.source", f"expected data in base64 and {PDF} as media_type")
        title = block.get("title") or UNNAMED
        file = {"filename": title, "file_data": f"data:{PDF};base64,{source['data']}"}
        return [_hinted({"type": "file", "file": file}, block)]
    losses.note(f"{where}.source.type", f"chat completions take documents as PDF in base64, found {kind!r}")
    if kind == "text" and isinstance(source.get("data"), str):
        return [_hinted({"type": "text", "text": source["data"]}, block)]
    return []


def _result(block: dict[str, Any], where: str, losses: Losses) -> Message:
    if not isinstance(block.get("tool_use_id"), str):
        refuse(f"{where}.tool_use_id", "expected the id of the tool_use block that this answers")
    content, parts = block.get("content"), list[Part]()
    if isinstance(content, str):
        parts = [{"type": "text", "text": content}]
    elif isinstance(content, list):
        for index, inner in enumerate(content):
            at = f"{where}.content[{index}]"
            found = _asked(inner, at, losses) if _kind(inner, at) else []
            if found and found[0]["type"] != "text":
                losses.note(at, "chat completions take text alone as a tool's result")
            parts += found
    elif content is not None:
        refuse(f"{where}.content", "expected text or a list of blocks")
    if block.get("is_error"):
        parts = _failed(parts)
    if isinstance(block.get("cache_control"), dict):
        parts = parts or [{"type": "text", "text": ""}]
        parts[-1]["cache_control"] = block["cache_control"]
    if block.get("toolset_name"):
        losses.note(f"{where}.toolset_name", "chat completions have no toolsets")
    return {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _content(parts)}


def _failed(parts: list[Part]) -> list[Part]:
    if parts and parts[0]["type"] == "text":
        return [{**parts[0], "text": FAILED + parts[0]["text"]}, *parts[1:]]
    return [{"type": "text", "text": FAILED}, *parts]


def _assistant(content: list[Any], where: str, losses: Losses) -> Message:
    parts: list[Part] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[dict[str, Any]] = []
    for index, block in enumerate(content):
        at = f"{where}[{index}]"
        kind = _kind(block, at)
        if kind == "text":
            if calls:
                losses.note(at, "stands behind a tool call, where chat completions have no text; put it before")
            parts.append(_text(block, at, losses))
        elif kind == "tool_use":
            calls.append(_call(block, at, losses))
        else:
            if kind in ("thinking", "redacted_thinking"):
                thoughts.append(block)
            losses.note(f"{at}.type", f"chat completions have no {kind} blocks; use a target that speaks Messages")
    message: Message = {"role": "assistant", "content": _content(parts) if parts or not calls else None}
    if thoughts:
        message["thinking_blocks"] = thoughts
    if calls:
        message["tool_calls"] = calls
    return message


def _call(block: dict[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    if not isinstance(block.get("id"), str) or not isinstance(block.get("name"), str):
        refuse(where, "expected a tool_use block with its id and name")
    if not isinstance(block.get("input"), dict):
        refuse(f"{where}.input", "expected an object")
    caller = block.get("caller")
    if isinstance(caller, dict) and caller.get("type") != "direct":
        losses.note(f"{where}.caller", "chat completions know only tools that a model calls itself")
    if block.get("toolset_name"):
        losses.note(f"{where}.toolset_name", "chat completions have no toolsets")
    function = {"name": block["name"], "arguments": compact(block["input"]).decode()}
    return _hinted({"id": block["id"], "type": "function", "function": function}, block)
