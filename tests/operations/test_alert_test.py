"""A test alert takes the way of a real one, and is evidence of just that."""

from __future__ import annotations

import msgspec
import pytest
from costing_support import NOON, Install

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evidence.kinds import CostAlertTest
from roadworthy.evidence.rules import bindings
from roadworthy.evidence.service import Ledger
from roadworthy.operations.costing.alert_test import AlertTests, Arrived, NothingToTest
from roadworthy.people.outbox.model import Sent
from roadworthy.people.outbox.service import Outbox
from roadworthy.workflow.model import Budget, Budgets, Webhook
from roadworthy.workflow.service import Actor, Unknown


def arrived(made: Install, sent: Sent | None, workflow: str = "support") -> Arrived:
    """The engine explains and delivers while the test waits; ``sent``: what the notifier answers, ``None``: nothing."""
    outbox = Outbox(made.state, clock=lambda: made.now, secret=lambda name: "s", hmac_key=b"k")
    ledger = Ledger(made.state, Ed25519Signer(b"1" * 32), Ed25519Verifier(), clock=lambda: made.now)

    def engine(seconds: float) -> None:
        made.now += seconds
        made.alerts.round()
        if sent is not None:
            outbox.mark([(row, sent) for row, _ in outbox.due()])

    return AlertTests(
        made.state, made.incidents, outbox, ledger, bindings=lambda name: [bindings("", "", name)],
        clock=lambda: made.now, sleep=engine, monotonic=lambda: made.now,
    ).run(workflow, Actor("ada"))  # fmt: skip


def figures(found: Arrived) -> CostAlertTest:
    assert isinstance(found.evidence.figures, CostAlertTest)
    return found.evidence.figures


def test_what_was_taken_is_evidence_of_the_thresholds_and_of_whom_it_reached() -> None:
    made = Install(notify=Webhook("https://hooks.example/services/T0/secret", "env:N"))
    made.called(NOON - 60.0, usd=2.0)
    found = arrived(made, Sent(200))
    assert figures(found) == CostAlertTest(
        {"workflow, day, 50 %": 5.0, "workflow, day, 80 %": 8.0, "workflow, day, 100 %": 10.0},
        "Bo (hooks.example)",
        True,
    )
    assert "support spent $2.00 today" in found.cause
    (told,) = made.told()
    assert (told["data"]["class"], told["data"]["title"]) == ("drill", "DRILL: support: test of the cost alert")
    assert made.incidents.list(open_only=True) == []  # nobody has to look into it
    assert found.evidence.bound == {"workflow": "support"}


@pytest.mark.parametrize(("sent", "said"), [(Sent(500, "it answered 500"), "it answered 500"), (None, "not tried yet")])
def test_what_was_not_taken_is_kept_as_not_delivered(sent: Sent | None, said: str) -> None:
    found = arrived(Install(), sent)
    assert not figures(found).delivered
    assert found.ways == [f"notify: {said}"]


def test_without_an_engine_nothing_is_kept_for_nobody_was_told_and_nobody_could_be() -> None:
    made = Install()
    made.alerts.round = lambda: None  # type: ignore[method-assign]
    with pytest.raises(NothingToTest, match="control does not run"):
        arrived(made, None)
    with made.state.read() as tx:
        assert tx.evidence_about("support") == []


def test_there_must_be_a_budget_and_a_way() -> None:
    with pytest.raises(NothingToTest, match="support has no budget"):
        arrived(Install(Budgets()), None)
    made = Install(Budgets(user=Budget(day=1.0)))
    settings = msgspec.structs.replace(made.configuration.settings, notify=None)
    made.configuration = msgspec.structs.replace(made.configuration, settings=settings)
    with made.state.write() as tx:
        before = tx.applied()
        assert before is not None
        tx.add_configuration(msgspec.structs.replace(before, version=2, configuration=made.configuration))
    with pytest.raises(NothingToTest, match="nobody is told of alerts"):
        arrived(made, None)
    with pytest.raises(Unknown):
        arrived(made, None, "suport")
