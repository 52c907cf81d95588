"""The whole answer that a stream amounts to, in chat-completion shape: for the journal, checks and replays.

Deltas are merged by OpenAI's rules: strings are joined, tool calls by their ``index``, lists extended; other values
replace what was there.  What has another shape than OpenAI's is left out: the end of a call is recorded whatever its
provider sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_REPLACED = frozenset({"role", "id", "type", "name", "index"})
"""Strings that are told once (or again), never in pieces."""
_MOST_CALLS = 128


def assemble(chunks: Iterable[bytes]) -> bytes:
    """Data of ``chat.completion.chunk`` events → one ``chat.completion``; what never came is missing from it."""
    whole: dict[str, Any] = {"id": "", "object": "chat.completion", "created": 0, "model": ""}
    choices: dict[int, dict[str, Any]] = {}
    usage: Any = None
    for data in chunks:
        try:
            chunk = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        for name in ("id", "created", "model", "system_fingerprint", "service_tier"):
            if chunk.get(name):
                whole[name] = chunk[name]
        usage = chunk.get("usage") or usage
        for part in chunk.get("choices") or ():
            _merge_choice(choices, part)
    whole["choices"] = [choices[index] for index in sorted(choices)]
    if usage is not None:
        whole["usage"] = usage
    return msgspec.json.encode(whole)


def _merge_choice(choices: dict[int, dict[str, Any]], part: dict[str, Any]) -> None:
    index = _index(part, 0)
    choice = choices.get(index)
    if choice is None:
        message = {"role": "assistant", "content": None}
        choice = choices[index] = {"index": index, "message": message, "finish_reason": None}
    if part.get("finish_reason") is not None:
        choice["finish_reason"] = part["finish_reason"]
    if part.get("stop_reason") is not None:  # the text at which it stopped
        choice["stop_reason"] = part["stop_reason"]
    if isinstance(part.get("logprobs"), dict):
        _merge(choice.setdefault("logprobs", {}), part["logprobs"])
    _merge(choice["message"], part.get("delta") or {})


def _index(part: dict[str, Any], default: int) -> int:
    index = part.get("index", default)
    return index if isinstance(index, int) and index >= 0 else default


def _merge(into: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if value is None:
            into.setdefault(name, None)
        elif name == "tool_calls" and isinstance(value, list):
            calls = into.get(name)
            if not isinstance(calls, list):  # some providers say ``null`` first
                calls = into[name] = []
            _merge_calls(calls, value)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        elif isinstance(value, list) and isinstance(into.get(name), list):
            into[name].extend(value)
        elif isinstance(value, str) and isinstance(into.get(name), str) and name not in _REPLACED:
            into[name] += value
        else:
            into[name] = value


def _merge_calls(calls: list[dict[str, Any]], deltas: list[Any]) -> None:
    for delta in deltas:
        if not isinstance(delta, dict):
            continue
        index = _index(delta, len(calls))
        while len(calls) <= index < _MOST_CALLS:
            calls.append({})
        if index < len(calls):
            _merge(calls[index], {name: value for name, value in delta.items() if name != "index"})
