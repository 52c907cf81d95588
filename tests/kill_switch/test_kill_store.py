"""One suite for both kill stores, and what only files promise: nothing lost is taken for `on`."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadworthy.adapters.kill_files import LOG, SWITCHES, FileKillStore
from roadworthy.adapters.memory.kill import MemoryKillStore
from roadworthy.kill_switch.model import Record, Switch
from roadworthy.kill_switch.rules import Event, in_force, record, step

Store = MemoryKillStore | FileKillStore


@pytest.fixture(params=["memory", "files"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryKillStore() if request.param == "memory" else FileKillStore(tmp_path)


def pressed(store: Store, workflow: str = "support", to: str = "off") -> Switch:
    before = store.switches().get(workflow, Switch(workflow))
    event = Event(kind="press", by="ada", to=to, reason="ü")  # type: ignore[arg-type]
    after, _ = step(before, event, 5.0)
    store.keep(after)
    store.append(record(before, after, event, 5.0, f"kil_{workflow}"))
    return after


def test_a_new_store_holds_nothing(store: Store) -> None:
    assert (store.switches(), list(store.records())) == ({}, [])


def test_switches_and_records_come_back_whole_and_in_order(store: Store) -> None:
    a, b = pressed(store), pressed(store, "triage", "guarded")
    assert store.switches() == {"support": a, "triage": b}
    assert [each.id for each in store.records()] == ["kil_support", "kil_triage"]
    again = pressed(store, "triage", "off")
    assert store.switches()["triage"] == again
    assert store.records()[-1].before == "guarded"


def test_a_line_torn_by_a_power_cut_is_passed_over_and_the_next_one_is_whole(tmp_path: Path) -> None:
    store = FileKillStore(tmp_path)
    pressed(store)
    with (tmp_path / LOG).open("ab") as file:
        file.write(b'{"id":"kil_torn","at":')
    assert [each.id for each in store.records()] == ["kil_support"]
    pressed(store, "triage")
    assert [each.id for each in store.records()] == ["kil_support", "kil_triage"]


DAMAGE = {
    "emptied": b"", "garbage": b"{]", "not UTF-8": b'{"\xff":{"workflow":"a"}}',
    "nested without end": b'{"a":{"workflow":"a","x":' + b"[" * 200_000,
}  # fmt: skip


@pytest.mark.parametrize("damage", ["removed", *DAMAGE])
def test_lost_switches_are_read_from_the_log(tmp_path: Path, damage: str) -> None:
    store = FileKillStore(tmp_path)
    pressed(store)
    pressed(store, "triage", "guarded")
    if damage == "removed":
        (tmp_path / SWITCHES).unlink()
    else:
        (tmp_path / SWITCHES).write_bytes(DAMAGE[damage])
    found = store.switches()
    assert [in_force(found, name) for name in ("support", "triage", "other")] == ["off", "guarded", "on"]


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_when_neither_file_can_be_read_everything_is_off(tmp_path: Path, damage: str) -> None:
    store = FileKillStore(tmp_path)
    pressed(store, to="guarded")
    (tmp_path / SWITCHES).write_bytes(DAMAGE[damage])
    (tmp_path / LOG).write_bytes((DAMAGE[damage] or b"rubbish") + b"\n")
    assert in_force(store.switches(), "anything") == "off"
    (tmp_path / LOG).unlink()
    assert in_force(store.switches(), "anything") == "off"


def test_both_files_are_private(tmp_path: Path) -> None:
    pressed(FileKillStore(tmp_path))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_record_from_a_newer_version_is_still_read(tmp_path: Path) -> None:
    store = FileKillStore(tmp_path)
    pressed(store)
    with (tmp_path / LOG).open("ab") as file:
        file.write((tmp_path / LOG).read_bytes().replace(b'"id":', b'"new":1,"id":'))
    assert len(store.records()) == 2
    assert isinstance(store.records()[0], Record)
