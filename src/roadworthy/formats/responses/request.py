"""Responses requests and chat.completions requests, each as the other, and edits of a Responses request as it is."""

from __future__ import annotations

import msgspec

from roadworthy.formats.model import Fields, compact
from roadworthy.formats.responses.inward import to_chat
from roadworthy.formats.responses.outward import from_chat, parameters_from_chat
from roadworthy.formats.responses.words import within

__all__ = ["OWN", "from_chat", "parameters_from_chat", "to_chat", "with_parameters", "with_prompt", "with_turns"]

OWN = frozenset(
    {
        "model", "input", "instructions", "stream", "stream_options", "metadata", "client_metadata", "user",
        "safety_identifier", "store", "include", "top_logprobs", "prompt_cache_key", "prompt_cache_retention",
        "service_tier", "background", "conversation", "previous_response_id", "prompt",
    }
)  # fmt: skip
"""Fields that are no parameter: a caller may set them whatever a release fixes."""


_SUMMARY = ("summary", "generate_summary")
_decode = msgspec.json.Decoder().decode


def with_parameters(fields: Fields, parameters: Fields) -> Fields:
    """A Responses request with these parameters and none of its own.

    Whether thoughts are summed up for the caller is how it is told, not what the model does: that stays its own.
    """
    made = {name: value for name, value in fields.items() if name in OWN}
    made.update(parameters)
    asked = _decode(fields["reasoning"]) if "reasoning" in fields else None
    if isinstance(asked, dict) and (told := {name: asked[name] for name in _SUMMARY if asked.get(name)}):
        made["reasoning"] = within(made.get("reasoning"), told)
    return made


def with_prompt(fields: Fields, prompt: str) -> Fields:
    """A Responses request with the managed prompt, which is the only one: a caller's own was refused."""
    return {**fields, "instructions": msgspec.Raw(compact(prompt))}


def with_turns(fields: Fields, said: str, asked: str) -> Fields:
    """A Responses request that goes on: the model ``said`` this (nothing, when empty), and now it is ``asked`` that."""
    turns = [{"role": "assistant", "content": said}] if said else []
    turns.append({"role": "user", "content": asked})
    whole = bytes(fields["input"])
    if whole.startswith(b'"'):
        whole = b'[{"role":"user","content":%b}]' % whole
    begun = whole[: whole.rindex(b"]")]
    comma = b"" if begun.rstrip().endswith(b"[") else b","
    return {**fields, "input": msgspec.Raw(b"%b%b%b" % (begun, comma, compact(turns)[1:]))}
