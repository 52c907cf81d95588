"""A chat.completions request as a Gemini ``generateContent`` request (v1beta, and v1 of Vertex AI).

Everything that the caller asked for is either expressed or refused by the name of its field; nothing is dropped.
``null`` and values that mean the provider's default are nothing asked for.  ``user`` and ``safety_identifier`` say who
asks: Roadworthy reads them, and Gemini has no place for them.

Source: Gemini API reference, "Generating content", "Function calling", "Structured outputs", "Thinking", "Thought
signatures", "OpenAI compatibility"; the types of google-genai 3.4.
"""

from __future__ import annotations

import re
from typing import Any

from roadworthy.adapters.providers.gemini_parts import conversation, nothing_else
from roadworthy.formats.chat import CORES, asked_for, function_of, most_tokens
from roadworthy.formats.model import Fields, refuse

SKIPPED_SIGNATURE = "skip_thought_signature_validator"
"""What Google documents for a function call of the current turn whose thought signature nobody has: another model
made it, or a client lost it ("Thought signatures", FAQ)."""

_BEFORE_LEVELS = re.compile(r"(?:.*/)?gemini-[12]\b")
"""Models before Gemini 3: they think by budget, want no signatures, and take no schema beside functions."""

_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""``reasoning_effort`` → tokens, as Google's own OpenAI endpoint has it."""
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}

_CORES = CORES | {"user", "safety_identifier"}
_NOT_ASKED: dict[str, tuple[Any, ...]] = {
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

_GENERATION = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "seed": "seed",
    "media_resolution": "mediaResolution",
}
"""Chat's name, or Gemini's own in chat's spelling → the name in ``generationConfig``."""

BESIDE = {"safety_settings": "safetySettings", "cached_content": "cachedContent", "labels": "labels"}
"""Gemini's own fields beside ``generationConfig``."""

_GOOGLES = ("thinking_config", "cached_content", "safety_settings")
"""What ``extra_body.google`` may hold: how an app says it to Google's OpenAI-compatible endpoint."""


def translate(fields: Fields, *, model: str) -> dict[str, Any]:
    """The ``generateContent`` request for these fields.  Raises ``Inexpressible``."""
    asked = asked_for(fields, _NOT_ASKED, besides=_CORES)
    messages = asked.pop("messages", None)
    if not isinstance(messages, list) or not messages:
        refuse("messages", "expected a list of at least one message")
    _googles(asked)
    old = _BEFORE_LEVELS.match(model) is not None
    system, contents = conversation(messages)
    if not old:
        _signed(contents)
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    config: dict[str, Any] = {}
    _sampling(asked, config)
    _thinking(asked, config, old)
    _tools(asked, body)
    if old and "tools" in body and "response_format" in asked:
        refuse("response_format", f"beside `tools`, {model} takes none (Gemini 3 and later do)")
    _format(asked, config)
    body.update({BESIDE[name]: asked.pop(name) for name in BESIDE if name in asked})
    if (tier := asked.pop("service_tier", None)) is not None:
        if not isinstance(tier, str) or tier not in _TIERS:
            refuse("service_tier", f"Gemini takes auto, {', '.join(_TIERS)}, found {tier!r}")
        body["serviceTier"] = _TIERS[tier]
    for name in asked:
        refuse(name, "Gemini's generateContent has no counterpart; leave it out or use another target")
    if config:
        body["generationConfig"] = config
    return body


def _googles(asked: dict[str, Any]) -> None:
    """``extra_body.google`` as fields of our own."""
    if "extra_body" not in asked:
        return
    extra = asked.pop("extra_body")
    google = extra.get("google") if isinstance(extra, dict) else None
    if not isinstance(google, dict) or len(extra) != 1:
        refuse("extra_body", 'expected {"google": {…}}')
    for name, value in google.items():
        if name not in _GOOGLES:
            refuse(f"extra_body.google.{name}", f"expected {', '.join(_GOOGLES)}")
        if name in asked:
            refuse(f"extra_body.google.{name}", f"`{name}` is there already")
        asked[name] = value


def _sampling(asked: dict[str, Any], config: dict[str, Any]) -> None:
    config.update({_GENERATION[name]: asked.pop(name) for name in _GENERATION if name in asked})
    if (most := most_tokens(asked)) is not None:
        config["maxOutputTokens"] = most
    stop = asked.pop("stop", None)
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    top = asked.pop("top_logprobs", None)
    if asked.pop("logprobs", None):
        config["responseLogprobs"] = True
        if top is not None:
            config["logprobs"] = top
    elif top is not None:
        refuse("top_logprobs", "is asked for without `logprobs: true`")


def _thinking(asked: dict[str, Any], config: dict[str, Any], old: bool) -> None:
    given = asked.pop("thinking_config", None)
    if given is not None and not isinstance(given, dict):
        refuse("thinking_config", "expected an object")
    effort = asked.pop("reasoning_effort", None)
    if effort is None:
        if given:
            config["thinkingConfig"] = given
        return
    if given and not given.keys() <= {"include_thoughts", "includeThoughts"}:
        refuse("reasoning_effort", "`thinking_config` says how much to think already; keep one of them")
    if old and isinstance(effort, str) and effort in _BUDGETS:
        made: dict[str, Any] = {"thinkingBudget": _BUDGETS[effort]}
    elif not old and effort in _LEVELS:
        made = {"thinkingLevel": effort.upper()}
    else:
        takes = _BUDGETS if old else _LEVELS
        refuse("reasoning_effort", f"this model takes {', '.join(takes)}, found {effort!r}")
    config["thinkingConfig"] = {**made, **(given or {})}


