"""Claims about the journal: whole lines, one write each, honest when the disk is full."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from pathlib import Path

import msgspec
import pytest

from roadworthy.gateway.journal import Journal
from roadworthy.inference_log.segments import decode
from roadworthy.workflow.inference import Escalation, Inference, InferenceStart, JournalLine, Seal


def start(number: int = 1) -> InferenceStart:
    return InferenceStart(id=f"inf_{number:032x}", ts=1.0, team="default", workflow="w")


def end(number: int = 1, body: bytes = b'{"a":1}') -> Inference:
    return Inference(
        id=f"inf_{number:032x}",
        ts=1.0,
        team="default",
        workflow="w",
        outcome="answered",
        request=msgspec.Raw(body),
        response=msgspec.Raw(body),
    )


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "w0").glob("*.jsonl"))


def lines(path: Path) -> list[JournalLine]:
    return [decode(line) for line in path.read_bytes().splitlines()]


class Disk:
    """``os.write`` with a limit."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.calls = 0

    def write(self, fd: int, data: bytes) -> int:
        self.calls += 1
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        if len(data) > self.room:
            return os.write(fd, data[: self.room])  # the writer cuts it off again, so the room stays
        self.room -= len(data)
        return os.write(fd, data)


def test_a_start_and_its_end_are_one_write_each(tmp_path: Path) -> None:
    disk = Disk(10**9)
    journal = Journal(tmp_path, "w0", now=lambda: 1_700_000_000.123, write=disk.write)
    assert journal.start(start())
    assert journal.end(end())
    assert disk.calls == 2
    [path] = segments(tmp_path)
    assert path.name == "1700000000123-000001.jsonl"
    assert [type(line) for line in lines(path)] == [InferenceStart, Inference]
    journal.close()
    assert lines(path)[-1] == Seal(1_700_000_000.123, 2)
    assert (journal.counts.accepted, journal.counts.stored, journal.counts.dropped) == (1, 1, 0)


def test_the_writer_holds_the_lock_of_its_active_segment_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0", now=lambda: 5.0, segment_bytes=400)
    for number in range(6):
        journal.end(end(number))
    *_, active = segments(tmp_path)
    with active.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    journal.close()
    for path in segments(tmp_path):
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_rotation_seals_every_segment_and_loses_no_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0", now=lambda: 5.0, segment_bytes=500)
    for number in range(40):
        journal.start(start(number))
        journal.end(end(number))
    journal.close()
    found = [line for path in segments(tmp_path) for line in lines(path)]
    assert len(segments(tmp_path)) > 5
    assert sum(isinstance(line, Inference) for line in found) == 40
    for path in segments(tmp_path):
        last = lines(path)[-1]
        assert isinstance(last, Seal)
        assert last.lines == len(lines(path)) - 1


def test_a_full_disk_drops_bodies_first(tmp_path: Path) -> None:
    disk = Disk(10**9)
    journal = Journal(tmp_path, "w0", now=lambda: 5.0, reserve_bytes=0, write=disk.write)
    disk.room = 300
    record = end(body=b'"' + b"x" * 2000 + b'"')
    assert journal.end(record)
    [path] = segments(tmp_path)
    [line] = lines(path)
    assert isinstance(line, Inference)
    assert line.bodies_dropped == "disk_full"
    assert line.request is None
    assert journal.counts.bodies_dropped == 1
    journal.close()


def test_facts_go_to_the_reserve_when_nothing_else_is_left(tmp_path: Path) -> None:
    disk = Disk(0)
    journal = Journal(tmp_path, "w0", now=lambda: 5.0, reserve_bytes=2 * 1024 * 1024, write=disk.write)
    reserve = tmp_path / "w0" / "reserve"

    def freed() -> int:
        return 2 * 1024 * 1024 - reserve.stat().st_size

    journal._write_to = lambda fd, data: os.write(fd, data) if freed() else disk.write(fd, data)
    assert journal.start(start())
    assert freed() == 1024 * 1024
    journal.close()


