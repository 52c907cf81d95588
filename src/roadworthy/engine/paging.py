"""Pages whose time has come: proof that is missing, hand-ups, the catch-all once more."""

from __future__ import annotations

from roadworthy.engine.supervise import Module, blocking
from roadworthy.people.paging.service import Paging


def pages(paging: Paging, *, interval: float = 1.0) -> Module:
    """Costs one look at an index while nothing is due."""
    return Module("paging", blocking(paging.round, name="paging"), interval, timeout=30.0)
