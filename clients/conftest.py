"""Clients as people install them, against a real gateway: ``make test-clients``.

The frameworks live in an environment of their own (``.venv-clients``), the packages of Node in ``node/`` and
``agents/`` beside this file; what is not installed is skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import outcomes
from support.up import Up
from support.waiting import write_files

PEOPLE = "people:\n  ada: {name: Ada, email: ada@example.com}\n  bo: {name: Bo, email: bo@example.com}\n"
ADOPTED = "owners: {workflow: ada, prompt: ada, cost: ada}\nenforcement: observe\npassthrough: any\n"


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    files = {
        "roadworthy.yaml": "version: 1\ntargets:\n" + outcomes.TARGETS,
        "people.yaml": PEOPLE,
        "main.yaml": outcomes.SIMULATION,
        **outcomes.workflows(),
    }
    root = tmp_path_factory.mktemp("u")
    with Up(root, config=write_files(root / "config", files), workers=1) as made:
        made.ready("main")
        made.freeze(*outcomes.OUTCOMES)
        made.prove(*outcomes.RELEASED)
        yield made
