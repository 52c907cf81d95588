"""What a page says was changed in the last 24 hours: all of it, and nothing of others."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from roadworthy.operations.alerting.changes import changes, newest
from roadworthy.workflow.audit import AuditRecord, Event, chain

NOW = 1_793_620_800.0
ZONE = ZoneInfo("Europe/Berlin")


def trail(*events: tuple[float, Event]) -> list[AuditRecord]:
    made: list[AuditRecord] = []
    for at, event in events:
        made.append(chain(made[-1] if made else None, event, at))
    return made


def said(records: list[AuditRecord], workflow: str = "support") -> list[str]:
    def audit(after: int, limit: int) -> list[AuditRecord]:
        return [record for record in records if record.seq > after][:limit]

    return [one.what for one in changes(newest(audit, len(records), NOW), workflow, NOW, ZONE)]


def event(action: str, target: str, **more: Any) -> Event:
    return Event("ada", action, target, **more)


def test_a_change_is_found_behind_thousands_of_reads_of_prompts() -> None:
    read = event("inference.read", "inference/inf_1")
    frozen = (NOW - 7200, event("release.freeze", "workflow/support", after={"number": 7}))
    assert said(trail(frozen, *[(NOW - 3600, read)] * 1500)) == ["11:00 release frozen (number 7), by ada"]
    assert said(trail((NOW - 90_000, frozen[1]), *[(NOW - 3600, read)] * 10)) == []


def test_what_was_changed_of_another_workflow_is_not_said_of_this_one() -> None:
    triage = "changed workflow triage: target"
    records = trail(
        (NOW - 60, event("release.freeze", "workflow/triage", after={"number": 7})),
        (NOW - 50, event("receipt.issue", "evidence/evd_1", after={"workflow": "triage"})),
        (NOW - 40, event("configuration.apply", "configuration", after={"changes": [triage]})),
        (NOW - 30, event("configuration.apply", "configuration", after={
            "changes": [triage, "changed workflow support: target", "changed target main"]
        })),
        (NOW - 20, event("configuration.apply", "configuration", after={"version": 1})),
    )  # fmt: skip
    assert said(records) == [
        "12:59 configuration applied, by ada",
        "12:59 configuration applied (changed workflow support: target, changed target main), by ada",
    ]
    assert len(said(records, "")) == 5
