"""Where control keeps switches and the kill log: small files of their own, so that a stop waits for no database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from roadworthy.kill_switch.model import Record, Switch


class KillStore(Protocol):
    """One writer.  ``OSError`` travels on: a stop that could not be kept is still pushed, and said to be at risk."""

    def switches(self) -> dict[str, Switch]:
        """Workflow or ``*`` → its switch; those that nobody ever touched are left out.

        Fail-closed: lost or unreadable, they are what the kill log says; when that cannot be read either, everything
        is off.
        """
        ...

    def keep(self, switch: Switch) -> None:
        """Insert or replace; durable when it returns."""
        ...

    def append(self, record: Record) -> None:
        """Durable when it returns; nothing that was appended is ever changed."""
        ...

    def records(self) -> Sequence[Record]:
        """Oldest first.  A last line that a power cut tore is left out."""
        ...
