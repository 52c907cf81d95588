"""Chat messages as input items of a Responses request."""

from __future__ import annotations

from functools import partial
from typing import Any

from roadworthy.formats import chat
from roadworthy.formats.model import refuse

_nothing_else = partial(chat.nothing_else, format="OpenAI's Responses API")
_AS_TEXT = {"user": "input_text", "system": "input_text", "developer": "input_text", "assistant": "output_text"}


def items(messages: Any) -> list[dict[str, Any]]:
    """Raises ``Inexpressible``."""
    if not isinstance(messages, list) or not messages:
        refuse("messages", "expected a list of at least one message")
    made: list[dict[str, Any]] = []
    custom: set[str] = set()
    """Ids of calls of custom tools, whose results are items of another kind."""
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message.get("role") if isinstance(message, dict) else None
        if role in ("user", "system", "developer"):
            _nothing_else(message, where, ("role", "content"))
            made.append({"role": role, "content": _content(message.get("content"), f"{where}.content", role)})
        elif role == "assistant":
            made += _turn(message, where, custom)
        elif role == "tool":
            made.append(_output(message, where, custom))
        else:
            refuse(f"{where}.role", f"expected system, developer, user, assistant or tool, found {role!r}")
    return made


def _turn(message: dict[str, Any], where: str, custom: set[str]) -> list[dict[str, Any]]:
    _nothing_else(message, where, ("role", "content", "refusal", "tool_calls", "reasoning_content", "annotations"))
    made: list[dict[str, Any]] = []
    if isinstance(thoughts := message.get("reasoning_content"), str) and thoughts:
        made.append({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": thoughts}]})
    content = message.get("content")
    said = [] if content in (None, "", []) else _content(content, f"{where}.content", "assistant")
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        parts = [{"type": "output_text", "text": said, "annotations": []}] if isinstance(said, str) else said
        said = [*parts, {"type": "refusal", "refusal": refusal}]
    if said:
        made.append({"type": "message", "role": "assistant", "content": said})
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        refuse(f"{where}.tool_calls", "expected a list")
    made += [_call(call, f"{where}.tool_calls[{index}]", custom) for index, call in enumerate(calls)]
    if not made:
        made.append({"type": "message", "role": "assistant", "content": ""})
    return made


def _call(call: Any, where: str, custom: set[str]) -> dict[str, Any]:
    if not isinstance(call, dict) or not isinstance(call.get("id"), str):
        refuse(where, "expected a call with its id")
    if isinstance(function := call.get("function"), dict):
        arguments = function.get("arguments") or ""
        return {"type": "function_call", "call_id": call["id"], "name": function.get("name"), "arguments": arguments}
    if isinstance(described := call.get("custom"), dict):
        custom.add(call["id"])
        said = described.get("input") or ""
        return {"type": "custom_tool_call", "call_id": call["id"], "name": described.get("name"), "input": said}
    refuse(where, "expected a function or a custom call")


def _output(message: dict[str, Any], where: str, custom: set[str]) -> dict[str, Any]:
    _nothing_else(message, where, ("role", "content", "tool_call_id", "name"))
    call = message.get("tool_call_id")
    if not isinstance(call, str):
        refuse(f"{where}.tool_call_id", "expected the id of the tool call that this answers")
    kind = "custom_tool_call_output" if call in custom else "function_call_output"
    return {"type": kind, "call_id": call, "output": _content(message.get("content"), f"{where}.content", "user")}


def _content(content: Any, where: str, role: str) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        refuse(where, "expected text or a list of parts")
    return [_part(part, f"{where}[{index}]", role) for index, part in enumerate(content)]


def _part(part: Any, where: str, role: str) -> dict[str, Any]:
    left = dict(part) if isinstance(part, dict) else {}
    kind = left.pop("type", None)
    if kind == "text" and isinstance(left.get("text"), str):
        made: dict[str, Any] = {"type": _AS_TEXT[role], "text": left.pop("text")}
        if role == "assistant":
            made["annotations"] = []
    elif kind == "refusal" and isinstance(left.get("refusal"), str):
        made = {"type": "refusal", "refusal": left.pop("refusal")}
    elif kind == "image_url" and isinstance(left.get("image_url"), dict):
        image = left.pop("image_url")
        made = {"type": "input_image", "image_url": image.get("url"), "detail": image.get("detail") or "auto"}
    elif kind == "file" and isinstance(left.get("file"), dict):
        made = {"type": "input_file", **left.pop("file")}
    elif kind == "input_audio" and isinstance(left.get("input_audio"), dict):
        made = {"type": "input_audio", "input_audio": left.pop("input_audio")}
    else:
        refuse(where, f"expected a part of type text, image_url, file or input_audio, found {kind!r}")
    if "prompt_cache_breakpoint" in left:
        made["prompt_cache_breakpoint"] = left.pop("prompt_cache_breakpoint")
    _nothing_else(left, where, ())
    return made
