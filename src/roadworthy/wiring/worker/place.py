"""Which gateway of the install a worker belongs to.  A gateway worker imports this module: standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from roadworthy.evidence.permit.model import LOCAL
from roadworthy.wiring.folders.data_folder import DataFolder

__all__ = ["LOCAL", "Place"]


@dataclass(frozen=True)
class Place:
    """One gateway, as its own processes know it."""

    folder: DataFolder
    control: Path
    """Control's socket."""
    name: str = LOCAL
    first: int = 0
    """Number of its worker 0 among all workers of the install."""
