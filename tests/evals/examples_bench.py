"""Examples in memory: a workflow with a rubric, its pool, and people who score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evals.hand import HandScores
from roadworthy.evals.importing import Columns
from roadworthy.evals.model import Answer, Examples, Run
from roadworthy.evals.pool import Pool, Taken
from roadworthy.evals.sealed import Sealed
from roadworthy.evals.service import Evals
from roadworthy.workflow.audit import AuditRecord
from roadworthy.workflow.model import Configuration, EvalPlan, Owners, Settings, Workflow
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.service import Actor

ADA, BO, CY, UID = Actor("ada"), Actor("bo"), Actor("cy"), Actor("os:1000")
DAY, MONTH = 86_400.0, 30 * 86_400.0
RUBRIC = "# Rubric\n\n## good = 1\n> Sent.\n\n## partly = 0.5\n> Nearly.\n\n## bad = 0\n> No.\n"


class ExampleBench:
    """``ada`` owns the workflow ``support``."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.now = 1_790_000_000.0
        self.version = 0
        self.sealed = Sealed(Ed25519Signer(b"s" * 32), Ed25519Verifier())
        self.evals = Evals(self.state, Ed25519Signer(b"s" * 32), Ed25519Verifier(), clock=self.clock)
        self.pool = Pool(self.state, self.evals, self.sealed, clock=self.clock)
        self.hand = HandScores(self.state, self.evals, self.pool, self.sealed, clock=self.clock)
        self.apply()

    def clock(self) -> float:
        return self.now

    def apply(self, rubric: str | None = RUBRIC, evals: EvalPlan | None = None) -> None:
        self.version += 1
        flow = Workflow(
            "support", "default", Owners("ada", "bo", "cy"), "enforce", rubric=rubric, evals=evals or EvalPlan()
        )
        configuration = Configuration(Settings(), {}, {}, {"support": flow})
        with self.state.write() as tx:
            tx.add_configuration(AppliedConfiguration(self.version, self.now, "ada", {}, configuration))

    def rows(self, rows: Sequence[dict[str, Any]], actor: Actor = ADA) -> Taken:
        text = "\n".join(map(json.dumps, rows))
        return self.pool.take("support", text, Columns(expect=["topic"]), actor, "rows.jsonl")

    def take(self, n: int, actor: Actor = ADA) -> Taken:
        return self.rows([{"id": f"m{at}", "message": f"{at}: about it", "topic": "other"} for at in range(n)], actor)

    def current(self) -> Examples:
        return self.evals.current("support").examples

    def answered(self, ident: str = "evr_1", says: str = "answer to {}", n: int | None = None) -> Run:
        """A run whose answers are there."""
        examples = self.current()
        self.now += 1
        run = self.evals.begin(
            Run(
                id=ident, team="default", workflow="support", release="rel_1", number=1, behaviour="beh_1",
                handling="han_1", set_version=examples.version, scorers="scr", floors={}, margin=0.1, policy="pol",
                examples=len(examples.items), began=self.now, by="ada", purpose="answers",
            )
        )  # fmt: skip
        for each in examples.items[:n]:
            self.evals.keep(
                Answer(run=ident, example=each.id, at=self.now, outcome="answered", text=says.format(each.label))
            )
        return run

    def records(self, action: str) -> list[AuditRecord]:
        with self.state.read() as tx:
            return [record for record in tx.audit() if record.action == action]

    def audited(self) -> list[tuple[str, str]]:
        with self.state.read() as tx:
            return [(record.action, record.outcome) for record in tx.audit()]
