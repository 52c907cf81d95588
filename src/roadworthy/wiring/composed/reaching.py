"""Everything of control that reaches people and is told by them: pages, their links, PagerDuty's word, test pages."""

from __future__ import annotations

from collections.abc import Callable

from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.operations.paging.acting import LinkDesk
from roadworthy.operations.paging.hooks import PagerDutyHook
from roadworthy.operations.paging.testing import PageTests
from roadworthy.operations.rights import Rights
from roadworthy.operations.stops.impact import Impact
from roadworthy.operations.stops.kill_desk import KillDesk
from roadworthy.people.directory import everybody
from roadworthy.wiring.composed.evidence import Proving
from roadworthy.wiring.composed.people import People
from roadworthy.wiring.secrets import find_secret
from roadworthy.workflow.model import Workflow


class Reaching:
    """Built once by ``Control``."""

    def __init__(
        self,
        state: SqliteState,
        people: People,
        proving: Proving,
        desk: KillDesk,
        *,
        named: Callable[[str], Workflow],
        impact: Callable[[Workflow], Impact],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self.paging = people.paging
        self.links = LinkDesk(
            people.links, people.incidents, desk, Rights(state), named=named, impact=impact, name=self._name
        )
        self.hook = PagerDutyHook(state, people.incidents, secret=find_secret, clock=clock)
        self.tests = PageTests(state, people.paging, proving.ledger, bindings=proving.board.bindings, clock=clock)
        people.paging.tested_by(self.tests.keep)

    def _name(self, person: str) -> str:
        with self._state.read() as tx:
            found = everybody(tx).get(person)
        return person if found is None else found.name
