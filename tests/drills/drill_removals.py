"""What stands for a rule of ours when a drill's test takes it away.

A rule that is not named here is replaced by a function that finds nothing: it returns ``None``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.adapters.providers import openai_shape


def finds_nothing(original: Any) -> Any:
    """The default."""
    if inspect.iscoroutinefunction(original):

        async def nothing_later(*_: Any, **__: Any) -> None:
            return None

        return nothing_later
    return lambda *_, **__: None


def finds_no_fault(original: Any) -> Any:
    return lambda *_, **__: []


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
    "gateway.checks:SchemaCheck.faults": finds_no_fault,
    "adapters.providers.openai_shape:read": _strict,
}
