"""Finds the drills: every module of a row's folder that declares ``DRILL``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType
from typing import get_args

import msgspec

from roadworthy.fallback.drills.catalogue import Row
from roadworthy.fallback.drills.model import Drill

PACKAGE = "roadworthy.fallback.drills"
ROWS: tuple[Row, ...] = get_args(Row)


class BadDrill(Exception):
    """A drill file does not declare what it must; the message names the file."""


@cache
def drills() -> dict[str, Drill]:
    """Name → drill, in the order of the rows and of the file names.  Raises ``BadDrill``."""
    found: dict[str, Drill] = {}
    for row in ROWS:
        folder = importlib.import_module(f"{PACKAGE}.{row}")
        for module in sorted(pkgutil.iter_modules(folder.__path__), key=lambda module: module.name):
            drill = declared(importlib.import_module(f"{PACKAGE}.{row}.{module.name}"), row)
            found[drill.name] = drill
    return found


def declared(module: ModuleType, row: Row) -> Drill:
    """The drill of one file, with its name and row.  Raises ``BadDrill``."""
    drill = getattr(module, "DRILL", None)
    if not isinstance(drill, Drill):
        raise BadDrill(f"{module.__file__}: found no DRILL, expected `DRILL = Drill(…)` (docs/adding-a-fault.md)")
    name = module.__name__.rpartition(".")[2].replace("_", "-")
    return msgspec.structs.replace(drill, name=name, row=row)
