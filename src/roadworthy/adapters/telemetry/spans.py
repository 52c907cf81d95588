"""One inference as spans: itself, and one child for each attempt.  Pure.

Rule: a span never holds a prompt, an answer, a tag or a key, and it does not name the person: ``roadworthy forget``
cannot reach a collector.  Whoever needs the text takes ``roadworthy.inference`` from the span to ``roadworthy show``.

The gateway minted the trace and span id of the inference; the ids of its attempts follow from them, so a record that
is exported twice makes the same spans twice and a collector keeps one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from urllib.parse import urlsplit

import msgspec
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from roadworthy.adapters.telemetry import semconv
from roadworthy.workflow.inference import Attempt, Inference, Tokens
from roadworthy.workflow.model import Configuration

AttributeValue = str | bool | int | float | list[str]

_SCOPE = InstrumentationScope("roadworthy")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Served(msgspec.Struct, frozen=True):
    """What a span says of a target beyond its name."""

    provider: str
    address: str | None = None
    port: int | None = None


class Directory(msgspec.Struct, frozen=True):
    """What spans need of the configuration in force."""

    targets: Mapping[str, Served] = {}
    embeddings: frozenset[str] = frozenset()
    """Names of the workflows that embed instead of chat."""


def directory(configuration: Configuration) -> Directory:
    """The directory of a configuration."""
    targets = {}
    for name, target in configuration.targets.items():
        url = urlsplit(target.endpoint) if target.endpoint else None
        port = (url.port or {"http": 80, "https": 443}.get(url.scheme)) if url else None
        provider = semconv.provider_name(target.provider, target.endpoint)
        targets[name] = Served(provider, url.hostname if url else None, port)
    embeddings = frozenset(
        name for name, flow in configuration.workflows.items() if flow.behaviour and flow.behaviour.kind == "embeddings"
    )
    return Directory(targets, embeddings)


def spans(inference: Inference, known: Directory, resource: Resource) -> Iterator[ReadableSpan]:
    """The inference's span, then one for each of its attempts."""
    trace = _trace_id(inference)
    own = SpanContext(trace, _own_id(inference), is_remote=False, trace_flags=_SAMPLED)
    parent_id = _hex(inference.parent_span, 16)
    parent = SpanContext(trace, parent_id, is_remote=True, trace_flags=_SAMPLED) if parent_id else None
    operation = semconv.EMBEDDINGS if inference.workflow in known.embeddings else semconv.CHAT
    yield ReadableSpan(
        name=f"{semconv.INVOKE_WORKFLOW} {inference.workflow or 'refused'}",
        context=own,
        parent=parent,
        resource=resource,
        attributes=_inference_attributes(inference),
        kind=SpanKind.SERVER,
        status=_inference_status(inference),
        start_time=_ns(inference.ts),
        end_time=_ns(inference.ts + inference.latency),
        instrumentation_scope=_SCOPE,
    )
    for number, attempt in enumerate(inference.attempts):
        yield ReadableSpan(
            name=f"{operation} {attempt.model_asked or attempt.target}",
            context=SpanContext(trace, attempt_id(own.span_id, number), is_remote=False, trace_flags=_SAMPLED),
            parent=own,
            resource=resource,
            attributes=_attempt_attributes(attempt, number, operation, known),
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, attempt.detail) if attempt.failure else Status(),
            start_time=_ns(inference.ts + attempt.started),
            end_time=_ns(inference.ts + max(attempt.started, attempt.ended)),
            instrumentation_scope=_SCOPE,
        )


def attempt_id(inference_span: int, number: int) -> int:
    """Span id of the attempt with this number (from 0) under the inference's span."""
    return _digest(f"{inference_span:016x}:{number}", 8)


