"""Errors as Anthropic's API words them.

Source: Anthropic API reference, "Errors"; ``ErrorResponse`` of the official clients, which pick the exception by the
status alone and show ``error.message``.
"""

from __future__ import annotations

from typing import Any

from roadworthy.formats.model import compact, spliced

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
}
"""Never ``overloaded_error``: agents try again on that word, whatever ``x-should-retry`` says."""


def type_of(status: int) -> str:
    return _TYPES.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")


def body(
    status: int,
    code: str,
    message: str,
    param: str | None,
    request_id: str,
    extension: bytes | None,
) -> bytes:
    """``request_id``: the inference, empty where there is none."""
    error = {"type": type_of(status), "message": message, "code": code, "param": param}
    told: dict[str, Any] = {"type": "error", "error": error, "request_id": request_id or None}
    made = compact(told)
    return made if extension is None else spliced(made, extension)
