"""How a gateway joins, what it takes from control, and what it refuses."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.adapters.memory.state import MemoryState
from roadworthy.gateway import snapshot as snapshots
from roadworthy.gateway.snapshot import Snapshot
from roadworthy.inference_log.segments import SegmentName, create
from roadworthy.inference_log.service import Shipper
from roadworthy.operations.gateways import Joining, JoinRefused, Pull
from roadworthy.wiring.fleet.gateway_desk import Desk
from roadworthy.wiring.fleet.gateways import Fleet
from roadworthy.wiring.fleet.link import Link, NotJoined, Silent
from roadworthy.wiring.folders.data_folder import DataFolder, DataFolderError, create_folder, open_folder
from roadworthy.wiring.folders.gateway_folder import accept, prepare
from roadworthy.wiring.processes.internal import Internal

NOW = 1_800_000_000.0


class Control:
    """Control's side, without sockets."""

    def __init__(self, root: Path) -> None:
        self.folder = create_folder(root)
        self.state = MemoryState()
        self.fleet = Fleet(self.folder, clock=lambda: NOW)
        shipper = Shipper(self.fleet.journals, MemoryLog(), now=lambda: NOW)
        self.desk = Desk(
            self.fleet, self.folder, self.state, shipper, public_key="ab" * 32, newest=lambda: (1, 1),
            clock=lambda: NOW,
        )  # fmt: skip
        self.publish(1)

    @property
    def socket(self) -> Path:
        return self.folder.control_socket

    def publish(self, seq: int) -> None:
        made = Snapshot(1, 1, seq, NOW, {}, {}, {}, {}, {}, {})
        self.folder.snapshot.write_bytes(snapshots.encode(made))

    def audited(self) -> list[tuple[str, str, str]]:
        with self.state.read() as tx:
            return [(record.action, record.target, record.outcome) for record in tx.audit()]


class Line(Internal):
    """The link's client, wired to a desk; ``None``: control is dead."""

    def __init__(self, control: Control | None) -> None:
        self.control = control

    async def post(self, sock: Path, path: str, body: bytes, *, timeout: float = 1.0) -> tuple[int, bytes] | None:
        if self.control is None:
            return None
        desk, answer = self.control.desk, None
        try:
            match path.rpartition("/")[2]:
                case "join":
                    answer = desk.join(msgspec.json.decode(body, type=Joining), "os:1")
                case "pull":
                    answer = desk.pull(msgspec.json.decode(body, type=Pull))
                case "leave":
                    answer = {} if desk.leave(msgspec.json.decode(body)["name"]) else None
        except JoinRefused as refused:
            return 409, msgspec.json.encode({"error": {"message": str(refused)}})
        return (404, b"{}") if answer is None else (200, msgspec.json.encode(answer))


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path / "control")


def linked(tmp_path: Path, control: Control, name: str = "b") -> tuple[DataFolder, Link, Line]:
    folder, mark = prepare(str(tmp_path / name), control.socket, name)
    line = Line(control)
    return folder, Link(folder, mark, lambda: Joining(name, str(folder.root), 2), line), line


def run(*steps: Any) -> None:
    async def all_of_them() -> None:
        for step in steps:
            await step()

    asyncio.run(all_of_them())


def test_a_gateway_has_what_it_needs_to_serve_once_it_joined(tmp_path: Path, control: Control) -> None:
    folder, link, _ = linked(tmp_path, control)
    run(link.join, link.pull)
    assert folder.hmac_key() == control.folder.hmac_key()
    assert folder.public_keys() == ["ab" * 32]
    assert folder.snapshot.read_bytes() == control.folder.snapshot.read_bytes()
    assert not folder.signing_key_file.exists()
    assert {path.stat().st_mode & 0o077 for path in (folder.root, folder.hmac_key_file, folder.snapshot)} == {0}
    assert control.audited() == [("gateway.join", "gateway/b", "done")]


def test_only_what_changed_is_pulled(tmp_path: Path, control: Control) -> None:
    folder, link, _ = linked(tmp_path, control)
    run(link.join, link.pull)
    before = folder.snapshot.stat().st_ino
    run(link.pull)
    assert folder.snapshot.stat().st_ino == before
    control.publish(2)
    run(link.pull)
    assert snapshots.decode(folder.snapshot.read_bytes()).seq == 2


def test_a_snapshot_that_is_none_does_not_replace_the_last_good_one(tmp_path: Path, control: Control) -> None:
    folder, link, _ = linked(tmp_path, control)
    run(link.join, link.pull)
    good = folder.snapshot.read_bytes()
    control.folder.snapshot.write_text('{"format": 1}')
    with pytest.raises(NotJoined, match="cannot be served"):
        run(link.pull)
    assert folder.snapshot.read_bytes() == good


def test_a_control_that_forgot_its_gateways_is_joined_again_under_the_same_numbers(
    tmp_path: Path, control: Control
) -> None:
    _, link, line = linked(tmp_path, control, "a")
    _, second, _ = linked(tmp_path, control, "b")
    run(link.join, second.join)
    (control.folder.root / "gateways.json").unlink()
    forgetful = line.control = Control(control.folder.root)
    _, again, line = linked(tmp_path, forgetful, "b")  # b is the first to come back
    run(again.join, link.pull, link.join)
    assert {known.name: known.first for known in forgetful.fleet.gateways()} == {"local": 0, "a": 1000, "b": 2000}


def test_a_gateway_serves_no_other_install_than_its_own(tmp_path: Path, control: Control) -> None:
    folder, link, line = linked(tmp_path, control)
    run(link.join, link.pull)
    key = folder.hmac_key()
    line.control = Control(tmp_path / "other")
    with pytest.raises(DataFolderError, match="belongs to another install"):
        run(link.join)
    assert folder.hmac_key() == key


