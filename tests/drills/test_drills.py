"""Every drill passes on releases that declare its guard, and fails once that guard is gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from drill_removals import REMOVED, finds_nothing
from drill_support import CASES, Case, Ran, applicable, run_all, unbound, weakened, without_rule

from roadworthy.fallback.drills.model import Drill
from roadworthy.fallback.drills.registry import drills

LIVE = {name: drill for name, drill in drills().items() if drill.row != "correlated"}


class Sweep(msgspec.Struct):
    """Every drill on every case, with and without its guard."""

    intact: dict[tuple[str, str, bool], Ran] = {}
    without: dict[tuple[str, str, bool], Ran] = {}


@pytest.fixture(scope="module")
def sweep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Of the drills that were selected: ``-k`` runs no others."""
    selected = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    live = [drill for drill in LIVE.values() if drill.name in selected]
    root = tmp_path_factory.mktemp("drills")
    made = Sweep()
    every = [(drill, case, stream, case) for drill in live for case, stream in applicable(drill)]
    _into(made.intact, every, root / "intact")
    plain = [_without(*each) for each in every if each[0].guard.kind != "rule"]
    _into(made.without, plain, root / "without")
    for name in sorted({drill.guard.name for drill in live if drill.guard.kind == "rule"}):
        some = [each for each in every if (each[0].guard.kind, each[0].guard.name) == ("rule", name)]
        with without_rule(some[0][0].guard, REMOVED.get(name, finds_nothing)):
            _into(made.without, some, root / name)
    return made


def _without(drill: Drill, intact: Case, stream: bool, _: Case) -> tuple[Drill, Case, bool, Case]:
    return unbound(drill), intact, stream, weakened(intact, drill.guard)


def _into(kept: dict[tuple[str, str, bool], Ran], wanted: list[tuple[Drill, Case, bool, Case]], root: Path) -> None:
    ran = asyncio.run(run_all(wanted, root))
    for (drill, case, stream, _), result in zip(wanted, ran, strict=True):
        kept[drill.name, case.name, stream] = result


@pytest.mark.parametrize("name", LIVE)
def test_a_drill_means_something_for_at_least_one_kind_of_workflow(name: str) -> None:
    assert applicable(LIVE[name]), f"no case of {list(CASES)} declares what {name} needs"


@pytest.mark.parametrize("name", LIVE)
def test_a_workflow_that_declares_the_guard_passes(sweep: Sweep, name: str) -> None:
    missed = {
        key[1:]: [str(miss) for miss in ran.misses]
        for key, ran in sweep.intact.items()
        if key[0] == name and ran.misses
    }
    assert not missed


@pytest.mark.parametrize("name", LIVE)
def test_without_its_guard_the_drill_fails(sweep: Sweep, name: str) -> None:
    passed = [key[1:] for key, ran in sweep.without.items() if key[0] == name and not ran.misses]
    assert not passed, f"{LIVE[name].guard} was taken away and nobody noticed in {passed}"


@pytest.mark.parametrize("name", LIVE)
def test_nothing_is_left_behind(sweep: Sweep, name: str) -> None:
    left = {key[1:]: ran.leaks for key, ran in sweep.intact.items() if key[0] == name and any(ran.leaks.values())}
    assert not left
