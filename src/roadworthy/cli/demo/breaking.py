"""The demo's drill: the whole catalogue of faults, and what customers of the sample got."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from roadworthy.cli.admin import Admin
from roadworthy.cli.demo.system import WORKFLOW
from roadworthy.cli.drill_view import reads
from roadworthy.cli.errors import CliError

POLL = 0.2


class Broken(msgspec.Struct, frozen=True):
    """One fault, and what its customers got."""

    fault: str
    says: str
    verdict: str
    """``FAIL`` when any of its calls did."""
    outcome: str
    seconds: float
    """The longest wait."""
    reads: str
    misses: list[str]
    """What was not as declared."""


class Drilled(msgspec.Struct, frozen=True):
    run: str
    calls: int
    faults: list[Broken]

    @property
    def passed(self) -> int:
        return sum(fault.verdict == "PASS" for fault in self.faults)

    @property
    def failed(self) -> list[str]:
        """A line for each fault that did not end as declared."""
        return [f"{fault.fault}: {'; '.join(fault.misses)}" for fault in self.faults if fault.verdict != "PASS"]

    def __str__(self) -> str:
        ways = Counter(fault.outcome for fault in self.faults)
        ended = ", ".join(f"{count} {outcome}" for outcome, count in ways.most_common())
        longest = max(fault.seconds for fault in self.faults)
        return f"{self.passed} of {len(self.faults)} faults as declared: {ended}; in {longest:.0f} s at most"


def drill(admin: Admin, told: Callable[[int, int], None] = lambda done, wanted: None) -> Drilled:
    """Run the drills on the gateway that serves; ``told(done, wanted)`` is called as results come.

    Raises ``CliError`` when the run breaks off.
    """
    run = admin.post("/v1/drills", {"workflow": WORKFLOW})
    while run["state"] == "running":
        told(len(made(run)), run["wanted"])
        time.sleep(POLL)
        run = admin.get(f"/v1/drills/{run['id']}")
    told(len(made(run)), run["wanted"])
    if run["state"] != "done":
        raise CliError(f"the drills {run['state']}: {run['detail']}")
    return drilled(run)


def drilled(run: dict[str, Any]) -> Drilled:
    """A finished run as the demo tells it, by fault in the order of the catalogue."""
    found: dict[str, list[dict[str, Any]]] = {}
    for result in made(run):
        found.setdefault(result["fault"], []).append(result)
    return Drilled(run["id"], len(made(run)), [_broken(results) for results in found.values()])


def made(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of calls that were made."""
    return [result for result in run["results"] if result["verdict"] != "SKIPPED"]


def _broken(results: list[dict[str, Any]]) -> Broken:
    worst = max(results, key=lambda result: result["verdict"] == "FAIL")
    seen = worst["seen"] or {}
    outcome = seen.get("outcome") or "no answer"
    longest = max((result["seen"] or {}).get("seconds", 0.0) for result in results)
    return Broken(
        worst["fault"], worst["says"], worst["verdict"], outcome, longest, reads(outcome, seen.get("text", "")),
        list(worst["misses"]),
    )  # fmt: skip
