"""The gap check: is somebody on call for two weeks and more?  It tells whoever must mend a gap, and keeps evidence.

``covered_until`` is the first instant without anybody, looked for as far ahead as the evidence can live; so evidence
without a gap lapses by age, and one with a gap lapses two weeks before it (``readiness.judging``).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.evidence import rules as evidence_rules
from roadworthy.evidence.kinds import DAY, OnCallSchedule
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.rules import Bindings
from roadworthy.evidence.service import Ledger
from roadworthy.people.incident.model import Notice
from roadworthy.people.incident.service import Incidents
from roadworthy.people.oncall.model import Gap, Reading
from roadworthy.people.oncall.rules import AHEAD, LONGEST_HORIZON, gaps
from roadworthy.people.oncall.schedules import OLD
from roadworthy.people.oncall.service import Duty, OnCall
from roadworthy.workflow.service import Unknown

ANEW: Final = 7 * DAY
"""Seconds after which evidence that still holds is made again."""
ENGINE: Final = "engine"


class Checked(msgspec.Struct, frozen=True):
    """What one look at a workflow's on-call found."""

    workflow: str
    duty: Duty
    gaps: list[Gap]
    """That begin in the next two weeks."""
    covered_until: float
    people: list[str]
    why: str
    """Why nobody is on call then; empty: somebody is, as far as was looked."""


class OnCallCheck:
    """Blocking."""

    def __init__(
        self,
        on_call: OnCall,
        incidents: Incidents,
        ledger: Ledger,
        *,
        bindings: Callable[[str], Sequence[Bindings]],
        zone: Callable[[], ZoneInfo],
        clock: Callable[[], float],
    ) -> None:
        self._on_call = on_call
        self._incidents = incidents
        self._ledger = ledger
        self._bindings = bindings
        self._zone = zone
        self._clock = clock

    def look(self, workflow: str) -> Checked:
        """Raises ``Unknown``."""
        now = self._clock()
        duty = self._on_call.duty(workflow)
        found = self._on_call.shifts(workflow, now, now + LONGEST_HORIZON)
        first = next((shift for shift in found if not shift.people), None)
        near = [gap for gap in gaps(found) if gap.start < now + AHEAD]
        people = dict.fromkeys(person for shift in found if shift.start < now + AHEAD for person in shift.people)
        until = now + LONGEST_HORIZON if first is None else first.start
        return Checked(workflow, duty, near, until, list(people), "" if first is None else first.why)

    def round(self) -> None:
        """Look at every workflow; tell of gaps, say when they are closed, keep what was found."""
        try:
            names = self._on_call.workflows()
        except Unknown:  # nothing is configured yet, so nobody can be missing
            return
        for workflow in names:
            try:
                checked = self.look(workflow)
            except Unknown:  # it went meanwhile
                continue
            self._tell(checked)
            if self._worth_keeping(checked):
                self.keep(checked, ENGINE)
        self._tell_of_readings()

    def keep(self, checked: Checked, by: str) -> Evidence:
        """Raises ``evidence.rules.Refused``."""
        now = self._clock()
        figures = OnCallSchedule(covered_until=checked.covered_until, people=checked.people, why=checked.why)
        evidence = Evidence(
            id=f"evd_{secrets.token_hex(8)}", team=checked.duty.team, workflow=checked.workflow, figures=figures,
            run=f"gap-check-{now:.0f}", bound={"workflow": checked.workflow}, by=by, made_at=now,
            lapses_at=now + evidence_rules.life("on_call_schedule"), detail=f"gap check of {checked.duty.name}",
        )  # fmt: skip
        return self._ledger.keep(evidence, self._bindings(checked.workflow))

    def _worth_keeping(self, checked: Checked) -> bool:
        """Something else is true than what was shown last, or that was a week ago.  A workflow for which nobody ever
        said who is on call has nothing to show."""
        known = [
            each for each in self._ledger.known(checked.workflow).evidence
            if isinstance(each.figures, OnCallSchedule) and each.workflow == checked.workflow
        ]  # fmt: skip
        if not known:
            return checked.duty.kind != "owner"
        last = max(known, key=lambda each: (each.made_at, each.id))
        assert isinstance(last.figures, OnCallSchedule)
        now = self._clock()
        gap_before = last.figures.covered_until < last.made_at + AHEAD
        gap_now = bool(checked.gaps)
        earlier = checked.covered_until < min(last.figures.covered_until, now + AHEAD) - 60.0
        return gap_before != gap_now or earlier or now - last.made_at >= ANEW

    # --- telling

    def _tell(self, checked: Checked) -> None:
        key = f"on_call_gap/{checked.workflow}"
        known = self._incidents.newest(key)
        watched = known is not None and not known.over
        declared = checked.duty.kind != "owner"
        if checked.gaps and declared and not watched:
            gap = checked.gaps[0]
            last = checked.duty.catch_all
            meanwhile = f"Pages go to {last} then." if last else "A page would reach nobody then."
            self._incidents.take([
                Notice(
                    kind="alert", alert="on_call_gap", key=key, team=checked.duty.team, workflow=checked.workflow,
                    title=f"{checked.workflow}: nobody is on call from {self._shown(gap.start)}",
                    summary=f"Until {self._shown(gap.end)}: {gap.reason}. {meanwhile}",
                    role="workflow", at=self._clock(),
                )
            ])  # fmt: skip
        elif watched and not checked.gaps:
            assert known is not None
            self._incidents.close(known.id, "somebody is on call for the next two weeks")

    def _tell_of_readings(self) -> None:
        """A schedule that cannot be read for hours: what was read last serves, and its owner hears of it."""
        for name, rotation in self._on_call.rotations().items():
            reading = self._on_call.reading(name) if rotation.pagerduty is not None else None
            if reading is None:
                continue
            key = f"on_call_unread/{name}"
            known = self._incidents.newest(key)
            watched = known is not None and not known.over
            if self._old(reading) and not watched:
                since = "never" if reading.fetched_at is None else self._shown(reading.fetched_at)
                self._incidents.take([
                    Notice(
                        kind="alert", alert="on_call_unread", key=key, team=reading.team, workflow="",
                        title=f"On-call {name}: its schedule in PagerDuty cannot be read",
                        summary=f"Read last: {since}. What was read then still serves. {reading.error}",
                        role="workflow", at=self._clock(),
                    )
                ])  # fmt: skip
            elif watched and not reading.error:
                assert known is not None
                self._incidents.close(known.id, "it was read again")

    def _old(self, reading: Reading) -> bool:
        if not reading.error:
            return False
        return reading.fetched_at is None or self._clock() - reading.fetched_at >= OLD

    def _shown(self, at: float) -> str:
        return datetime.fromtimestamp(at, self._zone()).strftime("%a %d %b %H:%M %Z")
