"""The queue of escalations, its messages, its audit trail and what callers read of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from people_support import ADA, BO, EVE, NOON, SCHEMA, SECRETS, Desk, ident, line

from roadworthy.operations.escalating.forgetting import EscalationEraser, forget_what_is_covered
from roadworthy.operations.escalating.shapes import completion, told
from roadworthy.people import webhooks
from roadworthy.people.escalation.rules import LEASE, Refused
from roadworthy.people.escalation.service import NotAllowed, became_of
from roadworthy.people.webhooks import SignatureRefused
from roadworthy.workflow.model import ApiKey
from roadworthy.workflow.service import Actor, Unknown

ONE = ident(1)
URL = "https://shop.example/answers"
KEY = ApiKey("key_1", "h", "app", "default", ["*"], callbacks=[URL])


def reply(desk: Desk, body: Any, *, number: int = 1, message: str = "evt_1", secret: str = SECRETS["env:DESK"]) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return desk.queue.reply(ident(number), webhooks.headers(secret, message, desk.clock(), data), data)


def test_a_line_that_is_shipped_twice_opens_once_and_tells_the_helpdesk_once() -> None:
    desk = Desk()
    assert desk.open(line(), line(2)) == 2
    assert desk.open(line(), line(2), line(3)) == 1
    assert [message["data"]["id"] for message in desk.messages()] == [ident(1), ident(2), ident(3)]


def test_the_helpdesk_gets_everything_that_a_human_needs() -> None:
    desk = Desk()
    desk.open(line())
    (message,) = desk.messages()
    assert message["type"] == "escalation.opened"
    assert message["data"] == {
        "id": ONE, "workflow": "support", "team": "default", "drill": False, "failure": "refused",
        "detail": "the model refused", "user": "u-1", "session": None,
        "transcript": [{"role": "user", "content": "Where is my parcel?"}], "draft": "I cannot say.",
        "holding": "A colleague will answer.", "deadline": "2026-11-02T13:00:00Z",
        "answer_url": f"http://gateway/v1/escalations/{ONE}/answer",
    }  # fmt: skip


def test_without_a_helpdesk_it_waits_in_our_own_queue() -> None:
    desk = Desk(helpdesk=None)
    desk.open(line())
    assert desk.messages() == []
    assert [row.id for row in desk.queue.waiting()] == [ONE]


def test_the_most_urgent_is_listed_first() -> None:
    desk = Desk()
    desk.open(line(1, answer_by=NOON + 900), line(2, answer_by=NOON + 60), line(3, workflow="other"))
    assert [row.id for row in desk.queue.waiting("support")] == [ident(2), ident(1)]


def test_a_person_claims_and_answers_and_both_are_audited_without_the_text() -> None:
    desk = Desk()
    desk.open(line())
    desk.queue.claim(ONE, ADA)
    with pytest.raises(Refused, match="ada has claimed it"):
        desk.queue.answer(ONE, BO, "Mine!")
    done = desk.queue.answer(ONE, ADA, "It arrives tomorrow.")
    assert (done.state, done.closed_by) == ("answered", "ada")
    assert desk.actions() == [("ada", "escalation.claim", "done"), ("ada", "escalation.answer", "done")]
    with desk.state.read() as tx:
        assert "arrives" not in json.dumps([record.as_dict() for record in tx.audit()])


def test_only_people_of_the_team_and_owners_act_and_a_denial_is_audited() -> None:
    desk = Desk()
    desk.open(line())
    for stranger in (EVE, Actor("os:0"), Actor("nobody")):
        with pytest.raises(NotAllowed):
            desk.queue.claim(ONE, stranger)
    assert {outcome for _, _, outcome in desk.actions()} == {"denied"}
    assert desk.queue.find(ONE).state == "queue"
    desk.open(line(2, team="else"))
    assert desk.queue.claim(ident(2), BO).claimed_by == "bo"  # owns the workflow's costs


def test_reading_a_transcript_is_audited() -> None:
    desk = Desk()
    desk.open(line())
    assert desk.queue.read(ONE, Actor("os:0")).draft == "I cannot say."
    assert desk.actions() == [("os:0", "escalation.read", "done")]


def test_an_unknown_one_is_said_to_be_unknown() -> None:
    with pytest.raises(Unknown, match="no escalation"):
        Desk().queue.claim(ONE, ADA)


def test_time_gives_claims_back_and_expires_and_tells_the_owner_once() -> None:
    desk = Desk()
    desk.open(line())
    desk.queue.claim(ONE, ADA)
    assert desk.queue.pass_time() == 0
    desk.clock.now += LEASE
    assert (desk.queue.pass_time(), desk.queue.find(ONE).state) == (1, "queue")
    desk.clock.now = NOON + 3600
    assert (desk.queue.pass_time(), desk.queue.find(ONE).state) == (1, "expired")
    assert desk.queue.pass_time() == 0
    opened, closed, alert = desk.messages()
    assert (opened["type"], closed["type"], alert["type"]) == (
        "escalation.opened", "escalation.expired", "alert.open",
    )  # fmt: skip
    assert alert["data"]["to"] == [
        {"person": "ada", "role": "workflow owner", "name": "Ada", "email": "ada@example.com"}
    ]
    assert told(desk.queue.find(ONE)).status == "expired"


def test_a_helpdesks_signed_answer_ends_it_and_is_not_told_back_to_it() -> None:
    desk = Desk()
    desk.open(line())
    done = reply(desk, {"answer": "Tomorrow.", "agent": "Maria", "action": "edited"})
    assert (done.state, done.answer.by, done.answer.agent, done.answer.action) == (
        "answered", "helpdesk:desk", "Maria", "edited",
    )  # fmt: skip
    assert [message["type"] for message in desk.messages()] == ["escalation.opened"]
    assert desk.actions() == [("helpdesk:desk", "escalation.answer", "done")]


def test_an_answer_told_twice_changes_nothing_and_a_second_answer_is_refused() -> None:
    desk = Desk()
    desk.open(line())
    body = {"answer": "Tomorrow.", "agent": "Maria", "action": "sent"}
    first = reply(desk, body)
    assert reply(desk, body) == first
    with pytest.raises(Refused, match="answered already by helpdesk:desk"):
        reply(desk, {**body, "answer": "Never."}, message="evt_2")
    assert desk.queue.find(ONE).answer == first.answer


def test_what_is_not_signed_with_the_helpdesks_secret_says_the_same_whatever_the_id() -> None:
    desk = Desk()
    desk.open(line())
    for number in (1, 99):
        with pytest.raises(SignatureRefused):
            reply(desk, {"answer": "x", "action": "sent"}, number=number, secret="wrong")
    assert desk.queue.find(ONE).open


def test_an_answer_that_cannot_be_read_is_refused_and_may_be_sent_again() -> None:
    desk = Desk()
    desk.open(line())
    with pytest.raises(Refused, match=r"expected .*answer.* text"):
        reply(desk, b'{"action": "guessed"}')
    assert reply(desk, {"answer": "Now.", "action": "sent"}).state == "answered"


def test_discarded_without_an_answer_closes_it_and_sent_without_a_text_sends_the_draft() -> None:
    desk = Desk()
    desk.open(line(), line(2))
    assert reply(desk, {"action": "discarded"}).state == "cancelled"
    done = reply(desk, {"action": "sent"}, number=2, message="evt_2")
    assert (done.answer.text, done.answer.action) == ("I cannot say.", "sent")


def test_there_is_no_draft_to_send_where_there_was_none() -> None:
    desk = Desk()
    desk.open(line(draft=None))
    with pytest.raises(Refused, match="there is no draft"):
        desk.queue.answer(ONE, ADA, "", "sent")


@pytest.mark.parametrize(
    ("draft", "text", "action"),
    [
        (None, "Hello", "sent"),
        ("It is late", "It is late", "sent"),
        ("It is very late", "It is late", "edited"),
        ("Buy now", "We are sorry for that.", "discarded"),
    ],
)
def test_what_became_of_the_draft_is_seen_from_the_text(draft: str | None, text: str, action: str) -> None:
    assert became_of(draft, text) == action


def test_an_answer_in_our_queue_closes_the_helpdesks_ticket_and_tells_the_callback() -> None:
    desk = Desk(keys=(KEY,))
    desk.open(line(callback=URL))
    desk.queue.answer(ONE, ADA, "It arrives tomorrow.")
    opened, callback, closed = desk.messages()
    assert (callback["type"], closed["type"]) == ("escalation.answered", "escalation.answered")
    assert callback["data"]["answer"]["choices"][0]["message"]["content"] == "It arrives tomorrow."
    assert "answer" not in closed["data"]
    assert opened["type"] == "escalation.opened"


def test_a_caller_with_a_schema_reads_json_that_satisfies_it_or_a_refusal() -> None:
    desk = Desk()
    desk.open(
        line(1, structured=True, digest="rel_1"), line(2, structured=True, digest="rel_1"),
        line(3, structured=True, digest="rel_1", own_schema=True),
    )  # fmt: skip
    assert SCHEMA["required"] == ["reply"]
    for number, text in ((1, '{"reply": "Tomorrow"}'), (2, "Tomorrow"), (3, '{"reply": "Tomorrow"}')):
        desk.queue.answer(ident(number), ADA, text)
    said = [
        msgspec.json.decode(completion(desk.queue.find(ident(number))))["choices"][0]["message"] for number in (1, 2, 3)
    ]
    assert json.loads(said[0]["content"]) == {"reply": "Tomorrow"}
    assert (said[1]["content"], said[1]["refusal"]) == (None, "Tomorrow")
    assert (said[2]["content"], said[2]["refusal"]) == (None, '{"reply": "Tomorrow"}')


def test_messages_are_signed_for_whom_they_go_to() -> None:
    desk = Desk(keys=(KEY,))
    desk.open(line(callback=URL))
    desk.queue.answer(ONE, ADA, "Tomorrow.")
    assert asyncio.run(desk.outbox.round(desk)) == 3
    for place, headers, body in desk.sent:
        assert webhooks.verify(place.secret, headers, body, desk.clock()) == headers["webhook-id"]
    assert {place.url for place, _, _ in desk.sent} == {"https://desk.example/hook", URL}
    assert {place.secret for place, _, _ in desk.sent if place.url != URL} == {SECRETS["env:DESK"]}


def test_a_callback_whose_url_is_not_registered_any_more_is_not_told() -> None:
    desk = Desk(helpdesk=None, keys=(KEY,))
    desk.open(line(callback=URL))
    desk.queue.answer(ONE, ADA, "Tomorrow.")
    with desk.state.write() as tx:
        tx.put_key(msgspec.structs.replace(KEY, callbacks=[]))
    asyncio.run(desk.outbox.round(desk))
    (row,) = desk.outbox.list()
    assert (desk.sent, row.state, row.tries) == ([], "waiting", 1)
    assert "not registered on a key in use" in row.last_error


def test_forgetting_a_user_takes_escalations_and_messages_and_tells_the_gateways() -> None:
    desk = Desk()
    desk.open(line(1), line(2, unit="u-2"), line(3))
    gone: list[str] = []
    eraser = EscalationEraser(desk.state, desk.state, tell_gone=gone.extend)
    assert eraser.forget("u-1", NOON + 1) == 4
    assert (sorted(gone), eraser.search("u-1"), eraser.search("u-2")) == ([ident(1), ident(3)], 0, 2)


def test_what_a_restore_brought_back_of_a_forgotten_user_goes_again() -> None:
    desk = Desk()
    desk.open(line(1), line(2, ts=NOON + 100), line(3, unit="u-2"))

    def covers(unit: str | None, ts: float) -> bool:
        return unit == "u-1" and ts <= NOON + 50

    forget_what_is_covered(desk.state, covers, NOON + 1000)
    assert sorted(row.id for row in desk.queue.all()) == [ident(2), ident(3)]
