"""Correlated drills, each in a disposable copy of real processes, with and without their guards."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from drill_support import Case, applicable, weakened

from roadworthy.adapters.providers.simulated_answer import example
from roadworthy.fallback.drills import rules
from roadworthy.fallback.drills.copy import Missed
from roadworthy.fallback.drills.model import Drill
from roadworthy.fallback.drills.registry import drills
from roadworthy.wiring.copies.copied import Original
from roadworthy.wiring.copies.copy import WORKER, disposable
from roadworthy.wiring.processes.launcher import LinuxLauncher
from roadworthy.workflow.model import (
    Clocks,
    Configuration,
    FrozenRelease,
    Owners,
    Price,
    Settings,
    Target,
    Workflow,
)
from roadworthy.workflow.simulation import Seeded

CORRELATED = {name: drill for name, drill in drills().items() if drill.row == "correlated"}
AT_ONCE = 3
Staging = dict[tuple[str, bool], list[str]]
"""(drill, with its guard) → misses."""

WEAK_WORKER = """
import sys
sys.path[:0] = {paths!r}
from roadworthy.wiring.copies import copy_worker
own = copy_worker.prepared(sys.argv[1:])

from drill_removals import REMOVED, finds_nothing
from drill_support import without_rule
from roadworthy.fallback.drills.model import Guard
from roadworthy.wiring import gateway

with without_rule(Guard("rule", {name!r}), REMOVED.get({name!r}, finds_nothing)):
    sys.exit(gateway.main(own))
"""


def original(case: Case) -> Original:
    made = case.release
    owners = Owners("ada", "ada", "ada")
    workflow = Workflow(
        made.workflow,
        "default",
        owners,
        "enforce",
        policy=case.policy,
        behaviour=made.behaviour,
        handling=made.handling,
    )
    targets = {name: Target(name, "openai", f"{name}-model") for name in made.behaviour.targets}
    configuration = Configuration(Settings(), targets, {}, {made.workflow: workflow})
    frozen = FrozenRelease(made, "default", 1, 1.0, "ada")
    return Original(configuration, frozen, dict.fromkeys(targets, Price(1e-6, 2e-6)))


async def staged(drill: Drill, intact: Case, served: Case, worker: str) -> list[str]:
    assert drill.scene is not None
    async with disposable(
        original(served), drill, LinuxLauncher(), lambda schema: example(schema, Seeded(1)), worker=worker
    ) as copy:
        try:
            seen = await drill.scene(copy)
        except Missed as missed:
            return [str(missed)]
    must = rules.expected(drill, intact.release, stream=seen.stream, continues=True)
    return [str(miss) for miss in rules.score(drill, must, seen)]


def case_of(drill: Drill) -> Case:
    """Unhurried: no clock of the release is drilled here, and real processes share a busy machine."""
    case = applicable(drill)[0][0]
    handling = msgspec.structs.replace(case.release.handling, clocks=Clocks(5.0, 20.0, 20.0, 25.0), deadline=30.0)
    return msgspec.structs.replace(case, release=msgspec.structs.replace(case.release, handling=handling))


@pytest.fixture(scope="module")
def staging(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Staging:
    """Of the drills that were selected, a few copies at a time."""
    selected = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    folder = tmp_path_factory.mktemp("weak")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *([before] if before else [])])
    try:
        return asyncio.run(_all(folder, [drill for name, drill in CORRELATED.items() if name in selected]))
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


async def _all(folder: Path, wanted: list[Drill]) -> Staging:
    busy = asyncio.Semaphore(AT_ONCE)
    found: Staging = {}

    async def one(drill: Drill, whole: bool) -> None:
        async with busy:
            case = case_of(drill)
            worker, served = WORKER, case
            if not whole and drill.guard.kind == "rule":
                worker = _weak(folder, drill)
            elif not whole:
                served = weakened(case, drill.guard)
            found[drill.name, whole] = await staged(drill, case, served, worker)

    await asyncio.gather(*(one(drill, whole) for drill in wanted for whole in (True, False)))
    return found


def _weak(folder: Path, drill: Drill) -> str:
    """A module that runs the worker without the rule."""
    module = f"weak_{drill.name.replace('-', '_')}"
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    (folder / f"{module}.py").write_text(WEAK_WORKER.format(paths=paths, name=drill.guard.name))
    return module


@pytest.mark.parametrize("name", CORRELATED)
def test_the_scene_ends_well_where_its_guard_stands(staging: Staging, name: str) -> None:
    assert staging[name, True] == []


@pytest.mark.parametrize("name", CORRELATED)
def test_and_badly_where_it_does_not(staging: Staging, name: str) -> None:
    assert staging[name, False]
