"""Paging, read as promises: who is reached, when, and what stops it."""

from __future__ import annotations

from pathlib import Path

import pytest
from paging_support import MAILS, Desk, Rota, configuration

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.people.incident.model import PageText
from roadworthy.people.outbox.model import Sent
from roadworthy.workflow.model import Channel, PagingSettings, Person, Settings, Webhook

REFUSED = Sent(550, "it refused the address", final=True)
SILENT = Sent(error="no answer in 15 s")


@pytest.fixture
def desk() -> Desk:
    """Ada is on call, then Bo, then the catch-all Cy; each has five minutes."""
    return Desk(Rota("ada", "bo", "cy"))


def test_whoever_is_on_call_is_paged_at_once_and_nobody_else(desk: Desk) -> None:
    desk.opens()
    assert desk.paged() == ["ada"]
    desk.passes(4.9)
    assert desk.paged() == []
    assert desk.states() == [("ada", "delivered")]


def test_without_an_acknowledgement_it_is_handed_up_and_the_last_is_paged_again_and_again(desk: Desk) -> None:
    desk.opens()
    desk.passes(5)
    assert desk.paged() == ["ada", "bo"]
    desk.passes(5)
    assert desk.paged() == ["cy"]
    desk.passes(15)
    assert desk.paged() == ["cy", "cy", "cy"]
    assert desk.states() == [("ada", "handed_up"), ("bo", "handed_up"), ("cy", "delivered")]


def test_whoever_is_paged_later_reads_why(desk: Desk) -> None:
    desk.opens()
    desk.passes(16)
    ada, bo, cy, again = desk.post.mails
    assert "Why you" not in ada.text
    assert "Ada was paged and has not acknowledged within 5 min" in bo.text
    assert "Bo was paged" in cy.text
    assert "Nobody has it yet. This is page 2 to you." in again.text


@pytest.mark.parametrize("how", ["link", "console", "cli", "pagerduty"])
def test_an_acknowledgement_stops_it_by_whatever_way(desk: Desk, how: str) -> None:
    desk.opens()
    desk.passes(6)
    desk.paged()
    desk.acknowledges("bo", how)
    desk.passes(120)
    assert desk.paged() == []
    assert desk.states() == [("ada", "handed_up"), ("bo", "acknowledged")]
    page = desk.paging.of("inc_1")[1]
    assert (page.ended_by, page.how) == ("bo", how)


def test_whom_it_was_handed_up_from_gets_no_late_page_of_what_somebody_has() -> None:
    """Ada's mail server is back when Bo has it: she sleeps on."""
    settings = Settings(smtp=MAILS.smtp, channels={"pager": Channel("pagerduty", "env:PD")})
    desk = Desk(Rota("ada", "bo"), configuration(settings))
    desk.post.will["mail"] = SILENT
    desk.opens()
    desk.passes(6)
    assert desk.states()[0] == ("ada", "handed_up")
    desk.acknowledges("bo", "console")
    desk.post.will.clear()
    desk.post.mails.clear()
    desk.passes(600)
    assert desk.post.mails == []
    proof = desk.paging.of("inc_1")[0].proofs[0]
    assert (proof.taken, proof.said) == (False, "withdrawn, bo has it (no answer in 15 s)")


def test_somebody_who_was_never_paged_may_take_it(desk: Desk) -> None:
    desk.opens()
    desk.acknowledges("eve", "console")
    desk.passes(60)
    assert desk.paged() == ["ada"]
    assert desk.paging.of("inc_1")[0].ended_by == "eve"


def test_whoever_was_handed_over_may_still_take_it(desk: Desk) -> None:
    desk.opens()
    desk.passes(6)
    desk.acknowledges("ada")
    assert desk.states() == [("ada", "acknowledged"), ("bo", "acknowledged")]
    assert {page.ended_by for page in desk.paging.of("inc_1")} == {"ada"}


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_timers_survive_a_restart(store: str, tmp_path: Path) -> None:
    state = MemoryState() if store == "memory" else SqliteState(tmp_path / "state.db")
    desk = Desk(Rota("ada", "bo"), state=state)
    desk.opens()
    desk.passes(4)
    desk.start()
    assert desk.paged() == ["ada"]
    desk.clock.now += 10 * 60  # nothing ran for ten minutes
    desk.start()
    desk.passes(0)
    assert desk.paged() == ["bo"]


def test_a_person_has_one_page_an_incident(desk: Desk) -> None:
    incident = desk.opens()
    for _ in range(3):
        with desk.state.write() as tx:
            desk.paging.page(tx, incident, desk.clock.now)
    desk.passes(1)
    assert desk.paged() == ["ada"]


def test_nobody_is_paged_about_what_somebody_has(desk: Desk) -> None:
    desk.opens()
    desk.acknowledges("ada")
    desk.paged()
    with desk.state.write() as tx:
        incident = tx.incident("inc_1")
        assert incident is not None
        desk.paging.page(tx, incident, desk.clock.now)
    desk.passes(60)
    assert desk.paged() == []


