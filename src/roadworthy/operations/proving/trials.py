"""One answer, scored by a declared scorer as it is applied now.  Nothing is kept; who is asked is charged."""

from __future__ import annotations

import asyncio
from typing import Final

from roadworthy.evals.scorers.base import Asking, Case, Mark, marked
from roadworthy.evals.scorers.registry import NotReady, World, made, pure
from roadworthy.evals.service import Refused
from roadworthy.operations.proving.scoring import Scoring, ScoringPorts
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.problems import did_you_mean
from roadworthy.workflow.service import Actor, Unknown

MOST_USD: Final = 1.0
"""Of one trial."""


class Trials:
    """Blocking."""

    def __init__(self, ports: ScoringPorts) -> None:
        self._ports = ports

    def mark(self, flow: Workflow, name: str, case: Case, actor: Actor) -> Mark:
        """Raises ``Unknown`` and ``Refused``."""
        spec = flow.evals.scorers.get(name)
        if spec is None:
            raise Unknown(
                f"{flow.name} declares no scorer '{name}': {did_you_mean(name, flow.evals.scorers)}; declare it in "
                "workflow.yaml under evals.scorers, and apply"
            )
        try:
            scorer = made(name, spec, World(self._frozen, flow.rubric or ""))
        except NotReady as error:
            raise Refused(str(error)) from error
        if isinstance(scorer, Asking):
            return asyncio.run(self._asked(scorer, case, actor))
        (only,) = pure([scorer])
        return marked(only, case, reasons=True)

    async def _asked(self, scorer: Asking, case: Case, actor: Actor) -> Mark:
        async with Scoring(self._ports, by=actor.id, usd=MOST_USD) as asker:
            return await asker.mark(scorer, case)

    def _frozen(self, workflow: str) -> str:
        newest = self._ports.newest(workflow)
        return "" if newest is None else newest.release.behaviour_digest
