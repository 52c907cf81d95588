"""Journal segments: the files between a gateway worker and the inference log.

The rule: **what a writer has written whole is read once and whole, whatever dies when.**

A segment is ``journal/<worker>/<boot>-<seq>.jsonl``: one JSON object a line, appended by exactly one
``os.write`` each.  Its writer holds ``flock(LOCK_EX)`` on it from before it becomes visible under its name
until the writer dies or moves on, so "unsealed and not locked" means "its writer is dead".  A writer that
rotates creates the next segment *before* it seals the old one: a boot whose visible segments are all sealed or
dead is therefore over.

This module is imported by the gateway, so it knows no database: standard library and msgspec only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path

import msgspec

from roadworthy.workflow.inference import Escalation, Feedback, Inference, InferenceStart, JournalLine, Seal

SEGMENT_BYTES = 64 * 1024 * 1024
"""A writer rotates when its segment has reached this size."""

READ_BYTES = 4 * 1024 * 1024
"""How much of a segment one ``scan`` reads, unless a single line is longer."""

MAX_LINE_BYTES = 96 * 1024 * 1024
"""A longer "line" is not a line: it is skipped as malformed (the gateway drops bodies far below this)."""

_NAME = re.compile(r"^(?P<boot>\d{13})-(?P<seq>\d{6})\.jsonl$")
_WORKER = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")

_ABSENT = msgspec.Raw()
_NULL = msgspec.Raw(b"null")


class _End(Inference, tag_field="k", tag="end", omit_defaults=True):
    """``Inference`` as msgspec can decode it: it never accepts an object for ``Raw | None``, only for ``Raw``."""

    request: msgspec.Raw = _ABSENT
    response: msgspec.Raw = _ABSENT


class _Handed(Escalation, tag_field="k", tag="escalation", omit_defaults=True):
    """``Escalation`` as msgspec can decode it."""

    messages: msgspec.Raw = _ABSENT


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[InferenceStart | _End | Feedback | _Handed | Seal] = msgspec.json.Decoder(
    InferenceStart | _End | Feedback | _Handed | Seal
)
_inference_decoder: msgspec.json.Decoder[_End] = msgspec.json.Decoder(_End)
_fields = attrgetter(*Inference.__struct_fields__)
_escalation_fields = attrgetter(*Escalation.__struct_fields__)


class SegmentName(msgspec.Struct, frozen=True, order=True):
    """Identity of a segment.  Orders by worker, boot, sequence: the order in which one worker wrote."""

    worker: str
    boot: int
    """Unix milliseconds at which the worker started."""
    seq: int
    """1, 2, 3… within the boot."""

    @property
    def file(self) -> str:
        return f"{self.boot:013d}-{self.seq:06d}.jsonl"

    def path(self, journal: Path) -> Path:
        return journal / self.worker / self.file

    @property
    def next(self) -> SegmentName:
        return SegmentName(self.worker, self.boot, self.seq + 1)


class Line(msgspec.Struct, frozen=True, gc=False):
    """One well-formed line of a segment."""

    offset: int
    """Byte at which the line begins."""
    value: JournalLine


class Malformed(msgspec.Struct, frozen=True):
    """A complete line that is not a journal line: quarantined, counted, never a crash."""

    offset: int
    reason: str
    data: bytes


class Scan(msgspec.Struct, frozen=True):
    """What a segment holds from an offset on, complete lines only."""

    lines: list[Line]
    malformed: list[Malformed]
    offset: int
    """Where the next scan begins: just after the last complete line."""
    tail: int
    """Bytes after ``offset`` that were read and end without a newline; 0 unless ``at_end``."""
    at_end: bool
    """The scan saw the end of the file as it was when it was read."""
    sealed: bool
    """The last complete line is a ``Seal``."""


def parse(path: Path) -> SegmentName | None:
    """``journal/w0/1763870000000-000001.jsonl`` → its name; ``None`` for any other file."""
    match = _NAME.match(path.name)
    if match is None or not _WORKER.match(path.parent.name):
        return None
    return SegmentName(path.parent.name, int(match["boot"]), int(match["seq"]))


def segments(journal: Path) -> list[SegmentName]:
    """Every segment of the journal, each worker's in the order in which it was written."""
    found: list[SegmentName] = []
    for worker in _listdir(journal):
        for name in _listdir(journal / worker):
            segment = parse(journal / worker / name)
            if segment is not None:
                found.append(segment)
    return sorted(found)


def places(journals: Iterable[Path]) -> dict[SegmentName, Path]:
    """Every segment of several gateways' journals → its file, in the order of ``segments``.

    A worker's name is one gateway's alone; should a folder hold another's, the first journal's file counts.
    """
    found: dict[SegmentName, Path] = {}
    for journal in journals:
        for name in segments(journal):
            found.setdefault(name, name.path(journal))
    return dict(sorted(found.items()))


