"""Claims about what a gateway takes for true, and what it remembers over its restarts."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from gateway_support import release

from roadworthy.adapters.signatures import Ed25519Signer
from roadworthy.evidence.receipt.tokens import RECEIPT
from roadworthy.gateway.admission.proofs import Memory, Notary
from roadworthy.gateway.admission.sessions import IDLE, Sessions, tag_of
from roadworthy.gateway.snapshot import Endpoint, Ramp, ServedWorkflow, Snapshot, SnapshotRefused, encode
from roadworthy.gateway.stopping.board import Board
from roadworthy.gateway.world import World
from roadworthy.wiring import gateway as wired
from roadworthy.wiring.fleet.ledgers import prepare
from roadworthy.wiring.folders.data_folder import DataFolder, create_folder
from roadworthy.wiring.worker.place import Place
from roadworthy.wiring.worker.trust import Trust, recall
from roadworthy.workflow.model import Policy, RedactionRule, Target
from roadworthy.workflow.shares import RESOLUTION, Pin, Places, salt_of
from support.earning import DAY, SIGNER, earned, proven, receipt

STRANGER = Ed25519Signer(b"x" * 32)


def snapshot(seq: int = 1, epoch: int = 1, **more: Any) -> Snapshot:
    made = release()
    flow = ServedWorkflow("support", "default", "enforce", Policy(), made.digest, ramp=Ramp(1.0, "100 %"))
    fields: dict[str, Any] = {
        "format": 1, "epoch": epoch, "seq": seq, "made_at": 1.0, "workflows": {"support": flow},
        "releases": {made.digest: made}, "targets": {}, "endpoints": {}, "prices": {}, "keys": {},
    }  # fmt: skip
    return msgspec.structs.replace(earned(Snapshot(**fields), time.time()), **more)


class Worker:
    """A worker's snapshot file: a new one is a worker that started anew."""

    def __init__(self, folder: DataFolder) -> None:
        made: Any = SimpleNamespace(
            world=None, counters=SimpleNamespace(snapshots_refused=0), slots={}, workers=1, user_checks=None,
            purses=SimpleNamespace(follow=lambda world: None), board=Board(time.time, time.monotonic),
        )  # fmt: skip
        self.gateway: Any = made
        upstream: Any = SimpleNamespace(follow=lambda proxy, world: None)
        self._trust = Trust(folder)
        self._file = wired.SnapshotFile(folder.snapshot, made, upstream, self._trust)

    def load(self) -> tuple[int, int] | None:
        """(epoch, seq) that is served afterwards."""
        self._file.load()
        self._trust.save()
        world: World | None = self.gateway.world
        return None if world is None else (world.snapshot.epoch, world.snapshot.seq)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return create_folder(tmp_path / "data")


def write(folder: DataFolder, made: Snapshot) -> None:
    folder.snapshot.unlink(missing_ok=True)
    folder.snapshot.write_bytes(encode(made))


def test_a_snapshot_below_the_newest_ever_seen_is_refused_also_after_a_restart(folder: DataFolder) -> None:
    write(folder, snapshot(epoch=2, seq=5))
    first = Worker(folder)
    assert first.load() == (2, 5)
    for epoch, seq in ((2, 4), (1, 99)):
        write(folder, snapshot(epoch=epoch, seq=seq))
        assert first.load() == (2, 5)
        restarted = Worker(folder)
        assert restarted.load() is None
        assert restarted.gateway.counters.snapshots_refused == 1
    write(folder, snapshot(epoch=2, seq=5))
    assert Worker(folder).load() == (2, 5)
    write(folder, snapshot(epoch=3, seq=1))
    assert Worker(folder).load() == (3, 1)