def test_a_dead_control_is_silence_and_changes_nothing(tmp_path: Path, control: Control) -> None:
    folder, link, line = linked(tmp_path, control)
    run(link.join, link.pull)
    line.control = None
    with pytest.raises(Silent):
        run(link.pull)
    run(link.leave)  # says so in its log
    assert folder.snapshot.exists()


def test_the_line_is_kept_with_growing_pauses_and_comes_back_by_itself(tmp_path: Path, control: Control) -> None:
    folder, mark = prepare(str(tmp_path / "b"), control.socket, "b")
    line, pauses = Line(None), []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            line.control = control
        if len(pauses) == 10:
            raise asyncio.CancelledError

    link = Link(folder, mark, lambda: Joining("b", str(folder.root), 1), line, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        run(link.run)
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.2, 0.2]
    assert folder.snapshot.exists()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("control", "control's own data folder"),
        ("control/inside", "control's own data folder"),
        (".", "control's own data folder"),
        ("install", "the data folder of an install"),
        ("full", "not empty"),
        ("file", "is a file"),
        ("a", "--name a"),
    ],
)
def test_a_folder_that_is_not_the_gateways_own_is_refused_untouched(
    tmp_path: Path, control: Control, place: str, says: str
) -> None:
    create_folder(tmp_path / "install")
    prepare(str(tmp_path / "a"), control.socket, "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataFolderError, match=says):
        prepare(str(tmp_path / place), control.socket, "b")
    assert sorted(tmp_path.rglob("*")) == before


def test_control_lets_in_no_folder_that_a_gateway_did_not_make_for_itself(tmp_path: Path, control: Control) -> None:
    bare = tmp_path / "bare"
    bare.mkdir(mode=0o700)
    opened, _ = prepare(str(tmp_path / "open"), control.socket, "open")
    opened.root.chmod(0o755)
    prepare(str(tmp_path / "a"), control.socket, "a")
    for name, place, says in (
        ("b", bare, "does not name 'b'"),
        ("b", tmp_path / "a", "does not name 'b'"),
        ("open", opened.root, "mode 0755"),
        ("b", tmp_path / "nowhere", "cannot be looked at"),
        ("b", control.folder.root, "control's own"),
    ):
        with pytest.raises(JoinRefused, match=says):
            control.desk.join(Joining(name, str(place), 1), "os:7")
    assert [known.name for known in control.fleet.gateways()] == ["local"]
    assert {outcome for _, _, outcome in control.audited()} == {"denied"}
    assert len(control.audited()) == 5


def test_nobody_runs_an_install_in_the_folder_of_a_gateway(tmp_path: Path, control: Control) -> None:
    _, link, _ = linked(tmp_path, control)
    run(link.join)
    for opening in (create_folder, open_folder):
        with pytest.raises(DataFolderError, match="a gateway that joined an install"):
            opening(tmp_path / "b")


def test_a_gateway_is_forgotten_only_when_its_journal_is_in_the_log(tmp_path: Path, control: Control) -> None:
    folder, link, _ = linked(tmp_path, control)
    run(link.join, link.leave)
    fd = create(folder.journal, SegmentName("w1000", 1_800_000_000_000, 1))  # somebody still writes
    with pytest.raises(JoinRefused, match="not shipped yet"):
        control.desk.remove("b", "os:1", "")
    os.close(fd)
    assert control.desk.remove("b", "os:1", "") is not None
    assert control.desk.remove("b", "os:1", "") is None
    assert control.audited()[-1] == ("gateway.remove", "gateway/b", "done")
    with pytest.raises(JoinRefused, match="always there"):
        control.desk.remove("local", "os:1", "")


def test_what_a_forgotten_gateway_spent_counts_on_and_comes_back_with_it(tmp_path: Path, control: Control) -> None:
    folder, link, _ = linked(tmp_path, control)
    run(link.join)
    folder.spend_file(1).write_bytes(b"spent")
    control.desk.remove("b", "os:1", "")
    assert control.fleet.numbers() == [1001]
    assert [path.read_bytes() for path in control.fleet.retired().values()] == [b"spent"]
    _, again, _ = linked(tmp_path, control)
    run(again.join)
    assert control.fleet.retired() == {}
    assert folder.spend_file(1).read_bytes() == b"spent"
    assert control.fleet.numbers() == [1000, 1001]


def test_the_parts_of_all_gateways_are_the_whole_and_running_periods_keep_theirs(
    tmp_path: Path, control: Control
) -> None:
    assert control.fleet.parts_of("local") == ((0.0, 1 << 30),)
    for name in ("a", "b"):
        _, link, _ = linked(tmp_path, control, name)
        run(link.join)
    parts = {name: control.fleet.parts_of(name) for name in ("local", "a", "b")}
    assert 0 <= (1 << 30) - sum(found[-1][1] for found in parts.values()) < 3
    assert parts["local"][0] == (0.0, 1 << 30)
    assert all(since == NOW for found in (parts["a"], parts["b"]) for since, _ in found)
    assert control.folder.parts_file.exists()


def test_control_takes_the_key_of_no_gateway(tmp_path: Path, control: Control) -> None:
    folder, mark = prepare(str(tmp_path / "b"), control.socket, "b")
    joined = control.desk.join(Joining("b", str(folder.root), 1), "os:1")
    folder.hmac_key_file.write_bytes(b"x" * 32)
    with pytest.raises(DataFolderError, match="belongs to another install"):
        accept(folder, mark, joined)
