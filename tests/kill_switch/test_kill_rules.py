"""The switch, whatever is pressed, tripped, reported and taken back in whatever order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.kill_switch.model import EVERY, STATES, Held, Switch, effective, severity
from roadworthy.kill_switch.rules import (
    STALE_SECONDS,
    TRANSITIONS,
    UNDO_SECONDS,
    Event,
    Refused,
    combined,
    in_force,
    record,
    recovered,
    step,
    stricter,
    with_queue,
    without_contact,
)

NOW = 1_000_000.0
OWNER = frozenset({"stop", "owner"})
ON_CALL = frozenset({"stop", "on_call"})


def press(to: Any = "off", by: str = "ada", **more: Any) -> Event:
    return Event(kind="press", by=by, to=to, **more)


def restore(to: Any = "on", by: str = "olga", rights: Any = OWNER, reason: str = "mended") -> Event:
    return Event(kind="restore", by=by, to=to, rights=rights, reason=reason)


def undo(by: str = "ada") -> Event:
    return Event(kind="undo", by=by)


def trip(source: Any = "errors", to: Any = "guarded") -> Event:
    return Event(kind="trip", by="engine", to=to, source=source, reason="errors at 20 times the objective")


def clear(source: Any = "errors") -> Event:
    return Event(kind="clear", by="engine", source=source)


def report(to: Any = "off", gateway: str = "gw-1", source: Any = "file") -> Event:
    return Event(kind="report", by=gateway, to=to, source=source)


def after(*events: Event, begin: Switch | None = None, now: float = NOW) -> Switch:
    switch = begin or Switch("support")
    for event in events:
        switch, _ = step(switch, event, now)
    return switch


def refusal(switch: Switch, event: Event, now: float = NOW) -> str:
    with pytest.raises(Refused) as error:
        step(switch, event, now)
    return str(error.value)


def in_state(state: Any) -> Switch:
    return Switch("support") if state == "on" else after(press(state))


states = st.sampled_from(STATES)
people = st.sampled_from(["ada", "bo", "os:1000"])
rights = st.sampled_from([frozenset({"stop"}), ON_CALL, OWNER])
events = st.one_of(
    st.builds(press, states, people, source=st.sampled_from(["control", "link"])),
    st.builds(restore, states, people, rights, st.sampled_from(["", "mended"])),
    st.builds(undo, people),
    st.builds(trip, st.sampled_from(["spend", "unsafe", "errors"]), states),
    st.builds(clear, st.sampled_from(["spend", "unsafe", "errors"])),
    st.builds(report, states, st.sampled_from(["gw-1", "gw-2"]), st.sampled_from(["file", "environment"])),
)
told = st.lists(st.tuples(events, st.floats(0, 400)), max_size=25)


def played(story: list[tuple[Event, float]]) -> list[tuple[Switch, Event, Switch, float]]:
    """(before, event, after, when) of every event that was not refused."""
    now, switch, out = NOW, Switch("support"), []
    for event, passed in story:
        now += passed
        try:
            following, effects = step(switch, event, now)
        except Refused:
            continue
        assert ("tell" in effects) == (following.state != switch.state)
        assert following.seq == switch.seq + (following != switch)
        out.append((switch, event, following, now))
        switch = following
    return out


# --- properties


def test_any_state_is_reached_from_any_other_and_the_table_is_whole() -> None:
    assert set(TRANSITIONS) == {(a, b) for a in STATES for b in STATES if a != b}
    for a, b in TRANSITIONS:
        event = press(b) if severity(b) > severity(a) else restore(b)
        assert after(event, begin=in_state(a)).state == b


@given(told)
def test_only_a_restore_with_its_right_or_an_undo_ever_loosens(story: list[tuple[Event, float]]) -> None:
    for before, event, following, now in played(story):
        if severity(following.state) >= severity(before.state):
            continue
        if event.kind == "undo":
            assert before.undo is not None
            assert event.by == before.undo.by
            assert now <= before.undo.at + UNDO_SECONDS
            continue
        assert event.kind == "restore"
        right = TRANSITIONS[before.state, following.state]
        assert right in event.rights or (right == "on_call" and "owner" in event.rights)
        assert following.state != "on" or event.reason


@given(told)
def test_what_is_in_force_is_never_looser_than_what_any_source_asks_for(story: list[tuple[Event, float]]) -> None:
    for _, __, following, ___ in played(story):
        assert all(severity(following.state) >= severity(held.state) for held in following.held.values())


@given(told)
def test_a_file_that_is_there_is_obeyed_until_it_is_gone(story: list[tuple[Event, float]]) -> None:
    there: dict[tuple[str, str], Any] = {}
    for _, event, following, ___ in played(story):
        if event.kind == "report":
            there[event.source, event.by] = event.to
        for (source, _gateway), state in there.items():
            if state != "on":
                assert severity(following.state) >= severity(state), source


@given(told, states.filter(lambda state: state != "on"))
def test_one_person_stops_it_at_any_time_without_a_reason(story: list[tuple[Event, float]], to: Any) -> None:
    switch = played(story)[-1][2] if played(story) else Switch("support")
    if severity(to) > severity(switch.state):
        assert after(press(to, "os:1000"), begin=switch).state == to


@given(st.dictionaries(st.sampled_from(["control", "file", "environment", "link", "spend", "no contact"]), states))
def test_a_gateway_acts_on_the_most_restrictive_and_says_who_asks(asked: dict[str, Any]) -> None:
    force = combined(asked)
    assert force.state == effective(asked.values())
    assert all(severity(force.state) >= severity(state) for state in asked.values())
    assert all(asked[source] == force.state for source in force.sources)
    assert bool(force.sources) == (force.state != "on")


# --- pressing and taking back


def test_the_reason_is_asked_for_and_may_come_after() -> None:
    switch, effects = step(Switch("support"), press(), NOW)
    assert effects == ("push", "record", "tell", "ask_reason")
    explained = after(Event(kind="explain", by="ada", reason="it insults people"), begin=switch)
    assert explained.held["control"].reason == "it insults people"
    assert "given already" in refusal(explained, Event(kind="explain", by="bo", reason="another"))
    assert "nothing to explain" in refusal(Switch("support"), Event(kind="explain", by="ada", reason="x"))


def test_pressed_again_the_gateways_are_told_again_and_nothing_changes() -> None:
    switch = in_state("off")
    assert step(switch, press(), NOW + 1) == (switch, ("push", "record"))


def test_whoever_pressed_takes_it_back_within_ten_minutes_and_nobody_else() -> None:
    switch = in_state("off")
    assert after(undo(), begin=switch, now=NOW + 600).state == "on"
    assert "only ada, who pressed" in refusal(switch, undo("bo"))
    assert "more than ten minutes ago; roadworthy restore support --to guarded" in refusal(switch, undo(), NOW + 601)
    assert "nothing to take back" in refusal(after(undo(), begin=switch), undo())


def test_an_undo_goes_back_to_what_the_press_found() -> None:
    assert after(press("guarded", "bo"), press("off"), undo()).state == "guarded"
    assert after(press("off"), trip(), undo()).state == "guarded", "a trigger goes on holding"
    assert after(report("assist"), press("off"), undo()).state == "assist"


def test_pressing_does_not_loosen() -> None:
    switch = in_state("off")
    assert "it is off; the way back to guarded is: roadworthy restore support" in refusal(switch, press("guarded"))
    assert "the workflow's owner" in refusal(Switch("support"), press("on"))


# --- the way back


def test_back_to_on_is_the_owners_with_a_reason() -> None:
    switch = in_state("off")
    assert "bo may not go from off to on; the workflow's owner may" in refusal(switch, restore(by="bo", rights=ON_CALL))
    assert "needs a reason" in refusal(switch, restore(reason=" "))
    assert after(restore(), begin=switch) == Switch("support", seq=2)
    assert "already" in refusal(Switch("support"), restore())


def test_back_to_guarded_is_on_calls_once_the_trigger_has_cleared() -> None:
    switch = after(trip("errors", "off"))
    back = restore("guarded", "bo", ON_CALL, "")
    assert "has not cleared (errors: errors at 20 times the objective)" in refusal(switch, back)
    assert after(clear(), back, begin=switch).state == "guarded"
    assert "whoever is on call, or the workflow's owner may" in refusal(
        after(clear(), begin=switch), restore("guarded", "os:1000", frozenset({"stop"}))
    )


def test_a_trigger_that_has_cleared_stays_latched_until_a_person_restores() -> None:
    assert after(trip(), clear()).state == "guarded"


def test_the_owner_may_go_back_to_on_over_a_trigger_and_it_trips_anew() -> None:
    assert after(trip(), restore()).state == "on"
    assert after(trip(), restore(), trip()).state == "guarded"


def test_a_file_is_latched_for_all_and_lifted_only_where_it_is() -> None:
    switch = after(report("off", "gw-1"), report("off", "gw-2"))
    assert "the file KILL.support still says off on gw-1, gw-2; remove it there" in refusal(switch, restore())
    one_left = after(report("on", "gw-1"), begin=switch)
    assert "on gw-2" in refusal(one_left, restore())
    gone = after(report("on", "gw-2"), begin=one_left)
    assert gone.state == "off"
    assert after(restore(), begin=gone).state == "on"
    environment = after(report(source="environment"))
    assert "ROADWORTHY_KILL still says off at gw-1" in refusal(environment, restore())


def test_what_asks_for_less_than_the_restored_state_goes_on_asking() -> None:
    switch = after(trip("spend", "guarded"), press("off"), restore("guarded", "bo", ON_CALL))
    assert set(switch.held) == {"spend", "control"}
    assert switch.held["spend"].active == ["engine"]


# --- around it


def test_all_workflows_have_one_switch_above_their_own() -> None:
    switches = {EVERY: after(press("guarded"), begin=Switch(EVERY)), "support": Switch("support")}
    assert in_force(switches, "support") == in_force(switches, "never touched") == "guarded"
    switches["support"] = in_state("off")
    assert (in_force(switches, "support"), in_force(switches, "triage")) == ("off", "guarded")
    assert "the file KILL still says" in refusal(after(report(), begin=Switch(EVERY)), restore())


def test_without_contact_a_gateway_holds_or_stops_after_thirty_seconds() -> None:
    assert without_contact("off", NOW, NOW + STALE_SECONDS) == "on"
    assert without_contact("off", NOW, NOW + STALE_SECONDS + 0.1) == "off"
    assert without_contact("hold", NOW, NOW + 1e9) == "on"


def test_assist_ends_in_off_when_people_have_more_than_they_can_answer() -> None:
    assert [with_queue("assist", waiting, 200) for waiting in (199, 200)] == ["assist", "off"]
    assert with_queue("guarded", 10_000, 200) == "guarded"


@given(told)
def test_lost_switches_are_recovered_from_the_log_as_restrictive_as_they_were(story: list[tuple[Event, float]]) -> None:
    log = [record(before, following, event, now, "kil_1") for before, event, following, now in played(story)]
    found = recovered(log).get("support", Switch("support"))
    assert found.state == (played(story)[-1][2].state if log else "on")


def test_a_refusal_is_recorded_and_recovers_nothing() -> None:
    switch = in_state("off")
    denied = record(switch, switch, restore(by="bo"), NOW, "kil_2", denied="bo may not")
    assert (denied.before, denied.after, denied.denied) == ("off", "off", "bo may not")
    assert recovered([denied]) == {}


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (press(source="file"), "presses at control or by a link"),
        (trip("control"), "is no trigger; there are spend, unsafe, errors"),
        (report(source="link"), "reports its file or its environment"),
    ],
)
def test_a_source_speaks_only_for_itself(event: Event, says: str) -> None:
    assert says in refusal(Switch("support"), event)


def test_a_held_state_says_who_since_when_and_why() -> None:
    assert in_state("off").held == {"control": Held("off", NOW, "ada")}


def test_a_restored_backup_and_its_install_keep_the_stricter_of_both() -> None:
    newer = Switch("support", {"control": Held("guarded", 5.0, "ada")}, seq=7)
    older = Switch("support", {"control": Held("off", 1.0, "bo"), "spend": Held("guarded", 2.0, "engine")}, seq=3)
    both = stricter(newer, older)
    assert (both.state, sorted(both.held), both.seq, both.undo) == ("off", ["control", "spend"], 8, None)
    assert stricter(older, newer).state == "off"
    assert stricter(newer, Switch("support", seq=9)) == newer
