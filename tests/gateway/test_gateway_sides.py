"""Claims about who gets which side of a workflow: pure decisions over shares, receipts, time and the kill switch."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.evidence.receipt.model import Receipt, Revocation
from roadworthy.evidence.receipt.rules import holds_until, receipt_holds
from roadworthy.gateway.admission.sides import Candidate, Flow, Side, choose, share_of, side_of, sides_at
from roadworthy.gateway.snapshot import Later
from roadworthy.workflow.shares import RESOLUTION, Pin, Places, position, side
from support.earning import DAY

NOW = 1_700_000_000.0
NEW, OLD = "rel_" + "1" * 64, "rel_" + "2" * 64


def receipt(behaviour: str = "b1", **more: Any) -> Receipt:
    fields: dict[str, Any] = {
        "id": "rcp_1", "team": "default", "workflow": "support", "behaviour": behaviour, "verdict": "PASS",
        "floors_met": True, "evidence": "evd_1", "run": "run_1", "epoch": 1, "issued": NOW - DAY,
        "expires": NOW + 30 * DAY,
    }  # fmt: skip
    return Receipt(**{**fields, **more})


def new(share: float = 0.1, **more: Any) -> Candidate:
    fields: dict[str, Any] = {"stage": "10 %", "epoch": 4, "receipt": receipt()}
    return Candidate(NEW, "b1", share, **{**fields, **more})


def old(share: float = 1.0, **more: Any) -> Candidate:
    return Candidate(OLD, "b2", share, **{"receipt": receipt("b2"), **more})


def flow(release: Candidate | None = None, previous: Candidate | None = None, **more: Any) -> Flow:
    return Flow("support", release or new(), previous, **more)


def routes(found: Flow, now: float = NOW, **more: Any) -> dict[str, float]:
    """Share of live positions on each route."""
    sides = sides_at(found, now, **more)
    edges = sorted({0, RESOLUTION, sides.share, sides.before_share})
    out: dict[str, float] = {}
    for low, high in itertools.pairwise(edges):
        made = side_of(sides, "live", low)
        out[made.route] = out.get(made.route, 0.0) + (high - low) / RESOLUTION
    return out


def test_a_user_inside_the_share_gets_the_release_and_everybody_else_the_one_before() -> None:
    assert routes(flow(new(0.1), old())) == {"release": 0.1, "previous": 0.9}


def test_without_a_release_before_the_others_are_bypassed_and_told_why() -> None:
    found = flow(new(0.1))
    assert routes(found) == pytest.approx({"release": 0.1, "bypass": 0.9})
    outside = side_of(sides_at(found, NOW), "live", RESOLUTION - 1)
    assert (outside.stage, outside.code) == ("10 %", "bypassed")
    assert "outside the 10 % of users" in outside.why
    assert "roadworthy ready support" in outside.why


def test_a_release_before_that_has_no_receipt_serves_nobody() -> None:
    assert routes(flow(new(0.1), old(receipt=None))) == pytest.approx({"release": 0.1, "bypass": 0.9})


def test_the_release_before_serves_no_more_than_its_own_ramp_allows() -> None:
    assert routes(flow(new(0.1), old(0.4))) == pytest.approx({"release": 0.1, "previous": 0.3, "bypass": 0.6})


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (None, "no receipt"),
        (receipt(verdict="FAIL"), "its eval gate did not pass"),
        (receipt(verdict="INSUFFICIENT", floors_met=False), "its eval gate did not pass"),
        (receipt(issued=NOW + 60), "its receipt does not hold"),
        (receipt(workflow="other"), "its receipt does not hold"),
        (receipt("b9"), "its receipt does not hold"),
    ],
)
def test_without_a_receipt_that_holds_only_testers_are_served(found: Receipt | None, word: str) -> None:
    served = flow(new(1.0, receipt=found), old())
    assert routes(served) == {"previous": 1.0}
    assert share_of(served, served.release or new(), NOW).word == word
    assert sides_at(served, NOW).tester.route == "release"


def test_a_revoked_receipt_serves_nobody_and_its_reason_is_not_told_to_callers() -> None:
    taken = Revocation(id="rev_1", team="default", workflow="support", behaviour="b1", person="ann",
                       reason="it swore", at=NOW, epoch=1)  # fmt: skip
    side = side_of(sides_at(flow(new(1.0), revocations=(taken,)), NOW), "live", 0)
    assert side.route == "bypass"
    assert "swore" not in side.why


def test_a_receipt_older_than_one_that_was_seen_serves_nobody() -> None:
    assert routes(flow(new(1.0, seen=(1, NOW)))) == {"bypass": 1.0}
    assert routes(flow(new(1.0, seen=(1, NOW - DAY)))) == {"release": 1.0}


def test_a_gate_that_could_not_decide_leaves_the_pilot_share() -> None:
    undecided = receipt(verdict="INSUFFICIENT")
    assert routes(flow(new(0.5, receipt=undecided), pilot=0.02)) == pytest.approx({"release": 0.02, "bypass": 0.98})
    assert routes(flow(new(0.01, receipt=undecided), pilot=0.02)) == pytest.approx({"release": 0.01, "bypass": 0.99})


def test_without_a_ramp_only_testers_are_served_whatever_the_receipt() -> None:
    found = flow(Candidate(NEW, "b1", receipt=receipt()))
    assert routes(found) == {"bypass": 1.0}
    assert "rollout" in side_of(sides_at(found, NOW), "live", 0).why


def test_with_control_dead_a_lapsed_receipt_takes_the_share_to_the_pilots_by_itself() -> None:
    found = flow(new(0.5, receipt=receipt(expires=NOW + DAY)), old(), grace=2 * DAY)
    for day, share in ((0.0, 0.5), (1.5, 0.5), (2.99, 0.5), (3.01, 0.01), (300.0, 0.01)):
        assert routes(found, NOW + day * DAY)["release"] == pytest.approx(share), day


def test_with_control_dead_evidence_that_lapses_lowers_the_share_at_its_instant() -> None:
    later = (Later(NOW + DAY, 0.1), Later(NOW + 3 * DAY, 0.0))
    found = flow(new(0.5, later=later))
    shares = [routes(found, NOW + day * DAY).get("release", 0.0) for day in (0.0, 1.0, 2.9, 3.0)]
    assert shares == pytest.approx([0.5, 0.1, 0.1, 0.0])
    assert "evidence" in side_of(sides_at(found, NOW + DAY), "live", RESOLUTION - 1).why


def test_what_lapses_never_raises_a_share() -> None:
    assert routes(flow(new(0.1, later=(Later(NOW - 1, 0.9),))))["release"] == pytest.approx(0.1)


INSTANTS = st.floats(NOW - 40 * DAY, NOW + 90 * DAY)


@given(INSTANTS, INSTANTS, st.sampled_from(["PASS", "FAIL", "INSUFFICIENT"]), INSTANTS, st.integers(0, 40 * 86_400))
def test_sides_hold_until_the_instant_that_they_name(
    issued: float, expires: float, verdict: Any, outdated: float, grace: float
) -> None:
    """From one named instant to the next nothing changes: the serving path need not look in between."""
    mine = receipt(issued=issued, expires=expires, verdict=verdict)
    found = flow(new(1.0, receipt=mine, outdated_at=outdated), grace=grace)
    now = NOW - 50 * DAY
    for _ in range(10):
        sides = sides_at(found, now)
        end = min(sides.until, NOW + 400 * DAY)
        for part in (0.3, 0.9999):
            between = now + (end - now) * part
            again = sides_at(found, between)
            assert (again.share, again.everybody and again.everybody.route) == (
                sides.share, sides.everybody and sides.everybody.route,
            )  # fmt: skip
            said = receipt_holds(
                mine, workflow="support", behaviour="b1", now=between, outdated_at=outdated, grace=grace
            )
            assert share_of(found, new(1.0, receipt=mine, outdated_at=outdated), between).earned == (
                said.grant != "testers"
            )
        if sides.until == float("inf"):
            return
        assert sides.until > now
        now = sides.until
    raise AssertionError("a receipt changes at most three times")


def test_a_receipt_says_when_it_changes_and_never_looks_back() -> None:
    assert holds_until(receipt(), NOW, grace=DAY) == NOW + 30 * DAY
    assert holds_until(receipt(), NOW + 30 * DAY, grace=DAY) == NOW + 31 * DAY
    assert holds_until(receipt(), NOW + 31 * DAY, grace=DAY) == float("inf")


# --- positions and sessions


@given(st.integers(0, RESOLUTION - 1), st.floats(0, 1), st.floats(0, 1))
def test_a_position_gets_what_the_rule_of_shares_says(place: int, share: float, before: float) -> None:
    found = sides_at(flow(new(share), old(before)), NOW)
    otherwise = OLD if place < round(before * RESOLUTION) else None
    for pin in (None, Pin(NEW, 4), Pin(OLD, 4), Pin(None, 4), Pin(NEW, 3), Pin("rel_9", 4)):
        wanted = side(place, share, NEW, otherwise, pin, 4)
        made = choose(found, place, pin)
        digest = {"release": NEW, "previous": OLD, "bypass": None}[made.route]
        if round(share * RESOLUTION):  # a share below one in a million is none
            assert digest == wanted
        if found.everybody is not None and pin is None:
            assert found.everybody.route == made.route


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=80))
def test_a_place_is_the_position(salt: str, workflow: str, unit: str) -> None:
    salt, workflow = (part.encode("utf-8", "replace").decode() for part in (salt, workflow))
    assert Places(salt, workflow).of(unit) == position(salt, workflow, unit)


def test_a_share_of_zero_ends_sessions_on_the_release() -> None:
    found = sides_at(flow(new(0.0), old(0.5)), NOW)
    assert choose(found, 0, Pin(NEW, 4)).route == "previous"
    assert choose(found, RESOLUTION - 1, Pin(NEW, 4)).route == "bypass"


def test_one_percent_holds_one_percent_of_the_users() -> None:
    places = Places("salt", "support")
    found = sides_at(flow(new(0.01), old()), NOW)
    held = [user for user in range(100_000) if choose(found, places.of(f"user-{user}")).route == "release"]
    assert abs(len(held) - 1000) < 126  # four standard deviations
    assert held == [user for user in range(100_000) if places.of(f"user-{user}") < 10_000]


def test_the_position_matters_only_where_a_share_is_partial() -> None:
    assert sides_at(flow(new(0.0), old()), NOW).everybody is not None
    assert sides_at(flow(new(1.0), old()), NOW).everybody is not None
    assert sides_at(flow(new(0.0)), NOW).everybody is not None
    assert sides_at(flow(new(0.5), old()), NOW).everybody is None
    assert sides_at(flow(new(0.0), old(0.5)), NOW).everybody is None


# --- observe


def observed(release: Candidate | None = None, previous: Candidate | None = None) -> Flow:
    return Flow("support", release, previous, observed=True)


@pytest.mark.parametrize(
    ("found", "place", "would"),
    [
        (new(1.0), 0, ""),
        (new(0.1), 0, ""),
        (new(0.1), RESOLUTION - 1, "bypassed: outside the share of 10 %"),
        (new(1.0, receipt=None), 0, "bypassed: no receipt"),
        (new(0.0, stage="frozen"), 0, "bypassed: no rollout"),
    ],
)
def test_observe_serves_as_before_and_says_what_would_have_been_done(found: Candidate, place: int, would: str) -> None:
    made = side_of(sides_at(observed(found), NOW), "live", place)
    assert (made.route, made.why, made.would) == ("release", "", would)


def test_observe_says_which_release_would_have_answered() -> None:
    made = side_of(sides_at(observed(new(0.1), old()), NOW), "live", RESOLUTION - 1)
    assert (made.route, made.would) == ("release", "previous: outside the share of 10 %")


def test_an_observed_app_without_a_release_is_passed_through_and_an_enforced_one_is_bypassed() -> None:
    assert side_of(sides_at(observed(), NOW), "live", 0) == Side(
        "passthrough", "passthrough", would="bypassed: no release"
    )
    made = side_of(sides_at(Flow("support"), NOW), "live", 0)
    assert made.route == "bypass"
    assert "no release" in made.why


# --- the kill switch


@pytest.mark.parametrize("traffic", ["live", "tester"])
def test_off_is_the_bypass_with_a_code_of_its_own(traffic: Any) -> None:
    for found in (flow(new(1.0), old()), observed(new()), observed()):
        made = side_of(sides_at(found, NOW, "off"), traffic, 0)
        assert (made.route, made.code, made.kill) == ("off", "ai_off", "off")
        assert made.why


@pytest.mark.parametrize("traffic", ["live", "tester"])
def test_guarded_gives_everybody_the_release_before_that_passed(traffic: Any) -> None:
    made = side_of(sides_at(flow(new(1.0), old(0.1)), NOW, "guarded"), traffic, RESOLUTION - 1)
    assert (made.route, made.kill) == ("previous", "guarded")


@pytest.mark.parametrize(
    "before", [None, old(receipt=None), old(receipt=receipt("b2", verdict="INSUFFICIENT")),
               old(receipt=receipt("b2", verdict="FAIL")), old(receipt=receipt("b2", expires=NOW - 40 * DAY))]
)  # fmt: skip
def test_guarded_without_a_release_before_that_passed_is_the_bypass(before: Candidate | None) -> None:
    made = side_of(sides_at(flow(new(1.0), before), NOW, "guarded"), "live", 0)
    assert (made.route, made.kill) == ("bypass", "guarded")
    assert made.why


def test_guarded_and_assist_leave_permits_to_what_they_name() -> None:
    for sides in (sides_at(flow(), NOW, "guarded"), sides_at(flow(), NOW, "assist")):
        assert side_of(sides, "eval", 0) == Side("release", "release")


def test_assist_hands_every_call_that_a_model_would_answer_to_a_human() -> None:
    found = flow(new(0.1, holding=True), old(holding=True))
    sides = sides_at(found, NOW, "assist")
    for place, route in ((0, "release"), (RESOLUTION - 1, "previous")):
        made = side_of(sides, "live", place)
        assert (made.route, made.drafted, made.kill) == (route, True, "assist")
    assert side_of(sides, "tester", 0).drafted


def test_assist_without_a_holding_answer_is_the_bypass() -> None:
    for found in (flow(new(1.0)), observed()):
        made = side_of(sides_at(found, NOW, "assist"), "live", 0)
        assert (made.route, made.kill, made.drafted) == ("bypass", "assist", False)


# --- drafts


def test_at_the_stage_of_drafts_whoever_would_be_bypassed_gets_a_draft_that_a_person_sends() -> None:
    drafting = new(0.0, stage="drafts", drafts=True, holding=True)
    made = side_of(sides_at(flow(drafting), NOW), "live", 0)
    assert (made.route, made.stage, made.drafted) == ("release", "drafts", True)
    bare = msgspec.structs.replace(drafting, receipt=None)
    assert side_of(sides_at(flow(bare), NOW), "live", 0).route == "bypass"
    assert side_of(sides_at(flow(drafting, old()), NOW), "live", 0).route == "previous"
