"""One suite for what both adapters of the state port keep of people: escalations, messages, incidents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roadworthy.adapters.memory.state import MemoryState
from roadworthy.adapters.sqlite.state import SqliteState
from roadworthy.people.escalation.model import Answer, Committed, Escalation
from roadworthy.people.incident.model import Fault, Incident, Joined, Line, PageText
from roadworthy.people.outbox.model import Delivery
from roadworthy.people.ports import WhichEscalations

Store = MemoryState | SqliteState
replace = msgspec.structs.replace


@pytest.fixture(params=["memory", "sqlite"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryState()
    else:
        store = SqliteState(tmp_path / "state.db")
        yield store
        store.close()


def escalation(number: int, **more: Any) -> Escalation:
    fields: dict[str, Any] = {
        "id": f"inf_{number}", "team": "default", "workflow": "support", "opened_at": 100.0 + number,
        "answer_by": 1000.0 - number, "unit": "u-1", "seq": number, "failure": "refused", "draft": "ü",
        "messages": msgspec.Raw(b'[{"role":"user","content":"\\u00fc"}]'),
    }  # fmt: skip
    return Escalation(**{**fields, **more})


def delivery(number: int, **more: Any) -> Delivery:
    fields: dict[str, Any] = {
        "id": f"msg_{number}", "team": "default", "kind": "notice", "destination": "notify", "body": '{"ü": 1}',
        "created_at": 10.0 + number, "due_at": 10.0 + number, "about": "inf_1", "unit": "u-1",
    }  # fmt: skip
    return Delivery(**{**fields, **more})


def incident(number: int, **more: Any) -> Incident:
    fields: dict[str, Any] = {
        "id": f"inc_{number}", "kind": "alert", "key": "k", "team": "default", "workflow": "", "title": "t",
        "summary": "s", "role": "cost", "opened_at": float(number), "seen_at": float(number), "notified_at": 1.0,
    }  # fmt: skip
    return Incident(**{**fields, **more})


def test_an_escalation_comes_back_whole_and_is_inserted_once(state: Store) -> None:
    with state.write() as tx:
        assert tx.add_escalation(escalation(1))
        assert not tx.add_escalation(escalation(1, draft="another"))
        tx.put_escalation(escalation(9))  # not there: nothing happens
    with state.read() as tx:
        assert tx.escalation("inf_1") == escalation(1)
        assert tx.escalation("inf_9") is None


def test_an_answer_comes_back_with_its_json(state: Store) -> None:
    answer = Answer("{}", "edited", "ada", at=5.0, json=msgspec.Raw(b'{"reply":"x"}'))
    answered = escalation(1, state="answered", answer=answer, closed_at=5.0)
    with state.write() as tx:
        tx.add_escalation(escalation(1))
        tx.put_escalation(answered)
    with state.read() as tx:
        assert tx.escalation("inf_1") == answered
        assert tx.open_escalations() == {}


def test_lists_are_by_urgency_without_drills_or_by_age_and_by_workflow(state: Store) -> None:
    closed = escalation(3, state="expired", closed_at=9.0)
    with state.write() as tx:
        drilled = escalation(5, traffic="drill")
        for row in (escalation(1), escalation(2), closed, escalation(4, workflow="other"), drilled):
            tx.add_escalation(row)
    with state.read() as tx:
        assert [row.id for row in tx.waiting_escalations("support", 9)] == ["inf_2", "inf_1"]
        assert [row.id for row in tx.waiting_escalations(None, 2)] == ["inf_4", "inf_2"]
        assert [row.id for row in tx.escalations(WhichEscalations(), 4)] == ["inf_5", "inf_4", "inf_3", "inf_2"]
        assert [row.id for row in tx.escalations(WhichEscalations("support", ("expired",)), 9)] == ["inf_3"]


def test_open_ones_are_counted_by_workflow_without_drills(state: Store) -> None:
    with state.write() as tx:
        for row in (escalation(1), escalation(2, state="claimed"), escalation(3, traffic="drill")):
            tx.add_escalation(row)
        tx.add_escalation(escalation(4, state="cancelled", closed_at=1.0))
    with state.read() as tx:
        assert tx.open_escalations() == {"support": 2}


def test_what_is_overdue_is_found_by_deadline_or_lease(state: Store) -> None:
    with state.write() as tx:
        tx.add_escalation(escalation(1, answer_by=500.0))
        tx.add_escalation(escalation(2, answer_by=900.0))
        tx.put_escalation(escalation(2, answer_by=900.0, state="claimed", claimed_until=400.0))
        tx.add_escalation(escalation(3, answer_by=100.0, state="answered", closed_at=1.0))
    with state.read() as tx:
        assert [row.id for row in tx.overdue_escalations(399.0, 9)] == []
        assert [row.id for row in tx.overdue_escalations(500.0, 9)] == ["inf_2", "inf_1"]


def test_changes_are_read_in_order_from_any_point(state: Store) -> None:
    with state.write() as tx:
        for number in (1, 2, 3):
            tx.add_escalation(escalation(number))
        tx.put_escalation(escalation(1, seq=7))
    with state.read() as tx:
        assert tx.last_escalation_seq() == 7
        assert [row.seq for row in tx.escalations_after(1, 2)] == [2, 3]
        assert [row.id for row in tx.escalations_after(3, 9)] == ["inf_1"]


def test_forgetting_takes_a_users_escalations_and_every_message_about_them(state: Store) -> None:
    with state.write() as tx:
        for row in (escalation(1), escalation(2, unit="u-2"), escalation(3, opened_at=999.0)):
            tx.add_escalation(row)
        for message in (
            delivery(1), delivery(2, unit=None), delivery(3, about="inf_2", unit="u-2"),
            delivery(4, about="", created_at=999.0),
        ):  # fmt: skip
            tx.put_delivery(message)
    with state.read() as tx:
        assert sorted(tx.escalated_units()) == [("u-1", 11.0), ("u-1", 101.0), ("u-2", 13.0), ("u-2", 102.0)]
        assert tx.mentions("u-1") == 4
    with state.write() as tx:
        ids, messages = tx.forget_escalations("u-1", 500.0)
        assert (list(ids), messages) == (["inf_1"], 2)
    with state.read() as tx:
        assert [row.id for row in tx.escalations(WhichEscalations(), 9)] == ["inf_3", "inf_2"]
        assert [row.id for row in tx.deliveries(limit=9)] == ["msg_4", "msg_3"]


def test_due_messages_come_oldest_first_and_only_while_they_wait(state: Store) -> None:
    with state.write() as tx:
        for message in (delivery(2), delivery(1), delivery(3, state="dead", ended_at=9.0), delivery(4, due_at=99.0)):
            tx.put_delivery(message)
    with state.read() as tx:
        assert [row.id for row in tx.due_deliveries(50.0, 9)] == ["msg_1", "msg_2"]
        assert tx.due_deliveries(50.0, 9, pages=True) == []
        assert len(tx.due_deliveries(50.0, 9, pages=False)) == 2
        assert tx.delivery("msg_1") == delivery(1)
        assert tx.count_deliveries() == {"waiting": 3, "dead": 1}
        assert [row.id for row in tx.deliveries(state="dead", limit=9)] == ["msg_3"]
        assert [row.id for row in tx.deliveries(about="inf_1", kind="notice", limit=1)] == ["msg_4"]


def test_a_message_that_comes_in_is_new_once_for_each_sender(state: Store) -> None:
    with state.write() as tx:
        assert tx.receive_message("helpdesk:a", "evt_1", 10.0)
        assert not tx.receive_message("helpdesk:a", "evt_1", 11.0)
        assert tx.receive_message("helpdesk:b", "evt_1", 12.0)
        assert tx.expire_messages(11.0) == 1
        assert tx.receive_message("helpdesk:a", "evt_1", 13.0)


def test_retention_takes_what_ended_before_and_nothing_that_waits(state: Store) -> None:
    with state.write() as tx:
        tx.add_escalation(escalation(1, state="answered", closed_at=50.0))
        tx.add_escalation(escalation(2, state="answered", closed_at=150.0))
        tx.add_escalation(escalation(3))
        tx.put_delivery(delivery(1, state="delivered", ended_at=50.0))
        tx.put_delivery(delivery(2))
        assert (tx.expire_escalations(100.0), tx.expire_deliveries(100.0)) == (1, 1)
        assert [row.id for row in tx.escalations(WhichEscalations(), 9)] == ["inf_3", "inf_2"]


def test_the_newest_incident_of_a_key_is_found_and_lists_are_by_last_sight(state: Store) -> None:
    with state.write() as tx:
        tx.put_incident(incident(1, state="resolved"))
        tx.put_incident(incident(2))
        tx.put_incident(incident(3, key="other", seen_at=1.5))
        tx.put_incident(incident(2, count=5, inferences=["inf_1"]))
    with state.read() as tx:
        assert tx.newest_incident("k") == incident(2, count=5, inferences=["inf_1"])
        assert tx.newest_incident("none") is None
        assert tx.incident("inc_1") == incident(1, state="resolved")
        assert [row.id for row in tx.incidents()] == ["inc_2", "inc_3", "inc_1"]
        assert [row.id for row in tx.incidents(open_only=True, limit=1)] == ["inc_2"]
        assert tx.count_open_incidents() == 2
        assert [row.id for row in tx.incidents(workflow="")] == ["inc_2", "inc_3", "inc_1"]
        assert not tx.incidents(workflow="triage")
    with state.write() as tx:
        tx.put_incident(incident(4, traffic="drill", title='"traffic":"live"'))
        tx.put_incident(incident(5, title='"traffic":"drill"'))
    with state.read() as tx:
        assert [row.id for row in tx.incidents(drills=False, limit=2)] == ["inc_5", "inc_2"]


def test_an_incident_that_somebody_has_is_not_over_and_keeps_all_that_is_known_of_it(state: Store) -> None:
    full = incident(
        1, state="acknowledged", alert="error_burn", cls="page", acknowledged_at=3.0, acknowledged_by="ada",
        joined=[Joined("error_burn", "", 1.0, "it burns", clear_since=2.0)], fault=Fault("provider", "504 (3×)"),
        page=PageText("triage: 3 of 4", "3 of 4", "The provider.", ["The ladder."], "It goes on.", ["14:02 applied"]),
        lines=[Line(1.0, "Opened"), Line(3.0, "Is on it", "ada")],
    )  # fmt: skip
    with state.write() as tx:
        tx.put_incident(full)
    with state.read() as tx:
        assert tx.incident("inc_1") == full
        assert [row.id for row in tx.incidents(open_only=True)] == ["inc_1"]
        assert tx.count_open_incidents() == 1


def test_an_incident_is_found_by_the_beginning_of_an_inference_however_many_came_after_it(state: Store) -> None:
    with state.write() as tx:
        tx.put_incident(incident(1, key="first", inferences=["inf_0a", "inf_1b"]))
        for number in range(2, 6):
            tx.put_incident(incident(number, key=f"k{number}", inferences=[f"inf_{number}"], seen_at=float(number)))
    with state.read() as tx:
        assert [row.id for row in tx.incidents(inference="inf_1b", limit=1)] == ["inc_1"]
        assert [row.id for row in tx.incidents(inference="inf_0", limit=1)] == ["inc_1"]
        assert not tx.incidents(inference="nf_0a")


def test_an_exception_takes_escalation_and_message_back_together(state: Store) -> None:
    def stumble() -> None:
        with state.write() as tx:
            tx.add_escalation(escalation(1))
            tx.put_delivery(delivery(1))
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        stumble()
    with state.read() as tx:
        assert (tx.escalation("inf_1"), tx.deliveries(limit=9)) == (None, [])


def test_a_read_transaction_refuses_to_write_of_people(state: Store) -> None:
    with pytest.raises(RuntimeError, match="asked to write"), state.read() as tx:
        tx.add_escalation(escalation(1))


def test_what_was_deleted_is_not_left_in_the_file(tmp_path: Path) -> None:
    store = SqliteState(tmp_path / "state.db")
    with store.write() as tx:
        tx.add_escalation(escalation(1, draft="a very secret draft " * 50))
    with store.write() as tx:
        tx.forget_escalations("u-1", 1e12)
    store.scrub()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    store.close()
    assert b"very secret" not in left


def test_what_is_counted_of_escalations_holds_no_word_that_anybody_said(state: Store) -> None:
    answer = Answer("our answer", "sent", "bo", at=5.0, json=msgspec.Raw(b'{"a":"b"}'), reading=3.5)
    done = escalation(
        1, state="answered", answer=answer, claimed_at=101.0, closed_at=130.0, holding="soon",
        committed=Committed("own words", "bo", 120.0),
    )  # fmt: skip
    with state.write() as tx:
        rows = (done, escalation(2, draft=None), escalation(3, traffic="drill"), escalation(4, workflow="other"))
        for row in rows:
            tx.add_escalation(row)
    with state.read() as tx:
        found = tx.worked_escalations("support", 101.0, 10)
        everywhere = tx.worked_escalations(None, 101.0, 10)
        late = tx.worked_escalations("support", 102.0, 10)
    assert [(each.escalation.id, each.drafted) for each in found] == [("inf_2", False), ("inf_1", True)]
    assert [each.escalation.id for each in everywhere] == ["inf_4", "inf_2", "inf_1"]
    assert [each.escalation.id for each in late] == ["inf_2"]
    wordless = found[1].escalation
    assert wordless == replace(
        done, messages=msgspec.Raw(b"null"), draft=None, holding="",
        answer=replace(answer, text="", json=msgspec.Raw(b"null")), committed=Committed("", "bo", 120.0),
    )  # fmt: skip


def test_escalations_of_one_user_in_one_team_are_found(state: Store) -> None:
    with state.write() as tx:
        for row in (escalation(1), escalation(2, unit="u-2"), escalation(3, team="other")):
            tx.add_escalation(row)
    with state.read() as tx:
        found = tx.escalations(WhichEscalations(unit="u-1", team="default"), 10)
    assert [row.id for row in found] == ["inf_1"]
