"""The check of an answer's structure against the release's JSON Schema.

Compiled once a release.  Remote ``$ref``s are refused and regular expressions backtrack a bounded number of times, so a
schema cannot make the gateway call out or hang.  Answers over 8 KB are validated off the event loop.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from roadworthy.workflow.inference import Check

OFF_LOOP_BYTES = 8 * 1024

BACKTRACK_LIMIT = 100_000

SCHEMA_CHECK = "schema"


class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw(b"null")


class _Choice(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []


_completion = msgspec.json.Decoder(_Completion)


class RemoteReference(Exception):
    """A schema refers to another document."""


def _no_remote(uri: str) -> Any:
    raise RemoteReference(uri)


class SchemaCheck:
    """Validates the content of every choice that answers in text (one that calls a tool has none)."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Raises ``ValueError`` for a schema that cannot be compiled, remote references included."""
        import jsonschema_rs  # loaded by the workers whose releases have a schema

        self._validator = jsonschema_rs.validator_for(
            schema,
            retriever=_no_remote,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT),
        )

    async def __call__(self, body: bytes) -> Check:
        """Verdict on a ``chat.completion`` body."""
        if len(body) > OFF_LOOP_BYTES:
            return await asyncio.to_thread(self.verdict, body)
        return self.verdict(body)

    def verdict(self, body: bytes) -> Check:
        began = time.perf_counter()
        detail = ""
        for index, choice in enumerate(_completion.decode(body).choices):
            if choice.message.content is None and bytes(choice.message.tool_calls) != b"null":
                continue
            detail = self._fault(choice.message.content or "")
            if detail:
                detail = f"choice {index}: {detail}"[:300]
                break
        return Check(SCHEMA_CHECK, not detail, detail, time.perf_counter() - began)

    def _fault(self, content: str) -> str:
        """What is wrong, without quoting the answer; empty when it is valid."""
        try:
            value = msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError):
            return "is not JSON"
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is None:
            return ""
        where = "/".join(str(part) for part in error.instance_path) or "the answer"
        kind = "/".join(str(part) for part in error.schema_path)
        return f"{where} does not satisfy {kind}"
