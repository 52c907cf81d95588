"""Claims about the gate's rules: what passes, what fails, and what nobody can tell yet."""

from __future__ import annotations

import json
import random
from collections import Counter
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.evals.gate import Asked, Beside, Terms, judge, worse_within
from roadworthy.evals.model import Judgement
from roadworthy.evals.planning import most_misses, needed_for, unchanged, what_it_sees
from roadworthy.evals.rules import averaged, rubric_digest, standing
from roadworthy.statistics.rates import wilson_lower

DEMO_FLOORS = {"valid_json": 0.95, "topic": 0.35}
MARGIN = 0.10
Scores = dict[str, dict[str, float]]


def ids(n: int) -> tuple[str, ...]:
    return tuple(f"e{at:05}" for at in range(n))


def scores(good: int, n: int, name: str = "topic") -> Scores:
    return {name: {each: float(at < good) for at, each in enumerate(ids(n))}}


def judged(
    found: Scores, n: int, floors: dict[str, float] | None = None, *, before: Scores | None = None,
    against: int | None = None, asked: Asked | None = None, repeats: int = 1, **terms: object,
) -> Judgement:  # fmt: skip
    beside = Beside(against or 1, before) if before is not None or against is not None else None
    return judge(
        found, asked or Asked(ids(n)), Terms(floors={"topic": 0.8} if floors is None else floors, **terms),  # type: ignore[arg-type]
        beside=beside, repeats=repeats,
    )  # fmt: skip


def verdict(good: int, n: int, floor: float = 0.8) -> str:
    return judged(scores(good, n), n, {"topic": floor}).verdict


# --- a first release


def test_a_first_release_passes_when_its_floor_is_proven_and_not_before() -> None:
    # one-sided 95 % Wilson bounds: 45 of 50 → 80.8 %, 43 of 50 → 76.1 %
    assert [verdict(good, 50) for good in (45, 44, 43, 40)] == ["PASS"] + ["INSUFFICIENT"] * 3
    assert [round(wilson_lower(good, 50), 3) for good in (45, 43)] == [0.808, 0.761]


def test_it_fails_when_its_share_is_under_the_floor() -> None:
    assert (verdict(40, 50), verdict(39, 50)) == ("INSUFFICIENT", "FAIL")


def test_under_fifty_examples_nothing_passes() -> None:
    assert verdict(49, 49) == "INSUFFICIENT"
    assert verdict(0, 10) == "FAIL"


def test_without_floors_nothing_passes() -> None:
    assert judged(scores(100, 100), 100, {}).verdict == "INSUFFICIENT"


def test_insufficient_says_how_many_examples_would_decide() -> None:
    found = judged(scores(42, 50), 50)
    assert (found.verdict, found.floors_met) == ("INSUFFICIENT", True)
    assert "about" in found.why[0]
    failed = judged(scores(39, 50), 50)
    assert (failed.verdict, failed.floors_met) == ("FAIL", False)
    assert "under the floor" in failed.why[0]


def test_every_floor_must_be_proven() -> None:
    both = {**scores(100, 100, "valid_json"), **scores(60, 100)}
    assert judged(both, 100, {"valid_json": 0.95, "topic": 0.5}).verdict == "PASS"
    assert judged(both, 100, {"valid_json": 0.95, "topic": 0.6}).verdict == "INSUFFICIENT"
    assert judged(both, 100, {"valid_json": 0.95, "topic": 0.61}).verdict == "FAIL"


def test_what_was_not_answered_counts_against_passing_and_not_towards_failing() -> None:
    answered = {"topic": dict(list(scores(100, 100)["topic"].items())[:75])}
    found = judged(answered, 100)
    assert (found.verdict, found.unanswered) == ("INSUFFICIENT", 25)
    assert judged({"topic": {}}, 100).verdict == "INSUFFICIENT"


