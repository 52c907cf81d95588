"""The export of spans, composed.  Imported only by an install that exports: the libraries are large."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

from roadworthy.adapters.telemetry.otlp import OtlpExporter
from roadworthy.adapters.telemetry.spans import Directory, directory
from roadworthy.engine.telemetry import SpanQueue
from roadworthy.wiring.secrets import find_secret
from roadworthy.workflow.model import Configuration, Settings


def span_queue(settings: Settings, endpoint: str, configuration: Callable[[], Configuration | None]) -> SpanQueue:
    """The queue of spans for ``endpoint``.  Settings are read once; a change acts at the next start."""

    def known() -> Directory:
        found = configuration()
        return Directory() if found is None else directory(found)

    exporter = OtlpExporter(
        endpoint,
        headers=header_pairs(find_secret(settings.otlp_headers) if settings.otlp_headers else None),
        version=version("roadworthy"),
        instance=os.uname().nodename,
        known=known,
    )
    return SpanQueue(exporter)


def header_pairs(text: str | None) -> dict[str, str]:
    """``k=v,k=v`` → headers, names in lower case."""
    pairs = (part.partition("=") for part in (text or "").split(",") if "=" in part)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
