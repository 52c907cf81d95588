"""A chat.completions request as an Anthropic Messages request (api version 2023-06-01).

Everything that the caller asked for is either expressed or refused by the name of its field; nothing is dropped.
``null`` and values that mean the provider's default are nothing asked for.

Source: Anthropic API reference, "Create a Message", "Tool use", "Structured outputs".
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from roadworthy.gateway.ports import Fields, Unusable

DEFAULT_MAX_TOKENS = 4096
"""Anthropic requires ``max_tokens``; this goes out when neither caller nor release sets one."""

ANSWER_TOOL = "roadworthy_answer"
"""The tool whose input is the answer where a schema is asked for that structured outputs cannot enforce."""

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_AS_IS = ("top_p", "top_k", "thinking", "cache_control")
_NOT_ASKED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "store": (False,),
    "modalities": (["text"],),
    "verbosity": ("medium",),
    "metadata": ({},),
}
"""Fields without a counterpart → values that ask for nothing."""

_UNENFORCED = frozenset(
    [
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
        "contains",
        "prefixItems",
        "not",
        "if",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
        "oneOf",
    ]
)


def refuse(field: str, why: str) -> NoReturn:
    message = f"`{field}`: {why}"
    raise Unusable("bad_request", message, status=400, message=message, param=field)


def translate(fields: Fields, *, model: str, stream: bool, enforce_schema: bool) -> dict[str, Any]:
    """The Messages request for these fields.

    ``enforce_schema``: the model has structured outputs; without them (or for a schema that they cannot enforce)
    a JSON Schema goes out as the input schema of a forced tool.  Raises ``Unusable`` (``bad_request``).
    """
    asked: dict[str, Any] = {}
    for name, raw in fields.items():
        value = msgspec.json.decode(raw)
        if value is not None and not any(value == nothing for nothing in _NOT_ASKED.get(name, ())):
            asked[name] = value
    for name in ("model", "stream", "stream_options"):  # the core's own
        asked.pop(name, None)
    messages = asked.pop("messages", None)
    if not isinstance(messages, list) or not messages:
        refuse("messages", "expected a list of at least one message")
    system, turns = _messages(messages)
    body: dict[str, Any] = {"model": model, "max_tokens": _max_tokens(asked), "messages": turns}
    if system:
        body["system"] = system
    if stream:
        body["stream"] = True
    body.update({name: asked.pop(name) for name in _AS_IS if name in asked})
    _sampling(asked, body)
    _tools(asked, body)
    _format(asked, body, enforce_schema)
    for name in asked:
        refuse(name, "Anthropic's Messages API has no counterpart; leave it out or use another target")
    return body


def _max_tokens(asked: dict[str, Any]) -> int:
    found = [asked.pop(name) for name in ("max_completion_tokens", "max_tokens") if name in asked]
    if any(not isinstance(value, int) or isinstance(value, bool) or value < 1 for value in found):
        refuse("max_tokens", "expected an integer of at least 1")
    return min(found) if found else DEFAULT_MAX_TOKENS


def _sampling(asked: dict[str, Any], body: dict[str, Any]) -> None:
    temperature = asked.pop("temperature", None)
    if temperature is not None:
        if not isinstance(temperature, int | float) or not 0 <= temperature <= 1:
            refuse("temperature", f"Anthropic takes 0 to 1, found {temperature!r}")
        body["temperature"] = temperature
    stop = asked.pop("stop", None)
    if stop:
        body["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    user = [asked.pop(name) for name in ("safety_identifier", "user") if name in asked]
    if user:
        body["metadata"] = {"user_id": user[0]}
    effort = asked.pop("reasoning_effort", None)
    if effort is not None:
        if effort not in ("low", "medium", "high", "xhigh", "max"):
            refuse("reasoning_effort", f"Anthropic takes low, medium, high, xhigh or max, found {effort!r}")
        body["output_config"] = {"effort": effort}
    tier = asked.pop("service_tier", None)
    if tier is not None:
        if tier not in ("auto", "default"):
            refuse("service_tier", f"Anthropic takes auto or default, found {tier!r}")
        body["service_tier"] = "auto" if tier == "auto" else "standard_only"


def _tools(asked: dict[str, Any], body: dict[str, Any]) -> None:
    tools = asked.pop("tools", None) or []
    if not isinstance(tools, list):
        refuse("tools", "expected a list")
    choice, parallel = asked.pop("tool_choice", None), asked.pop("parallel_tool_calls", None)
    if tools:
        body["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    elif choice not in (None, "none", "auto"):
        refuse("tool_choice", "names a tool, but `tools` is empty")
    else:
        return
    picked: dict[str, Any] | None = None
    if isinstance(choice, str) and choice in ("auto", "none", "required"):
        picked = {"type": "any" if choice == "required" else choice}
    elif isinstance(choice, dict) and choice.get("type") == "function":
        function = choice.get("function")
        picked = {"type": "tool", "name": function.get("name") if isinstance(function, dict) else None}
    elif choice is not None:
        refuse("tool_choice", "expected auto, none, required or one function")
    if parallel is False and (picked is None or picked["type"] != "none"):
        picked = {**(picked or {"type": "auto"}), "disable_parallel_tool_use": True}
    if picked is not None:
        body["tool_choice"] = picked


def _tool(tool: Any, where: str) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or tool.get("type") != "function" or not isinstance(function.get("name"), str):
        refuse(where, 'expected {"type": "function", "function": {"name": …}}; Anthropic takes no other kind here')
    if function["name"] == ANSWER_TOOL:
        refuse(f"{where}.function.name", f"{ANSWER_TOOL} is a reserved name")
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    made: dict[str, Any] = {"name": function["name"], "input_schema": schema}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("strict"):
        if keyword := unenforceable(schema):
            refuse(f"{where}.function.strict", f"Anthropic's strict tools cannot enforce {keyword}")
        made["strict"] = True
    return made


def _format(asked: dict[str, Any], body: dict[str, Any], enforce_schema: bool) -> None:
    wanted = asked.pop("response_format", None)
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if wanted is None or kind == "text":
        return
    if kind != "json_schema":
        refuse("response_format", f"Anthropic takes text or json_schema, found {kind!r}")
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        refuse("response_format.json_schema.schema", "expected a JSON Schema object")
    if enforce_schema and unenforceable(schema) is None:
        body.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}
        return
    if "tools" in body:
        keyword = unenforceable(schema) or "a schema (target's capabilities: response_schema is false)"
        refuse("response_format", f"beside `tools`, Anthropic cannot enforce {keyword}")
    if schema.get("type") != "object":
        refuse("response_format.json_schema.schema", "a schema that goes out as a tool must have type object")
    if "thinking" in body:
        refuse("thinking", "cannot be combined with a schema that goes out as a forced tool")
    description = described.get("description") or "Give the answer in this shape."
    body["tools"] = [{"name": ANSWER_TOOL, "description": description, "input_schema": schema}]
    body["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True}


def unenforceable(schema: Any) -> str | None:
    """What of a JSON Schema Anthropic's structured outputs refuse, in words; ``None``: nothing known."""
    if isinstance(schema, bool):
        return "a schema that is true or false"
    if not isinstance(schema, dict):
        return None
    if found := sorted(_UNENFORCED & schema.keys()):
        return f"the keyword {found[0]}"
    if schema.get("minItems", 0) not in (0, 1):
        return "minItems above 1"
    is_object = schema.get("type") == "object" or "properties" in schema
    if is_object and schema.get("additionalProperties") is not False:
        return "an object without additionalProperties: false"
    reference = schema.get("$ref")
    if isinstance(reference, str) and not reference.startswith(("#/$defs/", "#/definitions/")):
        return "a $ref to anything but a definition"
    if _recursive(schema):
        return "a recursive schema"
    for key in ("properties", "$defs", "definitions"):
        for inner in _mapping(schema.get(key)).values():
            if found_inside := unenforceable(inner):
                return found_inside
    several = [schema.get("anyOf"), schema.get("allOf")]
    branches = [inner for found in several if isinstance(found, list) for inner in found] + [schema.get("items")]
    return next((found_inside for inner in branches if (found_inside := unenforceable(inner))), None)