def _listdir(path: Path) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []


def encode(line: JournalLine) -> bytes:
    """The bytes of one line, newline included.

    A ``Raw`` body may hold newlines between its tokens; then the whole object is compacted, so that a line
    is always one line.
    """
    data = _encoder.encode(line)
    if b"\n" in data or b"\r" in data:
        data = msgspec.json.format(data, indent=-1)
    return data + b"\n"


def decode(data: bytes | memoryview) -> JournalLine:
    """Raises ``msgspec.DecodeError`` or ``msgspec.ValidationError`` for anything that is not a journal line.

    Fields that this version does not know are ignored: journals may skew by one version.
    """
    line = _decoder.decode(data)
    if isinstance(line, _Handed):
        return _whole_escalation(line)
    return _whole(line) if isinstance(line, _End) else line


def decode_inference(data: bytes | memoryview | str) -> Inference:
    """One encoded ``Inference`` (a journal line, an API answer).  Raises as ``decode`` does."""
    return _whole(_inference_decoder.decode(data))


def _whole(end: _End) -> Inference:
    inference = Inference(*_fields(end))
    if end.request is _ABSENT or end.request == _NULL:
        inference.request = None
    if end.response is _ABSENT or end.response == _NULL:
        inference.response = None
    return inference


def _whole_escalation(handed: _Handed) -> Escalation:
    escalation = Escalation(*_escalation_fields(handed))
    if handed.messages is _ABSENT or handed.messages == _NULL:
        escalation.messages = None
    return escalation


def create(journal: Path, name: SegmentName) -> int:
    """Open a new segment for its writer and return its file descriptor (``O_APPEND``, locked, mode 0600).

    The file is locked before it gets its name, so no reader ever sees a live segment unlocked.  Raises
    ``FileExistsError`` when the segment exists and ``OSError`` (``ENOSPC``) when the disk is full.
    """
    path = name.path(journal)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    hidden = path.with_name(f".{name.file}.{os.getpid()}.new")
    with suppress(FileNotFoundError):
        os.unlink(hidden)
    fd = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.link(hidden, path)
    except OSError:
        os.close(fd)
        raise
    finally:
        os.unlink(hidden)
    return fd


def writer_is_gone(path: Path) -> bool:
    """Can the segment's lock be taken?  Then no process will append to it again.

    Ask *before* scanning: bytes written between the scan and the question would be missed.  Fails closed: a
    segment that cannot be asked about counts as live and is looked at again later.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EINTR):
            raise
        return False
    finally:
        os.close(fd)
    return True


def scan(path: Path, offset: int = 0, read_bytes: int = READ_BYTES) -> Scan:
    """Read complete lines from ``offset`` on, about ``read_bytes`` of them.

    Raises ``FileNotFoundError`` when the segment is gone.
    """
    with open(path, "rb", buffering=0) as file:
        data, at_end = _read_lines(file.fileno(), offset, read_bytes)
    cut = data.rfind(b"\n") + 1
    tail = len(data) - cut
    if tail > MAX_LINE_BYTES:
        reason = f"no end of line within {MAX_LINE_BYTES} bytes"
        return Scan([], [Malformed(offset, reason, data[:1024])], offset + len(data), 0, at_end, False)
    lines: list[Line] = []
    malformed: list[Malformed] = []
    for start, raw in _split(data, cut):
        try:
            lines.append(Line(offset + start, decode(raw)))
        except msgspec.MsgspecError as error:
            malformed.append(Malformed(offset + start, str(error), bytes(raw)))
        except (UnicodeDecodeError, RecursionError) as error:
            malformed.append(Malformed(offset + start, f"{type(error).__name__}: {error}", bytes(raw)))
    sealed = bool(lines) and isinstance(lines[-1].value, Seal)
    return Scan(lines, malformed, offset + cut, tail if at_end else 0, at_end, sealed)


def _read_lines(fd: int, offset: int, read_bytes: int) -> tuple[bytes, bool]:
    """``read_bytes`` from ``offset``, more only while they hold no newline → (data, reached the end of file)."""
    data = b""
    while True:
        chunk = os.pread(fd, read_bytes, offset + len(data))
        data += chunk
        if len(chunk) < read_bytes:
            # a short read is the end of a regular file; ask once more to be sure
            if not chunk or not os.pread(fd, 1, offset + len(data)):
                return data, True
        elif b"\n" in chunk or len(data) > MAX_LINE_BYTES:
            return data, False


def _split(data: bytes, end: int) -> Iterator[tuple[int, memoryview]]:
    view = memoryview(data)
    start = 0
    while start < end:
        stop = data.index(b"\n", start)
        if stop > start:
            yield start, view[start:stop]
        start = stop + 1
