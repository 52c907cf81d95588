"""A newcomer who follows docs/adding-a-fault.md to the letter gets a drill and a check that work."""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from drill_support import applicable, run_all, weakened

from roadworthy.fallback.drills import correlated, kit, model, registry, server
from roadworthy.fallback.drills.catalogue import CATALOGUE
from roadworthy.fallback.drills.exchange import Exchange
from roadworthy.gateway.checks.results import read_result
from roadworthy.gateway.checks.user_checks_child import Runner

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-fault.md"
DRILLS_PAGE = PAGE.with_name("drills.md")
BLOCKS = re.findall(r"```(python|yaml)\n(.*?)```", PAGE.read_text(), re.DOTALL)


def block(holds: str) -> str:
    [found] = [text for _, text in BLOCKS if holds in text]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that belongs to the row ``server``, as the newcomer's checkout does."""
    for package in (server, correlated):
        package.__path__.append(str(tmp_path))
    yield tmp_path
    for package in (server, correlated):
        package.__path__.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.endswith((".teapot_418", ".control_and_targets_down"))]:
        del sys.modules[name]


def loaded(folder: Path, row: str, name: str, text: str) -> ModuleType:
    (folder / f"{name}.py").write_text(text)
    importlib.invalidate_caches()
    return importlib.import_module(f"roadworthy.fallback.drills.{row}.{name}")


def test_the_pages_drill_passes_and_fails_without_its_guard(folder: Path) -> None:
    named = re.search(r"`fallback/drills/(\w+)/(\w+)\.py`", PAGE.read_text())
    assert named is not None
    row, name = named.groups()
    drill = registry.declared(loaded(folder, row, name, block("teapot")), "server")
    assert (drill.name, drill.row) == ("teapot-418", row)
    cases = applicable(drill)
    intact = asyncio.run(run_all([(drill, case, stream, case) for case, stream in cases], folder / "a"))
    weak = asyncio.run(run_all([(drill, c, stream, weakened(c, drill.guard)) for c, stream in cases], folder / "b"))
    assert [run.misses for run in intact] == [[]] * len(cases)
    assert all(run.misses for run in weak)


def test_the_pages_scene_can_be_declared(folder: Path) -> None:
    drill = registry.declared(
        loaded(folder, "correlated", "control_and_targets_down", block("kill_control")), "correlated"
    )
    assert drill.scene is not None


def test_the_page_names_every_field_of_a_drill_and_every_deed_of_an_exchange() -> None:
    page = PAGE.read_text()
    fields = set(model.Drill.__struct_fields__) - {"name", "row", "scene"}
    assert [name for name in fields if f"`{name}`" not in page] == []
    deeds = [name for name in vars(Exchange) if not name.startswith("_") and callable(getattr(Exchange, name))]
    assert [name for name in deeds if f"call.{name}(" not in page] == []
    assert [need for need in model.Need.__args__ if f'`"{need}"`' not in page] == []
    assert set(kit.__all__) >= {"Drill", "Exchange", "Copy", "Missed"}


def test_the_pages_check_judges_as_the_page_says() -> None:
    declared = yaml.safe_load(block("shouting: {python"))["checks"]["shouting"]
    runner = Runner()

    def asked(text: str) -> Any:
        ask = {"id": 1, "code": "c", "path": declared["python"], "text": text, "context": {}}
        return runner.answer(ask)

    try:
        assert "error" not in runner.answer(
            {"id": 0, "load": "c", "sources": {"checks/shouting.py": block("capitals")}}
        )
        quiet, loud = asked("We will write to you."), asked("WE WILL NOT")
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "checks"]:
            del sys.modules[name]
        sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "Sources"]
    assert read_result(quiet["result"], 0.5, 21).passed
    assert not read_result(loud["result"], 0.5, 11).passed


def test_the_page_on_drills_names_every_fault_in_its_row() -> None:
    page = DRILLS_PAGE.read_text()
    for row, names in CATALOGUE.items():
        assert f"| {row} | {', '.join(f'`{name}`' for name in names)} |" in page
