"""The ceiling and the label, whatever evidence there is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roadworthy.evidence.kinds import DAY, Attestation, EvalGate
from roadworthy.evidence.model import Accepted, Evidence
from roadworthy.readiness.items import ITEMS, NEVER_WAIVED, NUMBERS
from roadworthy.readiness.model import ItemState, Published, Since
from roadworthy.readiness.rules import ceiling, checklist, pilot_share, readiness
from roadworthy.workflow.model import Owners, Policy
from support.evidence import FIGURES, NOW, evidence, receipt, revocation, waiver
from support.readiness import shown, subject

PILOT = 0.01


def of(number: int, states: list[ItemState]) -> ItemState:
    return states[number - 1]


def look(number: int, *changed: Evidence, now: float = NOW, without: tuple[str, ...] = (), **more: Any) -> ItemState:
    """An item with everything shown, but for ``without``, and with what is ``changed`` added."""
    found = [each for kind, each in shown().items() if kind not in without]
    return of(number, checklist([*found, *changed], [], subject(**more), now))


# --- ten fresh items


def test_ten_fresh_items_are_production_with_everybody() -> None:
    found = readiness(list(shown().values()), [], subject(), NOW)
    assert (found.label, found.ceiling, found.held_by, found.notice) == ("production", 1.0, [], "")
    assert [state.verdict for state in found.items] == ["PASS"] * 10
    assert found.minutes <= 15


@pytest.mark.parametrize("kind", sorted(set(shown()) - {"eval_gate"}))
def test_any_item_but_the_gate_missing_leaves_the_pilot_share(kind: str) -> None:
    rest = [each for name, each in shown().items() if name != kind]
    found = readiness(rest, [], subject(), NOW)
    assert (found.label, found.ceiling) == ("pilot", PILOT)
    assert len(found.held_by) == 1


def test_without_a_receipt_only_testers_are_served() -> None:
    found = readiness(list(shown().values()), [], subject(receipts=[]), NOW)
    assert (found.ceiling, found.held_by) == (0.0, [6])


def test_nothing_shown_is_no_crash_and_no_traffic() -> None:
    found = readiness([], [], subject(receipts=[], behaviour="", handling=""), NOW)
    assert (found.ceiling, found.label) == (0.0, "pilot")


def test_a_pilot_gets_the_larger_of_one_percent_and_25_calls_a_day() -> None:
    assert pilot_share(subject(calls_a_day=100_000.0)) == 0.01
    assert pilot_share(subject(calls_a_day=500.0)) == 0.05
    assert pilot_share(subject(calls_a_day=10.0)) == 1.0
    assert pilot_share(subject(calls_a_day=None)) == pilot_share(subject(calls_a_day=0.0)) == 0.01
    assert pilot_share(subject(policy=Policy(pilot_share=0.9))) == 0.01, "policy can only name less"
    assert pilot_share(subject(policy=Policy(pilot_share=0.001))) == 0.001


# --- properties

figures = st.sampled_from(sorted(FIGURES))
passing = st.builds(
    lambda kind, days, mode: evidence(
        kind, id=f"evd_{kind}_{days}_{mode}", made_at=NOW - days * DAY, mode=mode,
        accepted=[Accepted("bo", "cost", NOW - days * DAY), Accepted("ada", "workflow", NOW - days * DAY)],
    ),
    figures, st.integers(0, 200), st.sampled_from(["live", "live", "mocked", "imported"]),
)  # fmt: skip
words = st.builds(
    lambda kind, days: evidence(
        Attestation(instead_of=kind, words="so it is"), id=f"evd_w{kind}{days}", made_at=NOW - days * DAY
    ),
    figures,
    st.integers(0, 60),
)
FAILED = [
    evidence(replace(FIGURES["load_test"], p95=9.0), id="evd_f1", made_at=NOW - 60),
    evidence(replace(FIGURES["fallback_drills"], failures={"slow": "FAIL"}), id="evd_f4", made_at=NOW - 60),
    evidence(replace(FIGURES["eval_gate"], verdict="FAIL"), id="evd_f6", made_at=NOW - 60),
    evidence(replace(FIGURES["kill_drill"], max=61.0), id="evd_f7", made_at=NOW - 60),
    evidence(replace(FIGURES["kill_drill"], late_attempts=1), id="evd_f7b", made_at=NOW - 60),
]
waivers = st.lists(st.builds(waiver, st.sampled_from([None, *NUMBERS])), max_size=4)
anything = st.lists(st.one_of(passing, words, st.sampled_from(list(shown().values()))), max_size=25)


@given(st.lists(st.one_of(passing, words), max_size=8), st.sets(st.integers(0, 20), max_size=3), waivers)
def test_the_ceiling_never_rises_by_removing_evidence(more: list[Evidence], gone: set[int], let: list[Any]) -> None:
    found = [*shown().values(), *more]
    kept = [each for place, each in enumerate(found) if place not in gone]
    for item in ITEMS:
        before, after = (of(item.number, checklist(each, let, subject(), NOW)) for each in (found, kept))
        assert after.cap <= before.cap, item.name
    assert ceiling(checklist(found, let, subject(receipts=[]), NOW)) == 0.0


@given(st.floats(0, 400), st.floats(0, 1), st.integers(0, 60))
def test_lapsed_evidence_never_lowers_traffic_to_zero(days: float, share: float, grace: int) -> None:
    later = NOW + days * DAY
    found = readiness(list(shown().values()), [], subject(share=share, grace=grace * DAY), later)
    assert found.ceiling >= PILOT


@given(anything, waivers, st.sampled_from(FAILED))
def test_a_fail_always_takes_to_testers(found: list[Evidence], let: list[Any], failed: Evidence) -> None:
    before = [each for each in found if each.made_at <= failed.made_at or each.kind != failed.kind]
    assert ceiling(checklist([*before, failed], let, subject(), NOW)) == 0.0


def test_a_waiver_covers_no_failure() -> None:
    state = of(1, checklist([*shown().values(), FAILED[0]], [waiver(1)], subject(), NOW))
    assert (state.verdict, state.cap, state.waiver) == ("FAIL", 0.0, None)


@given(st.integers(0, 40), st.integers(1, 30), st.sampled_from([n for n in NUMBERS if n not in NEVER_WAIVED]))
def test_a_waiver_never_outlives_its_end(days: int, lasts: int, number: int) -> None:
    let = waiver(number, starts=NOW, ends=NOW + lasts * DAY)
    state = of(number, checklist([], [let], subject(), NOW + days * DAY))
    assert (state.waiver is not None) == (days < lasts)
    assert state.cap == (1.0 if days < lasts else PILOT)


@given(st.booleans(), st.integers(0, 60))
def test_observe_never_becomes_production(waived: bool, days: int) -> None:
    let = [waiver(None, starts=NOW, ends=NOW + 30 * DAY)] if waived else []
    made = shown(made_at=NOW + days * DAY, lapses_at=NOW + days * DAY + 1)
    fresh = replace(receipt(), issued=NOW + days * DAY, expires=NOW + days * DAY + 1)
    found = readiness(list(made.values()), let, subject(enforcement="observe", receipts=[fresh]), NOW + days * DAY)
    assert found.label == ("pilot" if waived and days < 30 else "lapsed pilot")
    assert not found.enforced


# --- staleness and grace


def test_an_earned_share_is_kept_for_the_grace_without_a_rise_then_the_pilot_share() -> None:
    load = evidence("load_test")
    end = load.lapses_at
    rest = shown(lapses_at=NOW + 400 * DAY)
    rest["load_test"] = load
    item = receipt(expires=NOW + 400 * DAY)

    def cap(now: float) -> float:
        made = [each for each in rest.values() if each.kind != "eval_gate"]
        return of(1, checklist(made, [], subject(receipts=[item]), now)).cap

    assert [cap(end - 1), cap(end), cap(end + 13.9 * DAY), cap(end + 14 * DAY)] == [1.0, 0.5, 0.5, PILOT]


def test_policy_can_lengthen_the_grace_to_thirty_days_at_most() -> None:
    end = evidence("canary").lapses_at
    assert look(3, now=end + 29 * DAY, grace=99 * DAY).age == "stale"
    assert look(3, now=end + 30 * DAY, grace=99 * DAY).age == "lapsed"


def test_a_lapsed_receipt_keeps_what_was_earned_and_never_less_than_the_pilot() -> None:
    end = receipt().expires
    assert [look(6, now=at).cap for at in (end - 1, end, end + 14 * DAY)] == [1.0, 0.5, PILOT]


def test_a_new_example_set_makes_the_gate_stale_but_not_one_made_by_forgetting() -> None:
    published = Published("v2", "s1", NOW - 60)
    assert (look(6, published=published).age, look(6, published=published).cap) == ("stale", 0.5)
    assert look(6, published=replace(published, forgotten_from=["v1"])).age == "fresh"
    assert look(6, published=Published("v1", "s2", NOW - 60)).age == "stale"


def test_it_is_told_seven_days_before_anything_lapses() -> None:
    end = evidence("kill_drill").lapses_at
    assert [look(7, now=at).soon for at in (end - 8 * DAY, end - 6 * DAY, end)] == [False, True, False]


# --- item by item


@pytest.mark.parametrize(
    ("change", "mode", "verdict", "cap", "says"),
    [
        ({}, "live", "PASS", 1.0, "for 60 min"),
        ({"live_probe": True}, "mocked", "PASS", 0.25, "for 60 min"),
        ({}, "mocked", "INSUFFICIENT", PILOT, "without a live probe"),
        ({"seconds": 60}, "live", "INSUFFICIENT", PILOT, "60 s of 3,600 s"),
        ({}, "imported", "PASS", 0.10, "imported by ada"),
        ({"p95": 2.1}, "live", "FAIL", 0.0, "objective missed"),
        ({"p95": 2.1}, "imported", "FAIL", 0.0, "objective missed"),
        ({"p95": 2.1}, "mocked", "INSUFFICIENT", PILOT, "without a live probe that agrees"),
        ({"p95": 2.1, "rate": 60}, "live", "INSUFFICIENT", PILOT, "above twice the peak"),
        ({"saturated": True, "seconds": 60}, "live", "FAIL", 0.0, "over-saturated"),
        ({"p50": 0.5}, "live", "FAIL", 0.0, "p99/p50 is 4.0, above 3, and at first token it is not known"),
        ({"p50": 0.5, "seconds": 60}, "live", "INSUFFICIENT", PILOT, "60 s of 3,600 s"),
        (
            {"p50": 0.5, "first_token_ratio": 2.0, "matched_ratio": 3.1},
            "live",
            "FAIL",
            0.0,
            "at matched length it is 3.1",
        ),
        ({"p50": 0.5, "first_token_ratio": 2.0, "matched_ratio": 2.0}, "live", "FAIL", 0.0, "no limit that its owner"),
        (
            {"p50": 0.5, "first_token_ratio": 2.0, "matched_ratio": 2.0, "objective_p99": 2.0},
            "live",
            "PASS",
            1.0,
            "for 60 min",
        ),
        ({"judged": "INSUFFICIENT", "why": "not clear of 3"}, "live", "INSUFFICIENT", PILOT, "not clear of 3"),
        ({"p50": 0.5, "judged": "PASS"}, "live", "PASS", 1.0, "for 60 min"),
        (
            {"p95": 9.0, "calls": 5, "judged": "INSUFFICIENT", "why": "5 answers: too few to know a p99"},
            "live",
            "INSUFFICIENT",
            PILOT,
            "5 answers: too few",
        ),
        ({"rate": 19.0}, "live", "INSUFFICIENT", PILOT, "twice the peak is 20 calls/s"),
    ],
)
def test_what_a_load_test_allows(change: dict[str, Any], mode: str, verdict: str, cap: float, says: str) -> None:
    state = look(1, evidence(replace(FIGURES["load_test"], **change), mode=mode), without=("load_test",))
    assert (state.verdict, state.cap) == (verdict, cap)
    assert says in state.figure


def test_a_short_load_test_takes_nothing_from_an_hour_before_it() -> None:
    short = evidence(replace(FIGURES["load_test"], seconds=60), made_at=NOW - 60)
    assert (look(1, short).verdict, look(1, short).cap) == ("PASS", 1.0)


def test_a_fail_counts_until_a_run_as_real_as_it_passes() -> None:
    failed = FAILED[0]
    rehearsed = evidence(replace(FIGURES["load_test"], live_probe=True), id="r", mode="mocked", made_at=NOW - 30)
    word = evidence(Attestation(instead_of="load_test", words="fine"), made_at=NOW - 30)
    assert [look(1, failed, each).cap for each in (rehearsed, word)] == [0.0, 0.0]
    assert look(1, failed, evidence("load_test", id="p", made_at=NOW - 30)).cap == 1.0
    assert look(1, failed, now=NOW + 300 * DAY).verdict == "FAIL", "a failure never lapses"


def test_a_higher_peak_or_a_tighter_objective_asks_for_a_new_test_within_the_grace() -> None:
    from roadworthy.workflow.model import Objective

    raised: dict[str, Any] = {"policy": Policy(projected_peak=11.0), "since": Since(policy=NOW - 60)}
    assert (look(1, **raised).age, look(1, **raised).cap) == ("stale", 0.5)
    tighter: dict[str, Any] = {
        "policy": Policy(projected_peak=10.0, objective=Objective(1.0)),
        "since": Since(policy=NOW - DAY),
    }
    assert (look(1, **tighter).verdict, look(1, **tighter).age) == ("PASS", "stale")
    looser = Policy(projected_peak=10.0, objective=Objective(99.0))
    missed = evidence(replace(FIGURES["load_test"], p95=9.0), made_at=NOW - 60)
    assert look(1, missed, policy=looser).verdict == "FAIL", "loosening mends no failure"
    assert look(1, policy=Policy()).verdict == "INSUFFICIENT"


def test_a_forecast_stays_accepted_while_it_stays_inside_the_accepted_one() -> None:
    inside = evidence(replace(FIGURES["cost_forecast"], unit=0.001), id="i", made_at=NOW - 60)
    outside = evidence(replace(FIGURES["cost_forecast"], month_peak=901.0), id="o", made_at=NOW - 60)
    assert look(2, inside).age == "fresh"
    assert (look(2, outside).age, look(2, outside).cap) == ("stale", 0.5)
    assert look(2, evidence("cost_forecast"), without=("cost_forecast",)).verdict == "INSUFFICIENT"
    assert look(2, prices="p2", since=Since(prices=NOW - DAY)).age == "stale"
    assert look(2, prices="", since=Since(prices=NOW - DAY)).age == "stale", "a price that got lost is another price"
    assert look(2, month_spent=1000.0).age == "stale"


def test_a_higher_projected_peak_asks_for_a_new_forecast() -> None:
    made = replace(shown()["cost_forecast"], figures=replace(FIGURES["cost_forecast"], peak=10.0))
    kept: dict[str, Any] = {"without": ("cost_forecast",), "since": Since(policy=NOW - 60)}
    assert look(2, made, **kept).age == "fresh"
    raised = look(2, made, policy=Policy(projected_peak=10.5), **kept)
    assert (raised.age, raised.cap) == ("stale", 0.5)
    assert "policy now projects 10.5" in raised.figure


def test_a_lost_canary_is_insufficient_and_no_failure() -> None:
    lost = evidence(replace(FIGURES["canary"], trace=False, otlp=False))
    state = look(3, lost, without=("canary",))
    assert (state.verdict, state.cap) == ("INSUFFICIENT", PILOT)
    assert "trace, OTLP export" in state.figure


def test_the_owner_of_the_workflow_must_not_be_whoever_froze_the_release() -> None:
    state = look(5, frozen_by="ada")
    assert (state.verdict, state.cap) == ("INSUFFICIENT", PILOT)
    assert "four eyes" in state.figure


def test_a_new_owner_must_accept_within_the_grace() -> None:
    changed: dict[str, Any] = {"owners": Owners("eve", "pia", "bo"), "since": Since(owners=NOW - DAY)}
    assert (look(5, **changed).age, look(5, **changed).cap) == ("stale", 0.5)
    assert "eve has not accepted it yet, after ada" in look(5, **changed).figure


def test_the_receipt_says_what_the_gate_allows() -> None:
    undecided = receipt(verdict="INSUFFICIENT")
    assert look(6, receipts=[undecided]).cap == PILOT
    assert look(6, receipts=[replace(undecided, floors_met=False)]).cap == 0.0
    assert look(6, receipts=[receipt(verdict="FAIL")]).verdict == "FAIL"
    revoked = look(6, revocations=[revocation()])
    assert (revoked.cap, revoked.verdict) == (0.0, "INSUFFICIENT")
    assert "ada revoked its receipt: it lied" in revoked.figure
    assert look(6, receipts=[receipt(behaviour="beh_9")]).cap == 0.0


def test_a_passed_gate_without_its_receipt_allows_nothing() -> None:
    assert look(6, evidence("eval_gate", id="later", made_at=NOW - 60), receipts=[]).cap == 0.0
    assert look(6, evidence("eval_gate", id="imp", mode="imported"), receipts=[]).cap == 0.0


def test_a_kill_drill_asks_for_every_gateway() -> None:
    lost = evidence(replace(FIGURES["kill_drill"], gateways={"gw-1": 0.2, "gw-2": None}))
    state = look(7, lost, without=("kill_drill",))
    assert (state.verdict, state.figure) == ("INSUFFICIENT", "never confirmed: gw-2")
    assert look(7, gateways={"gw-1": 0.0, "gw-2": NOW - DAY}).age == "stale"


def test_a_gap_on_call_in_the_next_fourteen_days_is_seen_as_it_comes_near() -> None:
    assert look(8, now=NOW + 15 * DAY).age == "fresh"
    assert look(8, now=NOW + 17 * DAY).age == "stale"


@pytest.mark.parametrize("number", [4, 6, 7])
def test_neither_word_nor_waiver_nor_import_stands_for_what_a_machine_must_show(number: int) -> None:
    kind = next(item.kinds[0] for item in ITEMS if item.number == number)
    word = evidence(Attestation(instead_of=kind, words="I saw it"))
    rest = [each for name, each in shown().items() if name != kind]
    import_ = evidence(kind, mode="imported")
    receipts = [] if number == 6 else [receipt()]
    for more in ([word], [import_]):
        state = of(number, checklist([*rest, *more], [waiver(number)], subject(receipts=receipts), NOW))
        assert state.cap == (0.0 if number == 6 else PILOT)
        assert state.waiver is None
        assert not state.met


def test_what_is_attested_imported_or_waived_shows_and_is_not_production() -> None:
    word = evidence(Attestation(instead_of="load_test", words="I saw it"))
    rest = [each for name, each in shown().items() if name != "load_test"]
    attested = readiness([*rest, word], [], subject(), NOW)
    assert (of(1, attested.items).mark, attested.ceiling, attested.label) == ("attested", 0.10, "pilot")
    waived = readiness(rest, [waiver(1)], subject(), NOW)
    assert (waived.ceiling, waived.label) == (1.0, "pilot")
    assert waived.notice == "Item 1 waived until 2025-10-19, ada: fair week"


def test_an_extended_pilot_says_until_when_and_by_whom() -> None:
    found = readiness([], [waiver(None)], subject(enforcement="observe"), NOW)
    assert found.notice == "Extended pilot, not enforced until 2025-10-19, ada"
    assert readiness([], [], subject(enforcement="observe"), NOW).notice.startswith("Lapsed pilot")


def test_evidence_about_another_release_counts_for_nothing() -> None:
    other = [each for each in shown().values() if each.kind != "load_test"]
    other.append(evidence("load_test", bound={"behaviour": "beh_other"}))
    assert of(1, checklist(other, [], subject(), NOW)).age == "missing"
    typo = subject(handling="han_other")
    states = checklist(list(shown().values()), [], typo, NOW)
    assert [state.item.number for state in states if state.age == "missing"] == [4, 10]


def test_the_gate_needs_fifty_examples_and_a_rubric_signed_by_the_owner() -> None:
    from roadworthy.evidence.receipt.rules import gate_verdict

    gate = FIGURES["eval_gate"]
    assert isinstance(gate, EvalGate)
    assert gate_verdict(gate, "ada") == "PASS"
    assert gate_verdict(replace(gate, examples=49), "ada") == "INSUFFICIENT"
    assert gate_verdict(gate, "eve") == "INSUFFICIENT"
    assert gate_verdict(replace(gate, verdict="FAIL", examples=3), "ada") == "FAIL"
