"""The surfaces by the path at which they are served."""

from __future__ import annotations

from roadworthy.formats.responses import answer as responses_answer
from roadworthy.formats.responses import events as responses_events
from roadworthy.formats.responses import request as responses_request
from roadworthy.gateway.errors import Refused, error_body
from roadworthy.gateway.surfaces.chat import CHAT, EMBEDDINGS
from roadworthy.gateway.surfaces.foreign import ForeignSurface, Pair
from roadworthy.gateway.surfaces.model import Surface


def _openai_error(refused: Refused, extension: bytes | None, request: str) -> bytes:
    return error_body(refused, extension)


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
SURFACES: dict[str, Surface] = {
    "/v1/chat/completions": CHAT,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/responses": RESPONSES,
}