def _tools(asked: dict[str, Any], body: dict[str, Any]) -> None:
    tools = asked.pop("tools", None) or []
    if not isinstance(tools, list):
        refuse("tools", "expected a list")
    choice = asked.pop("tool_choice", None)
    if asked.pop("parallel_tool_calls", None) is not None and tools and choice != "none":
        refuse("parallel_tool_calls", "Gemini cannot be kept from calling several functions at once")
    if not tools:
        if choice not in (None, "none", "auto"):
            refuse("tool_choice", "names a tool, but `tools` is empty")
        return
    strict = False
    declared = []
    for index, tool in enumerate(tools):
        made, wants = _declaration(tool, f"tools[{index}]")
        declared.append(made)
        strict = strict or wants
    body["tools"] = [{"functionDeclarations": declared}]
    calling = _calling(choice, strict)
    if calling is not None:
        body["toolConfig"] = {"functionCallingConfig": calling}


def _declaration(tool: Any, where: str) -> tuple[dict[str, Any], bool]:
    """(the function, is it to be called strictly by its schema?)"""
    function = function_of(tool, where, "Gemini")
    nothing_else(tool, where, ("type", "function"))
    nothing_else(function, f"{where}.function", ("name", "description", "parameters", "strict"))
    made: dict[str, Any] = {"name": function["name"]}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("parameters"):
        made["parametersJsonSchema"] = enforceable(function["parameters"])
    return made, bool(function.get("strict"))


def _calling(choice: Any, strict: bool) -> dict[str, Any] | None:
    """``functionCallingConfig``; ``VALIDATED`` is ``AUTO`` with arguments that obey their schema."""
    if choice is None or choice == "auto":
        return {"mode": "VALIDATED"} if strict else None
    if choice in ("none", "required"):
        return {"mode": "NONE" if choice == "none" else "ANY"}
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "function":
        return {"mode": "ANY", "allowedFunctionNames": [_named(choice, "tool_choice")]}
    allowed = choice.get("allowed_tools") if kind == "allowed_tools" else None
    if not isinstance(allowed, dict) or not isinstance(allowed.get("tools"), list):
        refuse("tool_choice", "expected auto, none, required, one function or allowed_tools")
    names = [_named(tool, f"tool_choice.allowed_tools.tools[{index}]") for index, tool in enumerate(allowed["tools"])]
    if allowed.get("mode") not in ("auto", "required"):
        refuse("tool_choice.allowed_tools.mode", f"expected auto or required, found {allowed.get('mode')!r}")
    return {"mode": "ANY" if allowed["mode"] == "required" else "VALIDATED", "allowedFunctionNames": names}


def _named(choice: Any, where: str) -> str:
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        refuse(where, 'expected {"type": "function", "function": {"name": …}}')
    return name


def _format(asked: dict[str, Any], config: dict[str, Any]) -> None:
    wanted = asked.pop("response_format", None)
    if wanted is None:
        return
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        refuse("response_format", f"Gemini takes text, json_object or json_schema, found {kind!r}")
    if kind == "text":
        return
    config["responseMimeType"] = "application/json"
    if kind == "json_object":
        return
    described = wanted.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(schema, dict):
        refuse("response_format.json_schema.schema", "expected a JSON Schema object")
    description = described.get("description")
    if description and "description" not in schema and "$ref" not in schema:
        schema = {**schema, "description": description}
    config["responseJsonSchema"] = enforceable(schema)


def enforceable(schema: Any) -> Any:
    """A JSON Schema whose ``const`` texts and numbers are one-valued ``enum``s, which Gemini enforces.

    What else its subset lacks (``pattern``, lengths, ``not``…) goes out as it is: Gemini leaves it unread, and the
    workflow's own check decides.
    """
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    constant = made.get("const")
    if isinstance(constant, str | int | float) and not isinstance(constant, bool) and "enum" not in made:
        made["enum"] = [made.pop("const")]
    for key in ("properties", "$defs", "definitions"):
        if isinstance(found := made.get(key), dict):
            made[key] = {name: enforceable(inner) for name, inner in found.items()}
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if isinstance(several := made.get(key), list):
            made[key] = [enforceable(inner) for inner in several]
    for key in ("items", "additionalProperties"):
        if key in made:
            made[key] = enforceable(made[key])
    return made


def _signed(contents: list[dict[str, Any]]) -> None:
    """Mark the first call of each step of the current turn that has no signature: Gemini 3 refuses it without."""
    for content in reversed(contents):
        parts = content["parts"]
        if content["role"] == "user" and any("functionResponse" not in part for part in parts):
            return
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", SKIPPED_SIGNATURE)


def embedding(fields: Fields, *, model: str) -> dict[str, Any]:
    """The ``batchEmbedContents`` request; ``model`` as in the path (``models/…``).  Raises ``Inexpressible``."""
    asked = asked_for(fields, _NOT_ASKED, besides=("model", "user", "encoding_format"))
    found = asked.pop("input", None)
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        refuse("input", "Gemini embeds a text or a list of texts; it takes no token numbers")
    more = {"outputDimensionality": asked.pop("dimensions")} if "dimensions" in asked else {}
    for name in asked:
        refuse(name, "Gemini's batchEmbedContents has no counterpart; leave it out or use another target")
    return {"requests": [{"model": model, "content": {"parts": [{"text": text}]}, **more} for text in texts]}
