"""Are drafts judged, or only waved through?  Pure: an agent's answers → what they say of the agent.

Many drafts sent as they were is no fault by itself: good drafts are.  Sent as they were *and* in less time than the
text takes to read is: then nobody has judged them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

import msgspec

from roadworthy.evidence.kinds import Verdict
from roadworthy.people.escalation.model import Worked

FEWEST: Final = 20
"""Answers to shown drafts under which nothing is said of an agent."""
SENT: Final = 0.9
"""Share of drafts sent as they were from which on…"""
HASTE: Final = 0.5
"""…answers in less than this part of the time that reading takes are rubber-stamped."""
DAYS: Final = 28.0
"""That are looked at."""


class Stamping(msgspec.Struct, frozen=True, kw_only=True):
    """One agent on one workflow."""

    workflow: str
    agent: str
    answers: int
    """To drafts that were shown at once."""
    sent: int
    """Of them, sent as they were."""
    seconds: float | None
    """Median of the time from claim to answer; ``None``: no answer was timed."""
    reading: float | None
    """Median of what reading these takes."""
    verdict: Verdict
    """FAIL: rubber-stamped."""
    own: int = 0
    """Answers to drafts that were hidden until the agent had written…"""
    own_sent: int = 0
    """…and the draft was sent all the same."""

    @property
    def share(self) -> float:
        return self.sent / self.answers if self.answers else 0.0

    @property
    def text(self) -> str:
        said = f"{self.agent} sent {self.sent} of {self.answers} drafts as they were"
        if self.seconds is None or self.reading is None:
            return said
        return f"{said}, after {_span(self.seconds)}; reading takes about {_span(self.reading)}"


def stamping(worked: Iterable[Worked]) -> list[Stamping]:
    """By workflow and agent, whoever waves through most first."""
    found: dict[tuple[str, str], list[Worked]] = {}
    for each in worked:
        answer = each.escalation.answer
        if each.drafted and answer is not None:
            found.setdefault((each.escalation.workflow, answer.agent or answer.by), []).append(each)
    made = [_of(workflow, agent, rows) for (workflow, agent), rows in found.items()]
    return sorted(made, key=lambda each: (each.verdict != "FAIL", -each.share, each.workflow, each.agent))


def _of(workflow: str, agent: str, rows: Sequence[Worked]) -> Stamping:
    answers = [(each.escalation, each.escalation.answer) for each in rows]
    shown = [(one, answer) for one, answer in answers if answer is not None and not answer.hidden]
    hidden = [answer for _, answer in answers if answer is not None and answer.hidden]
    sent = sum(answer.action == "sent" for _, answer in shown)
    timed = [
        (one.closed_at - one.claimed_at, answer.reading)
        for one, answer in shown
        if one.claimed_at is not None and one.closed_at is not None and answer.reading > 0
    ]
    verdict: Verdict = "INSUFFICIENT"
    if len(shown) >= FEWEST and len(timed) >= FEWEST:
        hasty = median(seconds / reading for seconds, reading in timed) < HASTE
        verdict = "FAIL" if hasty and sent / len(shown) >= SENT else "PASS"
    return Stamping(
        workflow=workflow, agent=agent, answers=len(shown), sent=sent,
        seconds=median(seconds for seconds, _ in timed) if timed else None,
        reading=median(reading for _, reading in timed) if timed else None, verdict=verdict,
        own=len(hidden), own_sent=sum(answer.action == "sent" for answer in hidden),
    )  # fmt: skip


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
