"""The in-memory twin of the load tests of the state store."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from roadworthy.operations.loading.model import LoadRun

Loads = dict[str, bytes]
"""Id → its record: what is read back is never the one that was put."""


class LoadTables:
    """Needs ``_loads`` and ``_loads_change`` of ``MemoryTransaction``."""

    @property
    def _loads(self) -> Loads:
        raise NotImplementedError

    @property
    def _loads_change(self) -> Loads:
        raise NotImplementedError

    def put_load_run(self, run: LoadRun) -> None:
        self._loads_change[run.id] = msgspec.json.encode(run)

    def load_run(self, ident: str) -> LoadRun | None:
        found = self._loads.get(ident)
        return None if found is None else msgspec.json.decode(found, type=LoadRun)

    def load_runs(self, workflow: str, limit: int = 20) -> Sequence[LoadRun]:
        every = [msgspec.json.decode(row, type=LoadRun) for row in self._loads.values()]
        mine = [run for run in every if workflow in ("", run.workflow)]
        return sorted(mine, key=lambda run: (run.began, run.id), reverse=True)[:limit]

    def keep_load_runs(self, workflow: str, most: int) -> None:
        for run in self.load_runs(workflow, len(self._loads))[most:]:
            del self._loads_change[run.id]
