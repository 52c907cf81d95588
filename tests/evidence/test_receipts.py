"""When a receipt is made, and what it is worth at an instant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roadworthy.evidence.kinds import DAY
from roadworthy.evidence.permit.tokens import opened as permit_opened
from roadworthy.evidence.receipt.model import Receipt, Standing
from roadworthy.evidence.receipt.rules import newest, receipt_for, receipt_holds, replaces
from roadworthy.evidence.receipt.tokens import RECEIPT, REVOCATION
from roadworthy.evidence.rules import Refused
from roadworthy.evidence.sealing import Forged
from roadworthy.evidence.tokens import EVIDENCE, WAIVER
from support.evidence import (
    BEHAVIOUR,
    FIGURES,
    NOW,
    WORKFLOW,
    TestSigner,
    TestVerifier,
    evidence,
    receipt,
    revocation,
    waiver,
)


def holds(found: Receipt | None, now: float = NOW, **more: Any) -> Standing:
    return receipt_holds(found, workflow=WORKFLOW, behaviour=BEHAVIOUR, now=now, **more)


# --- made


def made(owner: str = "ada", **more: Any) -> Receipt:
    return receipt_for(evidence("eval_gate", **more), owner, ident="rcp_1", epoch=3, now=NOW)


def test_a_passed_gate_makes_a_receipt_for_its_behaviour() -> None:
    found = made()
    assert (found.verdict, found.behaviour, found.epoch) == ("PASS", BEHAVIOUR, 3)
    assert (found.issued, found.expires) == (NOW - 3600, NOW - 3600 + 35 * DAY)
    assert holds(found).grant == "full"


def test_a_receipt_weighs_the_gate_by_what_it_stands_on() -> None:
    assert made("eve").verdict == "INSUFFICIENT", "the rubric is signed by another than the owner"
    few = evidence(replace(FIGURES["eval_gate"], examples=49))
    assert receipt_for(few, "ada", ident="r", epoch=1, now=NOW).verdict == "INSUFFICIENT"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (evidence("eval_gate", mode="imported"), "imported evidence never makes a receipt"),
        (evidence("eval_gate", mode="mocked"), "targets were replaced"),
        (evidence("load_test"), "made by an eval gate, and this is 'load_test'"),
        (evidence("eval_gate", made_at=NOW + 99), "from the future"),
        (evidence("eval_gate", made_at=NOW - 36 * DAY), "has lapsed; run it again"),
    ],
)
def test_what_makes_no_receipt_is_refused(found: Any, says: str) -> None:
    with pytest.raises(Refused, match=says):
        receipt_for(found, "ada", ident="r", epoch=1, now=NOW)


def test_a_run_that_could_not_decide_takes_nothing_from_one_that_did() -> None:
    passed, later = receipt(), receipt(id="rcp_2", issued=NOW, verdict="INSUFFICIENT")
    assert not replaces(later, passed)
    assert replaces(replace(later, verdict="FAIL"), passed)
    assert replaces(later, None)
    assert not replaces(passed, later), "an older one never comes back"


# --- worth


def test_a_receipt_is_worth_everybody_then_what_was_earned_then_the_pilot() -> None:
    end = receipt().expires
    found = [holds(receipt(), at) for at in (end - 1, end, end + 13 * DAY, end + 14 * DAY)]
    assert [(each.grant, each.age, each.promotes) for each in found] == [
        ("full", "fresh", True), ("full", "stale", False), ("full", "stale", False), ("pilot", "lapsed", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "more", "why"),
    [
        (None, {}, "the gate never ran"),
        (receipt(behaviour="beh_9"), {}, "for another behaviour"),
        (receipt(workflow="other"), {}, "for another behaviour"),
        (receipt(issued=NOW + 60), {}, "from the future"),
        (receipt(verdict="FAIL"), {}, "the gate failed it"),
        (receipt(verdict="INSUFFICIENT", floors_met=False), {}, "a floor is not met"),
        (receipt(epoch=3), {"seen": (4, 0.0)}, "a newer receipt"),
        (receipt(issued=NOW - 50), {"seen": (3, NOW - 49)}, "a newer receipt"),
        (receipt(), {"revocations": [revocation()]}, "ada revoked its receipt: it lied"),
    ],
)
def test_only_testers_are_served_on(found: Receipt | None, more: dict[str, Any], why: str) -> None:
    standing = holds(found, **more)
    assert (standing.grant, standing.promotes) == ("testers", False)
    assert why in standing.why


def test_undecided_with_its_floors_met_is_a_pilot_even_when_it_is_old() -> None:
    undecided = receipt(verdict="INSUFFICIENT")
    assert {holds(undecided, NOW + days * DAY).grant for days in (0, 40, 400)} == {"pilot"}


def test_a_receipt_after_the_revocation_holds_again() -> None:
    assert holds(receipt(issued=NOW + 1), NOW + 2, revocations=[revocation()]).grant == "full"
    assert holds(receipt(), revocations=[revocation(behaviour="beh_9")]).grant == "full"


def test_a_receipt_that_names_a_longer_life_than_the_gate_has_lapses_all_the_same() -> None:
    assert holds(receipt(expires=NOW + 999 * DAY), NOW + 36 * DAY).age == "stale"


@given(st.floats(0, 100), st.floats(0, 100), st.sampled_from(["PASS", "FAIL", "INSUFFICIENT"]), st.booleans())
def test_time_alone_never_raises_what_a_receipt_is_worth_nor_takes_it_to_testers(
    a: float, b: float, verdict: Any, floors: bool
) -> None:
    worth = ["testers", "pilot", "full"]
    early, late = sorted((a, b))
    found = receipt(verdict=verdict, floors_met=floors)
    before, after = (worth.index(holds(found, NOW + days * DAY).grant) for days in (early, late))
    assert after <= before
    assert (after == 0) == (before == 0)


def test_the_newest_by_epoch_and_time_decides() -> None:
    old, new = receipt(id="1", epoch=2, issued=NOW), receipt(id="2", epoch=3, issued=NOW - 99)
    assert newest([new, old, receipt(id="3", behaviour="beh_9", epoch=9)], WORKFLOW, BEHAVIOUR) is new
    assert newest([], WORKFLOW, BEHAVIOUR) is None


# --- sealed

RECORDS: list[tuple[Any, Any]] = [
    (RECEIPT, receipt()), (REVOCATION, revocation()), (EVIDENCE, evidence("kill_drill")), (WAIVER, waiver())
]  # fmt: skip


@pytest.mark.parametrize(("seal", "record"), RECORDS)
def test_what_is_sealed_comes_back_whole_from_its_signer_only(seal: Any, record: Any) -> None:
    token = seal.sealed(record, TestSigner("k1")).encode()
    assert seal.opened(token, ["k0", "k1"], TestVerifier()) == record
    with pytest.raises(Forged):
        seal.opened(token, ["k2"], TestVerifier())


@pytest.mark.parametrize(("seal", "record"), RECORDS)
def test_nothing_that_is_sealed_can_be_taken_for_another_thing(seal: Any, record: Any) -> None:
    token = seal.sealed(record, TestSigner()).encode()
    for other, _ in RECORDS:
        if other is not seal:
            with pytest.raises(Forged):
                other.opened(other.prefix + token.removeprefix(seal.prefix), ["k1"], TestVerifier())
    with pytest.raises(Forged):
        permit_opened(b"rwp-" + token.removeprefix(seal.prefix), ["k1"], TestVerifier())


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_a_forgery(place: int, change: int) -> None:
    token = bytearray(RECEIPT.sealed(receipt(), TestSigner()).encode())
    token[place % len(token)] ^= change
    with pytest.raises(Forged):
        RECEIPT.opened(bytes(token), ["k1"], TestVerifier())
