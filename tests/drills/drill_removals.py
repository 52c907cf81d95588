"""What stands for a rule of ours when a drill's test takes it away.

A rule that is not named here is replaced by a function that finds nothing: it returns ``None``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.adapters.providers import openai_shape
from roadworthy.workflow.inference import Check


def finds_nothing(original: Any) -> Any:
    """The default."""
    if inspect.iscoroutinefunction(original):

        async def nothing_later(*_: Any, **__: Any) -> None:
            return None

        return nothing_later
    return lambda *_, **__: None


def _passes(original: Any) -> Any:
    async def passes(*_: Any) -> Check:
        return Check("schema", True)

    return passes


def _strict(original: Any) -> Any:
    """A reader that refuses fields which it does not know."""
    known = {field.encode_name for field in msgspec.structs.fields(openai_shape.Body)} | {"id", "object", "created"}

    def read(data: bytes) -> Any:
        unknown = set(msgspec.json.decode(data)) - known
        if unknown:
            raise msgspec.ValidationError(f"unknown fields {unknown}")
        return original(data)

    return read


REMOVED: dict[str, Callable[[Any], Any]] = {
    "gateway.checks:SchemaCheck.__call__": _passes,
    "adapters.providers.openai_shape:read": _strict,
}
