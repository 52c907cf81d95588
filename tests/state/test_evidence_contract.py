"""One suite for what both adapters of the state port keep of evidence: sealed tokens, found by their facts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.workflow.ports import StateConflict
from support.evidence import NOW, evidence, receipt, revocation, waiver

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def test_evidence_is_found_by_workflow_install_and_kind_newest_first(state: Store) -> None:
    with state.write() as tx:
        tx.add_evidence(evidence("load_test", id="a", made_at=NOW - 30), "load")
        tx.add_evidence(evidence("canary", id="b", made_at=NOW - 20), "canary")
        tx.add_evidence(evidence("load_test", id="c", made_at=NOW - 10), "later")
        tx.add_evidence(evidence("load_test", id="d", workflow="other"), "other")
    with state.read() as tx:
        assert tx.evidence_about("support") == ["later", "canary", "load"]
        assert tx.evidence_about("support", kind="load_test") == ["later", "load"]
        assert tx.evidence_about("support", limit=1) == ["later"]
        assert (tx.evidence("b"), tx.evidence("none")) == ("canary", None)


def test_a_word_is_found_as_the_kind_that_it_stands_for(state: Store) -> None:
    from roadworthy.evidence.kinds import Attestation

    with state.write() as tx:
        tx.add_evidence(evidence(Attestation(instead_of="load_test", words="seen it")), "word")
        assert tx.evidence_about("support", kind="load_test") == ["word"]


def test_evidence_is_added_once_and_accepted_in_place(state: Store) -> None:
    with state.write() as tx:
        tx.add_evidence(evidence(id="a"), "first")
        tx.accept_evidence(evidence(id="a"), "accepted")
        assert tx.evidence_about("support") == ["accepted"]
        with pytest.raises(StateConflict):
            tx.accept_evidence(evidence(id="z"), "nothing")
    with pytest.raises(StateConflict), state.write() as tx:
        tx.add_evidence(evidence(id="a"), "again")


def test_the_newest_receipt_of_a_behaviour_is_by_epoch_then_time(state: Store) -> None:
    with state.write() as tx:
        tx.add_receipt(receipt(id="1", epoch=3, issued=NOW), "old epoch, late")
        tx.add_receipt(receipt(id="2", epoch=4, issued=NOW - 50), "early")
        tx.add_receipt(receipt(id="3", epoch=4, issued=NOW - 40), "newest")
        tx.add_receipt(receipt(id="4", behaviour="beh_0"), "another behaviour")
        tx.add_receipt(receipt(id="5", workflow="other"), "another workflow")
    with state.read() as tx:
        assert tx.receipts("support") == ["another behaviour", "newest"]
        assert tx.receipts() == ["another workflow", "another behaviour", "newest"]


def test_revocations_are_kept_in_order(state: Store) -> None:
    with state.write() as tx:
        tx.add_revocation(revocation(id="2", at=NOW), "second")
        tx.add_revocation(revocation(id="1", at=NOW - 9), "first")
        tx.add_revocation(revocation(id="3", workflow="other"), "other")
    with state.read() as tx:
        assert tx.revocations("support") == ["first", "second"]
        assert tx.revocations()[:1] == ["first"]
        assert len(tx.revocations()) == 3


def test_waivers_are_found_until_they_end_or_are_ended(state: Store) -> None:
    long, short = waiver(1, id="1", ends=NOW + 90), waiver(2, id="2", ends=NOW + 10)
    with state.write() as tx:
        tx.add_waiver(long, "long")
        tx.add_waiver(short, "short")
    with state.read() as tx:
        assert tx.waivers("support", ending_after=NOW) == ["short", "long"]
        assert tx.waivers("support", ending_after=NOW + 10) == ["long"]
        assert tx.waivers("other") == []
    with state.write() as tx:
        tx.end_waiver(msgspec.structs.replace(long, ended_at=NOW + 5), "ended")
        assert tx.waivers("support", ending_after=NOW + 5) == ["short"]
        assert tx.waivers("support") == ["ended", "short"]
        with pytest.raises(StateConflict):
            tx.end_waiver(waiver(3, id="9"), "nothing")


@pytest.mark.parametrize(
    "write",
    [
        lambda tx: tx.add_evidence(evidence(), "t"),
        lambda tx: tx.add_receipt(receipt(), "t"),
        lambda tx: tx.add_revocation(revocation(), "t"),
        lambda tx: tx.add_waiver(waiver(), "t"),
    ],
)
def test_a_reader_writes_nothing_and_an_exception_takes_all_back(state: Store, write: Callable[[Any], None]) -> None:
    with pytest.raises(RuntimeError, match="asked to write"), state.read() as tx:
        write(tx)
    with suppress(KeyError), state.write() as tx:
        write(tx)
        raise KeyError("half way")
    with state.read() as tx:
        found = [tx.evidence_about("support"), tx.receipts(), tx.revocations(), tx.waivers("support")]
    assert found == [[], [], [], []]


def test_receipts_and_revocations_cannot_be_changed_or_removed(tmp_path: Path) -> None:
    store = SqliteState(tmp_path / "state.db")
    with store.write() as tx:
        tx.add_receipt(receipt(), "t")
        tx.add_revocation(revocation(), "t")
    store.close()
    for table in ("receipt", "revocation"):
        for statement in (f"UPDATE {table} SET token = 'x'", f"DELETE FROM {table}"):
            with (
                sqlite3.connect(tmp_path / "state.db") as connection,
                pytest.raises(sqlite3.IntegrityError, match="append-only"),
            ):
                connection.execute(statement)