def test_a_key_that_is_renewed_in_its_file_is_read_anew(folder: DataFolder, tmp_path: Path) -> None:
    key, url = tmp_path / "key", "https://models.example/v1"
    made = snapshot(
        targets={"main": Target("main", "openai", "m", url, f"file:{key}")}, endpoints={"main": Endpoint(url)}
    )
    write(folder, made)
    worker = Worker(folder)
    worker.load()
    assert worker.gateway.world.workflows["support"].target.problem is not None
    for written in ("sk-1", "sk-2", "sk-10"):
        key.write_text(written)
        worker.load()
        asked = worker.gateway.world.workflows["support"].target.wire.encode("chat", {}, stream=False)
        assert dict(asked.headers)[b"authorization"] == f"Bearer {written}".encode()
    served = worker.gateway.world
    worker.load()
    assert worker.gateway.world is served
    key.unlink()
    worker.load()
    assert worker.gateway.world is not served


def test_what_one_worker_saw_another_refuses_to_go_below(folder: DataFolder) -> None:
    slow, quick = Worker(folder), Worker(folder)
    write(folder, snapshot(seq=2))
    assert quick.load() == (1, 2)
    write(folder, snapshot(seq=1))
    assert slow.load() is None


def test_a_worker_that_loads_late_does_not_lower_what_was_seen(folder: DataFolder) -> None:
    slow, quick = Trust(folder), Trust(folder)
    slow.serves(slow.vet(snapshot(seq=3)))
    quick.serves(quick.vet(snapshot(seq=9)))
    quick.save()
    slow.save()
    assert (recall(folder).epoch, recall(folder).seq) == (1, 9)


def test_a_snapshot_that_was_never_served_is_not_remembered(folder: DataFolder) -> None:
    made = snapshot(seq=7, redaction=[RedactionRule("r", "(", "")])
    flow = msgspec.structs.replace(made.workflows["support"], policy=Policy(redact=["r"]))
    write(folder, msgspec.structs.replace(made, workflows={"support": flow}))
    assert Worker(folder).load() is None
    assert recall(folder) == Memory()


def test_an_older_receipt_does_not_come_back_after_a_restart(folder: DataFolder) -> None:
    now, made = time.time(), release()
    failed = RECEIPT.sealed(receipt(made, now, verdict="FAIL", issued=now - 60), SIGNER)
    passed = RECEIPT.sealed(receipt(made, now), SIGNER)

    def share(seq: int, token: str) -> int:
        write(folder, snapshot(seq=seq, receipts=[token]))
        worker = Worker(folder)
        worker.load()
        router = worker.gateway.world.routers["support"]
        return int(router._renewed(now).share)

    assert share(1, passed) == RESOLUTION
    assert share(2, failed) == 0
    assert share(3, passed) == 0, "a newer one was seen"


def test_a_clock_that_jumped_ahead_and_was_set_right_costs_no_share(folder: DataFolder) -> None:
    write(folder, snapshot())
    worker, now = Worker(folder), time.time()
    worker.load()
    router = worker.gateway.world.routers["support"]

    def route(at: float, state: Any = "on") -> str:
        return str(router.foretold("u-1", "live", at, state).route)

    assert [route(at) for at in (now, now + 200 * DAY, now - 1.0, now)] == ["release", "bypass", "release", "release"]
    assert route(now - 30 * DAY) == "bypass", "its receipt was not issued yet"


