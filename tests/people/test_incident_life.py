"""Alerts that fire round after round: one incident, an end by itself, and no page too many."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec.structs import replace
from people_support import ADA, BO, NOON, Desk

from roadworthy.people.incident import rules
from roadworthy.people.incident.model import MOST_LINES, Incident, Notice
from roadworthy.people.incident.rules import CLEAR_FOR, REOPENS, Refused, acknowledge, clears, fires, resolve
from roadworthy.people.incident.service import Inhibited
from roadworthy.people.ports import PeopleTransaction

BURN, FAST, DOWN = "error_burn_slow", "error_burn_fast", "target_down"


def notice(alert: str = FAST, at: float = NOON, part: str = "", **more: Any) -> Notice:
    fields: dict[str, Any] = {
        "kind": "incident", "alert": alert, "key": "serving/support", "team": "default", "workflow": "support",
        "title": "calls fail", "summary": f"{alert} says so", "role": "workflow", "at": at, "part": part,
    }  # fmt: skip
    return Notice(**{**fields, **more})


def opened(alert: str = FAST, at: float = NOON) -> Incident:
    return fires(None, notice(alert, at), "inc_1")[0]


KEY = (FAST, "")


def test_an_alert_that_pages_opens_an_incident_that_pages_once() -> None:
    incident, told = fires(None, notice(), "inc_1")
    assert (incident.state, incident.cls, told) == ("open", "page", "page")
    for minute in range(1, 30):
        incident, told = fires(incident, notice(at=NOON + 60 * minute), "inc_2")
        assert (incident.id, incident.count, told) == ("inc_1", 1, "")


def test_other_alerts_of_its_group_join_it_in_silence() -> None:
    incident, told = fires(opened(), notice(DOWN, NOON + 15, "main"), "inc_2")
    assert (incident.id, incident.count, told) == ("inc_1", 2, "")
    assert [(one.alert, one.part) for one in incident.joined] == [(FAST, ""), (DOWN, "main")]
    assert incident.lines[-1].what == "target_down (main) joined: target_down says so"


def test_one_that_only_notified_pages_when_what_pages_joins_it() -> None:
    incident = opened(BURN)
    assert incident.cls == "notify"
    incident, told = fires(incident, notice(FAST, NOON + 15), "inc_2")
    assert (incident.id, incident.cls, told) == ("inc_1", "page", "page")


def test_it_is_over_once_it_has_been_good_for_a_while_and_not_in_the_first_good_round() -> None:
    incident = clears(opened(), set(), {KEY}, NOON + 15)
    assert incident.state == "open"
    incident = clears(incident, set(), {KEY}, NOON + 15 + CLEAR_FOR)
    assert (incident.state, incident.resolved_by) == ("resolved", "engine")


def test_one_bad_round_begins_the_wait_anew() -> None:
    incident = clears(opened(), set(), {KEY}, NOON + 15)
    incident, _ = fires(incident, notice(at=NOON + 60), "inc_2")
    assert clears(incident, set(), {KEY}, NOON + 15 + CLEAR_FOR).state == "open"


def test_nothing_ends_while_nobody_can_see_it() -> None:
    incident = clears(opened(), set(), set(), NOON + 15)
    assert clears(incident, set(), set(), NOON + 3600).state == "open"


def test_it_is_over_when_all_of_its_alerts_are() -> None:
    incident, _ = fires(opened(), notice(DOWN, NOON, "main"), "inc_2")
    keys = {KEY, (DOWN, "main")}
    for at in (NOON + 15, NOON + 90):
        incident = clears(incident, {KEY}, keys, at)
    assert (incident.state, [one.over for one in incident.joined]) == ("open", [False, True])
    for at in (NOON + 105, NOON + 200):
        incident = clears(incident, set(), keys, at)
    assert incident.state == "resolved"


def ended(at: float = NOON + 100) -> Incident:
    return clears(clears(opened(), set(), {KEY}, at - CLEAR_FOR), set(), {KEY}, at)


def test_the_same_trouble_soon_after_opens_it_again_and_pages_again() -> None:
    incident, told = fires(ended(), notice(at=NOON + 100 + REOPENS - 1), "inc_2")
    assert (incident.id, incident.state, incident.resolved_at, told) == ("inc_1", "open", None, "page")
    assert incident.count == 2


def test_later_it_is_another_incident() -> None:
    incident, told = fires(ended(), notice(at=NOON + 100 + REOPENS), "inc_2")
    assert (incident.id, told) == ("inc_2", "page")


def test_whoever_resolves_what_still_fires_is_left_alone_for_a_while_but_hears_of_something_else() -> None:
    by_hand = resolve(opened(), "ada", "known", NOON + 20)
    goes_on = by_hand
    for at in (NOON + 35, NOON + 150, NOON + 270):
        goes_on, told = fires(goes_on, notice(at=at), "inc_2")
        assert (goes_on.state, told) == ("resolved", "")
    incident, told = fires(by_hand, notice("targets_down", NOON + 35), "inc_2")
    assert (incident.id, incident.state, told) == ("inc_1", "open", "page")
    assert fires(by_hand, notice(at=NOON + 20 + REOPENS), "inc_2")[1] == "page"


def test_what_a_person_resolved_and_was_good_in_between_wakes_somebody_again() -> None:
    by_hand = resolve(opened(), "ada", "the provider is back", NOON + 20)
    again, told = fires(by_hand, notice(at=NOON + 20 + rules.QUIET_FOR), "inc_2")
    assert (again.id, again.state, told) == ("inc_1", "open", "page")


def test_who_has_what_only_notified_does_not_have_what_pages() -> None:
    """Taken in the afternoon as one target that is down, all of them down at three in the morning."""
    mine = acknowledge(opened(DOWN), "ada", "console", NOON)
    incident, told = fires(mine, notice("targets_down", NOON + 40_000), "inc_2")
    assert (incident.state, incident.acknowledged_by, incident.cls, told) == ("open", "", "page", "page")


def test_once_what_pages_is_good_the_rest_only_notifies_and_the_next_that_pages_wakes_somebody_anew() -> None:
    incident, _ = fires(opened(), notice(DOWN, NOON, "main"), "inc_2")
    incident = acknowledge(incident, "ada", "link", NOON + 5)
    keys = {KEY, (DOWN, "main")}
    for at in (NOON + 15, NOON + 90):
        incident = clears(incident, {(DOWN, "main")}, keys, at)
    assert (incident.cls, incident.state) == ("notify", "acknowledged")
    assert "target_down (main) is left" in incident.lines[-1].what
    incident, told = fires(incident, notice(at=NOON + 50_000), "inc_2")
    assert (incident.cls, incident.state, told) == ("page", "open", "page")


def test_what_only_notifies_opens_it_again_as_such_and_what_pages_then_pages() -> None:
    again, told = fires(ended(), notice(DOWN, NOON + 120, "main"), "inc_2")
    assert (again.state, again.cls, told) == ("open", "notify", "tell")
    assert fires(again, notice(at=NOON + 135), "inc_2")[1] == "page"


def test_a_person_takes_it_once_and_another_may_take_it_over() -> None:
    incident = acknowledge(opened(), "ada", "link", NOON + 5)
    assert (incident.state, incident.acknowledged_by, incident.acknowledged_at) == ("acknowledged", "ada", NOON + 5)
    assert acknowledge(incident, "ada", "console", NOON + 9) == incident
    assert acknowledge(incident, "bo", "console", NOON + 9).acknowledged_by == "bo"
    with pytest.raises(Refused, match="resolved already"):
        acknowledge(resolve(incident, "ada", "", NOON + 10), "bo", "console", NOON + 11)


def test_what_joins_an_incident_that_somebody_has_wakes_nobody() -> None:
    incident = acknowledge(opened(), "ada", "link", NOON + 5)
    incident, told = fires(incident, notice("latency_burn", NOON + 30), "inc_2")
    assert (incident.state, told) == ("acknowledged", "")


def test_its_time_line_stays_bounded_and_keeps_its_beginning() -> None:
    incident = opened()
    for number in range(MOST_LINES + 50):
        incident = rules.said(incident, NOON + number, f"line {number}")
    assert len(incident.lines) == MOST_LINES
    assert incident.lines[0].what.startswith("Opened by")


def test_every_way_out_of_the_table_is_refused_or_silent() -> None:
    """A month of rounds at random leaves no state that the table does not name."""
    states = {state for state, _ in rules.TRANSITIONS} | set(rules.TRANSITIONS.values())
    assert states == {"open", "acknowledged", "resolved"}
    chance = random.Random(7)
    incident, at = opened(), NOON
    for _ in range(2000):
        at += 15.0
        match chance.choice(["fires", "clear", "clear", "ack", "resolve"]):
            case "fires":
                incident, _ = fires(incident, notice(at=at), "inc_n")
            case "clear":
                incident = incident if incident.over else clears(incident, set(), {KEY}, at)
            case "ack" if not incident.over:
                incident = acknowledge(incident, "ada", "console", at)
            case "resolve" if not incident.over and chance.random() < 0.1:
                incident = resolve(incident, "ada", "", at)
            case _:
                pass
        assert incident.state in states
        assert (incident.resolved_at is not None) == incident.over


# --- the service


class Pager:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def page(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        self.asked.append(("page", incident.id))

    def acknowledged(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        self.asked.append(("acknowledged", incident.acknowledged_by))

    def resolved(self, tx: PeopleTransaction, incident: Incident, now: float) -> None:
        self.asked.append(("resolved", incident.resolved_by))


def seen(incident: Incident) -> set[rules.Key]:
    return {(one.alert, one.part) for one in incident.joined}


def test_the_pager_hears_of_the_page_of_who_has_it_and_of_the_end() -> None:
    desk, pager = Desk(), Pager()
    desk.incidents.paged_by(pager)
    desk.incidents.watch([notice()], watched=seen)
    found = desk.incidents.newest("serving/support")
    assert found is not None
    desk.incidents.acknowledge(found.id, BO, "link")
    desk.incidents.acknowledge(found.id, BO, "console")
    for _ in range(2):
        desk.clock.now += CLEAR_FOR
        desk.incidents.watch([], watched=seen)
    assert pager.asked == [("page", found.id), ("acknowledged", "bo"), ("resolved", "engine")]
    assert ("bo", "incident.acknowledge", "done") in desk.actions()


def test_what_only_notifies_pages_nobody_and_a_quiet_round_writes_nothing() -> None:
    desk, pager = Desk(), Pager()
    desk.incidents.paged_by(pager)
    desk.incidents.watch([notice(BURN)], watched=seen)
    assert pager.asked == []
    assert desk.messages()[-1]["data"]["urgency"] == "notify"
    before = desk.incidents.newest("serving/support")
    desk.clock.now += 15
    desk.incidents.watch([notice(BURN, NOON + 15)], watched=seen)
    assert desk.incidents.newest("serving/support") == before


def test_what_is_held_back_is_said_once_in_the_incident_that_says_more() -> None:
    desk = Desk()
    desk.incidents.watch([notice()], watched=seen)
    said = Inhibited("error_burn is not raised: the AI is off", ("kill/support/off", "serving/support"))
    for _ in range(3):
        desk.clock.now += 15
        desk.incidents.watch([notice(at=desk.clock.now)], watched=seen, inhibited=[said])
    found = desk.incidents.newest("serving/support")
    assert found is not None
    assert [line.what for line in found.lines].count(said.what) == 1


def test_a_report_is_an_incident_of_its_inference_and_is_audited() -> None:
    desk = Desk()
    made = desk.incidents.report("inf_1", "support", "default", ADA, "It promised\n a refund.")
    again = desk.incidents.report("inf_1", "support", "default", BO, "Wrong sum.")
    assert (made.alert, made.cls, again.id) == ("reported", "notify", made.id)
    assert made.summary == "ada says of inf_1: It promised a refund."
    assert again.lines[-1].what == "Reported again: Wrong sum."
    assert [action for _, action, _ in desk.actions()] == ["incident.report", "incident.report"]


def test_an_incident_of_an_older_version_is_read_and_can_be_taken() -> None:
    old = replace(opened(), alert="", joined=[], lines=[], cls="notify")
    assert (old.name, acknowledge(old, "ada", "cli", NOON).state) == ("serving", "acknowledged")


def test_whatever_happens_what_pages_is_never_left_with_nobody_told() -> None:
    """Days of rounds at random: alerts come and go, people take and resolve."""
    chance = random.Random(11)
    for _ in range(40):
        incident: Incident | None = None
        at, paged_for, firing = NOON, False, set[rules.Key]()
        for number in range(300):
            at += 15.0
            for key in ((FAST, ""), ("targets_down", ""), (DOWN, "main")):
                if chance.random() < 0.05:
                    firing ^= {key}
            for alert, part in sorted(firing, key=lambda one: one[0] != DOWN):  # else it pages a round later
                before = incident
                incident, told = fires(incident, notice(alert, at, part), f"inc_{number}")
                fresh = before is None or before.id != incident.id or before.state != incident.state
                paged_for = told == "page" or (paged_for and not fresh)
            if incident is not None and not incident.over:
                incident = clears(incident, firing, {(one.alert, one.part) for one in incident.joined}, at)
            if incident is not None and not incident.over and chance.random() < 0.02:
                incident = acknowledge(incident, "ada", "link", at)
            if incident is not None and not incident.over and chance.random() < 0.01:
                incident = resolve(incident, "ada", "", at)
            if not firing & {(FAST, ""), ("targets_down", "")}:
                continue
            assert incident is not None
            if incident.over:
                assert incident.resolved_by == "ada"
                assert at - (incident.resolved_at or 0.0) < REOPENS
            else:
                assert incident.cls == "page"
                assert paged_for, "somebody was told of it since it was opened last"
