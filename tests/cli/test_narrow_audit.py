"""The audit trail on a narrow terminal: nothing of a record is cut."""

from __future__ import annotations

import io
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from roadworthy.cli.commands.audit import line_of

RECORD: dict[str, Any] = {
    "seq": 173, "time": 1_795_433_690.0, "actor": "ada", "on_behalf_of": "os:1000", "action": "rollout.approve",
    "target": "rollout/support-triage", "outcome": "denied",
    "reason": "approval comes last: dwell: testers lasts 24 h: 23.9 h are left; traffic: no call of the release yet",
}  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80])
def test_every_word_of_a_record_is_whole_at_any_width(width: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False, markup=False)
    work: Any = SimpleNamespace(console=console, clock=lambda: 1_795_433_700.0)
    line_of(work, RECORD, UTC)
    told = console.export_text()
    assert max(len(each) for each in told.splitlines()) <= width
    words = " ".join(told.split())
    assert "rollout.approve rollout/support-triage: denied, by ada (for os:1000)" in words
    assert RECORD["reason"] in words
