"""Answers that no model wrote (canned, holding, blocked), in the shape that the caller expects, whole or as a stream.

Where a schema or tools apply, such an answer is the declared JSON, or else ``content: null`` with its text in
``message.refusal``, so that the OpenAI client's ``.parse()`` never raises.  The declared JSON was checked against the
release's schema when that was frozen; for a caller that asks for one of its own it is checked against that one, and
what does not satisfy it is a refusal.  ``finish_reason`` is always ``stop``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from roadworthy.gateway.checks.structure import SchemaCheck, is_bounded
from roadworthy.workflow.model import Canned

_encode = msgspec.json.encode
_NO_USAGE = b'{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}'


class CannedAnswer:
    """The messages of a workflow's canned answer, encoded once."""

    def __init__(self, canned: Canned) -> None:
        self._plain = _message(canned.text, None)
        self._refusing = _message(None, canned.text)
        self._json = None if canned.json is None else _encode(canned.json).decode()
        self._declared = self._refusing if self._json is None else _message(self._json, None)

    def body(
        self,
        *,
        inference: str,
        created: int,
        model: str,
        choices: int,
        structured: bool,
        asked: dict[str, Any] | None = None,
    ) -> bytes:
        """A ``chat.completion`` with ``choices`` equal choices.

        ``structured``: a schema or tools apply; ``asked``: the caller's own schema, if it is not the release's.
        """
        message = self._plain
        if structured:
            message = self._declared if asked is None or self._satisfies(asked) else self._refusing
        made = b",".join(
            b'{"index":%d,"message":%b,"logprobs":null,"finish_reason":"stop"}' % (index, message)
            for index in range(max(1, choices))
        )
        return b'{"id":"chatcmpl-%b","object":"chat.completion","created":%d,"model":%b,"choices":[%b],"usage":%b}' % (
            inference.encode(),
            created,
            _encode(model),
            made,
            _NO_USAGE,
        )

    def _satisfies(self, schema: dict[str, Any]) -> bool:
        """Fails closed: a schema that cannot be compiled is satisfied by nothing."""
        if self._json is None or not is_bounded(schema):
            return False
        try:
            return not SchemaCheck(schema).faults(self._json)
        except ValueError:
            return False


def _message(content: str | None, refusal: str | None) -> bytes:
    return _encode({"role": "assistant", "content": content, "refusal": refusal})


def as_chunks(body: bytes, *, usage: bool) -> list[bytes]:
    """A whole ``chat.completion`` as the data of stream events: for every choice its message, then its finish.

    ``usage``: a last chunk with the usage and no choices, as ``stream_options.include_usage`` asks.
    """
    completion: dict[str, Any] = msgspec.json.decode(body)
    base = {
        "id": completion.get("id", ""),
        "object": "chat.completion.chunk",
        "created": completion.get("created", 0),
        "model": completion.get("model", ""),
    }
    if completion.get("system_fingerprint") is not None:
        base["system_fingerprint"] = completion["system_fingerprint"]
    chunks: list[bytes] = []
    finishes: list[bytes] = []
    for choice in completion.get("choices", []):
        index = choice.get("index", 0)
        delta = {name: value for name, value in (choice.get("message") or {}).items() if value is not None}
        for number, call in enumerate(delta.get("tool_calls", ())):
            if isinstance(call, dict):
                call.setdefault("index", number)
        said = {"index": index, "delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None}
        chunks.append(_encode({**base, "choices": [said]}))
        ended = {"index": index, "delta": {}, "logprobs": None, "finish_reason": choice.get("finish_reason")}
        finishes.append(_encode({**base, "choices": [ended]}))
    chunks += finishes
    if usage:
        chunks.append(_encode({**base, "choices": [], "usage": completion.get("usage")}))
    return chunks
