"""Background duty: look for what is unusual, and say it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from roadworthy.engine.supervise import Module, blocking
from roadworthy.inference_log.analysis import Bounds, Finding
from roadworthy.inference_log.service import Log


class AnomalyCounts(msgspec.Struct):
    """For the metrics."""

    found: int
    """Since control started."""
    open: int
    """In the last round."""


class AnomalyWatch:
    """Keeps the findings of the last round, for the status page and the metrics."""

    def __init__(
        self,
        log: Log,
        bounds: Callable[[], Mapping[str, Bounds]],
        *,
        tell: Callable[[Finding], None] | None = None,
    ) -> None:
        """``tell`` is called for a finding that the round before did not have."""
        self._log = log
        self._bounds = bounds
        self._tell = tell
        self.findings: Sequence[Finding] = ()
        self.rounds = 0
        self.told = 0
        """New findings since the start: a counter for metrics."""

    def look(self) -> None:
        """One round.  A finding is new when no finding of the last round is about the same thing."""
        known = {_about(finding) for finding in self.findings}
        found = self._log.anomalies(self._bounds())
        self.findings = found
        self.rounds += 1
        for finding in found:
            if _about(finding) not in known:
                self.told += 1
                if self._tell is not None:
                    self._tell(finding)

    def counts(self) -> AnomalyCounts:
        return AnomalyCounts(self.told, len(self.findings))


def _about(finding: Finding) -> tuple[str, str, str]:
    return finding.workflow, finding.metric, finding.severity


def module(watch: AnomalyWatch, *, interval: float = 60.0) -> Module:
    return Module(
        name="anomalies", run=blocking(watch.look, name="anomalies", behind=True), interval=interval, timeout=120.0
    )
