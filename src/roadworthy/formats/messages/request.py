"""Messages requests and chat.completions requests, each as the other, and edits of a Messages request as it is."""

from __future__ import annotations

import msgspec

from roadworthy.formats.messages.inward import to_chat
from roadworthy.formats.messages.outward import DEFAULT_MAX_TOKENS, from_chat, parameters_from_chat
from roadworthy.formats.model import Fields, compact

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "OWN",
    "from_chat",
    "parameters_from_chat",
    "to_chat",
    "with_parameters",
    "with_prompt",
    "with_turns",
]

OWN = frozenset(["model", "messages", "system", "metadata", "stream", "service_tier"])
"""Fields that are no parameter: what callers may always set."""
_KEPT = OWN | {"max_tokens"}


def with_parameters(fields: Fields, parameters: Fields) -> Fields:
    """A Messages request with these parameters and none of its own; but where they set no limit the caller's stays,
    without which there is no request."""
    made = {name: value for name, value in fields.items() if name in _KEPT}
    made.update(parameters)
    return made


def with_prompt(fields: Fields, prompt: str) -> Fields:
    return {**fields, "system": msgspec.Raw(compact(prompt))}


def with_turns(fields: Fields, said: str, asked: str) -> Fields:
    """``said``: an answer that was given; without one (Anthropic refuses empty text) only ``asked`` follows."""
    turns = [{"role": "assistant", "content": said}] if said else []
    turns.append({"role": "user", "content": asked})
    whole = bytes(fields["messages"])
    begun = whole[: whole.rindex(b"]")]
    comma = b"" if begun.rstrip().endswith(b"[") else b","
    return {**fields, "messages": msgspec.Raw(b"%b%b%b" % (begun, comma, compact(turns)[1:]))}
