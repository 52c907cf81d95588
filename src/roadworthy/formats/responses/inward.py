"""A Responses request as chat completions.

Absent means what it means here, not at OpenAI: ``store`` is off, for nothing is stored.  ``null`` asks for nothing.

Source: OpenAI API reference, "Create a model response", "Create chat completion"; guide "Migrate to the Responses API".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from roadworthy.formats.losses import Losses
from roadworthy.formats.model import Fields, Translated, compact, refuse
from roadworthy.formats.responses import inward_turns
from roadworthy.formats.responses.words import FOREIGN, full_name, listed, mapped

_AS_IS = frozenset(
    {
        "model", "stream", "temperature", "top_p", "user", "safety_identifier", "service_tier", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "parallel_tool_calls", "moderation",
    }
)  # fmt: skip
"""Fields that both formats have, with the same meaning."""

_NO_PARAMETER = ("input", "instructions", "metadata", "client_metadata")
"""``metadata`` is for whoever keeps answers: it is told back in the answer; ``client_metadata`` is how OpenAI's own
clients tell it who they are.  Neither concerns a model, or a provider of chat completions."""

_STATELESS = "is not served: nothing is stored here and every call is whole in itself"
_HOSTED = "is a tool of OpenAI's own, out of sight of every check and budget; expected function, custom or namespace"

REFUSED: dict[str, str] = {
    "previous_response_id": f"{_STATELESS}; send the items of the conversation as `input`",
    "conversation": f"{_STATELESS}; send the items of the conversation as `input`",
    "background": "is not served; leave it out, or send false",
    "background_options": "is not served; leave it out",
    "prompt": "is not served: prompts are managed by the workflow; send `instructions`, or the workflow's `inputs`",
    "store": f"{_STATELESS}; leave `store` out, or send false",
}
"""What no target is asked for, with what to do instead; ``false`` and ``null`` ask for nothing."""

_NATIVE_ONLY: dict[str, tuple[bytes, ...]] = {
    "truncation": (b'"disabled"',),
    "max_tool_calls": (),
    "context_management": (b"[]",),
    "access_programs": (b"{}",),
    "image": (b"{}", b'{"context_compression":"auto"}'),
}
"""Fields that chat has no counterpart for → values that ask for nothing."""

_INCLUDED = ("reasoning.encrypted_content", "message.output_text.logprobs")
"""Of ``include`` what a call without hosted tools and storage can use."""

_OWN_DEFAULTS = {"context": "auto", "mode": "standard"}

_decode = msgspec.json.Decoder().decode
_TRUE = msgspec.Raw(b"true")
_AUTO = msgspec.Raw(b'"auto"')
_NULL = msgspec.Raw(b"null")


def to_chat(fields: Mapping[str, msgspec.Raw]) -> Translated:
    """A Responses request in chat's words.  Raises ``Inexpressible`` for what is malformed and what is not served."""
    made: Fields = {}
    losses = Losses()
    name = "input"
    try:
        for name, raw in fields.items():
            if name in _AS_IS:
                if raw != _NULL:
                    made[name] = raw
            elif name not in _NO_PARAMETER:
                _field(name, raw, made, losses)
        if "tools" not in made:
            _without_tools(made)
        if "input" not in fields:
            refuse("input", "is missing; send a text or a list of items")
        name = "input"
        instructions = fields.get("instructions", _NULL)
        told = None if instructions == _NULL else bytes(instructions)
        messages = inward_turns.messages(bytes(fields["input"]), told, losses)
    except (msgspec.DecodeError, RecursionError) as error:
        refuse(name, f"cannot be read: {error}")
    made["messages"] = msgspec.Raw(messages)
    return Translated(made, losses.first, losses.unknown)


def _field(name: str, raw: msgspec.Raw, made: Fields, losses: Losses) -> None:
    """One field of a Responses request.  Raises ``Inexpressible``."""
    if raw == _NULL:
        return
    json = bytes(raw)
    if name in REFUSED:
        if json != b"false":
            refuse(name, REFUSED[name])
    elif (translate := _TO_CHAT.get(name)) is not None:
        translate(json, made, losses)
    elif json not in _NATIVE_ONLY.get(name, ()):  # one that nobody knows may be known to a target, too
        made[name] = raw
        losses.note(name, FOREIGN)


