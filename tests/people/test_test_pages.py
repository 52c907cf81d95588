"""A test page takes the way of a page, and is evidence once a person has acknowledged it."""

from __future__ import annotations

import pytest
from paging_support import MAILS, Desk, Rota, applied, configuration

from roadworthy.adapters.signatures import Ed25519Signer, Ed25519Verifier
from roadworthy.evidence.kinds import OnCallPage
from roadworthy.evidence.rules import bindings
from roadworthy.evidence.service import Ledger
from roadworthy.operations.costing.alert_test import NothingToTest
from roadworthy.operations.paging.testing import PageTests
from roadworthy.people.incident.service import Incidents
from roadworthy.people.links.service import PLACE
from roadworthy.people.outbox.model import Sent
from roadworthy.workflow.model import Person
from roadworthy.workflow.service import Actor, Unknown

ADA, BO = Actor("ada"), Actor("bo")


class Tests:
    __test__ = False

    def __init__(self, *order: str) -> None:
        self.desk = Desk(Rota(*(order or ("ada", "bo"))), configuration(MAILS))
        self.incidents = Incidents(self.desk.state, clock=self.desk.clock)
        self.ledger = Ledger(self.desk.state, Ed25519Signer(b"1" * 32), Ed25519Verifier(), clock=self.desk.clock)
        self.start()

    def start(self) -> None:
        self.incidents.paged_by(self.desk.paging)
        self.tests = PageTests(
            self.desk.state, self.desk.paging, self.ledger, bindings=lambda name: [bindings("", "", name)],
            clock=self.desk.clock,
        )  # fmt: skip
        self.desk.paging.tested_by(self.tests.keep)

    def begun(self) -> str:
        incident = self.tests.start("support", BO).incident
        self.desk.passes(0.5)
        return incident

    def evidence(self) -> list[OnCallPage]:
        found = [each.figures for each in self.ledger.known("support").evidence]
        assert all(isinstance(each, OnCallPage) for each in found)
        return found  # type: ignore[return-value]


def test_whoever_is_first_is_paged_with_a_message_that_says_it_is_a_test() -> None:
    made = Tests()
    made.begun()
    (mail,) = made.desk.post.mails
    assert mail.to == ["ada@example.com"]
    assert mail.subject.startswith("TEST: support: a test page.")
    assert "I'm on it" in mail.text
    assert "Turn AI off" not in mail.text


def test_an_acknowledgement_by_a_person_is_evidence_of_whom_and_after_how_long() -> None:
    made = Tests()
    incident = made.begun()
    assert made.tests.find(incident).verdict == ""
    made.desk.passes(1)
    token = made.desk.post.mails[0].text.partition(PLACE)[2].split()[0]
    link = made.desk.links.use(token)
    made.incidents.acknowledge(link.subject, Actor(link.person), "link")
    made.desk.passes(0)
    assert made.evidence() == [OnCallPage("ada", "ada", 90.0)]
    assert made.tests.find(incident).verdict == "PASS"
    assert made.incidents.find(incident).over


def test_somebody_else_of_the_team_counts_too_and_is_named() -> None:
    made = Tests()
    made.incidents.acknowledge(made.begun(), Actor("pagerduty:Tenex Engineer"), "pagerduty")
    made.desk.passes(0)
    assert [each.acknowledged_by for each in made.evidence()] == ["pagerduty:Tenex Engineer"]


@pytest.mark.parametrize("who", ["os:1000", "engine"])
def test_a_machine_does_not_count(who: str) -> None:
    made = Tests()
    incident = made.begun()
    made.incidents.acknowledge(incident, Actor(who), "cli")
    made.desk.passes(0)
    assert [each.acknowledged_by for each in made.evidence()] == [""]
    assert made.tests.find(incident).verdict == "FAIL"


def test_without_an_acknowledgement_it_fails_in_its_time_and_wakes_nobody_else() -> None:
    made = Tests()
    incident = made.begun()
    made.desk.passes(60)
    assert {mail.to[0] for mail in made.desk.post.mails} == {"ada@example.com"}
    assert made.tests.find(incident).verdict == "FAIL"
    assert made.evidence() == [OnCallPage("ada")]
    assert made.incidents.list(open_only=True) == []


def test_a_page_that_every_channel_refuses_fails_at_once_and_says_why() -> None:
    made = Tests()
    made.desk.post.will["mail"] = Sent(550, "it refused the address: 550 unknown", final=True)
    incident = made.begun()
    found = made.tests.find(incident)
    assert (found.verdict, found.page.proofs[0].said) == ("FAIL", "it refused the address: 550 unknown")


def test_what_came_of_it_is_kept_after_a_restart_too() -> None:
    made = Tests()
    incident = made.begun()
    made.incidents.acknowledge(incident, ADA, "console")
    made.desk.start()  # before the engine came to it
    made.start()
    made.desk.passes(0)
    made.desk.passes(1)
    assert made.evidence() == [OnCallPage("ada", "ada", 30.0)]


def test_a_second_test_joins_the_one_that_is_under_way() -> None:
    made = Tests()
    assert made.begun() == made.begun()
    assert len(made.desk.post.mails) == 1


def test_there_must_be_a_workflow_and_somebody_to_page() -> None:
    with pytest.raises(Unknown, match="did you mean"):
        Tests().tests.start("suport", BO)
    nobody = Tests("stranger")
    with pytest.raises(NothingToTest, match="nobody is on call"):
        nobody.begun()
    assert nobody.incidents.list() == []


def test_a_person_without_a_channel_is_said_to_have_none() -> None:
    made = Tests("dee")
    made.desk.rota.order = ["dee"]
    applied(made.desk.state, configuration(MAILS, dee=Person("dee", "Dee")))
    found = made.tests.find(made.begun())
    assert found.verdict == "FAIL"
    assert "no channel" in found.page.proofs[0].said