@given(st.integers(50, 200), st.data())
def test_leaving_out_a_bad_answer_never_helps(n: int, data: st.DataObject) -> None:
    good = data.draw(st.integers(0, n - 1))
    whole = judged(scores(good, n), n)
    without = judged({"topic": {name: value for name, value in scores(good, n)["topic"].items() if value}}, n)
    assert without.floors[0].lower <= whole.floors[0].lower
    assert without.verdict != "PASS"


def test_repeats_are_averaged_per_example_and_never_chosen() -> None:
    lucky, unlucky = scores(45, 50), scores(35, 50)
    both = judged(dict(averaged([lucky, unlucky])), 50, repeats=2)  # type: ignore[arg-type]
    assert judged(lucky, 50).verdict == "PASS"
    assert (both.verdict, both.floors[0].share, both.repeats) == ("INSUFFICIENT", 0.8, 2)
    assert both.floors[0].lower == wilson_lower(40, 50)


def test_examples_that_do_not_say_what_is_right_are_no_part_of_a_score() -> None:
    some = Asked(ids(100), lacking={"topic": frozenset(ids(100)[40:])})
    found = judged(scores(40, 40), 100, asked=some)
    assert (found.floors[0].examples, found.floors[0].share, found.verdict) == (40, 1.0, "INSUFFICIENT")
    assert "40 examples say what is right" in found.why[0]


def test_a_score_of_a_judge_that_nobody_calibrated_carries_no_floor() -> None:
    found = judged(scores(100, 100), 100, uncarried={"topic": "its judge was held against nobody"})
    assert (found.verdict, found.floors_met) == ("INSUFFICIENT", False)
    assert "cannot carry a floor" in found.why[0]


# --- clusters


