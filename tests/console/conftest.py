"""One console for all claims of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.console import Console


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    made = Console(tmp_path_factory.mktemp("console"))
    yield made
    made.close()
