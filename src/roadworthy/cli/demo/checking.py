"""What every claim of the demo is checked with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from roadworthy.cli.demo.story import Told
from roadworthy.cli.demo.system import System

PATIENCE = 180.0
"""Seconds that a printed command may take."""

PAGE = 500
"""Records of the audit trail that are read at a time."""

Claim = Callable[[Told, System], str]
"""Returns what it found; raises when the claim does not hold.  Its docstring is the claim in words."""


class Broken(Exception):
    """A claim that does not hold; the message says what was found."""


def expect(holds: bool, found: str) -> None:
    if not holds:
        raise Broken(found)


def audited(system: System, action: str, *, outcome: str = "done") -> list[dict[str, Any]]:
    """Records of the audit trail whose action or target holds ``action``, oldest first."""
    found: list[dict[str, Any]] = []
    while rows := system.admin.get("/v1/audit", {"after": found[-1]["seq"] if found else 0, "limit": PAGE})["items"]:
        found += rows
    return [row for row in found if row["outcome"] == outcome and action in f"{row['action']} {row['target']}"]


def run(command: Sequence[str], system: System, code: int = 0) -> str:
    """What a printed command prints; a login that it makes is kept in the demo's folder."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(system.place.home)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Broken(f"{' '.join(command)[:120]}: {error}") from error
    if done.returncode != code:
        raise Broken(f"exit {done.returncode} from {' '.join(command)[:120]}: {done.stderr.strip()[-300:]}")
    return done.stdout
