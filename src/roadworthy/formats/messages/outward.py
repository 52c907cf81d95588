"""A chat.completions request as a Messages request (api version 2023-06-01).

Everything that the caller asked for is either expressed or refused by the name of its field; nothing is dropped.
``null`` and values that mean the provider's default are nothing asked for.

Source: Anthropic API reference, "Create a Message", "Tool use", "Structured outputs".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadworthy.formats.chat import asked_for, function_of, most_tokens, schema_of
from roadworthy.formats.messages.outward_turns import conversation
from roadworthy.formats.messages.schemas import by_tool, unenforceable
from roadworthy.formats.messages.words import ANSWER_TOOL, ANTHROPICS, EFFORTS
from roadworthy.formats.model import Fields, compact, refuse

DEFAULT_MAX_TOKENS = 4096
"""Anthropic requires ``max_tokens``; this goes out when neither caller nor release sets one."""

_AS_IS = (
    "top_p",
    "top_k",
    "thinking",
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
    "speed",
    "user_profile_id",
)
"""The format's own names."""
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


def from_chat(
    fields: Mapping[str, msgspec.Raw], *, model: str, stream: bool, enforce_schema: bool = True
) -> dict[str, Any]:
    """The body to send.

    ``enforce_schema``: the model has structured outputs; without them (or for a schema that they cannot enforce)
    a JSON Schema goes out as the input schema of a forced tool.  Raises ``Inexpressible``.
    """
    asked = asked_for(fields, _NOT_ASKED)
    messages = asked.pop("messages", None)
    if not isinstance(messages, list) or not messages:
        refuse("messages", "expected a list of at least one message")
    system, turns = conversation(messages)
    body: dict[str, Any] = {"model": model, "max_tokens": most_tokens(asked) or DEFAULT_MAX_TOKENS, "messages": turns}
    if system:
        body["system"] = system
    if stream:
        body["stream"] = True
    _parameters(asked, body)
    _format(asked, body, enforce_schema)
    _nothing_else(asked)
    return body


def parameters_from_chat(fields: Mapping[str, msgspec.Raw]) -> Fields:
    """Parameters of chat completions (nothing of the conversation) under this format's names.

    Raises ``Inexpressible``; a schema that structured outputs cannot enforce is so here, for an answer by a tool of
    ours is none that a caller of this format could read.
    """
    asked = asked_for(fields, _NOT_ASKED)
    body: dict[str, Any] = {}
    if (most := most_tokens(asked)) is not None:
        body["max_tokens"] = most
    _parameters(asked, body)
    _format(asked, body, enforce_schema=True, native=True)
    _nothing_else(asked)
    return {name: msgspec.Raw(compact(value)) for name, value in body.items()}


def _nothing_else(asked: dict[str, Any]) -> None:
    for name in asked:
        refuse(name, "Anthropic's Messages API has no counterpart; leave it out or use another target")


def _parameters(asked: dict[str, Any], body: dict[str, Any]) -> None:
    body.update({name: asked.pop(name) for name in _AS_IS if name in asked})
    _sampling(asked, body)
    _tools(asked, body)


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
    _effort(asked, body)
    tier = asked.pop("service_tier", None)
    if tier is not None:
        if tier not in ("auto", "default"):
            refuse("service_tier", f"Anthropic takes auto or default, found {tier!r}")
        body["service_tier"] = "auto" if tier == "auto" else "standard_only"


def _effort(asked: dict[str, Any], body: dict[str, Any]) -> None:
    config = asked.pop("output_config", None)
    if config is not None:
        if not isinstance(config, dict):
            refuse("output_config", "expected an object")
        body["output_config"] = config
    effort = asked.pop("reasoning_effort", None)
    if effort == "none" and "thinking" not in body:
        body["thinking"] = {"type": "disabled"}
    elif effort is not None:
        if effort not in EFFORTS:
            refuse("reasoning_effort", f"Anthropic takes low, medium, high, xhigh or max, found {effort!r}")
        body.setdefault("output_config", {})["effort"] = effort


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
    kind = tool.get("type") if isinstance(tool, dict) else None
    if isinstance(kind, str) and ANTHROPICS.fullmatch(kind):
        own: dict[str, Any] = tool
        return own
    function = function_of(tool, where, "Anthropic")
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
    made.update({name: value for name, value in tool.items() if name not in ("type", "function") and value is not None})
    return made


def _format(asked: dict[str, Any], body: dict[str, Any], enforce_schema: bool, *, native: bool = False) -> None:
    """``native``: callers of this format read the answer, who know nothing of a tool of ours."""
    described = schema_of(asked.pop("response_format", None), "Anthropic")
    if described is None:
        return
    schema = described["schema"]
    keyword = unenforceable(schema)
    if enforce_schema and keyword is None:
        body.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}
        return
    if native:
        refuse("response_format", f"Anthropic's structured outputs cannot enforce {keyword}")
    description = by_tool(described, keyword, "Anthropic", tools="tools" in body, thinking=body.get("thinking"))
    body["tools"] = [{"name": ANSWER_TOOL, "description": description, "input_schema": schema}]
    body["tool_choice"] = {"type": "tool", "name": ANSWER_TOOL, "disable_parallel_tool_use": True}
