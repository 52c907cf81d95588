"""The in-memory twin of what the state store keeps of judges and of scoring live answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from roadworthy.evals.calibration import Calibration
from roadworthy.evals.examples import ID_LENGTH
from roadworthy.workflow.ports import StateConflict


@dataclass
class Bench:
    calibrations: dict[str, tuple[Calibration, str]] = field(default_factory=dict)
    """Id → (record, token)."""
    marks: dict[tuple[str, str], str] = field(default_factory=dict)
    """(calibration, item) → token."""
    online: dict[tuple[str, str], tuple[float, int, int]] = field(default_factory=dict)
    """(workflow, day) → dollars, scored, passed over."""

    def copy(self) -> Bench:
        return Bench(dict(self.calibrations), dict(self.marks), dict(self.online))


class JudgeTables:
    """Needs ``_bench`` and ``_bench_change`` of ``MemoryTransaction``."""

    @property
    def _bench(self) -> Bench:
        raise NotImplementedError

    @property
    def _bench_change(self) -> Bench:
        raise NotImplementedError

    def put_calibration(self, calibration: Calibration, token: str) -> None:
        self._bench_change.calibrations[calibration.id] = calibration, token

    def calibration(self, ident: str) -> str | None:
        found = self._bench.calibrations.get(ident)
        return None if found is None else found[1]

    def calibrations(self, workflow: str = "", limit: int = 200) -> Sequence[str]:
        mine = [row for row in self._bench.calibrations.values() if workflow in ("", row[0].workflow)]
        return [token for _, token in sorted(mine, key=lambda row: (row[0].began, row[0].id), reverse=True)][:limit]

    def put_judge_mark(self, calibration: str, item: str, token: str) -> None:
        if calibration not in self._bench.calibrations:
            raise StateConflict(f"there is no calibration {calibration}")
        self._bench_change.marks[calibration, item] = token

    def judge_marks(self, calibration: str) -> Sequence[str]:
        return [token for key, token in sorted(self._bench.marks.items()) if key[0] == calibration]

    def forget_judged(self, examples: Sequence[str]) -> int:
        gone = [key for key in self._bench.marks if key[1][:ID_LENGTH] in examples]
        for key in gone:
            del self._bench_change.marks[key]
        return len(gone)

    def add_online(self, team: str, workflow: str, day: str, usd: float, scored: int, passed_over: int) -> None:
        before = self.online(workflow, day)
        self._bench_change.online[workflow, day] = before[0] + usd, before[1] + scored, before[2] + passed_over

    def online(self, workflow: str, day: str) -> tuple[float, int, int]:
        return self._bench.online.get((workflow, day), (0.0, 0, 0))