def test_an_escalation_goes_to_the_reserve_whole_and_is_synced(tmp_path: Path) -> None:
    disk, synced = Disk(0), []
    journal = Journal(
        tmp_path, "w0", now=lambda: 5.0, reserve_bytes=2 * 1024 * 1024, write=disk.write, fdatasync=synced.append
    )
    reserve = tmp_path / "w0" / "reserve"

    def put(fd: int, data: bytes) -> int:
        return os.write(fd, data) if reserve.stat().st_size < 2 * 1024 * 1024 else disk.write(fd, data)

    journal._write_to = put
    transcript = msgspec.Raw(b'["' + b"x" * 100_000 + b'"]')
    line = Escalation("inf_1", 5.0, "default", "support", "refused", 99.0, messages=transcript)
    assert asyncio.run(journal.escalation(line, 5.0))
    assert len(synced) == 1
    [path] = segments(tmp_path)
    [kept] = [each for each in lines(path) if isinstance(each, Escalation)]
    assert kept.messages == transcript
    journal.close()


def test_nothing_writable_is_said_and_counted_and_the_file_holds_whole_lines(tmp_path: Path) -> None:
    clock = [5.0]
    disk = Disk(10**9)
    journal = Journal(tmp_path, "w0", now=lambda: clock[0], reserve_bytes=0, write=disk.write)
    assert journal.start(start(1))
    disk.room = 30
    assert not journal.end(end(1))
    assert not journal.start(start(2))
    assert (journal.counts.waiting, journal.counts.dropped) == (1, 0)
    disk.room = 10**9
    assert not journal.start(start(3)), "tried again only after a pause"
    clock[0] += 2
    assert journal.start(start(4))
    [path] = segments(tmp_path)
    assert [line.id for line in lines(path) if isinstance(line, InferenceStart)] == [start(1).id, start(4).id]
    assert [line.id for line in lines(path) if isinstance(line, Inference)] == [end(1).id], "it had waited for room"
    assert (journal.counts.stored, journal.counts.waiting, journal.counts.dropped) == (1, 0, 0)
    journal.close()


def test_what_waits_for_room_is_bounded_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadworthy.gateway.journal.MOST_WAITING", 5)
    disk = Disk(0)
    journal = Journal(tmp_path, "w0", now=lambda: 5.0, reserve_bytes=0, write=disk.write)
    for number in range(8):
        journal.end(end(number))
    assert (journal.counts.waiting, journal.counts.dropped) == (5, 3)
    journal.close()
    assert journal.counts.dropped == 8


def test_what_waits_is_written_when_the_worker_stops(tmp_path: Path) -> None:
    disk = Disk(0)
    journal = Journal(tmp_path, "w0", now=lambda: 5.0, reserve_bytes=0, write=disk.write)
    journal.end(end(1))
    disk.room = 10**9
    journal.close()
    [path] = segments(tmp_path)
    assert [type(line) for line in lines(path)] == [Inference, Seal]
    assert (journal.counts.stored, journal.counts.dropped) == (1, 0)


def test_bodies_come_back_once_there_is_room_again(tmp_path: Path) -> None:
    clock = [5.0]
    disk = Disk(250)
    journal = Journal(tmp_path, "w0", now=lambda: clock[0], reserve_bytes=0, write=disk.write)
    journal.end(end(1, b'"' + b"x" * 2000 + b'"'))
    disk.room = 10**9
    clock[0] += 6
    journal.end(end(2))
    [path] = segments(tmp_path)
    last = lines(path)[-1]
    assert isinstance(last, Inference)
    assert last.request is not None
    journal.close()


def test_a_journal_that_cannot_be_opened_yet_is_opened_when_it_can(tmp_path: Path) -> None:
    clock = [5.0]
    blocked = tmp_path / "w0"
    blocked.write_text("in the way")
    journal = Journal(tmp_path, "w0", now=lambda: clock[0])
    assert not journal.writable
    assert not journal.start(start())
    blocked.unlink()
    clock[0] += 2
    assert journal.start(start())
    journal.close()
    assert isinstance(lines(segments(tmp_path)[0])[-1], Seal)


def test_a_wall_clock_that_is_set_back_does_not_silence_the_journal(tmp_path: Path) -> None:
    wall, running = [10_000.0], [5.0]
    disk = Disk(0)
    journal = Journal(
        tmp_path, "w0", now=lambda: wall[0], monotonic=lambda: running[0], reserve_bytes=0, write=disk.write
    )
    assert not journal.start(start(1))
    disk.room = 10**9
    wall[0] -= 3600.0
    running[0] += 2.0
    assert journal.start(start(2))
    journal.close()
