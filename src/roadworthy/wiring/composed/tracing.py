"""The export of spans, composed: the exporter of the configuration in force."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

from roadworthy.wiring.secrets import find_secret
from roadworthy.workflow.model import Configuration

if TYPE_CHECKING:
    from roadworthy.adapters.telemetry.otlp import OtlpExporter
    from roadworthy.adapters.telemetry.spans import Directory


class Tracing:
    """Follows the configuration: makes an exporter when a collector is named, a new one when that changes.

    Used from one thread.  OpenTelemetry is imported only by an install that exports: its libraries are large.
    """

    def __init__(self, configuration: Callable[[], Configuration | None]) -> None:
        self._configuration = configuration
        self._made_for: tuple[str | None, str | None] = (None, None)
        self._exporter: OtlpExporter | None = None

    def exporter(self) -> OtlpExporter | None:
        """The one to use now; ``None``: none is configured.

        Raises ``ValueError`` when the secret with the headers cannot be read or is malformed.
        """
        found = self._configuration()
        wanted = (None, None) if found is None else (found.settings.otlp_endpoint, found.settings.otlp_headers)
        if wanted != self._made_for:
            self.close()
            self._exporter = None if wanted[0] is None else self._make(wanted[0], wanted[1])
            self._made_for = wanted
        return self._exporter

    def close(self) -> None:
        """Let go of the collector."""
        if self._exporter is not None:
            self._exporter.close()
        self._exporter, self._made_for = None, (None, None)

    def _make(self, endpoint: str, secret: str | None) -> OtlpExporter:
        from roadworthy.adapters.telemetry.otlp import OtlpExporter, parse_headers

        headers = "" if secret is None else find_secret(secret)
        if headers is None:
            raise ValueError(f"telemetry.otlp.headers: the secret {secret} is missing or empty; set it for control")
        return OtlpExporter(
            endpoint,
            headers=parse_headers(headers),
            version=version("roadworthy"),
            instance=os.uname().nodename,
            known=self._known,
        )

    def _known(self) -> Directory:
        from roadworthy.adapters.telemetry.spans import Directory, directory

        found = self._configuration()
        return Directory() if found is None else directory(found)
