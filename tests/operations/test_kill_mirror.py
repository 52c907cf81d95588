"""The kill log reaches the audit chain once, and those who must know are told, however often control dies."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest

from roadworthy.adapters.memory.kill import MemoryKillStore
from roadworthy.adapters.memory.state import MemoryState
from roadworthy.kill_switch.rules import Refused
from roadworthy.kill_switch.service import Kills
from roadworthy.operations.stops.kill_mirror import KillMirror
from roadworthy.people.incident.service import Incidents
from roadworthy.workflow.audit import AuditRecord, verify
from roadworthy.workflow.model import Configuration, Owners, Settings, Webhook, Workflow
from roadworthy.workflow.ports import AppliedConfiguration

NOW = 1_793_620_800.0


class Install:
    def __init__(self) -> None:
        self.state = MemoryState()
        self.store = MemoryKillStore()
        self.left: list[str] = []
        flows = {
            name: Workflow(name=name, team="shop", owners=Owners("ada", "bo", "cy"), enforcement="enforce")
            for name in ("support", "triage")
        }
        settings = Settings(notify=Webhook("https://hooks.example/n", "env:NOTIFY"))
        with self.state.write() as tx:
            tx.add_configuration(AppliedConfiguration(1, NOW, "ada", {}, Configuration(settings, {}, {}, flows)))
        self.start()

    def start(self) -> None:
        """Control starts anew."""
        self.kills = Kills(self.store, clock=lambda: NOW)
        incidents = Incidents(self.state, clock=lambda: NOW)
        self.mirror = KillMirror(self.kills, self.state, incidents, clock=lambda: NOW)
        self.mirror.on_left_on = lambda workflow, by, reason: self.left.append(f"{workflow} by {by}")

    def audit(self) -> Sequence[AuditRecord]:
        with self.state.read() as tx:
            return [record for record in tx.audit() if record.action.startswith("kill.")]

    def incidents(self) -> list[tuple[str, str, str]]:
        with self.state.read() as tx:
            return [(each.kind, each.title, each.state) for each in tx.incidents()]


@pytest.fixture
def install() -> Install:
    return Install()


def test_each_line_becomes_one_record_of_a_chain_that_verifies(install: Install) -> None:
    install.kills.press("support", "off", "ada", "refunds", on_behalf_of="os:1000")
    with pytest.raises(Refused):
        install.kills.restore("support", "on", "bo", "please", frozenset({"stop"}))
    assert install.mirror.tend() == 2
    assert install.mirror.tend() == 0
    press, denied = install.audit()
    assert (press.actor, press.on_behalf_of, press.action, press.target) == (
        "ada", "os:1000", "kill.press", "workflow/support",
    )  # fmt: skip
    assert (press.before, press.after["state"], press.team, press.reason) == (
        {"state": "on"}, "off", "shop", "refunds",
    )  # fmt: skip
    assert (denied.outcome, denied.before, denied.after["state"]) == ("denied", {"state": "off"}, "off")
    assert verify([record.as_dict() for record in install.audit()]) is None


def test_a_control_that_starts_mirrors_what_the_one_before_did_not_and_nothing_twice(install: Install) -> None:
    install.kills.press("support", "guarded", "ada")
    install.mirror.tend()
    install.kills.press("support", "off", "ada")
    install.start()
    assert install.mirror.tend() == 1
    install.start()
    assert install.mirror.tend() == 0
    assert [record.after["state"] for record in install.audit()] == ["guarded", "off"]


def test_a_commit_of_which_nobody_knows_whether_it_happened_is_not_repeated(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = install.state.write

    class Torn:
        """Commits, and then the power is gone."""

        def __init__(self) -> None:
            self.inner: AbstractContextManager[Any] = write()

        def __enter__(self) -> Any:
            return self.inner.__enter__()

        def __exit__(self, *error: Any) -> None:
            self.inner.__exit__(*error)
            raise OSError("gone")

    install.kills.press("support", "off", "ada")
    monkeypatch.setattr(install.state, "write", Torn)
    with pytest.raises(OSError, match="gone"):
        install.mirror.tend()
    monkeypatch.undo()
    assert install.mirror.tend() == 0
    assert len(install.audit()) == 1


def test_rollouts_hear_of_what_leaves_on_and_of_every_workflow_where_all_are_stopped(install: Install) -> None:
    install.kills.press("support", "guarded", "ada")
    install.kills.press("support", "off", "ada")
    install.kills.press("*", "off", "bo")
    install.mirror.tend()
    assert install.left == ["support by ada", "support by bo", "triage by bo"]


def test_a_rollout_that_could_not_be_told_is_told_again(install: Install) -> None:
    def busy(workflow: str, by: str, reason: str) -> None:
        raise OSError("busy")

    install.kills.press("support", "off", "ada")
    install.mirror.on_left_on, told = busy, install.mirror.on_left_on
    with pytest.raises(OSError, match="busy"):
        install.mirror.tend()
    install.mirror.on_left_on = told
    install.mirror.tend()
    assert (install.left, len(install.audit())) == (["support by ada"], 1)


def test_owners_are_told_of_a_stop_and_nothing_is_left_open_once_it_is_on_again(install: Install) -> None:
    install.kills.press("support", "off", "bo")
    install.kills.trip("triage", "unsafe", "guarded", "9 of 90 answers unsafe")
    install.mirror.tend()
    assert sorted(install.incidents()) == [
        ("alert", "support: the kill switch is off", "open"),
        ("incident", "triage: the kill switch is guarded", "open"),
    ]
    with install.state.read() as tx:
        assert tx.count_deliveries() == {"waiting": 2}
    install.kills.restore("support", "on", "ada", "mended", frozenset({"owner"}))
    install.mirror.tend()
    assert sorted(install.incidents())[0] == ("alert", "support: the kill switch is off", "resolved")