def test_recovery_is_told_to_everybody_who_was_paged_once_and_ends_the_hand_up(desk: Desk) -> None:
    desk.opens()
    desk.passes(6)
    desk.paged()
    desk.is_over()
    assert [mail.subject[:9] for mail in desk.post.mails] == ["Resolved:"] * 2
    assert sorted(desk.paged()) == ["ada", "bo"]
    desk.passes(120)
    assert desk.paged() == []
    assert desk.states() == [("ada", "handed_up"), ("bo", "resolved")]


def test_an_incident_that_opens_again_is_paged_from_the_first_on(desk: Desk) -> None:
    desk.opens()
    desk.passes(6)
    desk.is_over()
    desk.paged()
    desk.opens()
    desk.passes(5)
    assert desk.paged() == ["ada", "bo"]


def test_what_was_over_while_a_message_waited_is_not_sent_any_more(desk: Desk) -> None:
    desk.post.will["mail"] = SILENT
    desk.opens()
    desk.is_over()
    assert {row.state for row in desk.outbox.list() if row.page} == {"withdrawn"}


def test_a_page_that_no_channel_takes_is_unproven_and_goes_on_after_a_minute(desk: Desk) -> None:
    desk.post.will["mail"] = SILENT
    desk.opens()
    desk.passes(0.9)
    assert desk.states() == [("ada", "sent")]
    desk.passes(0.2)
    assert desk.states() == [("ada", "unproven"), ("bo", "sent")]
    (proof,) = desk.paging.of("inc_1")[0].proofs
    assert (proof.channel, proof.taken, proof.said) == ("mail", False, "no answer in 15 s")


def test_a_page_that_every_channel_refuses_goes_on_at_once(desk: Desk) -> None:
    desk.post.will["mail"] = REFUSED
    desk.opens()
    desk.passes(0.2)
    assert [person for person, _ in desk.states()] == ["ada", "bo", "cy"]
    assert {state for _, state in desk.states()} == {"failed"}
    desk.post.will.clear()
    desk.passes(5)
    assert desk.states()[-1] == ("cy", "delivered")


def test_proof_may_come_late(desk: Desk) -> None:
    desk.post.will["mail"] = SILENT
    desk.opens()
    desk.passes(1.1)
    desk.post.will.clear()
    desk.passes(3)
    assert desk.states() == [("ada", "delivered"), ("bo", "delivered")]
    page = desk.paging.of("inc_1")[0]
    assert page.proved is not None
    assert (page.proved.said, page.due_at) == ("answered 250", None)


def test_everybody_is_reached_by_all_of_their_channels_at_once() -> None:
    settings = Settings(
        smtp=MAILS.smtp,
        notify=Webhook("https://told.example/", "env:NOTIFY"),
        channels={"pager": Channel("pagerduty", "env:PD"), "phone": Channel("apprise", "env:NTFY")},
    )
    desk = Desk(Rota("ada", "bo"), configuration(settings, bo=Person("bo", "Bo", "bo@x.org", pages=("mail",))))
    desk.opens()
    assert [way for way, _ in desk.post.sent] == ["pagerduty", "apprise"]
    assert [proof.channel for proof in desk.paging.of("inc_1")[0].proofs] == ["mail", "notify", "pager", "phone"]
    assert [hook["type"] for hook in desk.post.hooks] == ["page.trigger"]
    desk.passes(5)
    assert [proof.channel for proof in desk.paging.of("inc_1")[1].proofs] == ["mail"]


def test_one_channel_that_takes_it_is_proof_enough() -> None:
    settings = Settings(smtp=MAILS.smtp, channels={"pager": Channel("pagerduty", "env:PD")})
    desk = Desk(Rota("ada", "bo"), configuration(settings))
    desk.post.will["mail"] = REFUSED
    desk.opens()
    desk.passes(4.9)
    assert desk.states() == [("ada", "delivered")]
    assert {proof.channel: proof.taken for proof in desk.paging.of("inc_1")[0].proofs} == {"mail": False, "pager": True}


def test_a_shared_channel_gets_no_link_that_acts() -> None:
    settings = Settings(smtp=MAILS.smtp, channels={"room": Channel("apprise", "env:NTFY")})
    desk = Desk(Rota("ada"), configuration(settings))
    desk.opens()
    ((_, message),) = desk.post.sent
    assert [button.link for button in message.buttons] == ["https://console.example.com/incidents/inc_1"]
    assert "https://console.example.com/link/" in desk.post.mails[0].text


def test_a_channel_that_only_one_person_is_paged_by_gets_the_links() -> None:
    settings = Settings(smtp=MAILS.smtp, channels={"phone": Channel("apprise", "env:NTFY")})
    others = {who: Person(who, who.title(), f"{who}@x.org", pages=("mail",)) for who in ("bo", "cy")}
    ada = Person("ada", "Ada", "ada@x.org", pages=("phone",))
    desk = Desk(Rota("ada"), configuration(settings, ada=ada, **others))
    desk.opens()
    ((_, message),) = desk.post.sent
    assert [button.label for button in message.buttons] == ["I'm on it", "Use last good release", "Turn AI off…"]
    assert all(button.link.startswith("https://console.example.com/link/") for button in message.buttons)