@pytest.mark.parametrize("damage", [b"", b"{", b'{"receipts":{"\xff":[1,1]}}', b'{"x":' + b"[" * 200_000])
def test_what_was_seen_and_cannot_be_read_is_said_and_serving_goes_on(
    folder: DataFolder, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    folder.seen_file.write_bytes(damage)
    write(folder, snapshot())
    assert Worker(folder).load() == (1, 1)
    assert "what was seen cannot be read" in caplog.text
    assert recall(folder).seq == 1


def test_a_worker_that_can_hear_no_stop_any_more_ends_so_that_another_takes_its_place(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(self: Any) -> None:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(wired.KillWatch, "watch", broken)
    prepare(folder, 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        place = Place(folder, folder.control_socket, "local", 0)
        assert asyncio.run(wired.Worker(place, 0, 1, listener, 0.0).run()) == 1
    assert "watch for stops" in str([record.__dict__.get("reason") for record in caplog.records])


@pytest.mark.parametrize("damage", [b"", b"{", b'{"keys":{"\xff":1}}', b'{"x":' + b"[" * 200_000])
def test_a_snapshot_that_is_garbage_leaves_the_last_good_one_in_force(folder: DataFolder, damage: bytes) -> None:
    write(folder, snapshot())
    worker = Worker(folder)
    assert worker.load() == (1, 1)
    folder.snapshot.write_bytes(damage)
    assert worker.load() == (1, 1)
    assert worker.gateway.counters.snapshots_refused == 1


def test_only_what_the_folders_own_control_signed_counts(folder: DataFolder) -> None:
    folder.keep_public_key(SIGNER.public_key)
    write(folder, snapshot(permit_keys=[SIGNER.public_key, STRANGER.public_key]))
    worker = Worker(folder)
    assert worker.load() is None, "it trusts a stranger"
    write(folder, snapshot(permit_keys=[]))
    assert worker.load() == (1, 1)
    assert worker.gateway.world.snapshot.permit_keys == [SIGNER.public_key]
    with pytest.raises(SnapshotRefused, match=r"signing\.pub"):
        Trust(folder).vet(snapshot(permit_keys=[STRANGER.public_key]))


def test_a_folder_whose_public_key_cannot_be_read_trusts_nobody(folder: DataFolder) -> None:
    assert folder.public_keys() is None
    folder.keep_public_key(SIGNER.public_key)
    assert folder.public_keys() == [SIGNER.public_key]
    folder.public_key_file.write_bytes(b"\xff")
    assert folder.public_keys() == []


def test_tokens_are_verified_once_and_again_under_other_keys() -> None:
    asked: list[bytes] = []

    class Counting:
        def verify(self, public_keys: Any, message: bytes, signature: bytes) -> bool:
            asked.append(message)
            return True

    notary = Notary(Counting())
    made = snapshot()
    for _ in range(3):
        assert notary.proofs(made, Memory()).receipts
    assert len(asked) == 1
    notary.proofs(msgspec.structs.replace(made, permit_keys=["other"]), Memory())
    assert len(asked) == 2


def test_forged_tokens_are_counted() -> None:
    assert proven(snapshot(receipts=["rwr-x", "rwr-y"], waivers=["rww-z"])).forged == 3


# --- sessions


def test_workers_share_which_side_a_session_began_on(tmp_path: Path) -> None:
    one, other = Sessions(tmp_path / "sessions.bin"), Sessions(tmp_path / "sessions.bin")
    tag = tag_of(Pin("rel_1", 3))
    one.keep(77, tag, 1000.0)
    assert other.find(77, 1001.0) == tag
    assert Sessions(tmp_path / "sessions.bin").find(77, 1001.0) == tag, "a worker that restarted knows it too"
    assert other.find(78, 1001.0) == 0


def test_a_session_that_goes_on_is_kept_and_one_that_is_silent_is_over() -> None:
    found = Sessions(records=16)
    found.keep(5, 9, 1000.0)
    now = 1000.0
    for _ in range(10):
        now += IDLE - 1
        assert found.find(5, now) == 9
    assert found.find(5, now + IDLE) == 0


def test_a_crowded_table_forgets_the_session_that_was_silent_longest() -> None:
    found = Sessions(records=1)
    for number in range(1, 10):
        found.keep(number, 100 + number, 1000.0 + number)
    assert [found.find(number, 1010.0) for number in range(1, 10)] == [0, *range(102, 110)]


def test_a_session_is_named_by_a_keyed_hash() -> None:
    places = Places(salt_of(b"k" * 32), "support")
    assert places.mark("u1", "s1") != places.mark("u1s", "1")
    assert places.mark("u1", "s1") != Places(salt_of(b"j" * 32), "support").mark("u1", "s1")
    assert places.mark("u1") * RESOLUTION >> 64 == places.of("u1")
