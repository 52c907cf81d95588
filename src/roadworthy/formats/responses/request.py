"""Requests: Responses as chat completions and back.

Absent means what it means here, not at OpenAI: ``store`` is off, for nothing is stored.  ``null`` asks for nothing.
Source: OpenAI API reference, "Create a model response".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from roadworthy.formats.model import Fields, Translated, compact, refuse
from roadworthy.formats.responses import items, parameters, turns

OWN = frozenset(
    {
        "model", "input", "instructions", "stream", "stream_options", "metadata", "user", "safety_identifier", "store",
        "include", "top_logprobs", "prompt_cache_key", "prompt_cache_retention", "service_tier",
        "background", "conversation", "previous_response_id", "prompt",
    }
)  # fmt: skip
"""Fields that are no parameter: a caller may set them whatever a release fixes."""

_AS_IS = frozenset(
    {
        "model", "stream", "temperature", "top_p", "metadata", "user", "safety_identifier", "service_tier",
        "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "parallel_tool_calls", "moderation",
    }
)  # fmt: skip
"""Fields that both formats have, with the same meaning."""

_CORE = ("model", "messages", "stream", "stream_options", "store")
_NULL = msgspec.Raw(b"null")
_decode = msgspec.json.Decoder().decode


def to_chat(fields: Mapping[str, msgspec.Raw]) -> Translated:
    """A Responses request in chat's words.  Raises ``Inexpressible`` for what is malformed and what is not served."""
    made = parameters.Chat()
    name = "input"
    try:
        for name, raw in fields.items():
            if name in _AS_IS:
                if raw != _NULL:
                    made.fields[name] = raw
            elif name != "input" and name != "instructions":
                parameters.into_chat(name, raw, made)
        if "input" not in fields:
            refuse("input", "is missing; send a text or a list of items")
        name = "input"
        instructions = fields.get("instructions", _NULL)
        told = None if instructions == _NULL else bytes(instructions)
        messages, lost = items.messages(bytes(fields["input"]), told)
    except (msgspec.DecodeError, RecursionError) as error:
        refuse(name, f"cannot be read: {error}")
    made.fields["messages"] = msgspec.Raw(messages)
    return Translated(made.fields, lost or made.lost)


def from_chat(fields: Mapping[str, msgspec.Raw], *, model: str, stream: bool) -> dict[str, Any]:
    """A chat request as Responses, for a target that speaks nothing else.  Raises ``Inexpressible``."""
    if _decode(fields.get("store", _NULL)):
        refuse("store", parameters.REFUSED["store"])
    asked = {name: raw for name, raw in fields.items() if name not in _CORE}
    body: dict[str, Any] = {
        "model": model,
        "input": turns.items(_decode(fields.get("messages", _NULL))),
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
    return parameters.from_chat(fields)


def with_prompt(fields: Fields, prompt: str) -> Fields:
    """A Responses request with the managed prompt, which is the only one: a caller's own was refused."""
    return {**fields, "instructions": msgspec.Raw(compact(prompt))}


def with_turns(fields: Fields, said: str, asked: str) -> Fields:
    """A Responses request that goes on: the model ``said`` this, and now it is ``asked`` that."""
    more = b'{"role":"assistant","content":%b},{"role":"user","content":%b}' % (compact(said), compact(asked))
    before = bytes(fields["input"]).strip()
    if before.startswith(b'"'):
        whole = b'[{"role":"user","content":%b},%b]' % (before, more)
    else:
        head = before[:-1].rstrip()
        whole = b"%b%b%b]" % (head, b"" if head == b"[" else b",", more)
    return {**fields, "input": msgspec.Raw(whole)}
