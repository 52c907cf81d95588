"""An install with a ramp: real stores, synthetic traffic, a clock that the test turns."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.inference_log.model import Batch
from roadworthy.operations.ramps.guardrails import LogFeed
from roadworthy.operations.ramps.ramping import RampTelling, may
from roadworthy.people.incident.service import Incidents
from roadworthy.rollout.model import Grounds
from roadworthy.rollout.service import Rollouts
from roadworthy.workflow.inference import Feedback, Inference, new_inference_id
from roadworthy.workflow.model import (
    Behaviour,
    Configuration,
    FrozenRelease,
    Handling,
    Owners,
    Person,
    Policy,
    Release,
    Settings,
    Webhook,
    Workflow,
)
from roadworthy.workflow.ports import AppliedConfiguration
from roadworthy.workflow.service import Actor
from roadworthy.workflow.shares import inside, position
from support.evidence import TestSigner, TestVerifier

NOON = 1_793_620_800.0
DAY, HOUR = 86_400.0, 3600.0
PIA, EVE, UID = Actor("pia", "os:1000"), Actor("eve"), Actor("os:1000")
REL_1, REL_2 = "rel_" + "1" * 64, "rel_" + "2" * 64


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Evidenced:
    """What the evidence allows, as the test says."""

    def __init__(self) -> None:
        self.ceiling = 1.0
        self.drilled = True

    def grounds(self, workflow: str, digest: str, now: float) -> Grounds:
        return Grounds(self.ceiling, "rcp_1", ("evd_1", "evd_2"), "production", self.drilled)


def release(digest: str, number: int, behaviour: str) -> FrozenRelease:
    made = Release("support", digest, behaviour, f"han_{number}", Behaviour("chat", None, "main", {}), Handling())
    return FrozenRelease(made, "default", number, NOON, "pia")


def configuration(policy: Policy) -> Configuration:
    flow = Workflow("support", "default", Owners("pia", "pia", "bo"), "enforce", policy=policy)
    settings = Settings(notify=Webhook("https://told.example/", "env:NOTIFY"))
    people = {"pia": Person("pia", "Pia"), "eve": Person("eve", "Eve"), "bo": Person("bo", "Bo")}
    return Configuration(settings, {}, people, {"support": flow})


class World:
    """``folder``: SQLite stores there, and ``restart`` opens them anew; without one, memory."""

    def __init__(self, folder: Path | None = None, policy: Policy | None = None) -> None:
        self.folder = folder
        self.clock = Clock()
        self.evidenced = Evidenced()
        self.published: list[float] = []
        self.rng = random.Random(7)
        self._ids = itertools.count(1)
        self._open()
        with self.state.write() as tx:
            applied = configuration(policy or Policy(testers=["pia"]))
            tx.add_configuration(AppliedConfiguration(1, NOON, "pia", {}, applied))
            tx.add_release(release(REL_1, 1, "beh_1"))

    def _open(self) -> None:
        self.state: Any = MemoryState() if self.folder is None else SqliteState(self.folder / "state.db")
        self.log: Any = MemoryLog() if self.folder is None else SqliteLog(self.folder / "log.db")
        self.incidents = Incidents(self.state, clock=self.clock)
        self.rollouts = self.signed_by("k1")

    def signed_by(self, key: str) -> Rollouts:
        return Rollouts(
            self.state,
            TestSigner(key),
            TestVerifier(),
            clock=self.clock,
            evidenced=self.evidenced,
            feed=LogFeed(self.log),
            may=may,
            tell=RampTelling(self.incidents),
            publish=lambda: self.published.append(self.clock.now),
        )

    def restart(self) -> None:
        self.close()
        self._open()

    def close(self) -> None:
        if self.folder is not None:
            self.state.close()
            self.log.close()

    def freeze(self, digest: str = REL_2, number: int = 2, behaviour: str = "beh_2") -> None:
        with self.state.write() as tx:
            tx.add_release(release(digest, number, behaviour))

    def call(self, ts: float, **fields: Any) -> Inference:
        defaults: dict[str, Any] = {
            "id": new_inference_id(ts, next(self._ids)), "ts": ts, "team": "default", "workflow": "support",
            "outcome": "answered", "unit": "u-1", "unit_source": "header", "latency": 0.5, "cost_usd": 0.001,
        }  # fmt: skip
        return Inference(**{**defaults, **fields})

    def traffic(
        self, seconds: float, calls: int, users: int = 4000, bad: Callable[[str | None], dict[str, Any]] | None = None
    ) -> None:
        """``calls`` evenly over the next ``seconds``, divided as a gateway divides them; then it is later."""
        rollout = self.rollouts.current("support")
        assert rollout is not None
        begin, made = self.clock.now, []
        for number in range(calls):
            unit = f"u-{self.rng.randrange(users)}"
            ts = begin + seconds * (number + 0.5) / calls
            fields: dict[str, Any] = {"route": "bypass", "digest": None, "outcome": "bypassed"}
            if rollout.stage.share == 0.0:
                fields = {"route": "release", "digest": rollout.digest, "traffic": "tester"}
            elif inside(position("salt", "support", unit), rollout.share):
                fields = {"route": "release", "digest": rollout.digest}
            elif rollout.predecessor is not None:
                fields = {"route": "previous", "digest": rollout.predecessor}
            fields["stage"] = rollout.stage.name
            if bad is not None and fields["outcome" if "outcome" in fields else "route"] != "bypassed":
                fields |= bad(fields["digest"])
            made.append(self.call(ts, unit=unit, **fields))
        self.log.ship(Batch(ends=made))
        self.clock.now = begin + seconds

    def say(self, about: Inference, name: str, **what: Any) -> None:
        self.log.ship(Batch(feedback=[Feedback(about.id, self.clock.now, name, **what)]))

    def audit(self) -> list[Any]:
        with self.state.read() as tx:
            return list(tx.audit())