def _without_tools(fields: Fields) -> None:
    """Clients say how tools are called where there are none, too, which providers of chat completions refuse."""
    for name, usual in (("tool_choice", _AUTO), ("parallel_tool_calls", _TRUE)):
        if fields.get(name) == usual:
            del fields[name]


def _most_tokens(json: bytes, made: Fields, losses: Losses) -> None:
    made["max_completion_tokens"] = msgspec.Raw(json)


def _top_logprobs(json: bytes, made: Fields, losses: Losses) -> None:
    if json != b"0":
        made["top_logprobs"] = msgspec.Raw(json)
        made["logprobs"] = _TRUE  # chat takes the one with the other only


def _include(json: bytes, made: Fields, losses: Losses) -> None:
    for index, wanted in enumerate(listed(json, "include")):
        if wanted not in _INCLUDED:
            refuse(f"include[{index}]", f"{wanted!r} is not served; expected {' or '.join(_INCLUDED)}")
        if wanted == "message.output_text.logprobs":
            made["logprobs"] = _TRUE


def _stream_options(json: bytes, made: Fields, losses: Losses) -> None:
    """``include_obfuscation``: padding of the provider's own stream; a stream that is told here has none."""
    for name in mapped(json, "stream_options"):
        if name != "include_obfuscation":
            refuse(f"stream_options.{name}", "is not served; expected `include_obfuscation`")


def _reasoning(json: bytes, made: Fields, losses: Losses) -> None:
    """``summary``: what the target thinks aloud is told as the summary where one is asked for."""
    for name, value in mapped(json, "reasoning").items():
        if name == "effort" and value is not None:
            made["reasoning_effort"] = msgspec.Raw(compact(value))
        elif name in ("effort", "summary", "generate_summary") or value in (None, _OWN_DEFAULTS.get(name)):
            continue
        else:
            made["reasoning"] = msgspec.Raw(json)
            losses.note(f"reasoning.{name}", FOREIGN)


def _text(json: bytes, made: Fields, losses: Losses) -> None:
    for name, value in mapped(json, "text").items():
        if value is None:
            continue
        if name == "verbosity":
            made["verbosity"] = msgspec.Raw(compact(value))
        elif name == "format":
            made["response_format"] = msgspec.Raw(compact(_format(value)))
        else:
            made["text"] = msgspec.Raw(json)
            losses.note(f"text.{name}", FOREIGN)


def _format(asked: Any) -> dict[str, Any]:
    kind = asked.get("type") if isinstance(asked, dict) else None
    if kind in ("text", "json_object"):
        return {"type": kind}
    if kind != "json_schema":
        refuse("text.format.type", f"expected text, json_schema or json_object, found {kind!r}")
    described = {name: value for name, value in asked.items() if name != "type" and value is not None}
    if not isinstance(described.get("schema"), dict):
        refuse("text.format.schema", "expected a JSON Schema object")
    return {"type": "json_schema", "json_schema": described}


def _tools(json: bytes, made: Fields, losses: Losses) -> None:
    tools: list[dict[str, Any]] = []
    for index, tool in enumerate(listed(json, "tools")):
        where = f"tools[{index}]"
        if isinstance(tool, dict) and tool.get("type") == "namespace":
            tools += _namespace(tool, where, losses)
        else:
            tools.append(_tool(tool, where, losses))
    if tools:
        made["tools"] = msgspec.Raw(compact(tools))


