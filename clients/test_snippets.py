"""Every snippet of docs/clients.md runs from the page, once for every outcome, and prints what the page says."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from support.outcomes import BLOCKED, CANNED, HOLDING, OUTCOMES
from support.sightings import NODE_CLIENTS, node
from support.snippets import ROOT, Snippet, environment, printed, snippets
from support.up import Up

FOUND = {name: made for name, made in snippets().items() if made.language in ("python", "js")}
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
SAYS = {
    "answered": "answered: .+", "recovered": "recovered: .+", "cached": "cached: .+",
    "canned": f"canned: {CANNED}", "escalated": f"escalated: {HOLDING}", "blocked": f"blocked: {BLOCKED}",
    "limited": r"limited: again in \d+ s", "bypassed": "old path: bypassed", "error": "old path: (error|unavailable)",
}  # fmt: skip


def command(snippet: Snippet, folder: Path) -> list[str]:
    if snippet.language == "python":
        if not PYTHON.exists():
            pytest.skip("no .venv-clients here: make test-clients makes it")
        return [str(PYTHON)]
    program = node()
    (folder / "node_modules").symlink_to(NODE_CLIENTS / "node_modules")
    return [program]


@pytest.mark.parametrize("name", FOUND)
def test_a_snippet_prints_what_became_of_its_call_and_asks_once(up: Up, name: str, tmp_path: Path) -> None:
    asked = ["cached", *OUTCOMES]  # whoever is first fills the cache
    began = time.time()
    told = environment(name, up.base_url.removesuffix("/v1"), up.key(f"{name} {began}"))
    cases = [{**told, "ROADWORTHY_WORKFLOW": workflow} for workflow in asked]
    _, *said = printed(FOUND[name], cases, tmp_path, command=command(FOUND[name], tmp_path))
    for workflow, text in zip(OUTCOMES, said, strict=True):
        line = text.rstrip().rpartition("\n")[2]
        assert re.fullmatch(SAYS[workflow], line), f"{workflow}: {text}"
    records = [record for record in up.records() if record["ts"] >= began]
    assert sorted(record["workflow"] for record in records) == sorted(asked)  # nothing was tried again
    assert {(record["unit"], record["session"]) for record in records} == {("u-17", "s-3")}
