"""What evidence, a person's word and a waiver must be to be taken; every refusal says what would be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from roadworthy.evidence.kinds import DAY, KINDS, Acceptance, Attestation
from roadworthy.evidence.model import Accepted, Evidence
from roadworthy.evidence.rules import Refused, acceptance, admit, admit_waiver, age, life, read, superseded
from roadworthy.readiness.items import NEVER_WAIVED, NUMBERS
from support.evidence import FIGURES, KNOWN, NOW, evidence, waiver


def refusal(found: Evidence) -> str:
    with pytest.raises(Refused) as error:
        admit(found, [KNOWN], NOW)
    return str(error.value)


def word(kind: str = "load_test", **more: Any) -> Evidence:
    return evidence(Attestation(instead_of=kind, words="I saw it hold"), **more)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_taken_and_comes_back_whole(kind: str) -> None:
    admit(evidence(kind), [KNOWN], NOW)
    assert read(msgspec.json.encode(evidence(kind))) == evidence(kind)


def test_a_word_is_taken_for_what_a_machine_need_not_show() -> None:
    never = {"fallback_drills", "eval_gate", "kill_drill", "acceptance"}
    for kind in never:
        assert "a person's word is never enough" in refusal(word(kind))
    for kind in set(KINDS) - never:
        admit(word(kind), [KNOWN], NOW)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (evidence(made_at=NOW + 60), "made 60 s in the future; compare the clocks"),
        (evidence(made_at=NOW - 91 * DAY), "it lapsed 24 h ago; run the load test again"),
        (evidence(lapses_at=NOW - 7200), "lapses before it was made"),
        (evidence(lapses_at=NOW + 91 * DAY), "a load test holds for 90 days at most"),
        (evidence(bound={"handling": KNOWN["handling"]}), "about behaviour, and this is bound to handling"),
        (evidence(bound={}), "bound to nothing; bind it to behaviour, no more"),
        (evidence(bound={"behaviour": "beh_9"}), "nothing here is behaviour beh_9; bind it to behaviour of"),
        (evidence("acceptance", bound={"workflow": "other"}), "nothing here is workflow other"),
        (evidence(workflow=""), "is about a workflow, and none is named"),
        (evidence(run=""), "must come from a run; name its id in 'run', or attest it"),
        (evidence(replace(FIGURES["load_test"], error_share=1.5)), "does not fit the schema of 'load_test'"),
        (evidence(replace(FIGURES["load_test"], p95=float("nan"))), "figures.p95 is not a finite number"),
        (evidence(replace(FIGURES["load_test"], calls=-1)), "Expected `int` >= 0 - at `$.figures.calls`"),
        (word(lapses_at=NOW + 40 * DAY), "somebody's word holds for 30 days at most"),
        (word(by="os:1000"), "a word needs a named person behind it; sign in"),
        (word(run="run_1"), "a person's word has no run"),
        (evidence(mode="imported", lapses_at=NOW + 40 * DAY), "somebody's word holds for 30 days at most"),
        (evidence(Acceptance(role="cost", person="bo")), "ada cannot accept a role for bo; bo signs in"),
        (evidence(Attestation(instead_of="load_tset", words="x")), "no kind of evidence 'load_tset'; did you mean"),
        (evidence(accepted=[Accepted("bo", "cost", NOW + 99)]), "before it was made or in the future; accept it anew"),
    ],
)
def test_what_is_refused_says_why_and_what_would_be_taken(found: Evidence, says: str) -> None:
    assert says in refusal(found)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"{", "no JSON"),
        (b"[]", "does not say what it is"),
        (b'{"figures": {}}', "name its kind in figures.kind: load_test, cost_forecast"),
        (b'{"figures": {"kind": "loadtest"}}', "there is no kind of evidence 'loadtest'; did you mean 'load_test'?"),
        (b'{"figures": {"kind": "load_test"}}', "does not fit its schema"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(raw: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says.replace("?", r"\?")):
        read(raw)


def test_a_figure_that_the_kind_does_not_know_is_refused() -> None:
    raw = msgspec.json.encode(evidence()).replace(b'"rate":', b'"rat":')
    with pytest.raises(Refused, match=r"unknown field `rat`|missing required field `rate`"):
        read(raw)


@given(st.floats(-1e7, 1e7), st.floats(0, 1e7))
def test_age_goes_one_way_and_grace_is_thirty_days_at_most(lapses: float, grace: float) -> None:
    order = ["fresh", "stale", "lapsed"]
    seen = [order.index(age(lapses, lapses + step * DAY, grace)) for step in (-1, 0, 1, 13, 29, 30, 99)]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1], seen[-2]) == (0, 2, 2)


def test_policy_shortens_a_life_and_never_lengthens_it() -> None:
    assert life("load_test") == 90 * DAY
    assert life("load_test", policy=5 * DAY) == 5 * DAY
    assert life("load_test", policy=500 * DAY) == 90 * DAY
    assert life("load_test", word_only=True) == 30 * DAY
    assert life("canary", word_only=True) == 7 * DAY


# --- waivers


@pytest.mark.parametrize(
    ("let", "says"),
    [
        (waiver(11), "there is no item 11; items go from 1 to 10"),
        (waiver(6), "item 6 is never waived: only a run can show it"),
        (waiver(person="os:0"), "needs a named person; sign in"),
        (waiver(reason="  "), "needs a reason that others can read"),
        (waiver(ends=NOW), "over already; give an end in the future"),
        (waiver(ends=NOW + 31 * DAY), "it would last 31.0 days; 30 are the most"),
        (waiver(starts=NOW + 60), "a waiver starts now"),
    ],
)
def test_a_waiver_is_refused_with_the_reason(let: Any, says: str) -> None:
    with pytest.raises(Refused) as error:
        admit_waiver(let, NUMBERS, NEVER_WAIVED, NOW)
    assert says in str(error.value)


def test_a_waiver_of_enforcement_is_taken() -> None:
    admit_waiver(waiver(None), NUMBERS, NEVER_WAIVED, NOW)


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_waiver_ends_when_it_is_taken_back_and_never_later(days: int, back: int) -> None:
    let = waiver(1, starts=NOW, ends=NOW + 10 * DAY, ended_at=NOW + back * DAY)
    assert let.holds(NOW + days * DAY) == (days * DAY < min(10 * DAY, back * DAY))


# --- acceptance and supersession


def accepted(number: int, made: float, *, by: str = "", **change: Any) -> Evidence:
    takes = [Accepted(by, "cost", made)] if by else []
    forecast = replace(FIGURES["cost_forecast"], **change)
    return evidence(forecast, id=f"evd_{number}", made_at=made, accepted=takes)


def test_a_renewed_forecast_inherits_its_acceptance_while_it_stays_inside() -> None:
    first = accepted(1, NOW - 500, by="bo")
    lower, higher = accepted(2, NOW - 400, month_peak=800.0), accepted(3, NOW - 300, month_spent=901.0)
    other_prices = accepted(4, NOW - 200, prices="p2")
    history = [first, lower, higher, other_prices]
    assert [acceptance(each, history, "bo") is not None for each in history] == [True, True, False, False]
    assert acceptance(first, history, "eve") is None, "the cost owner of now must accept"


def test_an_acceptance_in_another_role_or_of_a_later_forecast_does_not_count() -> None:
    before, after = accepted(1, NOW - 500), accepted(2, NOW - 400, by="bo")
    assert acceptance(before, [before, after], "bo") is None
    wrong_role = replace(before, accepted=[Accepted("bo", "workflow", NOW)])
    assert acceptance(wrong_role, [wrong_role], "bo") is None


def test_newer_evidence_of_the_same_kind_and_facets_supersedes() -> None:
    a, b = evidence(id="a", made_at=NOW - 50), evidence(id="b", made_at=NOW - 40)
    other = evidence(id="c", bound={"behaviour": "beh_9"})
    roles = [
        evidence(Acceptance(role="cost", person="bo"), id="d"), evidence(Acceptance(role="prompt", person="bo"), id="e")
    ]  # fmt: skip
    assert superseded([b, other, a, *roles]) == {"a": "b"}