def _mapping(found: Any) -> dict[str, Any]:
    """What is no object where a schema wants one is the provider's to refuse."""
    return found if isinstance(found, dict) else {}


def _recursive(schema: dict[str, Any]) -> bool:
    """Does a definition reach itself?"""
    definitions = {**_mapping(schema.get("$defs")), **_mapping(schema.get("definitions"))}
    reaches = {name: _references(inner) for name, inner in definitions.items()}
    for start in reaches:
        seen, open_ = set[str](), list(reaches[start])
        while open_:
            name = open_.pop()
            if name == start:
                return True
            if name not in seen:
                seen.add(name)
                open_.extend(reaches.get(name, ()))
    return False


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*(_references(item) for item in schema))
    if not isinstance(schema, dict):
        return set()
    found = set().union(*(_references(value) for value in schema.values()))
    if isinstance(reference := schema.get("$ref"), str):
        found.add(reference.rsplit("/", 1)[-1])
    return found


def _messages(messages: list[Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(system blocks, turns).  Neighbours of one role become one turn: a turn's tool results must be together."""
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            refuse(where, "expected an object")
        role = message.get("role")
        if role in ("system", "developer"):
            if turns:
                refuse(f"{where}.role", f"Anthropic takes {role} messages only before the first of the others")
            system += _content(message, where, images=False)
            _nothing_else(message, where, ("role", "content"))
            continue
        if role == "user":
            _nothing_else(message, where, ("role", "content"))
            turn, blocks = "user", _content(message, where, images=True)
        elif role == "assistant":
            turn, blocks = "assistant", _assistant(message, where)
        elif role == "tool":
            turn, blocks = "user", [_tool_result(message, where)]
        else:
            refuse(f"{where}.role", f"expected system, developer, user, assistant or tool, found {role!r}")
        if not blocks:
            refuse(f"{where}.content", "is empty; Anthropic refuses a message without content")
        if turns and turns[-1]["role"] == turn:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": turn, "content": blocks})
    if not turns:
        refuse("messages", "Anthropic needs at least one message beside the system messages")
    return system, turns


def _assistant(message: dict[str, Any], where: str) -> list[dict[str, Any]]:
    _nothing_else(message, where, ("role", "content", "refusal", "tool_calls"))
    blocks = _content(message, where, images=False)
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        blocks.append({"type": "text", "text": message["refusal"]})
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        refuse(f"{where}.tool_calls", "expected a list")
    for index, call in enumerate(calls):
        at = f"{where}.tool_calls[{index}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(call.get("id"), str):
            refuse(at, "expected a function call with its id")
        try:
            arguments = msgspec.json.decode(function.get("arguments") or "{}")
        except (msgspec.DecodeError, TypeError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            refuse(f"{at}.function.arguments", "is not a JSON object; Anthropic takes no other")
        blocks.append({"type": "tool_use", "id": call["id"], "name": function.get("name"), "input": arguments})
    return blocks


def _tool_result(message: dict[str, Any], where: str) -> dict[str, Any]:
    _nothing_else(message, where, ("role", "content", "tool_call_id", "name"))
    if not isinstance(message.get("tool_call_id"), str):
        refuse(f"{where}.tool_call_id", "expected the id of the tool call that this answers")
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
    if content := _content(message, where, images=True):
        result["content"] = content
    return result


def _nothing_else(message: dict[str, Any], where: str, known: tuple[str, ...]) -> None:
    for key, value in message.items():
        if key not in known and value:
            refuse(f"{where}.{key}", "Anthropic's Messages API has no counterpart; leave it out")


def _content(message: dict[str, Any], where: str, *, images: bool) -> list[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if content is None:
        return []
    if not isinstance(content, list):
        refuse(f"{where}.content", "expected text or a list of parts")
    parts = [_part(part, f"{where}.content[{index}]", images) for index, part in enumerate(content)]
    return [part for part in parts if part.get("text") != ""]


def _part(part: Any, where: str, images: bool) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "refusal") and isinstance(part.get(kind), str):
        made: dict[str, Any] = {"type": "text", "text": part[kind]}
    elif kind == "image_url" and images and isinstance(part.get("image_url"), dict):
        if part["image_url"].get("detail") == "low":
            refuse(f"{where}.image_url.detail", "Anthropic reads every image at full detail")
        made = {"type": "image", "source": _image(part["image_url"].get("url"), where)}
    else:
        refuse(where, f"expected a part of type text{' or image_url' if images else ''}, found {kind!r}")
    if isinstance(part.get("cache_control"), dict):
        made["cache_control"] = part["cache_control"]
    return made


def _image(url: Any, where: str) -> dict[str, str]:
    if isinstance(url, str) and url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    if not isinstance(url, str) or not url.startswith("data:"):
        refuse(f"{where}.image_url.url", "expected an http(s) URL or a data URL")
    head, _, data = url[5:].partition(",")
    media, *options = head.split(";")
    if media not in _IMAGES or "base64" not in options:
        refuse(f"{where}.image_url.url", f"expected base64 of {', '.join(_IMAGES)}, found {head[:60]!r}")
    return {"type": "base64", "media_type": media, "data": data}
