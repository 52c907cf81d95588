"""What ``KILL`` files and ``ROADWORTHY_KILL`` say.  Pure; fails closed: what cannot be read stops."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from roadworthy.kill_switch.model import EVERY, STATES, State, effective

FILE: Final = "KILL"
LONGEST: Final = 4096
"""Bytes; a longer file is none that we wrote."""
_EVERYTHING: Final = frozenset({"", "1", "all", "true", "yes", EVERY})
"""In the place of a workflow's name in the environment, which is how switches are often thrown there."""


def workflow_of(name: str) -> str | None:
    """Of a file in the data folder: the workflow that it stops, ``*`` for all; ``None``: it is no such file.

    Names of workflows are in lower case, and who writes one otherwise means the same.
    """
    if name == FILE:
        return EVERY
    prefix, dot, workflow = name.partition(".")
    return workflow.lower() if prefix == FILE and dot and workflow else None


def state_in(content: bytes | None) -> State:
    """What a file asks for: its first word.  Empty, unreadable (``None``), too long or unknown: ``off``."""
    if content is None or len(content) > LONGEST:
        return "off"
    words = content.decode("utf-8", "replace").lower().split(maxsplit=1)
    return next((state for state in STATES if words and state == words[0]), "off")


def file_states(files: Mapping[str, bytes | None]) -> dict[str, State]:
    """File name → content, as {workflow or ``*``: state}.  Other files are passed over."""
    out: dict[str, State] = {}
    for name, content in files.items():
        workflow = workflow_of(name)
        if workflow is not None:
            out[workflow] = effective([out.get(workflow, "on"), state_in(content)])
    return out


def environment_states(value: str | None) -> dict[str, State]:
    """``off``; ``support``; ``support=guarded,triage``; ``1``, ``true``, ``yes``, ``all``: {workflow or ``*``: state}.

    Unset or empty says nothing (fail-open: compose files pass empty values on); any other word that is no state stops
    the workflow of that name, and a state that is none is ``off``.
    """
    out: dict[str, State] = {}
    for part in (value or "").replace(";", ",").split(","):
        name, equals, word = (text.strip().lower() for text in part.partition("="))
        if not name and not equals:
            continue
        if not equals and name in STATES:
            name, word = EVERY, name
        workflow, state = EVERY if name in _EVERYTHING else name, state_in(word.encode())
        out[workflow] = effective([out.get(workflow, "on"), state])
    return out


def file_name(workflow: str) -> str:
    """Raises ``ValueError`` for what is no workflow's name."""
    if not workflow or "/" in workflow or "\0" in workflow:
        raise ValueError(f"{workflow!r} is no workflow")
    return FILE if workflow == EVERY else f"{FILE}.{workflow}"


def file_text(state: State, by: str, at: float, reason: str = "") -> bytes:
    """The content of a file: the state, then who wrote it, when and why, for whoever finds it."""
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    return " ".join([state, "by", by, "at", when, *reason.split()]).encode()[: LONGEST - 1] + b"\n"
