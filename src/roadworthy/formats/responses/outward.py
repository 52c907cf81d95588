"""A chat.completions request as a Responses request, for a target that speaks nothing else.

Source: OpenAI API reference, "Create chat completion", "Create a model response".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadworthy.formats.model import Fields, compact, refuse
from roadworthy.formats.responses import outward_turns
from roadworthy.formats.responses.inward import REFUSED
from roadworthy.formats.responses.words import listed, mapped, within

_CORE = ("model", "messages", "stream", "stream_options", "store")
"""Fields that are no parameter."""

_CHAT_ONLY: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "stop": ([],),
    "seed": (),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "web_search_options": (),
}
"""Fields of chat that Responses have no counterpart for → values that ask for nothing."""

_decode = msgspec.json.Decoder().decode
_NULL = msgspec.Raw(b"null")


def from_chat(fields: Mapping[str, msgspec.Raw], *, model: str, stream: bool) -> dict[str, Any]:
    """A chat request as Responses, for a target that speaks nothing else.  Raises ``Inexpressible``."""
    if _decode(fields.get("store", _NULL)):
        refuse("store", REFUSED["store"])
    asked = {name: raw for name, raw in fields.items() if name not in _CORE}
    body: dict[str, Any] = {
        "model": model,
        "input": outward_turns.items(_decode(fields.get("messages", _NULL))),
        "store": False,
        **parameters_from_chat(asked),
    }
    if stream:
        body["stream"] = True
    return body


def parameters_from_chat(fields: Mapping[str, msgspec.Raw]) -> Fields:
    """Chat's parameters under Responses' names; what Responses have under the same name stays as it is.

    Raises ``Inexpressible``.
    """
    made: Fields = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, raw in fields.items():
        if raw == _NULL:
            continue
        json = bytes(raw)
        if name in ("max_completion_tokens", "max_tokens"):
            made["max_output_tokens"] = _least(made.get("max_output_tokens"), raw)
        elif name == "response_format":
            nested.setdefault("text", {})["format"] = _flat_format(mapped(json, name))
        elif name == "verbosity":
            nested.setdefault("text", {})["verbosity"] = _decode(json)
        elif name == "reasoning_effort":
            nested.setdefault("reasoning", {})["effort"] = _decode(json)
        elif name == "tools":
            tools = [_flat_tool(tool, f"tools[{index}]") for index, tool in enumerate(listed(json, name))]
            made["tools"] = msgspec.Raw(compact(tools))
        elif name == "tool_choice":
            made["tool_choice"] = msgspec.Raw(compact(_flat_choice(_decode(json))))
        elif name == "logprobs":
            if json == b"true":
                made["include"] = msgspec.Raw(b'["message.output_text.logprobs"]')
        elif name in _CHAT_ONLY:
            if _decode(json) not in _CHAT_ONLY[name]:
                refuse(name, "OpenAI's Responses API has no counterpart; leave it out or use another target")
        else:
            made[name] = raw
    for name, inner in nested.items():
        made[name] = within(made.get(name), inner)
    return made


def _least(before: msgspec.Raw | None, raw: msgspec.Raw) -> msgspec.Raw:
    if before is None:
        return raw
    counts = [_decode(before), _decode(raw)]
    if any(not isinstance(count, int) for count in counts):
        refuse("max_tokens", "expected an integer")
    return msgspec.Raw(compact(min(counts)))


def _flat_format(wanted: dict[str, Any]) -> dict[str, Any]:
    kind = wanted.get("type")
    if kind in ("text", "json_object"):
        return {"type": kind}
    described = wanted.get("json_schema")
    if kind != "json_schema" or not isinstance(described, dict):
        refuse("response_format", f"expected text, json_schema or json_object, found {kind!r}")
    return {"type": kind, **described}


def _flat_tool(tool: Any, where: str) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, dict) else None
    described = tool.get(kind) if kind in ("function", "custom") else None
    if not isinstance(described, dict):
        refuse(where, 'expected {"type": "function", "function": {"name": …}} or a custom tool')
    made = {"type": kind, **described}
    if kind == "function":
        made["strict"] = bool(described.get("strict"))
        made.setdefault("parameters", None)
    elif isinstance(made.get("format"), dict) and isinstance(made["format"].get("grammar"), dict):
        made["format"] = {"type": "grammar", **made["format"]["grammar"]}
    return made


def _flat_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    kind = choice.get("type")
    inner = choice.get(kind) if isinstance(kind, str) else None
    if not isinstance(inner, dict):
        refuse("tool_choice", "expected auto, none, required or one tool")
    if kind == "allowed_tools":
        tools = inner.get("tools")
        return {**inner, "type": kind, "tools": [_flat_choice(tool) for tool in tools or ()]}
    return {"type": kind, **inner}
