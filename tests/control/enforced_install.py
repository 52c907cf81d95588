"""A whole control in a temporary folder, with an enforced workflow whose owner is not who froze it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roadworthy.gateway import snapshot as snapshots
from roadworthy.gateway.snapshot import ServedWorkflow, Snapshot
from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.data_folder import DataFolder, create_folder
from roadworthy.workflow.service import Actor, Applied, Frozen
from support.proven import Prover

FLOW, PROMPT = "workflows/triage/workflow.yaml", "workflows/triage/prompt.md"
FILES = {
    "roadworthy.yaml": (
        "version: 1\ntargets:\n  main: {provider: simulated, model: sim, price: {input: 1, output: 2, per: 1M}}\n"
    ),
    "people.yaml": (
        "people:\n  ada: {name: Ada, email: a@example.com}\n  bo: {name: Bo, email: b@example.com}\n"
        "  eve: {name: Eve, email: e@example.com}\n"
    ),
    FLOW: (
        "owners: {workflow: ada, prompt: bo, cost: bo}\nenforcement: enforce\ntarget: main\nbypass: app\n"
        "prompt: {mode: managed, system: prompt.md}\n"
        "policy: {testers: [ada], projected_peak: 10, budgets: {workflow: {day: 5}}}\n"
    ),
    PROMPT: "You are kind.\n",
}
DEV, ADA, BO, OS = Actor("dev"), Actor("ada"), Actor("bo"), Actor("os:0")
START = 1_795_400_000.0
DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Install:
    def __init__(self, root: Path, *, data: str = "data") -> None:
        self.clock = Clock()
        self.folder = DataFolder(root / data)
        self.control = Control(create_folder(root / data), clock=self.clock)
        self.control.publish()

    def restart(self) -> None:
        """As a new process would."""
        self.control.close()
        self.control = Control(create_folder(self.folder.root), clock=self.clock)
        self.control.publish()

    def close(self) -> None:
        self.control.close()

    @property
    def prover(self) -> Prover:
        return Prover(self.folder, self.control.state, self.clock.now)

    def apply(self, changes: Mapping[str, str] | None = None, by: Actor = DEV) -> Applied:
        done = self.control.workflows.apply(FILES | dict(changes or {}), by)
        self.control.publish()
        return done

    def edited(self, old: str, new: str, by: Actor = DEV, file: str = FLOW) -> Applied:
        assert old in FILES[file]
        return self.apply({file: FILES[file].replace(old, new)}, by)

    def freeze(self, prompt: str | None = None) -> Frozen:
        if prompt is not None:
            self.apply({PROMPT: prompt})
        done = self.control.workflows.freeze("triage", DEV)
        self.control.publish()
        return done

    @property
    def told(self) -> Snapshot:
        """What gateways read now."""
        self.control.publisher.publish_when_moved()
        return snapshots.decode(self.folder.snapshot.read_bytes())

    @property
    def served(self) -> ServedWorkflow:
        return self.told.workflows["triage"]

    def sql(self, statement: str, *values: Any) -> None:
        """Written into the database by somebody else, while control runs; triggers are no obstacle."""
        with sqlite3.connect(self.folder.state_db, timeout=10) as database:
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f'DROP TRIGGER "{name}"')
            done = database.execute(statement, values)
            assert done.rowcount > 0, "nothing was changed"

    def audit(self) -> list[Any]:
        with self.control.state.read() as tx:
            return list(tx.audit())