def test_examples_of_one_thread_count_as_fewer() -> None:
    n = 100
    alike = Asked(ids(n), clusters={each: str(at // 10) for at, each in enumerate(ids(n))})
    good = scores(90, n)  # the ten bad ones are one thread
    assert judged(good, n).floors[0].verdict == "PASS"
    assert judged(good, n, asked=alike).floors[0].verdict == "INSUFFICIENT"
    apart = Asked(ids(n), clusters={each: each for each in ids(n)})
    assert judged(good, n, asked=apart).floors[0].lower == judged(good, n).floors[0].lower


# --- beside a release before


def test_beside_a_release_before_the_paired_margin_decides() -> None:
    before = scores(80, 100)
    same = judged(before, 100, {"topic": 0.75}, before=before)
    assert (same.verdict, round(same.pairs[0].lower, 3)) == ("PASS", -0.026)  # no discordant pair: -z²/(n + z²)
    worse = judged(scores(60, 100), 100, {"topic": 0.5}, before=before)
    assert (worse.verdict, worse.pairs[0].lost) == ("FAIL", 20)
    mixed = {"topic": {name: float(at < 72 or 80 <= at < 85) for at, name in enumerate(before["topic"])}}
    unclear = judged(mixed, 100, {"topic": 0.7}, margin=0.05, before=before)  # 8 lost, 5 gained
    assert (unclear.verdict, unclear.pairs[0].verdict) == ("INSUFFICIENT", "INSUFFICIENT")
    assert unclear.pairs[0].needed is not None
    assert unclear.pairs[0].needed > 100


def test_with_fifty_examples_and_no_difference_the_bound_is_five_points() -> None:
    before = scores(45, 50)
    found = judged(before, 50, margin=0.05, before=before)
    assert round(found.pairs[0].lower, 3) == -0.051
    assert found.verdict == "INSUFFICIENT"


def test_worse_for_certain_within_the_margin_passes_and_is_said() -> None:
    found = judged(scores(390, 400), 400, before=scores(400, 400))
    assert (found.verdict, worse_within(found.pairs[0])) == ("PASS", True)


def test_a_share_under_the_floor_fails_whatever_came_before() -> None:
    before = scores(70, 100)
    assert judged(before, 100, {"topic": 0.72}, before=before).verdict == "FAIL"


def test_one_primary_score_decides_and_the_others_are_shown() -> None:
    before = {**scores(100, 100), **scores(100, 100, "tone")}
    now = {**scores(100, 100), **scores(75, 100, "tone")}
    floors = {"topic": 0.8, "tone": 0.6}
    assert judged(now, 100, floors, before=before).verdict == "FAIL"
    decided = judged(now, 100, floors, before=before, primary="topic")
    assert decided.verdict == "PASS"
    assert [(pair.name, pair.decides) for pair in decided.pairs] == [("topic", True), ("tone", False)]


def test_mcnemar_is_reported_and_decides_nothing() -> None:
    before = scores(200, 200)
    found = judged(scores(192, 200), 200, before=before)
    assert found.pairs[0].mcnemar is not None
    assert found.pairs[0].mcnemar < 0.05  # eight lost, none gained
    assert found.verdict == "PASS"  # worse, within the margin


def test_a_release_before_that_never_ran_on_the_set_leaves_nothing_to_pass_by() -> None:
    found = judged(scores(100, 100), 100, against=3)
    assert found.verdict == "INSUFFICIENT"
    assert "release 3" in found.why[-1]


# --- slices and critical examples


def topics(n: int, odd: int = 5) -> Asked:
    """Every ``odd``-th example is about returns."""
    tags = {each: {"topic": "return" if at % odd == 0 else "other"} for at, each in enumerate(ids(n))}
    return Asked(ids(n), tags=tags)


def test_a_slice_fails_a_gate_and_never_holds_one() -> None:
    returns_bad = {"topic": {each: float(at % 5 != 0) for at, each in enumerate(ids(200))}}
    assert judged(returns_bad, 200, {"topic": 0.7}, asked=topics(200)).verdict == "PASS"
    found = judged(returns_bad, 200, {"topic": 0.7}, asked=topics(200), slices=["topic"])
    assert found.verdict == "FAIL"
    assert [each.value for each in found.slices if each.failed] == ["return"]
    few = judged(scores(100, 100), 100, asked=topics(100, 33), slices=["topic"])  # four examples say nothing
    assert few.verdict == "PASS"


def test_a_slice_that_got_worse_for_certain_fails() -> None:
    before = scores(200, 200)
    now = {"topic": {each: float(at % 10 != 0) for at, each in enumerate(ids(200))}}  # half of the returns
    assert judged(now, 200, {"topic": 0.5}, before=before, margin=0.2).verdict == "PASS"
    found = judged(now, 200, {"topic": 0.5}, before=before, margin=0.2, asked=topics(200), slices=["topic"])
    assert (found.verdict, "worse than release 1" in " ".join(found.why)) == ("FAIL", True)


def test_one_critical_example_that_is_not_answered_well_fails_the_gate() -> None:
    critical = Asked(ids(100), critical=frozenset(ids(100)[-2:]))
    assert judged(scores(100, 100), 100, asked=critical).verdict == "PASS"
    found = judged(scores(99, 100), 100, asked=critical)
    assert (found.verdict, [each.example for each in found.critical_failed]) == ("FAIL", ["e00099"])
    assert found.why[0].startswith("1 of 2 critical examples")


def test_another_target_that_fails_a_critical_example_is_barred_and_fails_no_gate() -> None:
    critical = Asked(ids(100), critical=frozenset(ids(100)[:2]))
    there = {
        "good": {"topic": dict.fromkeys(ids(2), 1.0)},
        "bad": {"topic": {"e00000": 1.0, "e00001": 0.0}},
        "down": {},
    }
    found = judge(scores(100, 100), critical, Terms(floors={"topic": 0.8}), elsewhere=there)
    assert (found.verdict, found.targets) == ("PASS", {"good": True, "bad": False, "down": False})


def test_a_critical_example_of_a_graded_score_must_reach_its_floor() -> None:
    close = {"topic": dict.fromkeys(ids(100), 0.9)}
    critical = Asked(ids(100), critical=frozenset(ids(100)[:1]))
    assert judged(close, 100, asked=critical).verdict == "FAIL"
    assert judged(close, 100, asked=critical, graded={"topic"}).verdict == "PASS"


# --- what it can see


@pytest.mark.parametrize(("n", "misses"), [(51, None), (52, 0), (86, 0), (87, 1), (118, 2), (147, 3)])
def test_how_many_bad_answers_still_prove_95_percent(n: int, misses: int | None) -> None:
    assert most_misses(n, 0.95) == misses


def test_it_says_how_many_examples_would_decide_and_what_a_set_can_see() -> None:
    assert needed_for(1.0, 0.95) == 52
    assert needed_for(0.9, 0.95) is None
    assert "drop of 17 %" in what_it_sees(50, {}, MARGIN, compared=False)  # .17/.12/.09/.06 at 50/100/200/400
    assert "drop of 6 %" in what_it_sees(400, {}, MARGIN, compared=False)
    assert "cannot be proven by 50" in what_it_sees(50, {"valid_json": 0.95}, MARGIN, compared=False)


def test_it_says_how_often_a_release_that_did_not_change_would_pass() -> None:
    assert "64 % where 10 % of the answers differ" in unchanged(50, MARGIN)
    assert "71 % where 20 %" in unchanged(100, MARGIN)
    assert "not even a release that did not change" in unchanged(49, MARGIN)


def test_only_what_a_model_wrote_is_good_and_what_says_nothing_is_asked_again() -> None:
    assert standing("answered", None) == "good"
    assert standing("recovered", "invalid") == "good"
    assert standing("canned", "truncated") == "bad"
    assert standing("escalated", "unsafe") == "bad"
    assert standing("canned", "unavailable") == "unanswered"
    assert standing("limited", "throttled") == "unanswered"
    assert standing(None, None) == "unanswered"
    assert standing("bypassed", None) == "unanswered"


def test_line_ends_are_no_other_rubric() -> None:
    assert rubric_digest("a\r\nb\n") == rubric_digest("a\nb")
    assert rubric_digest("a") != rubric_digest("b")


# --- the sample's gate


def labels(half: str) -> list[str]:
    text = resources.files("roadworthy").joinpath("templates/support-triage/messages.jsonl").read_text(encoding="utf-8")
    return [row["topic"] for row in map(json.loads, text.splitlines()) if row["half"] == half]


def said(answers: list[str], truth: list[str]) -> str:
    run = {
        "valid_json": {str(at): 1.0 for at in range(len(truth))},
        "topic": {
            str(at): float(answer == topic) for at, (answer, topic) in enumerate(zip(answers, truth, strict=True))
        },
    }
    return judge(run, Asked(tuple(run["topic"])), Terms(floors=DEMO_FLOORS)).verdict


@pytest.mark.parametrize("half", ["calibrate", "test"])
def test_always_saying_the_most_frequent_topic_fails_the_samples_gate(half: str) -> None:
    truth = labels(half)
    commonest = Counter(truth).most_common(1)[0][0]
    assert said([commonest] * len(truth), truth) == "FAIL"


def test_guessing_topics_fails_the_samples_gate() -> None:
    truth, chance = labels("test"), random.Random(7)
    topics = sorted(set(truth))
    verdicts = Counter(said([chance.choice(topics) for _ in truth], truth) for _ in range(300))
    assert verdicts == {"FAIL": 300}


def test_the_samples_floor_is_the_most_frequent_topic_and_six_points_by_the_other_half() -> None:
    truth = labels("calibrate")
    share = Counter(truth).most_common(1)[0][1] / len(truth)
    assert round(share + 0.06, 2) == DEMO_FLOORS["topic"]
