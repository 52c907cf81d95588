"""Sending spans to a collector over OTLP/HTTP with OpenTelemetry's own exporter.

Control only: a gateway worker never loads this.  One call sends one batch and takes at most ``timeout`` seconds,
whatever the collector does; the exporter retries inside that time what is worth retrying.  OpenTelemetry's own
log lines are silenced: what went wrong is in the counters and in ``roadworthy status``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from roadworthy.adapters.telemetry.spans import Directory, spans
from roadworthy.workflow.inference import Inference

TIMEOUT = 5.0
"""Seconds that one batch may take, retries included."""


def traces_url(endpoint: str) -> str:
    """Where spans go: a base URL such as ``http://collector:4318`` gets ``/v1/traces``, a full one stays.

    Raises ``ValueError`` when it is no http(s) URL.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"telemetry.otlp.endpoint: found {endpoint!r}, expected http(s)://host:port")
    return endpoint if parts.path.endswith("/v1/traces") else endpoint.rstrip("/") + "/v1/traces"


def parse_headers(text: str) -> dict[str, str]:
    """``k=v,k=v`` (the form of OTEL_EXPORTER_OTLP_HEADERS) as a mapping.

    Raises ``ValueError`` that names the position, never the value.
    """
    found = {}
    for position, part in enumerate(filter(None, (piece.strip() for piece in text.split(","))), start=1):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"telemetry.otlp.headers: entry {position} is not of the form name=value")
        found[name.strip()] = value.strip()
    return found


class OtlpExporter:
    """Sends inferences as spans.  Implements ``engine.telemetry.Exporter``."""

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str],
        version: str,
        instance: str,
        known: Callable[[], Directory],
        timeout: float = TIMEOUT,
    ) -> None:
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        logging.getLogger("opentelemetry").propagate = False
        self._known = known
        self._resource = Resource(
            {"service.name": "roadworthy", "service.version": version, "service.instance.id": instance}
        )
        self._exporter = OTLPSpanExporter(
            endpoint=traces_url(endpoint), headers=dict(headers), timeout=timeout, compression=Compression.Gzip
        )

    def export(self, inferences: Sequence[Inference]) -> bool:
        """Send them; ``False`` when the collector did not take them.  Blocking; at most ``timeout`` seconds."""
        known = self._known()
        batch = [span for inference in inferences for span in spans(inference, known, self._resource)]
        return self._exporter.export(batch) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Give up what is being retried."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
