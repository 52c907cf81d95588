"""The surfaces by the path at which they are served."""

from __future__ import annotations

from roadworthy.formats.messages import answer as messages_answer
from roadworthy.formats.messages import errors as messages_errors
from roadworthy.formats.messages import events as messages_events
from roadworthy.formats.messages import request as messages_request
from roadworthy.formats.responses import answer as responses_answer
from roadworthy.formats.responses import events as responses_events
from roadworthy.formats.responses import request as responses_request
from roadworthy.gateway.errors import Refused, error_body, error_type
from roadworthy.gateway.surfaces.chat import CHAT, EMBEDDINGS
from roadworthy.gateway.surfaces.foreign import ForeignSurface, Pair
from roadworthy.gateway.surfaces.model import Surface


def _openai_error(refused: Refused, extension: bytes | None, request: str) -> bytes:
    return error_body(refused, extension)


def _anthropic_error(refused: Refused, extension: bytes | None, request: str) -> bytes:
    return messages_errors.body(
        refused.status, refused.code, refused.message, refused.param, error_type(refused.status), request, extension
    )


RESPONSES = ForeignSurface(
    "responses",
    Pair(responses_request, responses_answer, responses_events),
    _openai_error,
    names={
        "messages": "input",
        "system": "instructions",
        "response_format": "text.format",
        "verbosity": "text.verbosity",
        "reasoning_effort": "reasoning.effort",
        "max_tokens": "max_output_tokens",
        "max_completion_tokens": "max_output_tokens",
    },
)
MESSAGES = ForeignSurface(
    "messages",
    Pair(messages_request, messages_answer, messages_events),
    _anthropic_error,
    names={
        "response_format": "output_config.format",
        "reasoning_effort": "output_config.effort",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
        "max_completion_tokens": "max_tokens",
    },
    forced=frozenset({"max_tokens", "max_completion_tokens"}),
    forwards=(b"anthropic-version", b"anthropic-beta"),
)

SURFACES: dict[str, Surface] = {
    "/v1/chat/completions": CHAT,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
}
