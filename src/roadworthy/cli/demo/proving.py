"""The demo's way to evidence: people put their name to it, the gate judges, and the checklist says what that allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.cli.demo.system import AUTHOR, OWNER, WORKFLOW, System, sample
from roadworthy.cli.errors import CliError
from roadworthy.evidence.kinds import KINDS
from roadworthy.readiness.items import ITEMS

POLL = 0.3
ATTEMPTS = 3
"""Times that a gate is asked to go on with examples that came to no answer; each asks only what is left."""
COUNTED = 90.0
"""Seconds after which readiness has counted what was called just now; it takes its sums once a minute."""

Progress = Callable[[int, int], None]
"""(done, wanted)"""


class Score(msgspec.Struct, frozen=True):
    name: str
    right: int
    lower: float
    """Proven, at 95 %."""
    floor: float


class Proof(msgspec.Struct, frozen=True):
    """What the gate came to."""

    frozen_by: str
    signed_by: str
    run: str
    verdict: str
    examples: int
    runs: int
    """Averaged for what is proven; a demo that takes up another one's folder goes on counting."""
    scores: list[Score]
    receipt: str
    """Id; empty: the gate was not passed well enough for live traffic."""

    def __str__(self) -> str:
        told = "; ".join(
            f"{each.name} {each.right}, so {100 * each.lower:.1f} % at least ({100 * each.floor:.0f} % declared)"
            for each in self.scores
        )
        runs = f" in {self.runs} runs" if self.runs > 1 else ""
        return f"{self.verdict} on {self.examples} hand-labelled messages{runs}: {told}"


class Caught(msgspec.Struct, frozen=True):
    """What the gate made of a worse prompt."""

    run: str
    number: int
    """Of the release."""
    verdict: str
    examples: int
    why: list[str]
    scores: list[Score]
    sees: str
    """What a set of this size can see."""

    def __str__(self) -> str:
        told = "; ".join(
            f"{each.name} {each.right}, so {100 * each.right / self.examples:.0f} % ({100 * each.floor:.0f} % declared)"
            for each in self.scores
        )
        return f"{self.verdict} on the same {self.examples} messages: {told}"


class Checklist(msgspec.Struct, frozen=True):
    """``roadworthy ready``, as the demo tells it."""

    number: int
    """Of the release."""
    label: str
    ceiling: float
    held_by: list[int]
    shown: list[str]
    """Items that are met, ``6 eval gate``."""
    missing: list[str]
    commands: dict[int, str]
    """Item that is not met → what would meet it."""

    def told_missing(self) -> str:
        """What is missing, by what would meet it."""
        groups: dict[str, list[str]] = {}
        for each in self.missing:
            groups.setdefault(self.commands[int(each.split()[0])], []).append(each)
        return "; ".join(f"{', '.join(items)} ({command})" for command, items in groups.items())


def examples(count: int | None) -> str:
    """The sample's messages to test on, as JSON Lines; ``count``: only the first of them, in file order."""
    rows = sample().joinpath("messages.jsonl").read_text(encoding="utf-8").splitlines()
    return "\n".join([row for row in rows if row and msgspec.json.decode(row)["half"] == "test"][:count])


def prove(system: System, release: int, count: int | None, told: Progress = lambda done, wanted: None) -> Proof:
    """Have the owner sign and the gate judge a release.  Raises ``CliError`` when live users may not get it then."""
    owner = system.person(OWNER)
    columns = {"input": "message", "expect": ["topic", "urgency"]}
    rows = {"workflow": WORKFLOW, "rows": examples(count), "columns": columns, "source": "messages.jsonl"}
    owner.post("/v1/evals/sets", rows)
    signed = owner.post("/v1/evals/sign", {"workflow": WORKFLOW})
    status = _judged(system, release, told)
    concluded = _concluded(status)
    if concluded["receipt"] is None or not concluded["judgement"]["floors_met"]:
        raise CliError(
            f"release {release} missed the floors that were declared for it ({'; '.join(concluded['why'])}): only its "
            "testers may get it, so there is no pilot to show",
            f"{' '.join(system.command)} evals show {status['run']['id']} --wrong",
        )
    return _proof(system, release, str(signed["person"]), status)


