"""What readiness takes from the log."""

from __future__ import annotations

import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.operations.proving.readiness import Board, coarse
from roadworthy.workflow.model import Configuration, Owners, Policy, Settings, Workflow
from roadworthy.workflow.ports import AppliedConfiguration


def test_what_a_pilot_follows_does_not_move_with_every_call() -> None:
    rounded = [coarse(calls) for calls in (0.3, 1.0, 20.0, 21.0, 499.9, 500.0, 500.1, 9_100.0)]
    assert rounded == pytest.approx([0.3, 1.0, 20.0, 30.0, 500.0, 500.0, 600.0, 10_000.0])
    assert len({coarse(calls) for calls in range(1, 10_001)}) == 37


class Reads:
    """A transaction that counts which configurations are decoded."""

    def __init__(self) -> None:
        self.applied: list[AppliedConfiguration] = []
        self.decoded = 0

    def configurations(self, limit: int = 20) -> list[AppliedConfiguration]:
        found = self.applied[::-1][:limit]
        self.decoded += len(found)
        return found

    def apply(self, peak: float) -> AppliedConfiguration:
        flows = {
            name: Workflow(name, "default", Owners("ada", "bo", "bo"), "enforce", policy=Policy(projected_peak=wanted))
            for name, wanted in (("moved", peak), ("still", 1.0))
        }
        version = len(self.applied) + 1
        self.applied.append(
            AppliedConfiguration(version, 100.0 * version, "ada", {}, Configuration(Settings(), {}, {}, flows))
        )
        return self.applied[-1]


def test_a_configuration_is_decoded_once_however_many_workflows_ask_what_changed_when() -> None:
    board = Board(MemoryState(), None, None, price_of=lambda target: None, clock=lambda: 0.0)  # type: ignore[arg-type]
    reads = Reads()
    for peak in (1.0, 2.0, 2.0, 3.0, 3.0):
        newest = reads.apply(peak)
    changed = {name: board._changed(reads, newest, name, None) for name in ("moved", "still")}  # type: ignore[arg-type]
    assert changed["moved"].policy == 400.0
    assert changed["still"].policy == 0.0
    assert reads.decoded == 5
    newest = reads.apply(4.0)
    assert board._changed(reads, newest, "moved", None).policy == 600.0  # type: ignore[arg-type]
    assert reads.decoded == 6
    del reads.applied[2:]  # an older database was put back
    assert board._changed(reads, reads.applied[1], "moved", None).policy == 200.0  # type: ignore[arg-type]
