"""The attribute names of spans: OpenTelemetry's GenAI conventions, which still move, and our own.

Every ``gen_ai.*`` name that Roadworthy sends stands here and nowhere else, so following the conventions is a change
of one file.  Source: OpenTelemetry semantic conventions 1.37-1.41, "Generative AI" (development) and "HTTP".
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from roadworthy.workflow.model import ProviderKind

# What was done.
OPERATION: Final = "gen_ai.operation.name"
INVOKE_WORKFLOW: Final = "invoke_workflow"
CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
WORKFLOW: Final = "gen_ai.workflow.name"
CONVERSATION: Final = "gen_ai.conversation.id"

# Who was asked and who answered.
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
"""Seconds."""

# What it took.
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
"""All input tokens, those read from and written to a cache included."""
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
"""All output tokens, reasoning included."""
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

# General conventions.
ERROR_TYPE: Final = "error.type"
STATUS_CODE: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# Roadworthy's own.
OURS: Final = "roadworthy."

_PROVIDERS: Final[tuple[tuple[str, str], ...]] = (
    ("api.openai.com", "openai"),
    ("openai.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("amazonaws.com", "aws.bedrock"),
    ("api.anthropic.com", "anthropic"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.cohere.ai", "cohere"),
    ("api.cohere.com", "cohere"),
)


def provider_name(kind: ProviderKind, endpoint: str | None) -> str:
    """The conventions' name for who serves a target: by its host where it is a known one, else what it speaks."""
    host = (urlsplit(endpoint).hostname or "") if endpoint else ""
    for suffix, name in _PROVIDERS:
        if host == suffix or host.endswith(("." + suffix, "-" + suffix)):  # eu-aiplatform.googleapis.com
            return name
    named = {"anthropic": "anthropic", "bedrock": "aws.bedrock", "gemini": "gcp.gemini", "openai": "openai_compatible"}
    return named.get(kind, OURS + kind)
