"""What changed by itself is told once, to the workflow's owner; what was resolved is not told again at once."""

from __future__ import annotations

import random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.memory.state import MemoryState
from roadworthy.inference_log.drift import Gated
from roadworthy.inference_log.model import SCORER, Batch
from roadworthy.operations.proving.drifting import MIX_EVERY, QUIET, DriftPorts, DriftWatch
from roadworthy.people.incident.service import Incidents
from roadworthy.workflow.inference import Feedback, Inference, new_inference_id
from roadworthy.workflow.model import Owners, Workflow
from roadworthy.workflow.service import Actor

NOON, DAY = 1_793_620_800.0, 86_400.0
REL = "rel_" + "a" * 64
ENGLISH, DUTCH = "Where is the parcel that I have ordered?", "Waar is het pakket dat ik heb besteld?"


class Bench:
    def __init__(self) -> None:
        self.log, self.state, self.now = MemoryLog(), MemoryState(), NOON
        self.incidents = Incidents(self.state, clock=lambda: self.now)
        self.flow = Workflow("support", "default", Owners("ada", "bo", "cy"), "enforce")
        self.calls = 0
        self.watch = DriftWatch(
            DriftPorts(
                store=self.log, people=self.state, incidents=self.incidents, workflows=lambda: {"support": self.flow},
                names=lambda flow: ["tone"], gated=lambda workflow, digest, name: Gated(0.97, 200),
                zone=lambda: ZoneInfo("UTC"), clock=lambda: self.now,
            )
        )  # fmt: skip

    def call(self, ago: float, model: str = "m-0806", text: str = ENGLISH, score: float | None = None) -> None:
        self.calls += 1
        ts = self.now - ago
        body = {"messages": [{"role": "user", "content": text}]}
        made = Inference(
            id=new_inference_id(ts, random.Random(self.calls).getrandbits(80)), ts=ts, team="default",
            workflow="support", outcome="answered", digest=REL, unit=f"u{self.calls}", unit_source="header",
            target="main", model_answered=model, request=msgspec.Raw(msgspec.json.encode(body)),
        )  # fmt: skip
        said = [] if score is None else [Feedback(made.id, ts + 5, "tone", score, None, f"{SCORER}judge:1")]
        self.log.ship(Batch(ends=[made], feedback=said))

    def told(self) -> list[Any]:
        return list(self.incidents.list())


def test_another_model_is_told_once_to_the_owner_and_again_only_a_week_after_it_was_resolved() -> None:
    bench = Bench()
    for _ in range(30):
        bench.call(2 * DAY)
    for _ in range(5):
        bench.call(600, "m-1120")
    for _ in range(3):
        bench.watch.look()
    [alert] = bench.told()
    assert (alert.kind, alert.role, alert.workflow, alert.count) == ("alert", "workflow", "support", 1)
    assert alert.title == "support: target main answers with another model (m-1120)"
    bench.incidents.resolve(alert.id, Actor("ada"), "pinned")
    bench.now += 3 * DAY
    bench.watch.look()
    assert bench.watch.found
    assert [each.state for each in bench.told()] == ["resolved"]
    bench.now += QUIET
    for _ in range(30):
        bench.call(2 * DAY)
    for _ in range(5):
        bench.call(600, "m-1120")
    bench.watch.look()
    assert sorted(each.state for each in bench.told()) == ["open", "resolved"]


def test_other_questions_must_show_in_two_looks() -> None:
    bench = Bench()
    for at in range(200):
        bench.call(DAY + 600 + at * 1500)
    for at in range(120):
        bench.call(3600 + at * 60, text=DUTCH if at % 2 else ENGLISH)
    bench.watch.look()
    assert bench.told() == []
    bench.watch.look()
    assert bench.told() == []  # too soon to count as another look
    bench.now += MIX_EVERY
    bench.watch.look()
    found = {each.key.rpartition("/")[2]: each for each in bench.told()}
    assert "Dutch" in found["language"].summary or "English" in found["language"].summary
    assert found["language"].inferences


def test_a_fall_of_scores_is_told_against_the_gate() -> None:
    bench = Bench()
    for at in range(60):
        bench.call(at * 600.0, score=float(at % 3 > 0))
    bench.watch.look()
    [alert] = bench.told()
    assert alert.key == f"drift/score/support/{REL}/tone"
    assert "its gate's run (200 scores)" in alert.summary


def test_an_empty_log_is_no_drift() -> None:
    bench = Bench()
    bench.watch.look()
    assert (bench.watch.found, bench.told()) == ([], [])
