"""A chat.completions request as a request of Bedrock's Converse and ConverseStream.

Everything that the caller asked for is either expressed or refused by the name of its field; nothing is dropped.
``null`` and values that mean the provider's default are nothing asked for.  ``user`` and ``safety_identifier`` say who
asks: Roadworthy reads them, and Converse has no place for them.

Source: Amazon Bedrock API reference, "Converse"; user guide, "Call a tool with the Converse API", "Get validated JSON
results from models"; service model 2023-09-30.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from roadworthy.adapters.providers.bedrock_turns import Block, cache_point, conversation, nothing_else, uses_tools
from roadworthy.formats.chat import CORES, asked_for, function_of, most_tokens, schema_of
from roadworthy.formats.messages.schemas import by_tool, unenforceable
from roadworthy.formats.messages.words import ANSWER_TOOL, EFFORTS
from roadworthy.formats.model import Fields, refuse

_NOT_ASKED: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "store": (False,),
    "modalities": (["text"],),
    "verbosity": ("medium",),
    "metadata": ({},),
    "service_tier": ("auto",),
    "parallel_tool_calls": (True,),
    "response_format": ({"type": "text"},),
}
"""Fields → values that ask for nothing."""

_CORES = CORES | {"user", "safety_identifier"}
OWN = ("additionalModelRequestFields", "guardrailConfig", "performanceConfig", "requestMetadata")
"""Converse's own fields, under their own names."""
CLAUDES = ("thinking", "top_k")
"""Anthropic's names of what a Claude model reads beside Converse's parameters."""
_TIERS = ("default", "flex", "priority", "reserved")
_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
_MOST_LABELS = 16


def translate(fields: Fields, *, enforce_schema: bool) -> dict[str, Any]:
    """The body to send; the model is in the path, and so is whether it streams.

    ``enforce_schema``: the model has structured outputs; without them (or for a schema that they cannot enforce)
    a JSON Schema goes out as the input schema of a forced tool.  Raises ``Inexpressible``.
    """
    asked = asked_for(fields, _NOT_ASKED, besides=_CORES)
    messages = asked.pop("messages", None)
    if not isinstance(messages, list) or not messages:
        refuse("messages", "expected a list of at least one message")
    system, turns = conversation(messages)
    body: dict[str, Any] = {"messages": turns}
    if system:
        body["system"] = system
    for name in OWN:
        if name in asked:
            if not isinstance(asked[name], dict):
                refuse(name, "expected an object")
            body[name] = asked.pop(name)
    _sampling(asked, body)
    _besides(asked, body)
    _tools(asked, body)
    _format(asked, body, enforce_schema)
    for name in asked:
        refuse(name, "Bedrock's Converse has no counterpart; leave it out or use another target")
    return body


