"""Users are forgotten in escalations and in the messages about them, now and after a restore."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from roadworthy.people.ports import PeopleState


class Scrubbed(Protocol):
    def scrub(self) -> None:
        """Let the write-ahead log keep nothing of what was deleted."""


class EscalationEraser:
    """``operations.forget.Eraser`` of escalations and of the messages about them."""

    name = "escalations"

    def __init__(
        self, state: PeopleState, store: Scrubbed, *, tell_gone: Callable[[Sequence[str]], None] = lambda ids: None
    ) -> None:
        """``tell_gone``: have the gateways drop what they hold of these."""
        self._state = state
        self._store = store
        self._tell_gone = tell_gone

    def forget(self, unit: str, at: float) -> int:
        with self._state.write() as tx:
            ids, messages = tx.forget_escalations(unit, at)
        self._store.scrub()
        if ids:
            self._tell_gone(ids)
        return len(ids) + messages

    def search(self, unit: str) -> int:
        with self._state.read() as tx:
            return tx.mentions(unit)


def forget_what_is_covered(state: PeopleState, covers: Callable[[str | None, float], bool], now: float) -> int:
    """After a restore: delete what is known of users who were forgotten since.  Returns how much."""
    with state.read() as tx:
        units = {unit for unit, at in tx.escalated_units() if covers(unit, at)}
    if not units:
        return 0
    count = 0
    with state.write() as tx:
        for unit in units:
            ids, messages = tx.forget_escalations(unit, _until(covers, unit, now))
            count += len(ids) + messages
    return count


def _until(covers: Callable[[str | None, float], bool], unit: str, now: float) -> float:
    """The instant up to which a unit is forgotten, to a millisecond."""
    low, high = 0.0, now
    if covers(unit, high):
        return high
    while high - low > 0.001:
        middle = (low + high) / 2
        low, high = (middle, high) if covers(unit, middle) else (low, middle)
    return high
