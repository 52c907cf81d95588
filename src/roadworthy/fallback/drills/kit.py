"""Everything that a drill file needs, in one import: ``from roadworthy.fallback.drills.kit import …``.

See docs/adding-a-fault.md.
"""

from __future__ import annotations

from roadworthy.fallback.drills.copy import Copy, Missed
from roadworthy.fallback.drills.exchange import USAGE, Exchange, event
from roadworthy.fallback.drills.model import (
    CLEAN,
    DEADLINE,
    MENDED,
    Conditions,
    Drill,
    Guard,
    Seen,
    Wait,
)
from roadworthy.workflow.inference import Failure
from roadworthy.workflow.model import Budget, Budgets, CheckKind, Price

__all__ = [
    "CLEAN",
    "DEADLINE",
    "MENDED",
    "USAGE",
    "Budget",
    "Budgets",
    "Conditions",
    "Copy",
    "Drill",
    "Exchange",
    "Guard",
    "Missed",
    "Price",
    "Seen",
    "Wait",
    "budget",
    "check",
    "clock",
    "event",
    "rule",
    "setting",
    "step",
]


def step(failure: Failure) -> Guard:
    """The ladder of a failure."""
    return Guard("step", failure)


def check(kind: CheckKind) -> Guard:
    """A check that the release declares."""
    return Guard("check", kind)


def clock(name: str) -> Guard:
    """``connect``, ``first_token``, ``idle`` or ``total``."""
    return Guard("clock", name)


def rule(path: str) -> Guard:
    """A function of ours, as ``package.module:name`` or ``package.module:Class.method`` (without ``roadworthy.``)."""
    return Guard("rule", path)


def budget(name: str) -> Guard:
    """A field of ``Budgets``: ``inference``, ``user``, ``key``, ``workflow``."""
    return Guard("budget", name)


def setting(name: str) -> Guard:
    """Another field of ``Handling``, such as ``continuation``, ``repair_json``, ``hedge``."""
    return Guard("setting", name)
