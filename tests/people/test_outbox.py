"""The outbox: nothing is lost, nothing is sent to the wrong place, what nobody takes is given up aloud."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from people_support import ADA, NOON, Desk, delivery, ident, line

from roadworthy.people.incident.model import Notice
from roadworthy.people.outbox.model import Sent
from roadworthy.people.outbox.rules import PAUSES
from roadworthy.people.outbox.service import Place
from roadworthy.workflow.service import Unknown

FAILED = Sent(500, "it answered 500")


def rounds(desk: Desk, count: int) -> None:
    for _ in range(count):
        asyncio.run(desk.outbox.round(desk))
        desk.clock.now += max(PAUSES) * 2


def test_a_message_is_told_until_it_is_taken_under_one_id() -> None:
    desk = Desk()
    desk.open(line())
    desk.will = [FAILED, Sent(error="ConnectTimeout"), Sent(200)]
    rounds(desk, 5)
    assert len(desk.sent) == 3
    assert len({headers["webhook-id"] for _, headers, _ in desk.sent}) == 1
    assert len({headers["webhook-timestamp"] for _, headers, _ in desk.sent}) == 3
    assert [row.state for row in desk.outbox.list()] == ["delivered"]


def test_pages_and_everything_else_go_by_ways_of_their_own() -> None:
    """A helpdesk that is silent holds up nobody who is to be woken."""
    desk = Desk()
    desk.open(line())
    desk.incidents.take([Notice("alert", "k", "default", "support", "t", "s", "cost", NOON, ident(1))])
    with desk.state.write() as tx:
        (notice,) = tx.deliveries(kind="notice", limit=9)
        tx.put_delivery(replace(notice, kind="page"))
    assert [row.kind for row, _ in desk.outbox.due(True)] == ["page"]
    assert [row.kind for row, _ in desk.outbox.due(False)] == ["escalation"]
    assert len(desk.outbox.due()) == 2


def test_a_page_does_not_wait_for_one_that_hangs_and_what_hangs_is_tried_once() -> None:
    async def go() -> None:
        desk, hangs = Desk(), asyncio.Event()
        send, begun = desk.send, []

        async def sends(place: Place, headers: dict[str, str], body: bytes) -> Sent:
            begun.append(headers["webhook-id"])
            if len(begun) == 1:
                await hangs.wait()
            return await send(place, headers, body)

        desk.send = sends  # type: ignore[method-assign]
        for number in (1, 2):
            desk.incidents.take([Notice("alert", f"k{number}", "default", "support", "t", "s", "cost", NOON)])
            assert await desk.outbox.round(desk, patience=0.01) == 1
        assert await desk.outbox.round(desk, patience=0.01) == 0
        assert sorted(row.state for row in desk.outbox.list()) == ["delivered", "waiting"]
        hangs.set()
        while desk.outbox.counts().get("waiting"):
            await asyncio.sleep(0)
        assert len(begun) == 2

    asyncio.run(go())


def test_what_nobody_takes_is_given_up_and_somebody_is_told() -> None:
    desk = Desk()
    desk.open(line())
    desk.will = [FAILED] * (len(PAUSES) + 1) + [Sent(200)]
    rounds(desk, len(PAUSES) + 1)
    dead, notice = sorted(desk.outbox.list(), key=lambda row: row.kind)
    assert (dead.state, dead.kind, notice.kind) == ("dead", "escalation", "notice")
    (alert,) = desk.incidents.list(open_only=True)
    assert alert.key == "dead_letter/helpdesk:desk"
    assert "roadworthy escalations retry msg_1" in alert.summary


def test_a_notifier_that_takes_nothing_is_not_told_so_by_itself() -> None:
    desk = Desk()
    desk.incidents.take([Notice("alert", "k", "default", "support", "t", "s", "cost", NOON, ident(1))])
    desk.will = [FAILED]
    rounds(desk, len(PAUSES) + 1)
    assert [row.state for row in desk.outbox.list()] == ["dead"]
    assert {row.key for row in desk.incidents.list()} == {"k", "dead_letter/notify"}


def test_a_dead_letter_is_told_anew_when_a_person_asks_and_that_is_audited() -> None:
    desk = Desk()
    desk.open(line())
    desk.will = [Sent(410, "it answered 410"), Sent(200)]
    rounds(desk, 1)
    dead = next(row for row in desk.outbox.list() if row.kind == "escalation")
    desk.outbox.retry(dead.id, ADA)
    rounds(desk, 1)
    assert {row.state for row in desk.outbox.list()} == {"delivered"}
    assert desk.actions() == [("ada", "delivery.retry", "done")]
    with pytest.raises(Unknown):
        desk.outbox.retry("msg_none", ADA)


def test_a_helpdesk_that_left_the_configuration_is_a_failure_that_says_so() -> None:
    desk = Desk()
    with desk.state.write() as tx:
        tx.put_delivery(delivery(destination="helpdesk:gone"))
    desk.clock.now += 10
    asyncio.run(desk.outbox.round(desk))
    (row,) = desk.outbox.list()
    assert (row.last_error, desk.sent) == ("helpdesk:gone is not in roadworthy.yaml any more", [])


def test_what_was_forgotten_while_it_was_being_sent_does_not_come_back() -> None:
    desk = Desk()
    desk.open(line())
    waiting = desk.outbox.due()
    with desk.state.write() as tx:
        tx.forget_escalations("u-1", NOON + 5)
    desk.outbox.mark([(row, Sent(200)) for row, _ in waiting])
    assert desk.outbox.list() == []


def test_a_process_that_died_after_sending_sends_the_same_message_again() -> None:
    desk = Desk()
    desk.open(line())
    first = desk.outbox.due()
    assert desk.outbox.due() == first  # nothing was marked
    desk.outbox.mark([(row, Sent(200)) for row, _ in first])
    assert desk.outbox.due() == []


def test_counts_say_how_many_wait_and_are_dead() -> None:
    desk = Desk()
    with desk.state.write() as tx:
        tx.put_delivery(delivery(1))
        tx.put_delivery(delivery(2, state="dead", ended_at=NOON))
    assert desk.outbox.counts() == {"waiting": 1, "dead": 1}


def test_a_round_that_silent_receivers_cut_short_keeps_what_it_did_and_the_next_one_goes_on() -> None:
    class Silent(Desk):
        async def send(self, place: Place, headers: dict[str, str], body: bytes) -> Sent:
            answered = await super().send(place, headers, body)
            if "desk" in place.url and len(self.sent) > 1:
                await asyncio.Event().wait()
            return answered

    desk = Silent()
    with desk.state.write() as tx:
        for number in range(1, 33):
            tx.put_delivery(delivery(number, destination="helpdesk:desk"))
    desk.clock.now += 100.0

    async def cut() -> None:
        going = asyncio.create_task(desk.outbox.round(desk))
        async with asyncio.timeout(10.0):
            while not desk.outbox.counts().get("delivered"):
                await asyncio.sleep(0.01)
        going.cancel()
        await asyncio.wait([going])

    asyncio.run(cut())
    assert desk.outbox.counts() == {"delivered": 1, "waiting": 31}
