"""Both stores, for the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.inference_log.ports import LogStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogStore]:
    found: LogStore = MemoryLog() if request.param == "memory" else SqliteLog(tmp_path / "log.db")
    yield found
    found.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteLog]:
    found = SqliteLog(tmp_path / "log.db")
    yield found
    found.close()
