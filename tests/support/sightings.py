"""What each official client must have seen, whatever surface it speaks (``official.py``, ``official.mjs``)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.up import clean_env

_HERE = Path(__file__).parent
NODE_CLIENTS = _HERE.parents[1] / "clients" / "node"
CALLS = 8
"""Of a task, besides two for each try and the parallel streams."""


def node() -> str:
    """The program; skips where there is none, or nothing that it could run."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("no Node here: install it (Debian: apt-get install nodejs npm), then run: make setup")
    if not (NODE_CLIENTS / "node_modules").exists():
        pytest.skip("no clients/node/node_modules here: make setup installs them where npm is")
    return found


def by_node(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return _seen([node(), str(_HERE / "official.mjs")], tasks)


def by_python(tasks: Sequence[Mapping[str, Any]], python: str = sys.executable) -> list[dict[str, Any]]:
    return _seen([python, str(_HERE / "official.py")], tasks)


def _seen(command: list[str], tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    told = {"modules": str(NODE_CLIENTS / "package.json"), "tasks": tasks}
    done = subprocess.run(
        command, input=json.dumps(told), env=clean_env(), capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def check(saw: dict[str, Any], task: Mapping[str, Any], ends: Mapping[str, Any]) -> None:
    """``ends``: try → the text that the caller reads, ``None`` for whatever a model writes, or (status, code)."""
    assert saw["chat"] == {"text": True, "outcome": "answered", "named": True}
    assert saw["stream"] == {"text": True, "pieces": True, "outcome": "answered"}
    assert saw["tools"] == {"name": "look_up", "order": True, "text": True}
    assert saw["structured"] == {"topic": "string"}
    assert saw["outcomes"].keys() == ends.keys()
    for name, told in saw["outcomes"].items():
        for one in told:
            _ended(name, one, ends[name])
    assert saw["broken"]["error"] in ("APIError", "APIStatusError")
    assert saw["broken"]["code"] == "truncated"
    assert saw["cancelled"] == {"pieces": True}
    assert saw["late"]["error"] in ("APITimeoutError", "APIConnectionTimeoutError")
    assert saw["parallel"] == task["parallel"]


CLASSES = {
    400: ("BadRequestError",), 429: ("RateLimitError",), 503: ("InternalServerError", "ServiceUnavailableError"),
}  # fmt: skip


def _ended(name: str, one: dict[str, Any], end: Any) -> None:
    if isinstance(end, tuple):
        status, code = end
        assert (one.get("status"), one.get("code")) == (status, code), f"{name}: {one}"
        assert one["error"] in CLASSES[status]
        return
    assert one.get("outcome") == name, f"{name}: {one}"
    assert one["text"] == end if end is not None else one["text"]