def _namespace(space: dict[str, Any], where: str, losses: Losses) -> list[dict[str, Any]]:
    """Its tools, each under its full name and with what is said of all of them."""
    inner, named = space.get("tools"), space.get("name")
    if not isinstance(inner, list) or not isinstance(named, str):
        refuse(where, "expected a namespace with its `name` and its `tools`")
    for name, value in space.items():
        if name not in ("type", "name", "description", "tools") and value is not None:
            losses.note(f"{where}.{name}", FOREIGN)
    tools = []
    for index, tool in enumerate(inner):
        flat = _tool(tool, f"{where}.tools[{index}]", losses)
        described = flat[flat["type"]]
        described["name"] = full_name(named, described["name"])
        told = [text for text in (space.get("description"), described.get("description")) if text]
        if told:
            described["description"] = "\n".join(map(str, told))
        tools.append(flat)
    return tools


def _tool(tool: Any, where: str, losses: Losses) -> dict[str, Any]:
    if not isinstance(tool, dict):
        refuse(where, "expected an object")
    left = {name: value for name, value in tool.items() if value is not None}
    kind = left.pop("type", None)
    if kind == "function":
        known: tuple[str, ...] = ("name", "description", "parameters", "strict")
    elif kind == "custom":
        known = ("name", "description", "format")
    else:
        refuse(f"{where}.type", f"{kind!r} {_HOSTED}")
    if not isinstance(left.get("name"), str):
        refuse(f"{where}.name", "is missing")
    described = {name: left.pop(name) for name in known if name in left}
    if kind == "function" and "strict" not in described and is_strict(described.get("parameters")):
        described["strict"] = True
    if isinstance(described.get("format"), dict) and described["format"].get("type") == "grammar":
        grammar = {name: value for name, value in described["format"].items() if name != "type"}
        described["format"] = {"type": "grammar", "grammar": grammar}
    for name, value in left.items():
        if not (name == "defer_loading" and value is False) and not (name == "allowed_callers" and value == ["direct"]):
            losses.note(f"{where}.{name}", FOREIGN)
    return {"type": kind, kind: described}


def is_strict(schema: Any) -> bool:
    """Does it hold what ``strict`` demands of a schema?

    Responses enforce a function's schema unless told not to, and fall back to no enforcement for one that cannot be;
    chat enforces only what says so and refuses what cannot be (guide "Function calling", "Strict mode").
    """
    if isinstance(schema, list):
        return all(is_strict(inner) for inner in schema)
    if not isinstance(schema, dict):
        return schema is not None
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or not isinstance(properties, dict):
            return False
        if not isinstance(required, list) or set(properties) - {name for name in required if isinstance(name, str)}:
            return False
        if not all(is_strict(inner) for inner in properties.values()):
            return False
    definitions = [schema.get(key) for key in ("$defs", "definitions")]
    inner = [value for found in definitions if isinstance(found, dict) for value in found.values()]
    inner += [schema[key] for key in ("items", "anyOf") if key in schema]
    return "allOf" not in schema and "oneOf" not in schema and all(is_strict(value) for value in inner)


def _tool_choice(json: bytes, made: Fields, losses: Losses) -> None:
    choice = _decode(json)
    if isinstance(choice, dict):
        kind = choice.get("type")
        if kind == "allowed_tools":
            allowed = choice.get("tools")
            if not isinstance(allowed, list):
                refuse("tool_choice.tools", "expected a list")
            tools = [_choice(tool, f"tool_choice.tools[{index}]") for index, tool in enumerate(allowed)]
            choice = {"type": kind, kind: {"mode": choice.get("mode"), "tools": tools}}
        else:
            choice = _choice(choice, "tool_choice")
    elif choice not in ("auto", "none", "required"):
        refuse("tool_choice", f"expected auto, none, required or one tool, found {choice!r}")
    made["tool_choice"] = msgspec.Raw(compact(choice))


def _choice(tool: Any, where: str) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind not in ("function", "custom"):
        refuse(f"{where}.type", f"{kind!r} {_HOSTED}")
    return {"type": kind, kind: {"name": tool.get("name")}}


_TO_CHAT: dict[str, Callable[[bytes, Fields, Losses], None]] = {
    "max_output_tokens": _most_tokens,
    "top_logprobs": _top_logprobs,
    "include": _include,
    "stream_options": _stream_options,
    "reasoning": _reasoning,
    "text": _text,
    "tools": _tools,
    "tool_choice": _tool_choice,
}
