"""The code on a page of the docs, and what it prints when it runs: a page's snippets are what their tests execute.

A block to run stands behind ``<!-- run: NAME -->``; it is told where the gateway is, who calls and which workflow by
``ROADWORTHY_BASE_URL``, ``ROADWORTHY_API_KEY`` and ``ROADWORTHY_WORKFLOW``, and by nothing else.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from support.up import clean_env

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients.md"
_BLOCK = re.compile(r"^<!-- run: (\S+) -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DRIVERS = {"python": Path(__file__).with_name("drive.py"), "js": Path(__file__).with_name("drive.mjs")}


class Snippet(NamedTuple):
    name: str
    language: str
    """``python``, ``js``, or that of a settings file."""
    text: str


def snippets(page: Path = PAGE) -> dict[str, Snippet]:
    found = [Snippet(*match) for match in _BLOCK.findall(page.read_text(encoding="utf-8"))]
    return {snippet.name: snippet for snippet in found}


def environment(name: str, root: str, key: str) -> dict[str, str]:
    """The environment of one snippet, but for the workflow.  ``root``: the gateway's address, without a path."""
    anthropic = name.startswith("anthropic-")  # which adds the /v1 itself
    return {"ROADWORTHY_BASE_URL": root if anthropic else f"{root}/v1", "ROADWORTHY_API_KEY": key}


def printed(
    snippet: Snippet, cases: Sequence[Mapping[str, str]], folder: Path, *, command: Sequence[str] = (sys.executable,)
) -> list[str]:
    """What the snippet prints, once for each environment, in one process; one that raises prints its traceback.

    ``folder``: for the file; Node finds the packages of a ``node_modules`` beside it or above.
    """
    path = folder / f"{snippet.name.replace('-', '_')}.{'mjs' if snippet.language == 'js' else 'py'}"
    path.write_text(snippet.text, encoding="utf-8")
    done = subprocess.run(
        [*command, str(_DRIVERS[snippet.language]), str(path)], input=json.dumps([dict(case) for case in cases]),
        env=clean_env(), cwd=folder, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{snippet.name}: {done.returncode}\n{done.stdout}{done.stderr}"
    told: list[str] = json.loads(done.stdout.splitlines()[-1])
    return told