def _inference_attributes(inference: Inference) -> dict[str, AttributeValue]:
    ours = semconv.OURS
    found: dict[str, AttributeValue | None] = {
        semconv.OPERATION: semconv.INVOKE_WORKFLOW,
        semconv.WORKFLOW: inference.workflow or None,
        # A session that stands in for the person is left out like the person.
        semconv.CONVERSATION: inference.session if inference.unit_source != "session" else None,
        semconv.REQUEST_MODEL: inference.model_asked or None,
        semconv.RESPONSE_MODEL: inference.model_answered,
        semconv.REQUEST_STREAM: inference.stream,
        semconv.TIME_TO_FIRST_CHUNK: inference.first_token,
        semconv.STATUS_CODE: inference.status,
        semconv.ERROR_TYPE: (inference.code or inference.failure or "error") if inference.outcome == "error" else None,
        f"{ours}inference": inference.id,
        f"{ours}team": inference.team,
        f"{ours}release": inference.digest,
        f"{ours}stage": inference.stage,
        f"{ours}route": inference.route,
        f"{ours}outcome": inference.outcome,
        f"{ours}failure": inference.failure,
        f"{ours}code": inference.code or None,
        f"{ours}class": inference.traffic,
        f"{ours}key": inference.key or None,
        f"{ours}unit_source": inference.unit_source,
        f"{ours}target": inference.target,
        f"{ours}attempts": len(inference.attempts),
        f"{ours}cost_usd": inference.cost_usd,
        f"{ours}cost_unknown": inference.cost_unknown or None,
        f"{ours}overhead": inference.overhead,
        f"{ours}checks_failed": [check.name for check in inference.checks if not check.passed] or None,
        f"{ours}ladder": [rung.step for rung in inference.ladder] or None,
        f"{ours}cached_age": inference.cached_age,
        f"{ours}drill": inference.drill or None,
        f"{ours}notes": list(inference.notes) or None,
        **_usage(inference.tokens if inference.tokens.total else None),
    }
    return _present(found)


def _attempt_attributes(attempt: Attempt, number: int, operation: str, known: Directory) -> dict[str, AttributeValue]:
    ours, served = semconv.OURS, known.targets.get(attempt.target)
    first = attempt.first_token - attempt.started if attempt.first_token is not None else None
    found: dict[str, AttributeValue | None] = {
        semconv.OPERATION: operation,
        semconv.PROVIDER: served.provider if served else None,
        semconv.SERVER_ADDRESS: served.address if served else None,
        semconv.SERVER_PORT: served.port if served else None,
        semconv.REQUEST_MODEL: attempt.model_asked or None,
        semconv.RESPONSE_MODEL: attempt.model_answered,
        semconv.FINISH_REASONS: [attempt.finish] if attempt.finish else None,
        semconv.TIME_TO_FIRST_CHUNK: first,
        semconv.STATUS_CODE: attempt.status,
        semconv.ERROR_TYPE: attempt.failure,
        f"{ours}attempt": number,
        f"{ours}step": attempt.step,
        f"{ours}target": attempt.target,
        f"{ours}connection_reused": attempt.connected is None if attempt.first_byte is not None else None,
        f"{ours}provider_request_id": attempt.provider_request_id,
        f"{ours}cost_usd": attempt.cost_usd,
        f"{ours}cost_unknown": attempt.cost_unknown or None,
        f"{ours}tokens_estimated": attempt.tokens_estimated or None,
        **_usage(attempt.tokens),
    }
    return _present(found)


def _usage(tokens: Tokens | None) -> dict[str, AttributeValue | None]:
    if tokens is None:
        return {}
    return {
        semconv.INPUT_TOKENS: tokens.input + tokens.cache_read + tokens.cache_write,
        semconv.OUTPUT_TOKENS: tokens.output,
        semconv.CACHE_READ_TOKENS: tokens.cache_read or None,
        semconv.CACHE_WRITE_TOKENS: tokens.cache_write or None,
        semconv.REASONING_TOKENS: tokens.reasoning or None,
    }


def _present(found: Mapping[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    return {name: value for name, value in found.items() if value is not None}


def _inference_status(inference: Inference) -> Status:
    """Ours to answer for: an error that is not the caller's (HTTP conventions: a server's 4xx is no error)."""
    if inference.outcome == "error" and (inference.status >= 500 or inference.status < 400):
        return Status(StatusCode.ERROR, inference.code or inference.failure or "error")
    return Status()


def _trace_id(inference: Inference) -> int:
    return _hex(inference.trace, 32) or _digest(inference.id, 16)


def _own_id(inference: Inference) -> int:
    return _hex(inference.span, 16) or _digest(inference.id, 8)


def _hex(text: str, length: int) -> int:
    """An id in hex; 0, which is no valid id, when it is not one."""
    try:
        return int(text, 16) if len(text) == length else 0
    except ValueError:
        return 0


def _digest(text: str, size: int) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest(), "big") or 1


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
