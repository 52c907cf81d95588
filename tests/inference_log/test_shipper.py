"""The shipper: everything written whole arrives once, whatever dies when."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import NOON, inference, start_of

from roadworthy.adapters.memory.log import MemoryLog
from roadworthy.inference_log import segments, service
from roadworthy.inference_log.model import Batch, Filter, Shipped
from roadworthy.inference_log.segments import SegmentName, encode
from roadworthy.inference_log.service import Shipper
from roadworthy.workflow.inference import Inference, JournalLine, Seal

FIRST = SegmentName("w0", 1_763_870_000_000, 1)


class Writer:
    """A gateway worker's side of the journal: rotates as the real one does, dies when told."""

    def __init__(self, journal: Path, name: SegmentName = FIRST) -> None:
        self.journal, self.name = journal, name
        self.fd = segments.create(journal, name)

    def write(self, *lines: JournalLine | bytes) -> None:
        for line in lines:
            os.write(self.fd, line if isinstance(line, bytes) else encode(line))

    def rotate(self) -> None:
        old, self.name = self.fd, self.name.next
        self.fd = segments.create(self.journal, self.name)
        os.write(old, encode(Seal(NOON, 0)))
        os.close(old)

    def die(self) -> None:
        os.close(self.fd)

    def stop(self) -> None:
        self.write(Seal(NOON, 0))
        self.die()


def stored(store: MemoryLog) -> dict[str, Inference]:
    return {item.id: item for item in store.scan(Filter())}


def files(journal: Path) -> list[SegmentName]:
    return segments.segments(journal)


def test_a_live_segment_is_read_as_it_grows_and_kept(tmp_path: Path) -> None:
    store, writer = MemoryLog(), Writer(tmp_path)
    shipper = Shipper(tmp_path, store)
    one, two = inference(), inference()
    writer.write(start_of(one), one, start_of(two))
    assert shipper.ship().stored == 1
    assert store.counters()["in_flight"] == 1
    assert files(tmp_path) == [FIRST]
    writer.write(two)
    assert shipper.ship().stored == 1
    assert store.counters()["in_flight"] == 0
    assert shipper.ship() == Shipped()
    writer.die()


def test_a_sealed_segment_is_deleted_and_a_call_that_spans_two_is_whole(tmp_path: Path) -> None:
    store, writer = MemoryLog(), Writer(tmp_path)
    shipper = Shipper(tmp_path, store)
    call = inference()
    writer.write(start_of(call))
    writer.rotate()
    assert shipper.ship().segments_deleted == 1
    assert files(tmp_path) == [FIRST.next]
    writer.write(call)
    writer.stop()
    assert shipper.ship().stored == 1
    assert files(tmp_path) == []
    assert stored(store)[call.id].outcome == "answered"
    shipper.ship()
    assert store.progress() == {}


def test_calls_of_a_dead_worker_become_gateway_lost_and_its_torn_line_is_counted(tmp_path: Path) -> None:
    store, writer = MemoryLog(), Writer(tmp_path)
    shipper = Shipper(tmp_path, store)
    done, cut, begun = inference(), inference(), inference(unit="u-9", traffic="tester")
    writer.write(start_of(done), start_of(cut), start_of(begun), done, encode(cut)[:50])
    shipper.ship()
    assert set(stored(store)) == {done.id}
    writer.die()
    result = shipper.ship()
    assert (result.lost, result.torn) == (2, 1)
    rows = stored(store)
    assert rows[cut.id].failure == rows[begun.id].code == "gateway_lost"
    assert rows[begun.id].outcome == "error"
    assert rows[begun.id].unit == "u-9"
    assert rows[begun.id].cost_usd is None
    assert rows[begun.id].cost_unknown
    assert files(tmp_path) == []


def test_one_worker_s_death_loses_no_call_of_another_or_of_its_next_boot(tmp_path: Path) -> None:
    store = MemoryLog()
    shipper = Shipper(tmp_path, store)
    dead, other, reborn = (
        Writer(tmp_path),
        Writer(tmp_path, SegmentName("w1", FIRST.boot, 1)),
        Writer(tmp_path, SegmentName("w0", FIRST.boot + 1, 1)),
    )
    calls = [inference() for _ in range(3)]
    for writer, call in zip((dead, other, reborn), calls, strict=True):
        writer.write(start_of(call))
    dead.die()
    assert shipper.ship().lost == 1
    assert store.counters()["in_flight"] == 2
    other.write(calls[1])
    reborn.write(calls[2])
    assert shipper.ship().stored == 2
    other.die()
    reborn.die()


def test_malformed_lines_are_quarantined_and_the_rest_arrives(tmp_path: Path) -> None:
    store, writer = MemoryLog(), Writer(tmp_path)
    call = inference()
    writer.write(b"\x00\x00\x00\n", b'{"k":"end"}\n', call, b'{"k":"unheard of"}\n')
    writer.stop()
    result = Shipper(tmp_path, store).ship()
    assert (result.stored, result.malformed) == (1, 3)
    assert [bad.data for bad in store.quarantine] == [b"\x00\x00\x00", b'{"k":"end"}', b'{"k":"unheard of"}']


