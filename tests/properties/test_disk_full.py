"""Observability when the disk is full: bodies go first, then nothing is served unrecorded, then all is well again.

Twice: with a limit on how long the worker's files may grow, which works everywhere, and with a real full file system
(a small tmpfs under the journal), where mounting is allowed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import httpx2
import pytest
from property_install import configuration, question, started

from support.up import Up, roadworthy
from support.waiting import until

LONG = "A long letter. " * 8000
"""A hundred and twenty kilobytes: more than the last room for facts."""
ROOM_FOR_FACTS = 64 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


class Disk(Protocol):
    def nearly_fill(self, up: Up) -> None:
        """Leave room for facts, not for bodies."""

    def fill(self, up: Up) -> None:
        """Leave no room; where something is given back, take that as well."""

    def free(self, up: Up) -> None: ...


class Limit:
    """No file of the worker may grow further."""

    def nearly_fill(self, up: Up) -> None:
        self._limit(up, segment(up).stat().st_size + ROOM_FOR_FACTS)

    def fill(self, up: Up) -> None:
        self._limit(up, segment(up).stat().st_size)

    def free(self, up: Up) -> None:
        self._limit(up, resource.RLIM_INFINITY)

    def _limit(self, up: Up, size: int) -> None:
        worker = up.pid("worker w0")
        assert worker is not None
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class SmallDisk:
    """A file system of sixteen megabytes, half of which the journal's reserve takes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._filler = folder / "filler"

    def nearly_fill(self, up: Up) -> None:
        self._fill(leave=ROOM_FOR_FACTS)

    def fill(self, up: Up) -> None:
        self._fill(leave=0)

    def free(self, up: Up) -> None:
        self._filler.unlink()

    def _fill(self, leave: int) -> None:
        with self._filler.open("ab", buffering=0) as filler:
            while True:
                free = os.statvfs(self._folder)
                room = free.f_bavail * free.f_frsize - leave
                if room <= 0:
                    return
                filler.write(b"x" * room)


@pytest.fixture(params=["a limit on file sizes", "a small file system"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "a limit on file sizes":
        yield Limit()
        return
    folder = tmp_path / "data" / "journal"
    folder.mkdir(parents=True)
    if _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=16m") != 0:
        pytest.skip(f"mounting a tmpfs is not allowed here ({errno.errorcode[ctypes.get_errno()]})")
    try:
        yield SmallDisk(folder)
    finally:
        _libc.umount2(os.fsencode(folder), 2)  # MNT_DETACH


def segment(up: Up) -> Path:
    [path] = (up.data / "journal" / "w0").glob("*.jsonl")
    return path


def test_bodies_stop_first_then_calls_are_bypassed_then_all_is_well_again(disk: Disk, tmp_path: Path) -> None:
    with Up(tmp_path, config=configuration(tmp_path)) as up:
        started(up)
        token = up.key("app")
        answered: list[str] = []

        def ask(text: str = "Hello") -> httpx2.Response:
            headers = {"authorization": f"Bearer {token}"}
            answer = httpx2.post(
                f"{up.base_url}/chat/completions", json=question(text), headers=headers, timeout=20, trust_env=False
            )
            if answer.status_code == 200:
                answered.append(answer.headers["x-request-id"])
            return answer

        assert ask(LONG).status_code == 200
        assert up.record(answered[-1])["request"]

        disk.nearly_fill(up)
        assert ask(LONG).status_code == 200
        record = up.record(answered[-1])
        assert record["bodies_dropped"] == "disk_full"
        assert "request" not in record
        assert up.metric("journal_bodies_dropped_total")[""] >= 1
        assert up.metric("journal_dropped_total")[""] == 0

        def refused() -> httpx2.Response | None:
            disk.fill(up)
            answer = ask()
            return answer if answer.status_code != 200 else None

        answer = until(refused, "call that is bypassed")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "disk_full")
        assert answer.headers["x-should-retry"] == "false"
        waiting = up.metric("journal_waiting")[""]
        assert waiting >= 1
        assert up.admin("GET", "/v1/status")["journal"]["waiting"] == waiting
        status = roadworthy("status", "--data", str(up.data), code=1).stdout
        assert f"waiting for disk {waiting:.0f}, without bodies" in status

        disk.free(up)
        until(lambda: ask().status_code == 200, "served call")

        def bodies_again() -> bool:
            ask(LONG)
            return "request" in up.record(answered[-1])

        until(bodies_again, "record with bodies")
        assert (up.metric("journal_waiting"), up.metric("journal_dropped_total")) == ({"": 0.0}, {"": 0.0})
        log = {record["id"] for record in up.records(outcome="answered")}
        assert set(answered) <= log
