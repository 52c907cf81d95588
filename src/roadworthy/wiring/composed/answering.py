"""The desk of whoever answers escalated calls, and what is foreseen and measured of them, composed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.engine import escalations as duties
from roadworthy.engine.supervise import Module
from roadworthy.evals.model import Example, HandScore
from roadworthy.inference_log.model import Batch
from roadworthy.inference_log.ports import LogStore
from roadworthy.inference_log.service import Log
from roadworthy.operations.escalating.foreseeing import Foreseeing, StampWatch
from roadworthy.operations.escalating.inbox import Inbox, Ports
from roadworthy.wiring.composed.evals import Evaluating
from roadworthy.wiring.composed.judging import Judging
from roadworthy.wiring.composed.people import People
from roadworthy.workflow.inference import Feedback, Inference
from roadworthy.workflow.model import Workflow
from roadworthy.workflow.service import Actor


class Answering:
    """Built once by ``Control``, before what it asks of evals is there."""

    def __init__(
        self,
        state: SqliteState,
        people: People,
        log: Log,
        store: LogStore,
        *,
        evaluating: Callable[[], Evaluating],
        judging: Callable[[], Judging],
        flows: Callable[[], dict[str, Workflow]],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._evaluating = evaluating
        self._judging = judging
        self.foreseeing = Foreseeing(state, log, flows=flows, zone=zone, clock=clock)
        self.stamps = StampWatch(state, people.incidents, clock=clock)
        self.inbox = Inbox(
            people.queue, state,
            Ports(log=log, keep=self._keep, add=self._add, score=self._score, fields=self._fields, clock=clock),
        )  # fmt: skip

    def modules(self) -> list[Module]:
        return [duties.stamps(self.stamps)]

    def _keep(self, lines: list[Feedback]) -> None:
        self._store.ship(Batch(feedback=lines))

    def _add(
        self, inference: str, actor: Actor, expected: dict[str, object], text: str | None, critical: bool
    ) -> tuple[Example, Inference]:
        return self._judging().add(inference, actor, expected, text, critical)

    def _score(self, workflow: str, example: str, answer: str, value: str, actor: Actor) -> HandScore:
        return self._evaluating().hand.score(workflow, example, answer, value, actor)

    def _fields(self, workflow: str) -> Sequence[str]:
        known = self._evaluating().pool.examples(workflow).values()
        return sorted({name for each in known for name in each.expected})
