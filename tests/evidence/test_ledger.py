"""The ledger: every change is signed and audited, and a row that somebody else wrote counts for nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.evidence.model import Evidence
from roadworthy.evidence.rules import Refused
from roadworthy.evidence.service import Ledger
from roadworthy.evidence.tokens import EVIDENCE
from roadworthy.readiness.items import NEVER_WAIVED, NUMBERS
from roadworthy.readiness.rules import readiness
from roadworthy.workflow import audit
from support.evidence import BEHAVIOUR, FIGURES, KNOWN, NOW, WORKFLOW, TestSigner, TestVerifier, evidence, waiver
from support.readiness import shown, subject

Store = MemoryState | SqliteState


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def ledger(state: Store, key: str = "k1") -> Ledger:
    numbers = count(1)
    return Ledger(state, TestSigner(key), TestVerifier(), clock=lambda: NOW, new_id=lambda p: f"{p}{next(numbers)}")


def told(state: Store) -> list[tuple[str, str, str]]:
    """(actor, action, outcome) of the audit trail, which verifies."""
    with state.read() as tx:
        records = tx.audit()
    assert audit.verify([record.as_dict() for record in records]) is None
    return [(record.actor, record.action, record.outcome) for record in records]


def kept(state: Store, *found: Evidence) -> Ledger:
    ours = ledger(state)
    for each in found:
        ours.keep(each, [KNOWN])
    return ours


def test_evidence_is_kept_with_its_audit_record(state: Store) -> None:
    ours = kept(state, evidence("load_test"), evidence("canary"))
    assert [each.kind for each in ours.known(WORKFLOW).evidence] == ["load_test", "canary"]
    assert told(state) == [("ada", "evidence.keep", "done")] * 2


def test_what_is_refused_is_audited_and_not_kept(state: Store) -> None:
    with pytest.raises(Refused, match="in the future"):
        kept(state, evidence(made_at=NOW + 60))
    assert told(state) == [("ada", "evidence.keep", "denied")]
    assert ledger(state).known(WORKFLOW).evidence == []


def test_a_row_that_somebody_else_wrote_counts_for_nothing(state: Store) -> None:
    with state.write() as tx:
        tx.add_evidence(evidence(id="forged"), EVIDENCE.sealed(evidence(id="forged"), TestSigner("thief")))
        tx.add_evidence(evidence(id="rubbish"), "{}")
    known = ledger(state).known(WORKFLOW)
    assert (known.evidence, known.forged) == ([], 2)
    with pytest.raises(Refused, match="there is no evidence forged"):
        ledger(state).accept("forged", "bo", "cost")


def test_a_token_in_the_wrong_table_counts_for_nothing_there_and_as_ever_in_its_own(state: Store) -> None:
    ours = ledger(state)
    let = ours.waive(waiver(), NUMBERS, NEVER_WAIVED)
    with state.write() as tx:
        [token] = tx.waivers(WORKFLOW)
        tx.add_evidence(evidence(), token)
    for each in (ours, ours, ledger(state)):
        known = each.known(WORKFLOW)
        assert (known.evidence, known.waivers, known.forged) == ([], [let], 1)


def test_an_edited_token_counts_for_nothing(tmp_path: Path) -> None:
    store = SqliteState(tmp_path / "state.db")
    kept(store, evidence("load_test"))
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("UPDATE evidence SET token = replace(token, 'a', 'b')")
    assert ledger(store).known(WORKFLOW).forged == 1
    store.close()


def test_what_is_too_long_to_be_opened_again_is_refused_and_never_half_kept(state: Store) -> None:
    ours, long = ledger(state), "because " * 2000
    kept(state, evidence("eval_gate"))
    receipt = ours.issue(ours.known(WORKFLOW).evidence[0].id, "ada", 3)
    assert receipt is not None
    with pytest.raises(Refused, match="500 are the most: shorten"):
        ours.revoke(WORKFLOW, receipt.behaviour, team="default", person="ada", reason=long, epoch=3)
    with pytest.raises(Refused, match="500 are the most: shorten"):
        ours.waive(waiver(reason=long), NUMBERS, NEVER_WAIVED)
    with pytest.raises(Refused, match="at most 1,048,576 fit: shorten"):
        ours.keep(evidence(detail=long * 70), [KNOWN])
    known = ours.known(WORKFLOW)
    assert (len(known.evidence), known.waivers, known.revocations, known.forged) == (1, [], [], 0)
    assert [outcome for _, _, outcome in told(state)][-3:] == ["denied"] * 3


def test_an_earlier_key_of_the_install_still_counts(state: Store) -> None:
    kept(state, evidence())
    newer = Ledger(state, TestSigner("k2"), TestVerifier(), clock=lambda: NOW, keys=["k1"])
    assert len(newer.known(WORKFLOW).evidence) == 1
    assert ledger(state, "k2").known(WORKFLOW).forged == 1


def test_a_forecast_is_accepted_once_by_the_cost_owner(state: Store) -> None:
    ours = kept(state, evidence("cost_forecast", id="f"), evidence("canary", id="c"))
    taken = ours.accept("f", "bo", "cost")
    assert ours.accept("f", "bo", "cost") == taken
    assert [each.by for each in ours.known(WORKFLOW).evidence[0].accepted] == ["bo"]
    for ident, role, says in (
        ("f", "workflow", "is accepted by the cost owner, not as 'workflow'"),
        ("c", "cost", "a canary needs nobody's acceptance"),
        ("x", "cost", "there is no evidence x"),
    ):
        with pytest.raises(Refused, match=says):
            ours.accept(ident, "bo", role)  # type: ignore[arg-type]
    assert told(state)[2:] == [("bo", "evidence.accept", "done"), *[("bo", "evidence.accept", "denied")] * 3]


def test_a_receipt_is_issued_for_a_kept_gate_run_only(state: Store) -> None:
    ours = kept(state, evidence("eval_gate", id="g"), evidence("eval_gate", id="imported", mode="imported",
                                                              lapses_at=NOW + 9))  # fmt: skip
    found = ours.issue("g", "ada", epoch=2)
    assert found is not None
    assert (found.verdict, found.epoch, ours.known(WORKFLOW).receipts) == ("PASS", 2, [found])
    for ident, says in (("imported", "imported evidence never makes a receipt"), ("none", "no evidence none")):
        with pytest.raises(Refused, match=says):
            ours.issue(ident, "ada", epoch=2)
    assert told(state)[-3:] == [("engine", "receipt.issue", each) for each in ("done", "denied", "denied")]


def test_a_run_that_could_not_decide_leaves_the_receipt_in_force(state: Store) -> None:
    undecided = replace(FIGURES["eval_gate"], verdict="INSUFFICIENT")
    ours = kept(state, evidence("eval_gate", id="g"), evidence(undecided, id="u", made_at=NOW - 60))
    ours.issue("g", "ada", epoch=2)
    assert ours.issue("u", "ada", epoch=2) is None
    failed = replace(FIGURES["eval_gate"], verdict="FAIL")
    ours.keep(evidence(failed, id="f", made_at=NOW - 30), [KNOWN])
    ours.issue("f", "ada", epoch=2)
    assert [each.verdict for each in ours.known(WORKFLOW).receipts] == ["FAIL"]


def test_a_revocation_needs_its_reason_and_takes_the_workflow_to_testers(state: Store) -> None:
    ours = kept(state, *shown().values())
    ours.issue("evd_eval_gate_1759996400", "ada", epoch=2)
    known = ours.known(WORKFLOW)
    before = subject(receipts=known.receipts)
    assert readiness(known.evidence, known.waivers, before, NOW).label == "production"
    with pytest.raises(Refused, match="needs a reason"):
        ours.revoke(WORKFLOW, BEHAVIOUR, team="default", person="ada", reason=" ", epoch=2)
    ours.revoke(WORKFLOW, BEHAVIOUR, team="default", person="ada", reason="it lied", epoch=2)
    after = subject(receipts=known.receipts, revocations=ours.known(WORKFLOW).revocations)
    assert readiness(known.evidence, known.waivers, after, NOW).ceiling == 0.0


def test_a_waiver_is_made_ended_and_audited(state: Store) -> None:
    ours = ledger(state)
    ours.waive(waiver(1), NUMBERS, NEVER_WAIVED)
    assert ours.known(WORKFLOW).waivers[0].holds(NOW)
    assert not ours.end_waiver("wvr_1", WORKFLOW, "ada").holds(NOW)
    assert not ours.known(WORKFLOW).waivers[0].holds(NOW)
    with pytest.raises(Refused, match="no waiver wvr_1 of support is in force"):
        ours.end_waiver("wvr_1", WORKFLOW, "ada")
    with pytest.raises(Refused, match="never waived"):
        ours.waive(waiver(7, id="wvr_2"), NUMBERS, NEVER_WAIVED)
    assert [each[1:] for each in told(state)] == [
        ("waiver.make", "done"), ("waiver.end", "done"), ("waiver.end", "denied"), ("waiver.make", "denied"),
    ]  # fmt: skip
