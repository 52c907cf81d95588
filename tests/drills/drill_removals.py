"""What stands for a rule of ours when a drill's test takes it away.

A rule that is not named here is replaced by a function that finds nothing: it returns ``None``.
"""

from __future__ import annotations

import inspect
import ssl
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


def _all_in_time(original: Any) -> Any:
    return lambda wait, seconds: True


def _never_used_up(original: Any) -> Any:
    """A ladder that forgets which of its steps were taken."""
    return lambda failure, history: (0, 0)


def _all_passing(original: Any) -> Any:
    """A client that takes every refusal for a passing trouble of the provider."""
    return lambda status, what: "unavailable"


def _unverified(original: Any) -> Any:
    """TLS without anybody vouching for the server."""

    def context() -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        return made

    return context


REMOVED: dict[str, Callable[[Any], Any]] = {
    "adapters.providers.refusals:failure_of": _all_passing,
    "fallback.rules:_progress": _never_used_up,
    "fallback.rules:in_time": _all_in_time,
    "http1.origin:default_tls": _unverified,
    "gateway.checks:SchemaCheck.faults": finds_no_fault,
    "adapters.providers.openai_shape:read": _strict,
}
