"""kill -9, for real: a writer and a shipper in processes of their own, killed again and again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.inference_log import segments
from roadworthy.inference_log.model import Filter
from roadworthy.inference_log.service import Shipper

WRITER = """
import os, random, sys, time
from pathlib import Path
from roadworthy.inference_log import segments
from roadworthy.workflow.inference import *
journal, ledger = Path(sys.argv[1]), os.open(sys.argv[2], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
name = segments.SegmentName("w0", int(time.time() * 1000), 1)
fd = segments.create(journal, name)
while True:
    now = time.time()
    identity = new_inference_id(now, random.getrandbits(80))
    os.write(fd, segments.encode(InferenceStart(id=identity, ts=now, team="t", workflow="w")))
    body = msgspec.Raw(b'{"text":"' + b"x" * random.randrange(2000) + b'"}')
    end = Inference(id=identity, ts=now, team="t", workflow="w", outcome="answered", request=body)
    os.write(fd, segments.encode(end))
    os.write(ledger, (identity + "\\n").encode())  # the caller has its answer
    if random.random() < 0.02:
        old, name = fd, name.next
        fd = segments.create(journal, name)
        os.write(old, segments.encode(Seal(now, 0)))
        os.close(old)
    time.sleep(0.0005)
"""

SHIPPER = """
import sys, time
from pathlib import Path
from roadworthy.adapters.sqlite.log import SqliteLog
from roadworthy.inference_log.service import Shipper
store = SqliteLog(Path(sys.argv[2]))
shipper = Shipper(Path(sys.argv[1]), store)
while True:
    shipper.ship()
    store.rollup(time.time() + 3600)
"""


def spawn(code: str, *arguments: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])


def test_twenty_kills_of_writer_and_shipper_lose_and_double_nothing(tmp_path: Path) -> None:
    journal, ledger, database = tmp_path / "journal", tmp_path / "ledger", tmp_path / "log.db"
    rng = random.Random(2)
    writer, shipper = spawn(WRITER, journal, ledger), spawn(SHIPPER, journal, database)
    try:
        for n in range(20):
            time.sleep(rng.uniform(0.25, 0.55))
            if n % 2:
                os.kill(writer.pid, signal.SIGKILL)
                writer.wait()
                writer = spawn(WRITER, journal, ledger)
            else:
                os.kill(shipper.pid, signal.SIGKILL)
                shipper.wait()
                shipper = spawn(SHIPPER, journal, database)
    finally:
        for process in (writer, shipper):
            process.kill()
            process.wait()
    store = SqliteLog(database)
    Shipper(journal, store).ship()
    answered = ledger.read_text().split()
    rows = list(store.scan(Filter()))
    ids = [row.id for row in rows]
    assert len(answered) > 200
    assert len(ids) == len(set(ids))
    assert set(answered) <= {row.id for row in rows if row.outcome == "answered"}
    # beyond what callers saw: a call answered in the log whose writer died before the ledger, or one lost, a writer
    assert len(ids) - len(answered) <= 11
    assert segments.segments(journal) == []
    counts = store.counters()
    assert counts["accepted"] == counts["stored"] == len(ids)
    assert counts["in_flight"] == 0
    store.close()
