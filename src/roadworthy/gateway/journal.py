"""The journal: every inference on disk before its last byte leaves.

One writer a worker.  Each line is one JSON object, written by exactly one ``os.write`` to a file opened with
``O_APPEND``, so it survives the death of the process; a thread calls ``fdatasync`` every 50 ms, which bounds what a
loss of power can take.  The writer holds ``flock`` on its active segment: whoever can take that lock knows that the
writer is dead.  Segments rotate at 64 MiB and end with a ``Seal`` when they are closed in good order.

Disk full, in this order: bodies are left out, then the space of a preallocated reserve is given back to the
segment, then ``start`` answers ``False`` and the caller decides (``disk_full: bypass`` fails closed,
``serve_unlogged`` fails open).  Records of what ended meanwhile wait in memory, bounded, and are written as soon as
there is room.  What could not be stored is counted, never forgotten silently.

An escalation is kept as a fact is, text and all: a human needs it.  It is synced before it counts as written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from roadworthy.inference_log.segments import SEGMENT_BYTES, SegmentName, create, encode
from roadworthy.workflow.inference import Escalation, Feedback, Inference, InferenceStart, Seal

SYNC_SECONDS = 0.05
RESERVE_BYTES = 8 * 1024 * 1024
RESERVE_STEP = 1024 * 1024
BODIES_PAUSE = 5.0
"""Seconds without bodies after the disk was found full."""
PROBE_PAUSE = 1.0
"""Seconds between two tries to write once nothing can be written."""
MOST_WAITING = 10_000
"""Records that wait in memory for room on the disk: about 10 MB."""


@dataclass(slots=True)
class JournalCounts:
    accepted: int = 0
    """Starts asked for."""
    stored: int = 0
    """Inferences whose end is on disk."""
    waiting: int = 0
    """Inferences whose end waits in memory for room on the disk."""
    dropped: int = 0
    """Inferences whose end is lost: too many waited, or the worker stopped before there was room."""
    bodies_dropped: int = 0
    bytes: int = 0
    segments: int = 0
    escalations: int = 0
    """Calls handed to a human whose line is on disk, synced."""
    escalations_refused: int = 0
    """Calls that could not be handed to a human, because the line could not be written or synced in time."""


class Journal:
    """Writer of ``<folder>/<worker>/<boot>-<seq>.jsonl``.  Used from one thread; closing it seals the segment."""

    def __init__(
        self,
        folder: Path,
        worker: str,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float] | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        write: Callable[[int, bytes], int] = os.write,
        fdatasync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        """``now``: Unix seconds.  ``monotonic`` (default ``now``) measures the pauses: a wall clock that is set back
        must not silence the journal until the hour has come again."""
        self.counts = JournalCounts()
        self._now = now
        self._monotonic = monotonic or now
        self._segment_bytes = segment_bytes
        self._write_to = write
        self._fdatasync = fdatasync
        self._folder = folder
        self._name = SegmentName(worker, int(now() * 1000), 1)
        self._lines = 0
        self._size = 0
        self._no_bodies_until = 0.0
        self._silent_until = 0.0
        self._fd = -1
        self._closed = False
        self._waiting: deque[bytes] = deque()
        self._reserve = _Reserve(folder / worker / "reserve", reserve_bytes)
        self._syncer = _Syncer()
        self._open()

    @property
    def writable(self) -> bool:
        """Is there a segment to write to?  A worker may start on a full disk and serve as ``disk_full`` says."""
        return self._fd >= 0

    def start(self, line: InferenceStart) -> bool:
        """Write the line of an admitted inference; ``False``: nothing can be written now."""
        self.counts.accepted += 1
        return self._append(encode(line))

    def feedback(self, lines: Iterable[Feedback]) -> bool:
        """Write what a caller says of an inference.  ``False``: nothing can be written now."""
        return all([self._append(encode(line)) for line in lines])

    def end(self, record: Inference) -> bool:
        """Write a whole record, without its bodies when the disk is nearly full.  ``False``: it waits for room."""
        if self._no_bodies_until:
            self._bodies_again_or_not(record)
        if self._end(record):
            self.counts.stored += 1
            return True
        self._let_wait(record)
        return False

    def _end(self, record: Inference) -> bool:
        if self._silent_until and self._monotonic() < self._silent_until:
            return False
        line = encode(record)
        if self._put_rotating(line):
            return True
        if self._drop_bodies(record):
            self._no_bodies_until = self._monotonic() + BODIES_PAUSE
            line = encode(record)
        return self._append(line)

    async def escalation(self, line: Escalation, patience: float) -> bool:
        """Write the line of a call that is handed to a human and sync it, for at most ``patience`` seconds.

        Fails closed: ``False`` when it cannot be written or synced, and then nobody may be told that a human looks at
        it.  (What was written and not synced may still reach the queue; nobody waits for it then.)
        """
        if not self._append(encode(line)):
            self.counts.escalations_refused += 1
            return False
        synced = asyncio.ensure_future(asyncio.to_thread(self._sync_to, os.dup(self._fd)))
        done, _ = await asyncio.wait([synced], timeout=max(0.0, patience))
        if not done or not synced.result():
            self.counts.escalations_refused += 1
            return False
        self.counts.escalations += 1
        return True

    def _sync_to(self, fd: int) -> bool:
        """Sync a descriptor of its own, which a rotation meanwhile does not close."""
        try:
            self._fdatasync(fd)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True

    def rotate(self) -> None:
        """Begin a new segment now, so that control can ship and delete the one that was being written."""
        if self._lines and self._fd >= 0:
            self._rotate()

    def close(self) -> None:
        """Seal the active segment, sync it and let it go.  Idempotent."""
        if self._closed:
            return
        self._catch_up()
        self.counts.dropped += len(self._waiting)
        self._closed = True
        if self._fd >= 0:
            self._seal()
        self._syncer.stop()
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
        self._reserve.close()

    def _open(self) -> bool:
        """The first segment, as soon as the disk takes it."""
        try:
            self._fd = create(self._folder, self._name)
        except OSError:
            return False
        self.counts.segments += 1
        self._syncer.follow(self._fd)
        self._reserve.refill()
        return True

    def _bodies_again_or_not(self, record: Inference) -> None:
        if self._monotonic() < self._no_bodies_until:
            self._drop_bodies(record)
        else:
            self._no_bodies_until = 0.0
            self._reserve.refill()

    def _drop_bodies(self, record: Inference) -> bool:
        if record.request is None and record.response is None and record.prompt is None:
            return False
        record.request = record.response = record.prompt = None
        record.bodies_dropped = "disk_full"
        self.counts.bodies_dropped += 1
        return True

    def _append(self, line: bytes) -> bool:
        """Write a line that must be kept: with the reserve's help when the disk is full."""
        if self._silent_until and self._monotonic() < self._silent_until:
            return False
        if self._put_rotating(line):
            return True
        now = self._monotonic()
        self._no_bodies_until = now + BODIES_PAUSE
        while self._reserve.give_back(RESERVE_STEP):
            if self._put(line):
                return True
        self._silent_until = now + PROBE_PAUSE
        return False

    def _let_wait(self, record: Inference) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.counts.dropped += 1
            return
        self._drop_bodies(record)
        self._waiting.append(encode(record))
        self.counts.waiting += 1

    def _catch_up(self) -> None:
        """Write the records that wait, as far as there is room."""
        while self._waiting and self._put(self._waiting[0]):
            self._waiting.popleft()
            self.counts.waiting -= 1
            self.counts.stored += 1

    def _put_rotating(self, line: bytes) -> bool:
        if self._size + len(line) > self._segment_bytes and self._lines:
            self._rotate()
        if not self._put(line):
            return False
        if self._waiting:
            self._catch_up()
        return True

    def _put(self, line: bytes) -> bool:
        """One write.  A line that the disk took only in part is cut off again."""
        if self._fd < 0 and (self._closed or not self._open()):
            return False
        try:
            written = self._write_to(self._fd, line)
        except OSError:
            return False
        if written != len(line):
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            return False
        self._size += written
        self._lines += 1
        self.counts.bytes += written
        self._silent_until = 0.0
        self._syncer.dirty = True
        return True

    def _rotate(self) -> None:
        """Next segment.  When none can be opened the old one grows on."""
        fresh_name = self._name.next
        try:
            fresh = create(self._folder, fresh_name)
        except OSError:
            return
        old = self._fd
        self._seal()
        self._fd, self._name, self._lines, self._size = fresh, fresh_name, 0, 0
        self.counts.segments += 1
        self._syncer.follow(fresh, old)

    def _seal(self) -> None:
        self._put(encode(Seal(self._now(), self._lines)))