def test_starts_whose_journal_someone_deleted_are_lost_not_open_for_ever(tmp_path: Path) -> None:
    store, writer = MemoryLog(), Writer(tmp_path)
    shipper = Shipper(tmp_path, store)
    writer.write(start_of(inference()))
    shipper.ship()
    writer.die()
    FIRST.path(tmp_path).unlink()
    assert shipper.ship().lost == 1


def test_a_forgotten_user_s_waiting_lines_are_dropped_at_shipping(tmp_path: Path) -> None:
    store, writer = MemoryLog(), Writer(tmp_path)
    writer.write(inference(unit="u-42"), inference(unit="u-7"))
    writer.stop()
    store.forget("u-42", NOON + 1)
    result = Shipper(tmp_path, store).ship()
    assert (result.stored, result.forgotten) == (1, 1)


def test_lag_counts_bytes_and_age_of_what_waits(tmp_path: Path) -> None:
    store, writer = MemoryLog(), Writer(tmp_path)
    shipper = Shipper(tmp_path, store, now=lambda: NOON + 30)
    line = encode(inference(NOON))
    writer.write(line, encode(inference(NOON + 5)))
    before = shipper.lag()
    assert before.pending_bytes == 2 * len(line)
    assert before.pending_seconds == 30
    shipper.ship()
    after = shipper.lag()
    assert (after.pending_bytes, after.pending_seconds, after.accepted, after.stored) == (0, 0.0, 2, 2)
    writer.die()


def test_a_backlog_is_shipped_in_batches_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BATCH_BYTES", 2_000)
    monkeypatch.setattr(segments.scan, "__defaults__", (0, 1_000))
    store, writer = MemoryLog(), Writer(tmp_path)
    calls = [inference() for _ in range(50)]
    writer.write(*calls)
    writer.stop()
    shipper = Shipper(tmp_path, store)
    assert shipper.ship(max_batches=1).stored < 10
    shipper.ship()
    assert set(stored(store)) == {call.id for call in calls}


class Crash(Exception):
    """The process dies here."""


class Mortal(MemoryLog):
    """Dies before or after a commit, when told."""

    before: Callable[[], bool] = staticmethod(lambda: False)
    after: Callable[[], bool] = staticmethod(lambda: False)

    def ship(self, batch: Batch) -> Shipped:
        if self.before():
            raise Crash
        done = super().ship(batch)
        if self.after():
            raise Crash
        return done


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(
            ["begin", "end", "end", "junk", "rotate", "kill", "stop", "ship", "ship", "crash", "crash after"]
        ),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTIONS)
def test_any_interleaving_of_writing_dying_and_shipping_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, str]]
) -> None:
    journal, store = tmp_path_factory.mktemp("journal"), Mortal()
    writers = [Writer(journal, SegmentName(f"w{n}", FIRST.boot, 1)) for n in range(2)]
    open_calls: list[list[Inference]] = [[], []]
    answered: set[str] = set()
    given_up: set[str] = set()
    boots = 0

    def reborn(n: int, how: str) -> None:
        nonlocal boots
        boots += 1
        getattr(writers[n], how)()
        given_up.update(call.id for call in open_calls[n])
        open_calls[n].clear()
        writers[n] = Writer(journal, SegmentName(f"w{n}", FIRST.boot + boots, 1))

    for n, action in actions:
        match action:
            case "begin":
                open_calls[n].append(inference())
                writers[n].write(start_of(open_calls[n][-1]))
            case "end" if open_calls[n]:
                call = open_calls[n].pop(0)
                writers[n].write(call)
                answered.add(call.id)
            case "junk":
                writers[n].write(b"{]\n")
            case "rotate":
                writers[n].rotate()
            case "kill":
                writers[n].write(b'{"k":"end","id":"inf_')
                reborn(n, "die")
            case "stop":
                reborn(n, "stop")
            case "ship":
                Shipper(journal, store).ship()
            case "crash" | "crash after":
                hook = "before" if action == "crash" else "after"
                setattr(store, hook, lambda: True)
                with suppress(Crash):
                    Shipper(journal, store).ship()
                setattr(store, hook, lambda: False)
    for n in range(2):
        reborn(n, "die")
        writers[n].die()
    Shipper(journal, store).ship()
    rows = stored(store)
    assert {identity for identity, row in rows.items() if row.outcome == "answered"} == answered
    assert {identity for identity, row in rows.items() if row.code == "gateway_lost"} == given_up
    assert files(journal) == []
    assert store.counters()["in_flight"] == 0
    counts = store.counters()
    assert counts["accepted"] == counts["stored"] == len(answered | given_up)
