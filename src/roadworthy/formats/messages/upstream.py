"""Refusals as a provider of Messages words them.

Source: Anthropic API reference, "Errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Others are ``api_error``."""

WORDS: Mapping[str, str] = {
    "context_length": "prompt is too long: 8192 tokens > 4096 maximum",
    "content_filter": "Output blocked by content filtering policy",
    "insufficient_quota": "Your credit balance is too low to access the Anthropic API.",
}
"""What it says with 400, which has no code that would tell why."""


def refusal(status: int, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": TYPES.get(status, "api_error"), "message": message}}
