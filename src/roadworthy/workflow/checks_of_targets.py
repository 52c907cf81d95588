"""What must hold of a target whose provider has an address or names of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from roadworthy.workflow.model import Target

GEMINI_MODEL: Final = re.compile(r"(?:(?:models|tunedModels|endpoints)/)?[A-Za-z0-9][A-Za-z0-9._@-]{0,199}")
"""A name of a model of Gemini's: it stands in the path of the request, so it must lead nowhere else."""

BEDROCK_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,2047}")
"""A model id, an inference profile or an ARN of Bedrock's; it stands in the path of the request, percent-encoded."""

VERTEX: Final = "aiplatform.googleapis.com"
"""End of Vertex AI's hosts."""

_VERTEX_PATH: Final = "/v1/projects/PROJECT/locations/LOCATION/publishers/google"


def on_vertex(endpoint: str | None) -> bool:
    """Is this Gemini served by Vertex AI?"""
    host = urlsplit(endpoint or "").hostname or ""
    return host == VERTEX or host.endswith((f"-{VERTEX}", f".{VERTEX}"))


def gemini_auth(endpoint: str | None) -> tuple[str, str]:
    """(header, prefix) of a key.

    A project of Vertex AI takes access tokens; its express mode and Google AI take API keys.
    """
    if on_vertex(endpoint) and "/projects/" in urlsplit(endpoint or "").path:
        return "authorization", "Bearer "
    return "x-goog-api-key", ""


def problems(target: Target) -> Iterator[tuple[str, str, str, str]]:
    """(key, what was found, what was expected, how to mend it)."""
    if target.provider == "gemini":
        yield from _of_gemini(target)
    elif target.provider == "bedrock":
        yield from _of_bedrock(target)


def _of_gemini(target: Target) -> Iterator[tuple[str, str, str, str]]:
    if target.model != "*" and GEMINI_MODEL.fullmatch(target.model) is None:
        expected = "a model of Gemini's such as gemini-2.5-flash"
        yield "model", repr(target.model), expected, "write it as Google's list of models does"
    if set(target.capabilities.surfaces or ()) - {"chat"}:
        found = "a wire format that Gemini does not speak"
        yield "capabilities.surfaces", found, "chat, or nothing", "remove it; other formats are translated"
    if on_vertex(target.endpoint) and "/publishers/" not in urlsplit(target.endpoint or "").path:
        path = urlsplit(target.endpoint or "").path or "/"
        if "/locations/" not in path or not target.model.startswith("endpoints/"):
            mend = "a model of your own has the path up to the location, and the model endpoints/ID"
            yield "endpoint", f"Vertex AI with the path {path}", f"a path like {_VERTEX_PATH}", mend
    elif (urlsplit(target.endpoint or "").path or "/").rstrip("/").endswith("/openai"):
        mend = "take provider: openai for it, or the endpoint without /openai"
        yield "endpoint", "Google's OpenAI-compatible endpoint", "Gemini's native one", mend


def _of_bedrock(target: Target) -> Iterator[tuple[str, str, str, str]]:
    if target.model != "*" and BEDROCK_MODEL.fullmatch(target.model) is None:
        expected = "a model id, an inference profile or an ARN, such as eu.anthropic.claude-haiku-4-5-20251001-v1:0"
        yield "model", repr(target.model), expected, "write it as Bedrock's console shows it"
    if set(target.capabilities.surfaces or ()) - {"chat"}:
        found = "a wire format that Converse does not speak"
        yield "capabilities.surfaces", found, "chat, or nothing", "remove it; other formats are translated"
    if target.endpoint is None:
        expected = "the one of your region: https://bedrock-runtime.REGION.amazonaws.com"
        yield "endpoint", "no endpoint", expected, "add it"
    elif (path := urlsplit(target.endpoint).path.rstrip("/")).endswith("/v1"):
        mend = "remove the path; for Bedrock's OpenAI-compatible endpoint take provider: openai"
        yield "endpoint", f"the path {path}", "none: Converse has no version in its path", mend
    if target.key is None:
        expected = "a Bedrock API key, or an AWS access key"
        yield "key", "no key", expected, "add 'key: env:AWS_BEARER_TOKEN_BEDROCK', or the name of another secret"
