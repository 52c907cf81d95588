"""A command line whose clock stands still, before an admin API that never changes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fake_admin import Cli, FakeAdmin

from roadworthy.workflow.model import Settings


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Settings in force: times are read and printed in Europe/Berlin."""
    folder = tmp_path / "data" / "snapshot"
    folder.mkdir(parents=True)
    (folder / "settings.json").write_bytes(msgspec.json.encode(Settings(timezone="Europe/Berlin")))
    return Cli(FakeAdmin(), tmp_path)
