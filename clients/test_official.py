"""The official clients against a whole install: every outcome, streams by the hundred, whoever hangs up or is late.

``make test`` holds them to a single worker; here they meet control too, and the other major version of openai's client.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.outcomes import BLOCKED, CANNED, HOLDING, OUTCOMES
from support.sightings import by_node, by_python, check
from support.snippets import ROOT
from support.up import Up
from support.waiting import until

PYTHON = ROOT / ".venv-clients" / "bin" / "python"
ENDS: dict[str, Any] = {
    "answered": None, "recovered": None, "cached": None, "canned": CANNED, "escalated": HOLDING, "blocked": BLOCKED,
    "limited": (429, "overspent"), "bypassed": (503, "bypassed"), "error": (503, "unavailable"),
}  # fmt: skip


@pytest.mark.parametrize("language", ["python", "node"])
def test_a_client_sees_every_outcome_of_an_install(up: Up, language: str) -> None:
    root, key = up.base_url.removesuffix("/v1"), up.key(f"official {language}")
    tries = {name: (name, f"Where is parcel {language}?") for name in OUTCOMES}
    tasks = [
        {"url": root, "key": key, "surface": surface, "workflow": "answered", "tries": tries, "parallel": 200}
        for surface in ("chat", "responses", "messages")
    ]
    warm = [{**task, "tries": {"cached": tries["cached"]}, "parallel": 0} for task in tasks]
    run = by_node if language == "node" else lambda tasks: by_python(tasks, str(PYTHON))
    if language == "python" and not PYTHON.exists():
        pytest.skip("no .venv-clients here: make test-clients makes it")
    run(warm)  # what is asked for the first time is not cached
    for task, saw in zip(tasks, run(tasks), strict=True):
        check(saw, task, ENDS)
    until(up.idle, "end of every call and slot")
