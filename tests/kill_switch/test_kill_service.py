"""Control's kill switch acts first and records after; nothing that was pressed is lost, whatever breaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from roadworthy.adapters.kill_files import LOG, FileKillStore
from roadworthy.adapters.memory.kill import MemoryKillStore
from roadworthy.kill_switch.model import EVERY, Record, Right, Switch
from roadworthy.kill_switch.ports import KillStore
from roadworthy.kill_switch.rules import NotAllowed, Refused
from roadworthy.kill_switch.service import Kills, NotKept

OWNER: frozenset[Right] = frozenset({"stop", "on_call", "owner"})
ON_CALL: frozenset[Right] = frozenset({"stop", "on_call"})


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Dying(MemoryKillStore):
    """A store whose ``keep`` or ``append`` fails as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.keeps, self.appends = True, True
        self.order: list[str] = []
        self.meanwhile: Callable[[], None] | None = None

    def keep(self, switch: Switch) -> None:
        self.order.append(f"keep {switch.state}")
        if not self.keeps:
            raise OSError("disk full")
        super().keep(switch)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()

    def append(self, record: Record) -> None:
        self.order.append(f"append {record.action}")
        if not self.appends:
            raise OSError("disk full")
        super().append(record)


def kills(store: KillStore, clock: Clock | None = None, order: list[str] | None = None) -> Kills:
    def push(switch: Switch) -> None:
        if order is not None:
            order.append(f"push {switch.state}")

    return Kills(store, clock=clock or Clock(), push=push)


def test_a_stop_is_told_before_it_is_kept_and_kept_before_it_is_logged() -> None:
    store = Dying()
    kills(store, order=store.order).press("support", "off", "ada")
    assert store.order == ["push off", "keep off", "append press"]


def test_a_way_back_is_kept_before_anybody_hears_of_it() -> None:
    store = Dying()
    made = kills(store, order=store.order)
    made.press("support", "off", "ada")
    store.order.clear()
    made.restore("support", "on", "ada", "mended", OWNER)
    assert store.order == ["keep on", "push on", "append restore"]


def test_a_stop_that_cannot_be_kept_is_in_force_and_said_to_be_at_risk() -> None:
    store = Dying()
    store.keeps = False
    made = kills(store, order=store.order)
    done = made.press("support", "off", "ada")
    assert "disk full" in done.at_risk
    assert made.switch("support").state == "off"
    assert store.order[0] == "push off"
    assert made.at_risk == ["support"]


def test_what_could_not_be_kept_is_kept_once_it_can_be() -> None:
    store = Dying()
    store.keeps = store.appends = False
    made = kills(store)
    made.press("support", "off", "ada")
    assert not made.settle()
    store.keeps = store.appends = True
    assert made.settle()
    assert made.at_risk == []
    assert kills(store).switch("support").state == "off"
    assert [line.action for line in store.records()] == ["press"]


def test_a_way_back_that_cannot_be_kept_does_not_happen() -> None:
    store = Dying()
    made = kills(store, order=store.order)
    made.press("support", "off", "ada")
    store.keeps = False
    store.order.clear()
    with pytest.raises(NotKept, match="disk full"):
        made.restore("support", "on", "ada", "mended", OWNER)
    assert made.switch("support").state == "off"
    assert "push on" not in store.order


def test_who_stops_while_somebody_restores_wins() -> None:
    store = Dying()
    made = kills(store, order=store.order)
    made.press("support", "guarded", "ada")

    def stop() -> None:
        made._switches = {**made._switches, "support": Switch("support", made.switch("support").held, seq=2)}

    store.meanwhile = stop
    with pytest.raises(Refused, match="same moment"):
        made.restore("support", "on", "ada", "mended", OWNER)
    assert made.switch("support").state == "guarded"
    assert store.switches()["support"].state == "guarded"
    assert store.order[-1] != "push on"


@pytest.mark.parametrize("died", ["before the log", "in the middle of its line"])
def test_a_crash_between_act_and_record_loses_neither(tmp_path: Path, died: str) -> None:
    store = FileKillStore(tmp_path)
    kills(store).press("support", "off", "ada", "too many refunds", on_behalf_of="os:1000")
    line = (tmp_path / LOG).read_bytes()
    (tmp_path / LOG).write_bytes(b"" if died == "before the log" else line[:20])
    again = kills(FileKillStore(tmp_path))
    assert again.switch("support").state == "off"
    assert [(one.action, one.by, one.on_behalf_of, one.reason) for one in again.records()] == [
        ("press", "ada", "os:1000", "too many refunds")
    ]
    assert len(kills(FileKillStore(tmp_path)).records()) == 1


def test_a_refusal_is_recorded_and_changes_nothing() -> None:
    store = MemoryKillStore()
    made = kills(store)
    made.press("support", "off", "ada")
    with pytest.raises(NotAllowed, match="the workflow's owner may"):
        made.restore("support", "on", "bo", "please", ON_CALL)
    assert [(line.action, bool(line.denied)) for line in store.records()] == [("press", False), ("restore", True)]
    assert made.switch("support").seq == 1


def test_only_whoever_pressed_takes_it_back_and_only_for_ten_minutes() -> None:
    clock = Clock()
    made = kills(MemoryKillStore(), clock)
    made.press("support", "off", "os:1000")
    with pytest.raises(NotAllowed):
        made.undo("support", "bo")
    clock.now += 601
    with pytest.raises(Refused, match="ten minutes"):
        made.undo("support", "os:1000")
    clock.now -= 2
    assert made.undo("support", "os:1000").switch.state == "on"


def test_what_a_gateway_reports_is_latched_and_stays_when_the_file_is_gone() -> None:
    made = kills(MemoryKillStore())
    made.report(EVERY, "b", "file", "off")
    made.report(EVERY, "b", "file", "off")
    made.report(EVERY, "b", "file", "on")
    assert made.switch(EVERY).state == "off"
    assert [line.gateway for line in made.records()] == ["b", "b"]
    assert made.restore(EVERY, "on", "ada", "it was a drill", OWNER).switch.state == "on"


def test_the_last_restore_is_what_triggers_count_from() -> None:
    clock = Clock()
    made = kills(MemoryKillStore(), clock)
    assert made.restored_at("support") == 0.0
    made.press("support", "off", "ada")
    made.press(EVERY, "off", "ada")
    clock.now = 1_200.0
    made.restore("support", "on", "ada", "mended", OWNER)
    assert made.restored_at("support") == 1_200.0
    clock.now = 1_300.0
    made.undo(EVERY, "ada")
    assert (made.restored_at("support"), made.restored_at("triage")) == (1_300.0, 1_300.0)


def test_a_change_that_control_lost_and_a_gateway_knows_is_held_above_its_number() -> None:
    made = kills(MemoryKillStore())
    done = made.hold("support", "off", "engine", "gateway b knows more", seq=7)
    assert (done.switch.state, done.switch.seq) == ("off", 8)
    assert done.switch.undo is None
    assert made.hold("triage", "on", "engine", "gateway b knows more", seq=3).switch.seq == 4


def test_a_reason_is_bounded() -> None:
    made = kills(MemoryKillStore())
    assert len(made.press("support", "off", "ada", "x" * 9_999).switch.held["control"].reason) == 500
