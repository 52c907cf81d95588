"""Escalations on their way from the journal into state: none is lost, whoever dies when, and none is opened twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.inference_log import segments
from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.data_folder import DataFolder, create_folder
from roadworthy.workflow.inference import Escalation, Seal, new_inference_id
from support.waiting import until

GATEWAY = """
import asyncio, os, random, sys, time
from pathlib import Path
from roadworthy.gateway.journal import Journal
from roadworthy.workflow.inference import *

async def main():
    journal = Journal(Path(sys.argv[1]), "w0", now=time.time, segment_bytes=20_000)
    ledger = os.open(sys.argv[2], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    while True:
        now = time.time()
        ident = new_inference_id(now, random.getrandbits(80))
        journal.start(InferenceStart(id=ident, ts=now, team="default", workflow="support", unit="u-1"))
        line = Escalation(ident, now, "default", "support", "refused", now + 3600, unit="u-1", holding="soon")
        assert await journal.escalation(line, 5.0)
        os.write(ledger, (ident + "\\n").encode())  # the caller has its holding answer
        journal.end(Inference(id=ident, ts=now, team="default", workflow="support", outcome="escalated", unit="u-1"))
        await asyncio.sleep(0.01)

asyncio.run(main())
"""

CONTROL = """
import sys, time
from roadworthy.wiring.composition import Control
from roadworthy.wiring.folders.data_folder import open_folder
control = Control(open_folder(sys.argv[1]))
while True:
    control.shipper.ship(max_batches=1)
    time.sleep(0.01)
"""


def spawn(code: str, *arguments: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])


def promised(ledger: Path) -> int:
    return ledger.read_text().count("\n") if ledger.exists() else 0


def in_queue(folder: DataFolder) -> int:
    with sqlite3.connect(f"file:{folder.state_db}?mode=ro", uri=True) as connection:
        found: int = connection.execute("SELECT count(*) FROM escalation").fetchone()[0]
    connection.close()
    return found


def test_every_promised_escalation_is_in_the_queue_after_kills_of_gateway_and_control(tmp_path: Path) -> None:
    folder, ledger = create_folder(tmp_path / "data"), tmp_path / "ledger"
    Control(folder).close()
    gateway, control = spawn(GATEWAY, folder.journal, ledger), spawn(CONTROL, folder.root)
    try:
        for number in range(4):
            before, queued = promised(ledger), in_queue(folder)
            until(lambda: promised(ledger) > before + 10, "promise of the gateway")  # noqa: B023
            until(lambda: in_queue(folder) > queued, "escalation that control opened")  # noqa: B023
            os.kill((gateway if number % 2 else control).pid, signal.SIGKILL)
            if number % 2:
                gateway.wait()
                gateway = spawn(GATEWAY, folder.journal, ledger)
            else:
                control.wait()
                control = spawn(CONTROL, folder.root)
    finally:
        for process in (gateway, control):
            process.kill()
            process.wait()
    last = Control(folder)
    last.shipper.ship()
    with last.state.read() as tx:
        opened = {row.id for row in tx.waiting_escalations(None, 1_000_000)}
    last.close()
    told = set(ledger.read_text().split())
    assert told <= opened
    assert len(opened) - len(told) <= 3  # on disk, and its writer died before the caller heard of it
    assert segments.segments(folder.journal) == []


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(create_folder(tmp_path / "data"))


def escalated(control: Control, unit: str = "u-1") -> str:
    now = time.time()
    ident = new_inference_id(now, int.from_bytes(os.urandom(10), "big"))
    name = segments.SegmentName("w0", int(now * 1000), 1)
    fd = segments.create(control.folder.journal, name)
    line = Escalation(ident, now, "default", "support", "refused", now + 3600, unit=unit)
    for each in (line, Seal(now, 1)):
        os.write(fd, segments.encode(each))
    os.close(fd)
    return ident


def test_the_queue_has_it_when_the_log_commits_and_a_log_that_fails_loses_nothing(control: Control) -> None:
    ident = escalated(control)
    ship, control.store.ship = control.store.ship, None  # type: ignore[assignment, method-assign]
    with pytest.raises(TypeError):
        control.shipper.ship()
    control.store.ship = ship  # type: ignore[method-assign]
    for _ in range(2):
        control.shipper.ship()
    with control.state.read() as tx:
        assert [row.id for row in tx.waiting_escalations(None, 9)] == [ident]
    control.close()


def test_forgetting_a_user_counts_escalations_and_what_arrives_later_is_not_opened(control: Control) -> None:
    escalated(control, "u-7")
    from roadworthy.operations.forget import Forgetter

    forgetter = Forgetter(control.store, control.shipper, control.folder.journal, [control.people.eraser])
    done = forgetter.forget("u-7")
    assert done.deleted["escalations"] == 1
    assert done.found["escalations"] == 0
    before = time.time
    time.time = lambda: done.at - 1.0  # a gateway that could not be asked to rotate
    try:
        escalated(control, "u-7")
    finally:
        time.time = before
    control.shipper.ship()
    assert control.people.queue.all() == []
    control.close()


def test_a_backup_from_before_a_user_was_forgotten_brings_nothing_of_the_user_back(control: Control) -> None:
    from roadworthy.wiring.folders.backup import back_up, restore

    escalated(control, "u-7")
    control.shipper.ship()
    back_up(control.folder, control.folder.root.parent / "backup", {})
    control.store.forget("u-7", time.time())
    root = control.folder.root.parent
    restored = restore(root / "backup", root / "again", forgotten=control.folder.root)
    control.close()
    state = SqliteState(restored.state_db)
    with state.read() as tx:
        assert tx.mentions("u-7") == 1
    state.close()
    again = Control(restored)
    assert again.people.queue.all() == []
    again.close()