def judge_worse(system: System, release: int, told: Progress = lambda done, wanted: None) -> Caught:
    """The gate's verdict on a release, whatever it is.  Raises ``CliError`` when it comes to none."""
    status = _judged(system, release, told)
    concluded = _concluded(status)
    judged = concluded["judgement"]
    return Caught(
        run=status["run"]["id"],
        number=release,
        verdict=concluded["verdict"],
        examples=judged["examples"],
        why=concluded["why"],
        scores=_scores(system, status),
        sees=judged["sees"],
    )


def accept(system: System) -> None:
    """What waits for the named people: their roles, and the catalogue that the drills wrote; and a canary."""
    for person in (OWNER, AUTHOR):
        if any(owed["person"] == person for owed in _owed(system)):
            system.person(person).post("/v1/evidence/accept", {"workflow": WORKFLOW})
    system.admin.post("/v1/canary", {"workflow": WORKFLOW}, timeout=120.0)


def _judged(system: System, release: int, told: Progress) -> dict[str, Any]:
    """The run, with all of its examples answered where that can be had."""
    for _ in range(ATTEMPTS):
        order = {"workflow": WORKFLOW, "release": str(release), "concurrency": 4}
        status: dict[str, Any] = system.person(OWNER).post("/v1/evals/runs", order)
        while status["state"] == "running":
            told(status["answered"], status["run"]["examples"])
            time.sleep(POLL)
            status = system.admin.get(f"/v1/evals/runs/{status['run']['id']}")
        told(status["answered"], status["run"]["examples"])
        if status["concluded"] is not None:
            break
    return status


def _proof(system: System, release: int, signed_by: str, status: dict[str, Any]) -> Proof:
    judged, run = status["concluded"]["judgement"], status["run"]
    return Proof(
        frozen_by=_frozen_by(system, release),
        signed_by=signed_by,
        run=run["id"],
        verdict=status["concluded"]["verdict"],
        examples=judged["examples"],
        runs=judged["repeats"],
        scores=_scores(system, status),
        receipt=status["concluded"]["receipt"]["id"],
    )


def _concluded(status: dict[str, Any]) -> dict[str, Any]:
    concluded: dict[str, Any] | None = status["concluded"]
    if concluded is None:
        raise CliError(
            f"the gate came to no verdict: {status['answered']} of {status['run']['examples']} were answered"
        )
    return concluded


def _scores(system: System, status: dict[str, Any]) -> list[Score]:
    answered = system.admin.get(f"/v1/evals/runs/{status['run']['id']}/answers")["items"]
    return [
        Score(each["name"], _right(answered, each["name"]), each["lower"], each["floor"])
        for each in status["concluded"]["judgement"]["floors"]
    ]


def _right(answered: list[dict[str, Any]], score: str) -> int:
    return round(sum(float(each["scores"].get(score, 0.0)) for each in answered))


def _frozen_by(system: System, release: int) -> str:
    rows = system.admin.get("/v1/releases", {"workflow": WORKFLOW})["items"]
    return next(str(row["frozen_by"]) for row in rows if row["number"] == release)


def _owed(system: System) -> list[dict[str, Any]]:
    owed: list[dict[str, Any]] = system.admin.get("/v1/evidence/owed", {"workflow": WORKFLOW})["items"]
    return owed


def checklist(system: System, release: int) -> Checklist:
    """The ten items of a release as they stand."""
    report = system.admin.get("/v1/readiness", {"workflow": WORKFLOW, "release": str(release)})
    return Checklist(
        number=report["release"]["number"],
        label=report["label"],
        ceiling=report["ceiling"],
        held_by=report["held_by"],
        shown=[_titled(item["number"]) for item in report["items"] if item["met"]],
        missing=[_titled(item["number"]) for item in report["items"] if not item["met"]],
        commands={item["number"]: item["command"] for item in report["items"] if not item["met"]},
    )


def _titled(number: int) -> str:
    item = next(item for item in ITEMS if item.number == number)
    return f"{number} {KINDS[item.kinds[0]].title}"


def counted(system: System, release: int, highest: float) -> Checklist:
    """The checklist once its ceiling is at most ``highest``: once readiness has counted the calls of just now.

    A pilot is 25 calls a day where that is more than 1 %; so few calls are everybody's until the crowd is counted.
    """
    deadline = time.monotonic() + COUNTED
    while (found := checklist(system, release)).ceiling > highest and time.monotonic() < deadline:
        time.sleep(1.0)
    return found
