"""What fires, whose fault it is, and what a page says: pure rules."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.inference_log.analysis import BURN_LENGTHS
from roadworthy.kill_switch.triggers import Window
from roadworthy.operations.alerting.fault import Change, FaultFacts, Neighbour, decide
from roadworthy.operations.alerting.model import (
    Attempts,
    BudgetView,
    FullDisk,
    Installed,
    TargetView,
    Unconfirmed,
    Unusual,
    WorkflowView,
    bad,
    counts,
)
from roadworthy.operations.alerting.rules import fired, judged, of_install
from roadworthy.operations.alerting.text import PageFacts, page_of
from roadworthy.people.alerts.registry import ALERTS
from roadworthy.people.incident.model import LONGEST_LINE, Fault
from roadworthy.workflow.inference import OUTCOMES, Inference

NOW = 1_793_620_800.0
HOUR, DAY = 3600.0, 86_400.0


def windows(**held: tuple[int, int]) -> dict[float, Window]:
    """``m5=(calls, bad)``, ``h1=…``; longer windows hold at least what shorter ones do."""
    units = {"m": 60.0, "h": HOUR, "d": DAY}
    given_ = {units[name[0]] * int(name[1:]): pair for name, pair in held.items()}
    found, at = {}, (0, 0)
    for length in BURN_LENGTHS:
        at = given_.get(length, at)
        found[length] = Window(*at)
    return found


def view(**more: Any) -> WorkflowView:
    return WorkflowView(**{"name": "support", "team": "default", "error_budget": 0.01, **more})


def names(of: WorkflowView) -> list[str]:
    return [each.alert for each in fired(of, NOW)[0]]


# --- objective


@pytest.mark.parametrize(
    ("held", "alert"),
    [
        ({"m5": (50, 20), "h1": (600, 100)}, ["error_burn_fast"]),
        ({"m5": (50, 20), "h1": (6000, 100)}, ["error_burn_slow"]),  # an hour of 1.7 times is no page
        ({"m5": (50, 0), "h1": (600, 100), "h2": (99_999, 100)}, []),  # it is over already
        ({"m5": (5, 3), "h1": (20, 4)}, []),  # four bad calls wake nobody
        ({"m5": (50, 4), "m30": (300, 20), "h1": (600, 40), "h6": (3600, 230)}, ["error_burn"]),
        ({"h2": (1000, 40), "h6": (3000, 60), "d1": (10_000, 350)}, ["error_burn_slow"]),
        ({"h2": (1000, 2), "h6": (3000, 40), "d1": (10_000, 100), "d3": (30_000, 320)}, ["error_burn_slow"]),
    ],
)
def test_the_objective_burns_over_two_windows_at_once(held: dict[str, tuple[int, int]], alert: list[str]) -> None:
    if "m5" not in held:
        held = {"m5": (10, 0), **held}
    assert names(view(errors=windows(**held))) == alert


def test_without_an_objective_there_is_nothing_to_burn_and_a_lax_one_can_burn_still() -> None:
    all_bad = windows(m5=(50, 50), h1=(600, 600))
    assert names(view(error_budget=None, errors=all_bad)) == []
    assert names(view(error_budget=0.2, errors=all_bad)) == ["error_burn_fast"]


def test_a_latency_objective_burns_against_one_call_in_twenty() -> None:
    assert names(view(latency_p95=2.0, slow=windows(m5=(50, 45), h1=(600, 500)))) == ["latency_burn"]
    assert names(view(latency_p95=2.0, slow=windows(m5=(50, 10), h1=(600, 100)))) == ["latency_burn_slow"]
    assert names(view(latency_p95=2.0, slow=windows(m5=(50, 2), h1=(600, 25)))) == []


# --- targets


def target(name: str = "main", good: int = 0, down: int = 0, shut: bool = False, **failures: int) -> TargetView:
    return TargetView(name, Attempts(good, down, failures.get("misconfigured", 0), dict(failures)), shut)


def test_one_target_that_is_down_with_a_healthy_substitute_notifies() -> None:
    found = fired(view(targets=(target(down=9, misconfigured=9), target("backup", good=9))), NOW)[0]
    assert [(each.alert, each.part, ALERTS[each.alert].cls) for each in found] == [("target_down", "main", "notify")]
    assert found[0].text == "main: 9 of 9 attempts were refused; backup answers in its place."


def test_all_targets_down_or_misconfigured_pages_and_says_more_than_the_burn() -> None:
    seen = view(
        errors=windows(m5=(50, 50), h1=(600, 500)),
        targets=(target(down=9, misconfigured=9), target("backup", down=1, shut=True, unavailable=1)),
    )
    found, held = fired(seen, NOW)
    assert [each.alert for each in found] == ["targets_down"]
    assert [each.fired.alert for each in held] == ["error_burn_fast"]


def test_two_failed_attempts_wake_nobody() -> None:
    assert names(view(targets=(target(down=2, slow=2),))) == []


def test_a_substitute_that_nobody_tries_answers_nobody() -> None:
    """As the target of the release before is, or one that the ladder uses for another failure."""
    found = fired(view(targets=(target(down=9, slow=9), target("backup"))), NOW)[0]
    assert [each.alert for each in found] == ["targets_down"]
    assert found[0].text == "No target answers: main: 9 of 9 attempts failed (slow); backup is not tried."


@pytest.mark.parametrize(
    ("five", "two", "shut", "alerts"),
    [
        ((1, 99), (1, 40), False, ["targets_down"]),  # one lucky answer ends nothing
        ((10, 90), (4, 36), False, []),  # a tenth is answered: the objective's matter
        ((300, 20), (0, 20), False, ["targets_down"]),  # two minutes show it where it is tried often
        ((300, 9), (0, 9), False, []),
        ((300, 3), (0, 1), True, ["targets_down"]),  # its breaker is open everywhere
        ((300, 3), (2, 1), True, []),
    ],
)
def test_how_soon_a_target_is_down(five: tuple[int, int], two: tuple[int, int], shut: bool, alerts: list[str]) -> None:
    one = TargetView("main", Attempts(*five, failures={"slow": five[1]}), shut, Attempts(*two))
    assert names(view(targets=(one,))) == alerts


def test_a_workflow_that_is_off_has_no_burn_and_no_target_but_its_unsafe_answers_count() -> None:
    seen = view(
        state="off", errors=windows(m5=(50, 50), h1=(600, 500)), targets=(target(down=9, slow=9),),
        unsafe=Window(100, 9),
    )  # fmt: skip
    found, held = fired(seen, NOW)
    assert [each.alert for each in found] == ["unsafe_share"]
    assert {each.fired.alert for each in held} == {"error_burn_fast", "targets_down"}
    assert {each.why for each in held} == {"the AI is off"}


# --- when it is over


@pytest.mark.parametrize(
    ("alert", "of", "known"),
    [
        ("error_burn_fast", view(errors=windows(m5=(0, 0), h1=(9, 9))), False),  # nobody calls: nobody knows
        ("error_burn_fast", view(errors=windows(m5=(1, 0), h1=(9, 9))), True),
        ("error_burn", view(errors=windows(m30=(0, 0), h1=(9, 9))), False),
        ("error_burn", view(errors=windows(m5=(0, 0), h1=(0, 0))), True),  # for an hour: nobody is harmed
        ("latency_burn", view(slow=windows(m5=(0, 0), h1=(9, 9))), False),
        ("targets_down", view(errors=windows(m5=(2, 2)), targets=(target(down=2, slow=2),)), False),
        ("targets_down", view(errors=windows(m5=(2, 0)), targets=(target(down=2), target("backup", good=1))), True),
        ("target_down", view(errors=windows(m5=(9, 0)), targets=(target(), target("backup", good=9))), False),
        ("target_down", view(errors=windows(m5=(9, 0)), targets=(target("backup", good=9),)), True),  # taken out
        ("hard_limit", view(errors=windows(m5=(0, 0), h1=(9, 9))), True),
    ],
)
def test_no_news_is_no_good_news(alert: str, of: WorkflowView, known: bool) -> None:
    assert judged(of, alert, "main" if alert == "target_down" else "") is known


# --- safety and money


def test_unsafe_answers_page_by_share_and_not_by_one() -> None:
    assert names(view(unsafe=Window(100, 5))) == ["unsafe_share"]
    assert names(view(unsafe=Window(10, 4))) == []
    assert names(view(unsafe=Window(1000, 15))) == []


def test_a_budget_of_the_team_is_one_incident_however_many_workflows_it_stops() -> None:
    team = BudgetView("team", "day", 100.0, NOW)
    keys = {fired(view(name=name, used_up=(team,)), NOW)[0][0].incident for name in ("support", "triage")}
    assert keys == {"money/team/default"}
    own = fired(view(used_up=(BudgetView("workflow", "month", 500.0, NOW),)), NOW)[0][0]
    assert (own.incident, own.part) == ("money/support", "workflow month")


# --- what counts


def call(**more: Any) -> Inference:
    fields: dict[str, Any] = {"id": "inf_1", "ts": NOW, "team": "default", "workflow": "support", "outcome": "answered"}
    return Inference(**{**fields, **more})


def test_a_stand_in_text_is_bad_when_the_call_was_let_down_and_not_when_it_was_held_back() -> None:
    assert bad(call(outcome="escalated", failure="slow"))
    assert bad(call(outcome="canned", failure="invalid"))
    assert not bad(call(outcome="canned", failure="unsafe"))
    assert not bad(call(outcome="escalated", failure="refused"))
    assert not bad(call(outcome="recovered", failure="slow"))
    assert not bad(call(outcome="escalated", failure="slow", kill="assist"))
    assert bad(call(outcome="error", failure="bad_request"))


def test_calls_that_no_objective_is_about_count_nothing() -> None:
    assert not counts(call(outcome="bypassed"))
    assert not counts(call(outcome="escalated", route="bypass"))
    assert not counts(call(traffic="drill"))
    assert not counts(call(outcome="abandoned"))


# --- whose fault


FREEZE = Change(NOW - 600, "14:00 release frozen (number 7), by ada")


@pytest.mark.parametrize(
    ("facts", "whose", "says"),
    [
        (FaultFacts(bad=38, failures={"slow": 36, "invalid": 2}, statuses={0: 26, 504: 12}, target="main",
                    neighbours=(Neighbour("triage", 8, 10),)), "provider",
         "triage (8 of 10) on the same target fails too"),
        (FaultFacts(bad=38, failures={"slow": 38}, statuses={0: 38}, target="main"), "provider", "we changed nothing"),
        (FaultFacts(bad=38, failures={"slow": 38}, statuses={0: 38}, target="main", changes=(FREEZE,),
                    neighbours=(Neighbour("triage", 0, 50),)), "release", "triage on the same target is well"),
        (FaultFacts(bad=20, failures={"invalid": 18, "slow": 2}, changes=(FREEZE,)), "release",
         "our own checks refused 18 of 20 bad answers (18 invalid), after 14:00 release frozen (number 7), by ada"),
        (FaultFacts(bad=9, failures={"misconfigured": 9}, statuses={401: 9}, target="main", changes=(FREEZE,)),
         "release", "main refuses us (answered 401 (9×)) since"),
        (FaultFacts(bad=9, failures={"misconfigured": 9}, statuses={401: 9}, target="main"), "provider", "401 (9×)"),
        (FaultFacts(bad=10, failures={"overlimit": 9}, statuses={429: 9}, per_minute=90, usual=20), "traffic",
         "4.5 times the usual"),
        (FaultFacts(bad=10, failures={"overlimit": 9}, statuses={429: 9}, per_minute=22, usual=20), "provider", "429"),
        (FaultFacts(bad=10, failures={"bad_request": 8}), "traffic", "cannot be served"),
        (FaultFacts(bad=10, failures={"gateway_lost": 9}), "roadworthy", "ended inside Roadworthy"),
        (FaultFacts(bad=10, failures={"slow": 3, "invalid": 3, "bad_request": 4}), "unknown", "point to nobody alone"),
        (FaultFacts(), "unknown", "no bad call"),
    ],
)  # fmt: skip
def test_the_fault_is_whose_the_counts_say(facts: FaultFacts, whose: str, says: str) -> None:
    found = decide(facts)
    assert found.whose == whose
    assert says in found.evidence


# --- the page


EXAMPLE = PageFacts(
    workflow="support-triage", alert="error_burn_fast", happened="38 of 60 calls failed.", customers=52, hit=38,
    calls=60, bad=41, got={"escalated": 39, "error": 2}, failures={"slow": 40, "invalid": 1}, waiting=14,
    since="14:02 CET", fault=Fault("provider", "40 of 41 bad calls: main answered nothing in time (28×)"),
    reads="It reads: “A colleague will answer.”", recovered=3, shut=("main",),
    changes=(Change(NOW, "13:10 configuration applied, by ada"),),
)  # fmt: skip


def test_the_first_line_says_who_what_why_and_who_waits() -> None:
    assert page_of(EXAMPLE).line == (
        "support-triage: 38 of 52 customers in 5 min got the holding text. Cause: provider time-outs. "
        "14 wait for a person."
    )


def test_the_rest_says_whom_whose_fault_what_was_done_what_follows_and_what_changed() -> None:
    page = page_of(EXAMPLE)
    assert page.affected == (
        "38 of 52 customers (73 %) in the last 5 min, since 14:02 CET. They got: 39× the holding text, 2× an error. "
        "It reads: “A colleague will answer.”"
    )
    assert page.fault == "The provider: 40 of 41 bad calls: main answered nothing in time (28×)."
    assert page.done == [
        "The ladder saved 3 calls by a retry or another target.",
        "The ladder gave 39 callers a stand-in text instead of an error.",
        "14 calls wait for a person.",
        "The breaker of main is open: nobody waits for it, probes go through.",
    ]
    assert page.otherwise == "About 460 customers an hour go on like this until the provider is well again."
    assert page.changed == ["13:10 configuration applied, by ada"]


def test_callers_that_name_no_user_are_counted_as_calls() -> None:
    from msgspec.structs import replace

    page = page_of(replace(EXAMPLE, hit=0, customers=0))
    assert page.line.startswith("support-triage: 41 of 60 calls in 5 min got the holding text.")


def test_a_name_cannot_turn_a_page_around_or_break_its_line() -> None:
    from msgspec.structs import replace

    page = page_of(replace(EXAMPLE, workflow="sup\u202eport\n\x1b[31m" + "x" * 300, stopped_by="a\u0000b", state="off"))
    for text in (page.line, page.affected, page.fault, *page.done, page.otherwise, *page.changed):
        assert not [char for char in text if unicodedata.category(char) in ("Cc", "Cf")], text
    assert len(page.line) <= LONGEST_LINE


@given(
    st.builds(
        PageFacts,
        workflow=st.text(max_size=300),
        alert=st.sampled_from(sorted(ALERTS)),
        happened=st.text(max_size=2000),
        customers=st.integers(0, 10**9),
        hit=st.integers(0, 10**9),
        calls=st.integers(0, 10**12),
        bad=st.integers(0, 10**12),
        window=st.floats(1, 1e6),
        got=st.dictionaries(st.sampled_from(OUTCOMES), st.integers(1, 10**9), max_size=4),
        failures=st.dictionaries(st.text(max_size=50), st.integers(1, 10**9), max_size=3),
        waiting=st.integers(0, 10**9),
        fault=st.builds(Fault, whose=st.sampled_from(["provider", "release", "traffic", "roadworthy", "unknown"])),
        stopped_by=st.text(max_size=100),
        shut=st.lists(st.text(max_size=80), max_size=3).map(tuple),
        changes=st.lists(st.builds(Change, at=st.just(0.0), what=st.text(max_size=400)), max_size=3).map(tuple),
    )
)
def test_the_first_line_never_exceeds_a_locked_phone_and_no_line_holds_a_control_character(facts: PageFacts) -> None:
    page = page_of(facts)
    assert 0 < len(page.line) <= LONGEST_LINE
    for text in (page.line, page.affected, page.fault, *page.done, page.otherwise, *page.changed):
        assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") or char in "\n\r" for char in text)


# --- the install


def test_a_gateway_that_has_not_confirmed_and_a_full_disk_page_and_an_odd_hour_notifies() -> None:
    seen = Installed(
        unconfirmed=(Unconfirmed("*", "default", "west", "off", NOW - 61, "touch /data/KILL"),),
        full=(FullDisk("west", 7, 2),),
        unusual=(Unusual("support", "default", "cost", "cost of $0.2 a call"),),
        teams=("default", "other"),
    )
    found = {(each.alert, each.incident): each for each in of_install(seen)}
    assert ("kill_unconfirmed", "kill_unconfirmed/*/other") in found, "whoever is paged may read it"
    assert found["kill_unconfirmed", "kill_unconfirmed/*/default"].text == (
        "Gateway west has not confirmed that everything is off. Run there: touch /data/KILL"
    )
    assert ("journal_disk_full", "journal_disk_full/other") in found, "the owners of every team are told"
    assert "7 records wait in its memory, 2 are lost" in found["journal_disk_full", "journal_disk_full/default"].text
    assert ALERTS["anomaly"].cls == "notify"
    assert ("anomaly", "anomaly/support/cost") in found


def test_the_page_of_an_install_says_what_happened_and_what_follows() -> None:
    text = "Gateway west cannot write its journal: 7 records wait in its memory."
    fault = Fault("roadworthy", "no room")
    page = page_of(PageFacts(workflow="", alert="journal_disk_full", happened=text, fault=fault))
    assert page.line == f"all workflows: {text}"
    assert page.otherwise.startswith("Callers of that gateway go without a model")
