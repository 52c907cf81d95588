"""Whoever writes into the state database gets no live traffic for it: what gateways are told does not follow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from enforced_install import DAY, DEV, FILES, FLOW, Install

from roadworthy.evidence.receipt.tokens import RECEIPT
from roadworthy.rollout.tokens import ROLLOUT
from roadworthy.wiring.composition import Control
from support.evidence import TestSigner, receipt


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    made = Install(tmp_path)
    made.apply()
    made.freeze()
    yield made
    made.close()


def configured(install: Install, change: Any) -> None:
    """Somebody edits the configuration that is stored."""
    with install.control.state.read() as tx:
        newest = tx.configurations(limit=1)[0]
    stored = json.loads(msgspec.json.encode(newest.configuration))
    change(stored["workflows"]["triage"])
    install.sql("UPDATE configuration SET configuration = ? WHERE version = ?", json.dumps(stored), newest.version)
    install.restart()


def test_the_enforcement_word_written_into_the_database_enforces_on(install: Install) -> None:
    configured(install, lambda flow: flow.update(enforcement="observe"))
    assert install.served.enforcement == "enforce"
    assert install.told.waivers == []


def test_policy_written_into_the_database_loosens_nothing_and_is_seen_to_wait(install: Install) -> None:
    def looser(flow: Any) -> None:
        flow["policy"]["testers"] = ["ada", "eve"]
        flow["policy"]["budgets"] = {}
        flow["owners"]["workflow"] = "eve"

    configured(install, looser)
    assert install.served.policy.testers == ["ada"]
    assert install.served.policy.budgets.workflow.day == 5
    [pending] = install.control.enforcing.approvals.pending()
    assert pending.approver == "ada", "the owner is who was agreed to, not who was written there"
    assert {wait.field for wait in pending.waits} == {
        "owners.workflow", "policy.testers", "policy.budgets.workflow.day"
    }  # fmt: skip


def test_another_candidate_written_into_the_database_gets_no_live_user(install: Install) -> None:
    first = install.served.release
    install.prover.everybody("triage")
    second = install.freeze("You are brief.\n").release.release.digest
    assert install.served.release == first
    install.sql("UPDATE served SET digest = ? WHERE workflow = 'triage'", second)
    install.restart()
    assert install.served.release == first, "the ramp is signed, and names its release"


def test_without_a_ramp_another_candidate_is_for_testers_too(install: Install) -> None:
    install.prover.items("triage")
    install.prover.receipt("triage")
    second = install.freeze("You are brief.\n").release.release.digest
    install.sql("UPDATE served SET digest = ? WHERE workflow = 'triage'", second)
    install.restart()
    assert install.served.ramp is not None
    assert install.served.ramp.share == 0.0


def test_a_prompt_edited_inside_a_frozen_release_is_not_that_release(install: Install) -> None:
    install.prover.everybody("triage")
    digest = install.served.release
    install.sql(
        "UPDATE release SET record = replace(record, 'You are kind.', 'You are evil.') WHERE digest = ?", digest
    )
    install.restart()
    assert install.told.releases == {}
    assert install.served.release is None
    assert any("is not what its digest says" in warning for warning in install.control.publisher.warnings)


def test_a_ramp_that_somebody_else_signed_is_none(install: Install) -> None:
    install.prover.everybody("triage", share=0.01)
    with install.control.state.read() as tx:
        token = tx.rollout("triage")
    assert token is not None
    keys, verifier = install.control.proving.ledger._keys, install.control.proving.ledger._verifier
    kept = ROLLOUT.opened(token.encode(), keys, verifier)
    install.sql("UPDATE rollout SET token = ? WHERE workflow = 'triage'", ROLLOUT.sealed(kept, TestSigner()))
    install.restart()
    assert install.served.ramp is not None
    assert install.served.ramp.share == 0.0


def test_a_receipt_that_somebody_else_signed_goes_to_no_gateway(install: Install) -> None:
    behaviour = next(iter(install.told.releases.values())).behaviour_digest
    forged = receipt(workflow="triage", behaviour=behaviour, epoch=99)
    install.sql(
        "INSERT INTO receipt (id, team, workflow, behaviour, epoch, issued, token) VALUES (?, ?, ?, ?, ?, ?, ?)",
        forged.id, "default", "triage", behaviour, 99, forged.issued, RECEIPT.sealed(forged, TestSigner()),
    )  # fmt: skip
    install.prover.ramp("triage", 1.0)
    install.restart()
    assert install.told.receipts == []
    assert install.served.ramp is not None
    assert install.served.ramp.share == 0.0


def test_a_gate_that_failed_stays_failed_when_its_row_is_removed(install: Install) -> None:
    install.prover.everybody("triage")
    failed = install.prover.receipt("triage", "FAIL", issued=install.clock.now)
    install.clock.now += 1
    assert install.served.ramp is not None
    assert install.served.ramp.share == 0.0
    install.sql("DELETE FROM receipt WHERE id = ?", failed.id)
    install.restart()
    assert install.served.ramp.share == 0.0
    opened = [RECEIPT.opened(token.encode(), *_keys(install.control)) for token in install.told.receipts]
    assert [each.verdict for each in opened] == ["FAIL"]


def test_a_revocation_stays_when_its_row_is_removed(install: Install) -> None:
    install.prover.everybody("triage")
    behaviour = next(iter(install.told.releases.values())).behaviour_digest
    install.control.proving.ledger.revoke("triage", behaviour, team="default", person="ada", reason="it lied", epoch=1)
    assert len(install.told.revocations) == 1
    install.sql("DELETE FROM revocation WHERE workflow = 'triage'")
    install.restart()
    assert len(install.told.revocations) == 1
    assert install.served.ramp is not None
    assert install.served.ramp.share == 0.0
    assert install.audit()[-1].action == "evidence.restored"


def test_a_waiver_that_somebody_else_signed_observes_nothing(install: Install) -> None:
    install.sql(
        "INSERT INTO waiver (id, team, workflow, ends_at, token) VALUES ('w', 'default', 'triage', ?, 'rww-x.y')",
        install.clock.now + DAY,
    )
    configured(install, lambda flow: flow.update(enforcement="observe"))
    assert install.told.waivers == []
    assert install.served.enforcement == "enforce"


def test_a_policy_that_was_tightened_stays_so_whatever_configuration_is_put_back(install: Install) -> None:
    install.edited("testers: [ada]", "testers: []")
    install.sql("DELETE FROM configuration WHERE version = 2")
    install.restart()
    assert install.served.policy.testers == []


def test_a_crash_before_the_first_terms_were_agreed_to_lets_nothing_looser_follow(install: Install) -> None:
    install.control.close()
    install.folder.sealed_log.unlink()  # as it is where control ended between the commit and the agreement
    install.restart()
    install.edited("testers: [ada]", "testers: [ada, eve]")
    assert install.served.policy.testers == ["ada"]


def test_leaving_a_workflow_out_and_taking_it_in_again_loosens_nothing(install: Install) -> None:
    without = {name: text for name, text in FILES.items() if not name.startswith("workflows/")}
    assert install.control.workflows.apply(without, DEV).applied
    install.edited("testers: [ada]", "testers: [ada, eve]")
    assert install.served.policy.testers == ["ada"]
    install.apply({FLOW: FILES[FLOW].replace("enforcement: enforce", "enforcement: observe")})
    assert install.served.enforcement == "enforce"


def _keys(control: Control) -> Any:
    ledger = control.proving.ledger
    return ledger._keys, ledger._verifier