class _Reserve:
    """Disk space held back in a file of its own, given to the journal piece by piece when the disk is full."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._left = 0
        self._fd = -1

    def refill(self) -> None:
        """Hold the whole reserve again, as far as the disk allows."""
        if self._left >= self._size:
            return
        with contextlib.suppress(OSError):
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.posix_fallocate(self._fd, 0, self._size)
            self._left = self._size

    def give_back(self, size: int) -> bool:
        """Free ``size`` bytes; ``False``: nothing is left."""
        if self._left <= 0:
            return False
        self._left = max(0, self._left - size)
        try:
            os.ftruncate(self._fd, self._left)
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class _Syncer:
    """A thread that syncs what was written, at most every 50 ms, and closes segments that were rotated away."""

    def __init__(self) -> None:
        self.dirty = False
        self._fd = -1
        self._retired: list[int] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def follow(self, fd: int, retired: int | None = None) -> None:
        with self._lock:
            self._fd = fd
            if retired is not None:
                self._retired.append(retired)
        self.dirty = True

    def stop(self) -> None:
        """Sync once more and end the thread; the active segment stays open."""
        self._stopped.set()
        self._thread.join()
        self._sync()

    def _run(self) -> None:
        while not self._stopped.wait(SYNC_SECONDS):
            if self.dirty:
                self._sync()

    def _sync(self) -> None:
        self.dirty = False
        with self._lock:
            fd, retired, self._retired = self._fd, self._retired, []
        for old in retired:
            with contextlib.suppress(OSError):
                os.fdatasync(old)
            os.close(old)
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.fdatasync(fd)