def _sampling(asked: dict[str, Any], body: dict[str, Any]) -> None:
    config: dict[str, Any] = {}
    if (most := most_tokens(asked)) is not None:
        config["maxTokens"] = most
    for name, own in (("temperature", "temperature"), ("top_p", "topP")):
        if name in asked:
            value = asked.pop(name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
                refuse(name, f"Converse takes 0 to 1, found {value!r}")
            config[own] = value
    if stop := asked.pop("stop", None):
        stops = [stop] if isinstance(stop, str) else stop
        if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
            refuse("stop", "expected text or a list of texts")
        config["stopSequences"] = stops
    if config:
        body["inferenceConfig"] = config


def _besides(asked: dict[str, Any], body: dict[str, Any]) -> None:
    """What has a place of its own beside the sampling parameters."""
    for name in CLAUDES:
        if name in asked:
            extra = body.setdefault("additionalModelRequestFields", {})
            if name in extra:
                refuse(name, "`additionalModelRequestFields` says it already; keep one of them")
            body["additionalModelRequestFields"] = {**extra, name: asked.pop(name)}
    if (effort := asked.pop("reasoning_effort", None)) is not None:
        if effort not in EFFORTS:
            refuse("reasoning_effort", f"Converse takes {', '.join(EFFORTS)}, found {effort!r}")
        body["outputConfig"] = {"effort": effort}
    if (tier := asked.pop("service_tier", None)) is not None:
        if tier not in _TIERS:
            refuse("service_tier", f"Bedrock takes auto, {', '.join(_TIERS)}, found {tier!r}")
        body["serviceTier"] = {"type": tier}
    if (labels := asked.pop("metadata", None)) is not None:
        if "requestMetadata" in body:
            refuse("metadata", "`requestMetadata` says it already; keep one of them")
        body["requestMetadata"] = _labels(labels)


def _labels(labels: Any) -> dict[str, str]:
    """For the invocation logs of the account."""
    if not isinstance(labels, dict) or len(labels) > _MOST_LABELS:
        refuse("metadata", f"expected at most {_MOST_LABELS} texts by name")
    for name, value in labels.items():
        if not name or not isinstance(value, str) or not _LABEL.fullmatch(name) or not _LABEL.fullmatch(value):
            refuse(f"metadata.{name[:60]}", "Bedrock takes at most 256 letters, digits, blanks and :_@$#=/+,.-")
    return labels


def _tools(asked: dict[str, Any], body: dict[str, Any]) -> None:
    tools = asked.pop("tools", None) or []
    if not isinstance(tools, list):
        refuse("tools", "expected a list")
    choice = asked.pop("tool_choice", None)
    if asked.pop("parallel_tool_calls", None) is not None and tools and choice != "none":
        refuse("parallel_tool_calls", "Converse cannot keep a model from calling several tools at once")
    made = [block for index, tool in enumerate(tools) for block in _tool(tool, f"tools[{index}]")]
    if not made:
        if choice not in (None, "none", "auto"):
            refuse("tool_choice", "names a tool, but `tools` is empty")
        if uses_tools(body["messages"]):
            refuse("tools", "Converse wants them declared while `messages` hold tool calls or their results")
        return
    if choice == "none":
        if uses_tools(body["messages"]):
            refuse("tool_choice", "Converse knows no `none` while `messages` hold tool calls or their results")
        return  # what it is not told of, it cannot call
    body["toolConfig"] = {"tools": made}
    if choice == "required":
        body["toolConfig"]["toolChoice"] = {"any": {}}
    elif isinstance(choice, dict):
        function = choice.get("function") if choice.get("type") == "function" else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str):
            refuse("tool_choice", "expected auto, none, required or one function")
        body["toolConfig"]["toolChoice"] = {"tool": {"name": name}}
    elif choice == "auto":
        body["toolConfig"]["toolChoice"] = {"auto": {}}
    elif choice is not None:
        refuse("tool_choice", "expected auto, none, required or one function")


def _tool(tool: Any, where: str) -> list[Block]:
    function = function_of(tool, where, "Converse")
    nothing_else(tool, where, ("type", "function", "cache_control"))
    nothing_else(function, f"{where}.function", ("name", "description", "parameters", "strict"))
    if function["name"] == ANSWER_TOOL:
        refuse(f"{where}.function.name", f"{ANSWER_TOOL} is a reserved name")
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(schema, dict):
        refuse(f"{where}.function.parameters", "expected a JSON Schema object")
    made: dict[str, Any] = {"name": function["name"], "inputSchema": {"json": schema}}
    if description := function.get("description"):
        if not isinstance(description, str):
            refuse(f"{where}.function.description", "expected text")
        made["description"] = description
    if function.get("strict"):
        if keyword := unenforceable(schema):
            refuse(f"{where}.function.strict", f"Bedrock's strict tools cannot enforce {keyword}")
        made["strict"] = True
    return [{"toolSpec": made}, *cache_point(tool, where)]


def _format(asked: dict[str, Any], body: dict[str, Any], enforce_schema: bool) -> None:
    described = schema_of(asked.pop("response_format", None), "Converse")
    if described is None:
        return
    schema = described["schema"]
    told = {name: described[name] for name in ("name", "description") if isinstance(described.get(name), str)}
    keyword = unenforceable(schema)
    if enforce_schema and keyword is None:
        described = {"schema": msgspec.json.encode(schema).decode(), **told}
        text = {"type": "json_schema", "structure": {"jsonSchema": described}}
        body["outputConfig"] = {**body.get("outputConfig", {}), "textFormat": text}
        return
    thinking = body.get("additionalModelRequestFields", {}).get("thinking")
    description = by_tool(described, keyword, "Bedrock", tools="toolConfig" in body, thinking=thinking)
    spec = {"name": ANSWER_TOOL, "description": description, "inputSchema": {"json": schema}}
    body["toolConfig"] = {"tools": [{"toolSpec": spec}], "toolChoice": {"tool": {"name": ANSWER_TOOL}}}
