"""Looks at every ramp once a minute: analysis, promotion, rollback, a share that follows its evidence."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from roadworthy.engine.supervise import Module, blocking
from roadworthy.rollout.service import Found, Rollouts

log = logging.getLogger("roadworthy.rollout")

INTERVAL = 60.0
TIMEOUT = 300.0
"""Seconds for a round: the first look at a stage of a million calls takes some seconds."""
SHARE_OF_TIME = 0.1
"""A ramp whose look takes long is looked at less often: at most so much of the time goes into it."""


class RampWatch:
    """Thread-safe as ``Rollouts`` is; blocking."""

    def __init__(
        self,
        rollouts: Rollouts,
        forged: Callable[[str, Found], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``forged``: say aloud that a ramp counts for nothing."""
        self._rollouts = rollouts
        self._forged = forged
        self._monotonic = monotonic
        self._not_before: dict[str, float] = {}
        self._looked: dict[str, float] = {}

    def look(self) -> int:
        """One round, the ramp that waited longest first.  Returns how many were looked at.

        What fails for one ends the round; that one is then the last of the next round.
        """
        looked = 0
        found = self._rollouts.all()
        for workflow in sorted(found, key=lambda name: self._looked.get(name, float("-inf"))):
            if found[workflow].forged:
                self._forged(workflow, found[workflow])
                continue
            began = self._monotonic()
            if began < self._not_before.get(workflow, began):
                continue
            self._looked[workflow] = began
            self._rollouts.look(workflow)
            looked += 1
            self._not_before[workflow] = began + (self._monotonic() - began) / SHARE_OF_TIME
        return looked


def module(watch: RampWatch) -> Module:
    return Module("rollout", blocking(watch.look, name="rollout", behind=True), INTERVAL, timeout=TIMEOUT)
