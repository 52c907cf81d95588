"""Clients as people install them, against a real gateway: ``make test-clients``.

The frameworks live in an environment of their own (``.venv-clients``), the packages of Node in ``node/`` and
``agents/`` beside this file; what is not installed is skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reader import read
from support import outcomes
from support.provider import Recorder
from support.up import Up
from support.waiting import write_files

PEOPLE = "people:\n  ada: {name: Ada, email: ada@example.com}\n  bo: {name: Bo, email: bo@example.com}\n"
TARGETS = (
    "  native: {provider: simulated, model: sim-agent, simulation: agent.yaml, price: {input: 1, output: 2, per: 1M}, "
    "capabilities: {surfaces: [chat, responses, messages]}}\n"
    "  translated: {provider: openai, model: reader, endpoint: '%s', allow_private: true, "
    "price: {input: 1, output: 2, per: 1M}}\n"
)
"""What coding agents talk to: one that speaks their formats, and one to which they are translated."""
SAID = "The parcel arrives on Monday."
_ADOPTED = "owners: {{workflow: ada, prompt: ada, cost: ada}}\nenforcement: observe\npassthrough: {}\n"


@pytest.fixture(scope="session")
def reader() -> Iterator[Recorder]:
    """The provider behind the target ``translated``."""
    with Recorder(read) as made:
        yield made


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory, reader: Recorder) -> Iterator[Up]:
    files = {
        "roadworthy.yaml": "version: 1\ntargets:\n" + outcomes.TARGETS + TARGETS % reader.url,
        "people.yaml": PEOPLE,
        "main.yaml": outcomes.SIMULATION,
        "agent.yaml": f"tools: ignore\nanswers: [{SAID}]\n",
        "workflows/native/workflow.yaml": _ADOPTED.format("native"),
        "workflows/translated/workflow.yaml": _ADOPTED.format("translated"),
        **outcomes.workflows(),
    }
    root = tmp_path_factory.mktemp("u")
    with Up(root, config=write_files(root / "config", files), workers=1) as made:
        made.ready("main", "native")
        made.freeze(*outcomes.OUTCOMES)
        made.prove(*outcomes.RELEASED)
        yield made
