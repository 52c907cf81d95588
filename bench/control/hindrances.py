"""What stands in control's way while it is to stop something: a backlog, questions, a locked database, its death."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.control.bench import Bench, admin
from roadworthy.inference_log.segments import encode
from roadworthy.workflow.inference import Attempt, Inference, Tokens, new_inference_id

SEGMENT_ROWS = 100_000
DAY = 86_400.0
NOBODY = "inf_" + "0" * 32
QUESTIONS = (
    "/v1/stats?by=unit",
    "/v1/log?text=no+such+text&limit=100",
    "/v1/anomalies",
)
"""Sums by user, a search in every body, what is unusual: each without pause, all at once."""


@contextmanager
def backlog(rows: int) -> Iterator[Callable[[Path], None]]:
    """So many records of yesterday, in the journal of a worker that is dead.  Yields what puts them into an install,
    whose control ships them; they are made once."""
    with tempfile.TemporaryDirectory(prefix="roadworthy-backlog-") as made:
        _written(Path(made), rows)

        def into(data: Path) -> None:
            folder = data / "journal" / "w900"
            folder.mkdir(parents=True)
            for path in sorted(Path(made).iterdir()):
                os.link(path, folder / path.name)

        yield into


def _written(folder: Path, rows: int) -> None:
    begin = time.time() - DAY
    one = Inference(
        id=NOBODY, ts=1.5, team="default", workflow="answers", outcome="answered", unit="u-@@@",
        unit_source="user", key="key_1", target="main", model_asked="m", model_answered="m-1", latency=0.4,
        attempts=[Attempt(target="main", ended=0.4, status=200)], tokens=Tokens(input=300, output=90), cost_usd=0.001,
        request=msgspec.Raw(msgspec.json.encode({"messages": [{"role": "user", "content": "Where is it? " * 20}]})),
        response=msgspec.Raw(b'{"choices":[{"message":{"content":"On its way."}}]}'),
    )  # fmt: skip
    head, rest = encode(one).split(NOBODY.encode())
    before_ts, rest = rest.split(b"1.5", 1)
    before_unit, tail = rest.split(b"@@@")
    line = b"%b%%b%b%%.3f%b%%d%b" % (head, before_ts, before_unit, tail)
    boot = int(begin * 1000)
    for segment in range(0, rows, SEGMENT_ROWS):
        path = folder / f"{boot:013d}-{segment // SEGMENT_ROWS + 1:06d}.jsonl"
        with path.open("wb") as out:
            for number in range(segment, min(rows, segment + SEGMENT_ROWS)):
                ts = begin + number * 0.01
                out.write(line % (new_inference_id(ts, number).encode(), ts, number % 5000))


def stored(data: Path) -> int:
    """Rows in the log."""
    return int(admin(data, "GET", "/v1/counters")["log"]["stored"])


@contextmanager
def questions(bench: Bench) -> Iterator[list[int]]:
    """Ask without pause.  Yields how many were answered."""
    over = threading.Event()
    answered = [0]

    def ask(path: str) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError, RuntimeError):
                admin(bench.data, "GET", path, patience=120.0)
                answered[0] += 1

    threads = [threading.Thread(target=ask, args=(path,), daemon=True) for path in QUESTIONS]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        over.set()


@contextmanager
def locked(bench: Bench) -> Iterator[None]:
    """Another writer holds both databases."""
    held = [sqlite3.connect(bench.data / name, isolation_level=None) for name in ("state.db", "log.db")]
    try:
        for connection in held:
            connection.execute("PRAGMA busy_timeout=20000")
            connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        for connection in held:
            connection.close()


@contextmanager
def dead(bench: Bench) -> Iterator[None]:
    """Control is killed, and its supervisor is stopped, so that nobody starts it again."""
    facts = json.loads((bench.data / "run" / "processes.json").read_bytes())
    control = next(each["pid"] for each in facts["processes"] if each["name"] == "control")
    supervisor = _parent(control)
    os.kill(supervisor, signal.SIGSTOP)
    os.kill(control, signal.SIGKILL)
    try:
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
