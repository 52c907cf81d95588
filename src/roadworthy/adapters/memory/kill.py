"""The in-memory twin of the kill store."""

from __future__ import annotations

from collections.abc import Sequence

from roadworthy.kill_switch.model import Record, Switch


class MemoryKillStore:
    """``KillStore`` in memory."""

    def __init__(self) -> None:
        self._switches: dict[str, Switch] = {}
        self._records: list[Record] = []

    def switches(self) -> dict[str, Switch]:
        return dict(self._switches)

    def keep(self, switch: Switch) -> None:
        self._switches = {**self._switches, switch.workflow: switch}

    def append(self, record: Record) -> None:
        self._records.append(record)

    def records(self) -> Sequence[Record]:
        return list(self._records)
