"""The in-memory twin of the overrides and readings of on-call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from roadworthy.people.oncall.model import Override, Reading


@dataclass
class OnCallBook:
    overrides: dict[str, Override] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)

    def copy(self) -> OnCallBook:
        return OnCallBook(dict(self.overrides), dict(self.readings))


class OnCallTables:
    """Needs ``_on_call`` and ``_on_call_change`` of ``MemoryTransaction``."""

    @property
    def _on_call(self) -> OnCallBook:
        raise NotImplementedError

    @property
    def _on_call_change(self) -> OnCallBook:
        raise NotImplementedError

    def on_call_override(self, ident: str) -> Override | None:
        return self._on_call.overrides.get(ident)

    def put_on_call_override(self, override: Override) -> None:
        self._on_call_change.overrides[override.id] = override

    def on_call_overrides(self, rotation: str, start: float, end: float) -> Sequence[Override]:
        rows = self._on_call.overrides.values()
        found = [each for each in rows if each.rotation == rotation and each.start < end and each.end > start]
        return sorted(found, key=lambda each: (each.made_at, each.id))

    def on_call_reading(self, rotation: str) -> Reading | None:
        return self._on_call.readings.get(rotation)

    def put_on_call_reading(self, reading: Reading) -> None:
        self._on_call_change.readings[reading.rotation] = reading
