"""``forget`` reaches the answer caches of all workers, and says so when one does not answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from roadworthy.cli.commands.status import _borne
from roadworthy.wiring.fleet import workers
from roadworthy.wiring.fleet.workers import KeptAnswers
from roadworthy.wiring.folders.data_folder import DataFolder, create_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    monkeypatch.setattr(workers, "PATIENCE", 0.05)
    return create_folder(tmp_path / "data")


@contextmanager
def worker(folder: DataFolder, number: int, answer: Callable[[str, str], bytes | None]) -> Iterator[None]:
    """One that answers ``(path, unit)`` with a body, or stays silent."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder.worker_socket(number)))
    listener.listen()
    open_ones: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_ones.append(connection)
            data = b""
            while not data.endswith(b"}"):
                data += connection.recv(65536)
            path = data.split(b" ", 2)[1].decode()
            unit = msgspec.json.decode(data.split(b"\r\n\r\n", 1)[1])["unit"]
            body = answer(path, unit)
            if body is not None:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with closing(listener):
        yield
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5.0)
    for connection in open_ones:
        connection.close()


def test_every_worker_is_asked_and_the_counts_are_added(folder: DataFolder) -> None:
    asked: list[tuple[str, str]] = []

    def answer(path: str, unit: str) -> bytes:
        asked.append((path, unit))
        return b'{"answers":2}'

    with ExitStack() as stack:
        for number in range(2):
            stack.enter_context(worker(folder, number, answer))
        kept = KeptAnswers(lambda: folder.run.glob("worker-*.sock"))
        assert kept.forget("u-1", 0.0) == 4
        assert kept.search("u-1") == 4
    assert sorted(asked) == [("/internal/cache/count", "u-1")] * 2 + [("/internal/cache/purge", "u-1")] * 2


def test_a_worker_that_does_not_answer_is_never_taken_for_one_that_keeps_nothing(folder: DataFolder) -> None:
    with worker(folder, 0, lambda path, unit: None):
        assert KeptAnswers(lambda: folder.run.glob("worker-*.sock")).search("u-1") == 1


def test_a_worker_that_is_gone_keeps_nothing(folder: DataFolder) -> None:
    with worker(folder, 0, lambda path, unit: None):
        pass
    assert folder.worker_socket(0).exists()
    assert KeptAnswers(lambda: folder.run.glob("worker-*.sock")).search("u-1") == 0


def test_status_says_in_words_what_holds_a_target_back() -> None:
    assert _borne({"workers": 2, "shut": 0, "probe_in": None, "at_once": None, "waiting": 0}) == ""
    held = _borne({"workers": 2, "shut": 1, "probe_in": 4.0, "at_once": 12, "waiting": 1})
    assert held == (
        "; breaker open on 1 of 2 workers, next probe in 4.00 s; lets 12 calls through at once; 1 call waiting"
    )
    assert "probed now or with the next call" in _borne({"workers": 1, "shut": 1, "probe_in": 0.0})
