"""The in-memory twin of the closed months of the state store."""

from __future__ import annotations

from collections.abc import Sequence

from roadworthy.workflow.ports import StateConflict

Books = dict[str, tuple[str, str, float, str]]
"""Id → (workflow, month, when, token)."""


class BookTables:
    """Needs ``_booked`` and ``_booked_change`` of ``MemoryTransaction``."""

    @property
    def _booked(self) -> Books:
        raise NotImplementedError

    @property
    def _booked_change(self) -> Books:
        raise NotImplementedError

    def put_book(self, ident: str, team: str, workflow: str, month: str, at: float, token: str) -> None:
        if ident in self._booked:
            raise StateConflict(f"{ident} exists already")
        self._booked_change[ident] = workflow, month, at, token

    def books(self, workflow: str, month: str) -> Sequence[str]:
        mine = [
            (at, ident, token)
            for ident, (of, when, at, token) in self._booked.items()
            if (of, when) == (workflow, month)
        ]
        return [token for _, _, token in sorted(mine)]
