"""Claims about what is in force at a worker: which source counts, and that nothing is loosened by accident."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from roadworthy.adapters.kill_files import LOG, SWITCHES, FileKillStore
from roadworthy.gateway.snapshot import Stopped
from roadworthy.gateway.stopping.board import Board
from roadworthy.gateway.stopping.model import KillNews
from roadworthy.kill_switch.model import Held, Record, Switch
from roadworthy.wiring.worker.stopping import KillWatch, keep, restore, states_of_environment
from roadworthy.workflow.model import KillPolicy


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def board(time: Time) -> Board:
    return Board(time, time)


def serving(name: str = "support", **kill: Any) -> Any:
    return SimpleNamespace(name=name, policy=SimpleNamespace(kill=KillPolicy(**kill)))


def hear(board: Board, epoch: int = 1, **states: Stopped) -> Any:
    return board.hear(KillNews(epoch, 0.0, {"*" if name == "every" else name: each for name, each in states.items()}))


def state(board: Board, name: str = "support", **kill: Any) -> str:
    return board.state_of(serving(name, **kill))


def test_while_nothing_is_stopped_nothing_is_asked(board: Board) -> None:
    hear(board, support=Stopped("on", 3))
    assert not board.any
    assert state(board) == "on"


@pytest.mark.parametrize("state_of_all", ["on", "guarded", "assist", "off"])
@pytest.mark.parametrize("own", ["on", "guarded", "assist", "off"])
def test_the_most_restrictive_of_all_and_of_one_is_in_force(board: Board, own: Any, state_of_all: Any) -> None:
    hear(board, support=Stopped(own, 1), every=Stopped(state_of_all, 1))
    order = ["on", "guarded", "assist", "off"]
    assert state(board) == max(own, state_of_all, key=order.index)
    assert state(board, "another") == state_of_all


def test_every_source_tightens_and_none_loosens_another(board: Board) -> None:
    hear(board, support=Stopped("guarded", 1))
    board.look("file", {"support": "off"})
    assert state(board) == "off"
    hear(board, support=Stopped("on", 2))
    assert state(board) == "off"
    board.look("file", {})
    assert state(board) == "on"
    board.look("kill.json", {"*": "assist"})
    assert state(board) == "assist"
    found = board.of(serving())
    assert found is not None
    assert found.sources == ("kill.json",)


def test_a_lower_number_never_loosens_whoever_says_it(board: Board) -> None:
    hear(board, epoch=2, support=Stopped("off", 7))
    hear(board, epoch=2, support=Stopped("on", 6))
    board.learn({"support": Stopped("on", 3)}, epoch=9)
    hear(board, epoch=9, support=Stopped("on", 7))
    assert state(board) == "off"
    hear(board, epoch=9, support=Stopped("on", 8))
    assert state(board) == "on"


def test_an_old_stop_that_comes_late_does_not_undo_a_restore(board: Board) -> None:
    hear(board, support=Stopped("on", 8))
    hear(board, support=Stopped("off", 7))
    assert state(board) == "on"


def test_a_control_that_lost_its_numbers_still_stops_and_then_must_go_on_above(board: Board) -> None:
    hear(board, epoch=1, support=Stopped("on", 8))
    seen = hear(board, epoch=2, support=Stopped("off", 1))
    assert (seen.states["support"].state, seen.states["support"].seq) == ("off", 8)
    hear(board, epoch=2, support=Stopped("on", 2))
    assert state(board) == "off"
    hear(board, epoch=2, support=Stopped("on", 9))
    assert state(board) == "on"


def test_a_control_that_was_fenced_off_can_only_tighten(board: Board) -> None:
    hear(board, epoch=5, support=Stopped("off", 2))
    hear(board, epoch=4, support=Stopped("on", 3))
    assert state(board) == "off"
    hear(board, epoch=4, triage=Stopped("off", 9))
    assert state(board, "triage") == "off"


def test_what_news_leave_out_stays_as_it_was(board: Board) -> None:
    hear(board, support=Stopped("off", 1))
    hear(board)
    assert state(board) == "off"


def test_the_answer_names_what_was_asked_and_whatever_else_is_stopped(board: Board) -> None:
    board.look("file", {"triage": "off"})
    seen = hear(board, support=Stopped("on", 4))
    assert {name: each.state for name, each in seen.states.items()} == {"support": "on", "triage": "off"}
    assert (seen.states["support"].seq, seen.states["triage"].seq) == (4, 0)
    assert seen.files == {"triage": "off"}
    seen = hear(board, every=Stopped("off", 1))
    assert seen.states["support"].state == "off"


def test_without_contact_it_holds_or_stops_as_the_policy_says(board: Board, time: Time) -> None:
    time.now += 31.0
    board.tick()
    assert state(board, stale="hold") == "on"
    assert state(board, stale="off") == "off"
    found = board.of(serving(stale="off"))
    assert found is not None
    assert (found.sources, found.at) == (("no contact",), 1030.0)
    hear(board)
    assert state(board, stale="off") == "on"
    assert not board.any


def test_the_environment_stops_from_the_start(time: Time) -> None:
    board = Board(time, time, environment=states_of_environment({"ROADWORTHY_KILL": "triage=guarded,support"}))
    assert (state(board), state(board, "triage"), state(board, "x")) == ("off", "guarded", "on")
    seen = hear(board, support=Stopped("on", 5))
    assert seen.environment == {"support": "off", "triage": "guarded"}
    assert seen.states["support"].state == "off"


def test_a_stop_counts_from_when_the_last_source_began(board: Board, time: Time) -> None:
    hear(board, support=Stopped("off", 1, at=900.0))
    time.now = 1005.0
    board.look("file", {"support": "off"})
    time.now = 1010.0
    board.look("file", {"support": "off"})
    found = board.of(serving())
    assert found is not None
    assert found.at == 1005.0


# --- files


@pytest.fixture
def watch(tmp_path: Path, board: Board) -> KillWatch:
    return KillWatch(tmp_path, board)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("KILL", b"", ("off", "off")),
        ("KILL.support", b"", ("off", "on")),
        ("KILL.support", b"guarded by ada", ("guarded", "on")),
        ("KILL.support", b"\xff\xfe", ("off", "on")),
        ("KILL", b"x" * 5000, ("off", "off")),
        ("KILL", b"on", ("on", "on")),
        ("KILLER", b"off", ("on", "on")),
    ],
)
def test_a_file_stops_and_its_removal_lifts_it(
    tmp_path: Path, watch: KillWatch, board: Board, name: str, content: bytes, expected: tuple[str, str]
) -> None:
    (tmp_path / name).write_bytes(content)
    watch.look()
    assert (state(board), state(board, "triage")) == expected
    (tmp_path / name).unlink()
    watch.look()
    assert not board.any


@pytest.mark.parametrize("kind", ["folder", "dangling", "pipe"])
def test_a_file_that_cannot_be_read_stops(tmp_path: Path, watch: KillWatch, board: Board, kind: str) -> None:
    path = tmp_path / "KILL.support"
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    else:
        os.mkfifo(path)
    watch.look()
    assert (state(board), state(board, "triage")) == ("off", "on")


def test_a_name_that_is_no_text_stops_no_workflow_and_breaks_nothing(
    tmp_path: Path, watch: KillWatch, board: Board
) -> None:
    (tmp_path / os.fsdecode(b"KILL.\xff")).touch()
    watch.look()
    assert hear(board).files == {}


def test_a_folder_that_cannot_be_listed_stops_everything(tmp_path: Path, board: Board) -> None:
    root = tmp_path / "data"
    watch = KillWatch(root, board)
    watch.look()
    assert state(board, "any") == "off"
    root.mkdir()
    watch.look()
    assert state(board, "any") == "on"


def kept(store: FileKillStore, to: Any, seq: int, workflow: str = "support") -> None:
    store.keep(Switch(workflow, {"control": Held(to, 950.0, "ada")} if to != "on" else {}, seq=seq))
    store.append(
        Record(id=f"kil_{seq}", at=950.0, workflow=workflow, action="press", before="on", after=to, by="ada", seq=seq)
    )


def test_what_control_wrote_before_it_died_is_in_force(tmp_path: Path, watch: KillWatch, board: Board) -> None:
    kept(FileKillStore(tmp_path), "off", 4)
    watch.look()
    found = board.of(serving())
    assert found is not None
    assert (found.state, found.at) == ("off", 950.0)
    assert hear(board).states["support"].seq == 4


def test_a_restore_that_was_kept_counts_though_nobody_pushes_it(tmp_path: Path, watch: KillWatch, board: Board) -> None:
    hear(board, support=Stopped("off", 4))
    kept(FileKillStore(tmp_path), "off", 4)
    watch.look()
    kept(FileKillStore(tmp_path), "on", 5)
    watch.look()
    assert state(board) == "on"


@pytest.mark.parametrize("told", ["push", "snapshot, then push"])
def test_whoever_answers_that_it_heard_of_a_restore_has_let_go(
    tmp_path: Path, watch: KillWatch, board: Board, told: str
) -> None:
    hear(board, support=Stopped("off", 4))
    kept(FileKillStore(tmp_path), "off", 4)
    watch.look()
    kept(FileKillStore(tmp_path), "on", 5)
    if told != "push":
        board.learn({"support": Stopped("on", 5)}, 1)
    assert hear(board, support=Stopped("on", 5)).states["support"].state == "on"
    assert state(board) == "on"


def test_a_stop_waits_for_no_disk(tmp_path: Path, watch: KillWatch, board: Board, monkeypatch: Any) -> None:
    kept(FileKillStore(tmp_path), "guarded", 4)
    watch.look()
    monkeypatch.setattr(board, "look_again", lambda: pytest.fail("looked at the disk"))
    assert hear(board, support=Stopped("off", 5)).states["support"].state == "off"


@pytest.mark.parametrize("damage", [b"{garbage", b"", b"[]", None])
def test_a_kill_json_that_cannot_be_read_is_off_until_it_can(
    tmp_path: Path, watch: KillWatch, board: Board, damage: bytes | None
) -> None:
    hear(board, support=Stopped("on", 9))
    path = tmp_path / SWITCHES
    path.mkdir() if damage is None else path.write_bytes(damage)
    watch.look()
    assert state(board) == "off"
    path.rmdir() if damage is None else path.unlink()
    watch.look()
    assert state(board) == "on"


def test_a_damaged_kill_json_is_what_the_kill_log_says(tmp_path: Path, watch: KillWatch, board: Board) -> None:
    kept(FileKillStore(tmp_path), "guarded", 2)
    (tmp_path / SWITCHES).write_bytes(b"{garbage")
    watch.look()
    assert (state(board), state(board, "triage")) == ("guarded", "on")
    (tmp_path / LOG).write_bytes(b"garbage\n")
    watch.look()
    assert (state(board), state(board, "triage")) == ("off", "off")


def test_what_was_heard_survives_a_restart_without_control(tmp_path: Path, time: Time) -> None:
    first = Board(time, time, keep=lambda data: keep(tmp_path / "heard-w0.json", data))
    hear(first, epoch=3, support=Stopped("off", 7, streams="cut"))
    again = Board(time, time)
    restore(tmp_path, again)
    assert state(again) == "off"
    hear(again, epoch=3, support=Stopped("on", 6))
    assert state(again) == "off"
    (tmp_path / "heard-w1.json").write_bytes(b"garbage")
    restore(tmp_path, Board(time, time))