def test_no_token_waits_in_state(tmp_path: Path) -> None:
    desk = Desk(Rota("ada"), state=SqliteState(tmp_path / "state.db"))
    desk.post.will["mail"] = SILENT
    desk.opens()
    (mail, *_) = desk.post.mails
    token = mail.text.partition("/link/")[2].split()[0]
    assert len(token) == 43
    desk.state.scrub()
    assert token.encode() not in (tmp_path / "state.db").read_bytes()


def test_a_person_gets_so_many_pages_an_hour_then_one_that_says_so(desk: Desk) -> None:
    desk = Desk(Rota("ada", "bo"), configuration(Settings(smtp=MAILS.smtp, paging=PagingSettings(most_an_hour=3))))
    for number in range(1, 8):
        desk.opens(f"inc_{number}")
    assert [mail.subject.startswith("3 pages to you in an hour") for mail in desk.post.mails] == [False] * 3 + [True]
    assert [page.held for page in desk.paging.of("inc_7")] == [True]
    desk.post.mails.clear()
    desk.passes(5)  # handed up as usual, and Bo is guarded alike
    assert desk.paged() == ["bo"] * 4
    assert sum(page.held for page in desk.paging.live()) == 3
    desk.passes(60)
    assert "bo" in desk.paged()


def test_a_handoff_in_the_middle_pages_whoever_is_on_call_now(desk: Desk) -> None:
    desk.opens()
    desk.passes(4)
    desk.rota.order = ["bo", "eve", "cy"]
    desk.paged()
    desk.passes(1)
    assert desk.paged() == ["bo"]


def test_the_last_one_is_relieved_by_whoever_comes_on_call(desk: Desk) -> None:
    desk.rota.order = ["cy"]
    desk.opens()
    desk.passes(6)
    assert desk.paged() == ["cy", "cy"]
    desk.rota.order = ["bo", "cy"]
    desk.passes(5)
    assert desk.paged() == ["bo"]
    desk.passes(5)
    assert desk.paged() == ["cy"]


def test_where_nobody_is_left_it_is_tried_again_until_somebody_is(desk: Desk) -> None:
    desk.rota.order = []
    desk.opens()
    desk.passes(3)
    assert {page.state for page in desk.paging.of("inc_1")} == {"failed"}
    assert "nobody is on call" in desk.paging.of("inc_1")[0].proofs[0].said
    desk.rota.order = ["ada"]
    desk.passes(1)
    assert desk.paged() == ["ada"]


def test_a_person_without_any_channel_is_passed_over_at_once() -> None:
    desk = Desk(Rota("ada", "bo"), configuration(MAILS, ada=Person("ada", "Ada")))
    desk.opens()
    desk.passes(0.2)
    assert desk.states() == [("ada", "failed"), ("bo", "delivered")]
    assert "no channel" in desk.paging.of("inc_1")[0].proofs[0].said


def test_what_is_about_no_workflow_goes_to_whoever_is_on_call_for_the_team(desk: Desk) -> None:
    desk.opens(workflow="")
    assert "Turn AI off" not in desk.post.mails[0].text
    assert desk.paged() == ["ada"]


def test_a_page_says_what_it_must_in_its_order_and_is_escaped(desk: Desk) -> None:
    text = PageText(
        "support: 38 of 52 customers in 5 min got the <b>holding</b> text. Cause: provider time-outs. 14 wait.",
        "38 customers read the holding text.", "The provider: 38 of 40 failures are time-outs.",
        ["The breaker opened at 14:02"], "More will read it.", ["release 3 at 11:00"],
    )  # fmt: skip
    desk.opens(page=text)
    (mail,) = desk.post.mails
    assert mail.subject == text.line
    order = ["I'm on it", "Use last good release", "Turn AI off", "Who is affected", "Whose fault", "Already done",
             "If you do nothing", "Changed in the last 24 hours"]  # fmt: skip
    places = [mail.text.index(what) for what in order]
    assert places == sorted(places)
    assert "<b>" not in mail.html
    assert "&lt;b&gt;holding" in mail.html


def test_a_first_line_is_never_longer_than_160_characters(desk: Desk) -> None:
    desk.opens(title="x" * 300)
    assert len(desk.post.mails[0].subject) == 160


def test_the_time_line_tells_every_hop_with_its_proof(desk: Desk) -> None:
    desk.post.will["mail"] = SILENT
    desk.opens()
    desk.passes(1.1)
    desk.post.will.clear()
    desk.rota.order = ["ada", "bo"]
    desk.passes(12)
    desk.acknowledges("bo")
    told = [each.what for each in desk.paging.told("inc_1")]
    assert told[0] == "Paged Ada"
    assert told.index("Paged Ada") < told.index("Handed up: paged Bo") < told.index("Paged again (2.): Bo")
    assert "Ada, mail took it: answered 250" in told
    assert sorted(desk.paging.told("inc_1"), key=lambda each: each.at) == desk.paging.told("inc_1")
