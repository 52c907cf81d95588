"""What is kept beside the database: one contract for the file and its twin; what agreements make of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from roadworthy.adapters.memory.sealed_log import MemorySealedLog
from roadworthy.adapters.sealed_log import FileSealedLog
from roadworthy.evidence.ports import SealedLog
from roadworthy.operations.publication.agreements import AGREEMENT, SealedAgreements
from roadworthy.workflow.model import Owners, Policy
from roadworthy.workflow.strictness import Terms
from support.evidence import TestSigner, TestVerifier

LOOSE = Terms(Owners("ada", "bo", "bo"), "enforce", Policy(testers=["ada", "bo"]))
STRICT = Terms(Owners("ada", "bo", "bo"), "enforce", Policy(testers=["ada"]))

Make = Callable[[], SealedLog]


@pytest.fixture(params=["file", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Opens the same log each time."""
    memory = MemorySealedLog()
    return (lambda: FileSealedLog(tmp_path / "sealed.log")) if request.param == "file" else (lambda: memory)


def agreements(log: SealedLog, key: str = "k1") -> SealedAgreements:
    return SealedAgreements(log, TestSigner(key), TestVerifier(), clock=lambda: 1.0)


def test_what_is_appended_is_there_in_its_order_after_it_is_opened_again(make: Make) -> None:
    assert list(make().tokens()) == []
    make().append(["a", "b"])
    make().append(["c"])
    assert list(make().tokens()) == ["a", "b", "c"]


def test_a_line_that_a_power_cut_tore_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "sealed.log"
    FileSealedLog(path).append(["whole"])
    with path.open("ab") as file:
        file.write(b"torn")
    FileSealedLog(path).append(["next"])
    assert list(FileSealedLog(path).tokens()) == ["whole", "torn", "next"]
    assert path.stat().st_mode & 0o077 == 0


def test_the_newest_agreement_is_in_force_also_after_a_restart(make: Make) -> None:
    first = agreements(make())
    assert first.terms("triage") is None
    first.agree("triage", LOOSE, by="ada")
    first.agree("triage", STRICT, by="dev")
    first.agree("triage", STRICT, by="dev")
    assert len(make().tokens()) == 2, "the same terms again are no new agreement"
    assert agreements(make()).terms("triage") == STRICT


def test_two_approvals_at_once_are_both_in_force_and_what_was_stricter_stays(make: Make) -> None:
    ours, looser = agreements(make()), replace(LOOSE, policy=Policy(testers=["ada", "bo"], pilot_share=0.02))
    ours.agree("triage", STRICT, by="dev")
    ours.agree("triage", looser, by="dev")
    assert ours.terms("triage") == STRICT
    ours.agree("triage", looser, by="ada", approved=["policy.testers"])
    ours.agree("triage", looser, by="ada", approved=["policy.pilot_share"])
    assert ours.terms("triage") == looser
    ours.agree("triage", STRICT, by="dev")
    ours.agree("triage", looser, by="ada", approved=["policy.testers"])
    assert ours.terms("triage") == replace(STRICT, policy=replace(STRICT.policy, testers=["ada", "bo"]))


def test_an_older_agreement_that_is_appended_again_is_a_replay(make: Make) -> None:
    agreements(make()).agree("triage", LOOSE, by="ada")
    [old] = make().tokens()
    agreements(make()).agree("triage", STRICT, by="dev")
    make().append([old])
    assert agreements(make()).terms("triage") == STRICT


def test_what_another_key_signed_is_no_agreement(make: Make) -> None:
    agreements(make()).agree("triage", STRICT, by="dev")
    agreements(make(), "k2").agree("triage", LOOSE, by="eve")
    make().append(["rwg-nonsense", AGREEMENT.prefix.decode()])
    assert agreements(make()).terms("triage") == STRICT
