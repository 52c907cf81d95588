"""What on-call needs of the state store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from roadworthy.people.accounts.ports import KnowingTransaction
from roadworthy.people.oncall.model import Override, Reading


class OnCallTransaction(Protocol):
    """Overrides, and readings of schedules kept elsewhere."""

    def on_call_override(self, ident: str) -> Override | None: ...

    def put_on_call_override(self, override: Override) -> None:
        """Insert, or replace the one with the same id."""
        ...

    def on_call_overrides(self, rotation: str, start: float, end: float) -> Sequence[Override]:
        """Those of a rotation that touch ``[start, end)``, taken back or not, in the order in which they were made."""
        ...

    def on_call_reading(self, rotation: str) -> Reading | None: ...

    def put_on_call_reading(self, reading: Reading) -> None:
        """Insert, or replace the one of the same rotation."""
        ...


class OnCallReads(KnowingTransaction, OnCallTransaction, Protocol):
    pass


class OnCallState(Protocol):
    def read(self) -> AbstractContextManager[OnCallReads]: ...

    def write(self) -> AbstractContextManager[OnCallReads]: ...
