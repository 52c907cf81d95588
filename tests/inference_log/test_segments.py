"""Journal segments: whole lines are read once and whole; everything else is counted, never a crash."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.inference_log import segments
from roadworthy.inference_log.segments import SegmentName
from roadworthy.workflow.inference import Escalation, Feedback, Inference, InferenceStart, JournalLine, Seal

NAME = SegmentName("w0", 1763870000000, 1)


def start(n: int) -> InferenceStart:
    return InferenceStart(id=f"inf_{n:032x}", ts=float(n), team="default", workflow="triage", unit="u-1")


def end(n: int, body: bytes | None = None) -> Inference:
    raw = msgspec.Raw(body) if body is not None else None
    return Inference(
        id=f"inf_{n:032x}", ts=float(n), team="default", workflow="triage", outcome="answered", request=raw
    )


def handed_over(messages: bytes | None) -> Escalation:
    raw = None if messages is None else msgspec.Raw(messages)
    return Escalation("inf_1", 1.0, "default", "triage", "refused", 99.0, unit="u-1", draft="d", messages=raw)


def write(path: Path, *lines: JournalLine | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line if isinstance(line, bytes) else segments.encode(line) for line in lines))
    return path


def test_a_name_round_trips_and_other_files_are_ignored(tmp_path: Path) -> None:
    write(NAME.path(tmp_path), start(1))
    write(NAME.next.path(tmp_path), start(2))
    write(tmp_path / "w0" / ".1763870000000-000003.jsonl.7.new")
    write(tmp_path / "w0" / "notes.txt")
    write(tmp_path / "1763870000000-000001.jsonl")
    assert segments.segments(tmp_path) == [NAME, NAME.next]
    assert segments.parse(NAME.path(tmp_path)) == NAME


def test_a_missing_journal_is_an_empty_journal(tmp_path: Path) -> None:
    assert segments.segments(tmp_path / "journal") == []


def test_every_kind_of_line_round_trips(tmp_path: Path) -> None:
    lines: list[JournalLine] = [
        start(1),
        end(1, b'{"a": 1}'),
        Feedback(inference="x", ts=1.0, name="thumb"),
        handed_over(b'[{"role": "user", "content": "hi"}]'),
        handed_over(None),
        Seal(2.0, 3),
    ]
    scan = segments.scan(write(NAME.path(tmp_path), *lines))
    assert [segments.encode(line.value) for line in scan.lines] == [segments.encode(line) for line in lines]
    assert scan.sealed
    assert scan.at_end
    assert scan.tail == 0


def test_a_body_with_newlines_stays_one_line() -> None:
    data = segments.encode(end(1, b'{\n  "messages": ["a\\nb"]\r\n}'))
    assert data.count(b"\n") == 1
    assert msgspec.json.decode(data)["request"] == {"messages": ["a\nb"]}


@given(st.binary(max_size=300).filter(lambda b: b"\n" not in b), st.integers(min_value=1, max_value=64))
def test_bytes_that_are_no_journal_line_are_quarantined_and_the_next_line_is_read(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, chunk: int
) -> None:
    path = write(tmp_path_factory.mktemp("j") / "w0" / NAME.file, start(1), junk + b"\n", end(1))
    seen: list[JournalLine] = []
    bad: list[bytes] = []
    offset, at_end = 0, False
    while not at_end:
        scan = segments.scan(path, offset, read_bytes=chunk)
        seen += [line.value for line in scan.lines]
        bad += [line.data for line in scan.malformed]
        offset, at_end = scan.offset, scan.at_end
    assert seen == [start(1), end(1)]
    assert bad == ([junk] if junk else [])


@given(st.integers(min_value=0, max_value=2000))
def test_a_torn_last_line_is_left_for_later_and_measured(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    whole = b"".join(segments.encode(end(n)) for n in range(10))
    cut = min(cut, len(whole))
    path = write(tmp_path_factory.mktemp("j") / "w0" / NAME.file, whole[:cut])
    scan = segments.scan(path)
    assert len(scan.lines) == whole[:cut].count(b"\n")
    assert scan.offset + scan.tail == cut
    with open(path, "ab") as file:
        file.write(whole[cut:])
    rest = segments.scan(path, scan.offset)
    assert [line.value for line in scan.lines + rest.lines] == [end(n) for n in range(10)]


def test_an_endless_line_is_skipped_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_LINE_BYTES", 10_000)
    path = write(NAME.path(tmp_path), b"x" * 30_000 + b"\n", end(1))
    offset, lines, malformed, at_end = 0, [], 0, False
    while not at_end:
        scan = segments.scan(path, offset, read_bytes=1000)
        lines += scan.lines
        malformed += len(scan.malformed)
        offset, at_end = scan.offset, scan.at_end
    assert [line.value for line in lines] == [end(1)]
    assert malformed == 3


def test_a_created_segment_is_locked_until_its_writer_lets_go(tmp_path: Path) -> None:
    fd = segments.create(tmp_path, NAME)
    path = NAME.path(tmp_path)
    assert not segments.writer_is_gone(path)
    os.write(fd, segments.encode(start(1)))
    assert path.stat().st_mode & 0o777 == 0o600
    os.close(fd)
    assert segments.writer_is_gone(path)
    assert os.listdir(path.parent) == [NAME.file]


def test_asking_about_a_segment_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = write(NAME.path(tmp_path), start(1))
    assert segments.writer_is_gone(path)
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_segment_is_never_created_twice(tmp_path: Path) -> None:
    os.close(segments.create(tmp_path, NAME))
    with pytest.raises(FileExistsError):
        segments.create(tmp_path, NAME)
    assert os.listdir(tmp_path / "w0") == [NAME.file]
