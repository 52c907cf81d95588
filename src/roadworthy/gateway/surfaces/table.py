"""The surfaces by the path at which they are served."""

from __future__ import annotations

import msgspec

from roadworthy.formats.messages import answer as messages_answer
from roadworthy.formats.messages import errors as messages_errors
from roadworthy.formats.messages import events as messages_events
from roadworthy.formats.messages import request as messages_request
from roadworthy.formats.model import Fields, Translated
from roadworthy.formats.responses import answer as responses_answer
from roadworthy.formats.responses import events as responses_events
from roadworthy.formats.responses import request as responses_request
from roadworthy.gateway.errors import Refused, error_body
from roadworthy.gateway.messages import Request
from roadworthy.gateway.surfaces.chat import CHAT, EMBEDDINGS
from roadworthy.gateway.surfaces.foreign import ForeignSurface, Pair
from roadworthy.gateway.surfaces.model import Surface

_ONE = msgspec.Raw(b"1")


def _openai_error(refused: Refused, extension: bytes | None, request: str) -> bytes:
    return error_body(refused, extension)


def _anthropic_error(refused: Refused, extension: bytes | None, request: str) -> bytes:
    return messages_errors.body(refused.status, refused.code, refused.message, refused.param, request, extension)


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
_MESSAGES = Pair(messages_request, messages_answer, messages_events)
_NAMES = {
    "response_format": "output_config.format",
    "reasoning_effort": "output_config.effort",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "max_completion_tokens": "max_tokens",
}
_FORCED = frozenset({"max_tokens", "max_completion_tokens"})
_FORWARDS = (b"anthropic-version", b"anthropic-beta")
MESSAGES = ForeignSurface("messages", _MESSAGES, _anthropic_error, names=_NAMES, forced=_FORCED, forwards=_FORWARDS)


class CountingSurface(ForeignSurface):
    """Messages that are only counted: no limit of the answer need be given."""

    def take(self, fields: Fields) -> Translated:
        return super().take({"max_tokens": _ONE, **fields})


COUNTING = CountingSurface("messages", _MESSAGES, _anthropic_error, names=_NAMES, forced=_FORCED, forwards=_FORWARDS)

SURFACES: dict[str, Surface] = {
    "/v1/chat/completions": CHAT,
    "/v1/embeddings": EMBEDDINGS,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
}
COUNT = "/v1/messages/count_tokens"


def surface_of(request: Request) -> Surface:
    """Whose errors the caller reads: those of its path; where that is shared or unknown, of the client that it is."""
    found = SURFACES.get(request.path)
    if found is not None:
        return found
    return MESSAGES if request.path.startswith("/v1/messages/") or is_anthropic(request) else CHAT


def is_anthropic(request: Request) -> bool:
    """Anthropic's clients always say which version of their API they speak."""
    return request.header(b"anthropic-version") is not None
