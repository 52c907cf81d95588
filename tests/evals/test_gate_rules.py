"""Claims about the gate's rules: what passes, what fails, and what nobody can tell yet."""

from __future__ import annotations

import json
import random
from collections import Counter
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.evals.rules import (
    averaged,
    judge,
    most_misses,
    needed_for,
    rubric_digest,
    standing,
    what_it_sees,
)
from roadworthy.statistics.rates import exact_lower

DEMO_FLOORS = {"valid_json": 0.95, "topic": 0.35}
MARGIN = 0.10


def scores(good: int, n: int, name: str = "topic") -> dict[str, dict[str, float]]:
    return {name: {f"e{at:05}": float(at < good) for at in range(n)}}


def verdict(good: int, n: int, floor: float = 0.8, **more: object) -> str:
    return judge(scores(good, n), n, {"topic": floor}, margin=MARGIN, **more).verdict  # type: ignore[arg-type]


def test_a_first_release_passes_when_its_floor_is_proven_and_not_before() -> None:
    # exact one-sided 95 % bounds (Clopper and Pearson): 45 of 50 → 80.1 %, 44 of 50 → 77.6 %
    assert (verdict(45, 50), verdict(44, 50)) == ("PASS", "INSUFFICIENT")


def test_it_fails_when_even_the_upper_bound_is_under_the_floor() -> None:
    assert (verdict(35, 50), verdict(34, 50)) == ("INSUFFICIENT", "FAIL")  # at most 80.6 %, at most 78.8 %


def test_under_fifty_examples_nothing_passes() -> None:
    assert verdict(49, 49) == "INSUFFICIENT"
    assert verdict(0, 10) == "FAIL"


def test_without_floors_nothing_passes() -> None:
    assert judge(scores(100, 100), 100, {}, margin=MARGIN).verdict == "INSUFFICIENT"


def test_insufficient_says_whether_the_floors_are_met_in_the_sample() -> None:
    met = judge(scores(42, 50), 50, {"topic": 0.8}, margin=MARGIN)
    short = judge(scores(39, 50), 50, {"topic": 0.8}, margin=MARGIN)
    assert [(each.verdict, each.floors_met) for each in (met, short)] == [
        ("INSUFFICIENT", True),
        ("INSUFFICIENT", False),
    ]
    assert "about" in met.why[0]
    assert "under the floor" in short.why[0]


def test_every_floor_must_be_proven() -> None:
    both = {**scores(100, 100, "valid_json"), **scores(60, 100)}
    assert judge(both, 100, {"valid_json": 0.95, "topic": 0.5}, margin=MARGIN).verdict == "PASS"
    assert judge(both, 100, {"valid_json": 0.95, "topic": 0.6}, margin=MARGIN).verdict == "INSUFFICIENT"
    assert judge(both, 100, {"valid_json": 0.95, "topic": 0.8}, margin=MARGIN).verdict == "FAIL"


def test_what_was_not_answered_counts_against_passing_and_not_towards_failing() -> None:
    answered = {"topic": dict(list(scores(100, 100)["topic"].items())[:90])}
    judged = judge(answered, 100, {"topic": 0.8}, margin=MARGIN)
    assert (judged.verdict, judged.unanswered) == ("INSUFFICIENT", 10)
    nothing = judge({"topic": {}}, 100, {"topic": 0.8}, margin=MARGIN)
    assert nothing.verdict == "INSUFFICIENT"


@given(st.integers(50, 200), st.data())
def test_leaving_out_a_bad_answer_never_helps(n: int, data: st.DataObject) -> None:
    good = data.draw(st.integers(0, n - 1))
    whole = judge(scores(good, n), n, {"topic": 0.8}, margin=MARGIN)
    without = {"topic": {name: value for name, value in scores(good, n)["topic"].items() if value}}
    assert judge(without, n, {"topic": 0.8}, margin=MARGIN).floors[0].lower <= whole.floors[0].lower
    assert judge(without, n, {"topic": 0.8}, margin=MARGIN).verdict != "PASS"


def test_repeats_are_averaged_and_rounded_against_the_release() -> None:
    lucky, unlucky = scores(45, 50), scores(35, 50)
    both = judge(averaged([lucky, unlucky]), 50, {"topic": 0.8}, margin=MARGIN, repeats=2)
    assert judge(lucky, 50, {"topic": 0.8}, margin=MARGIN).verdict == "PASS"
    assert (both.verdict, both.floors[0].share) == ("INSUFFICIENT", 0.8)
    assert both.floors[0].lower == exact_lower(40, 50)


def test_beside_a_release_before_the_paired_margin_decides() -> None:
    before = scores(80, 100)
    same = judge(before, 100, {"topic": 0.75}, margin=MARGIN, before=before, against=1)
    assert (same.verdict, round(same.pairs[0].lower, 3)) == ("PASS", -0.026)  # no discordant pair: -z²/(n + z²)
    worse = judge(scores(60, 100), 100, {"topic": 0.5}, margin=MARGIN, before=before, against=1)
    assert (worse.verdict, worse.pairs[0].lost) == ("FAIL", 20)
    mixed = {"topic": {name: float(at < 72 or 80 <= at < 85) for at, name in enumerate(before["topic"])}}
    unclear = judge(mixed, 100, {"topic": 0.7}, margin=0.05, before=before, against=1)  # 8 lost, 5 gained
    assert (unclear.verdict, unclear.pairs[0].verdict) == ("INSUFFICIENT", "INSUFFICIENT")
    assert unclear.pairs[0].needed is not None
    assert unclear.pairs[0].needed > 100


def test_with_fifty_examples_and_no_difference_the_bound_is_five_points() -> None:
    before = scores(45, 50)
    judged = judge(before, 50, {"topic": 0.8}, margin=0.05, before=before, against=1)
    assert round(judged.pairs[0].lower, 3) == -0.051  # statistics of the paired gate: not within 5 points
    assert judged.verdict == "INSUFFICIENT"


def test_a_floor_that_the_sample_misses_keeps_a_release_from_passing_whatever_came_before() -> None:
    before = scores(70, 100)
    judged = judge(before, 100, {"topic": 0.72}, margin=MARGIN, before=before, against=1)
    assert (judged.verdict, judged.floors_met) == ("INSUFFICIENT", False)


def test_a_release_before_that_never_ran_on_the_set_leaves_nothing_to_pass_by() -> None:
    judged = judge(scores(100, 100), 100, {"topic": 0.8}, margin=MARGIN, against=3)
    assert judged.verdict == "INSUFFICIENT"
    assert "release 3" in judged.why[-1]


@pytest.mark.parametrize(("n", "misses"), [(58, None), (59, 0), (92, 0), (93, 1), (124, 2), (153, 3), (181, 4)])
def test_how_many_bad_answers_still_prove_95_percent(n: int, misses: int | None) -> None:
    """The usual tables of success-run testing: 59, 93, 124, 153, 181."""
    assert most_misses(n, 0.95) == misses


def test_it_says_how_many_examples_would_decide_and_what_a_set_can_see() -> None:
    assert needed_for(1.0, 0.95) == 59
    assert needed_for(0.9, 0.95) is None
    assert "drop of 17 %" in what_it_sees(50, {}, MARGIN, compared=False)  # .17/.12/.09/.06 at 50/100/200/400
    assert "drop of 6 %" in what_it_sees(400, {}, MARGIN, compared=False)
    assert "cannot be proven by 50" in what_it_sees(50, {"valid_json": 0.95}, MARGIN, compared=False)


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
    return judge(run, len(truth), DEMO_FLOORS, margin=MARGIN).verdict


@pytest.mark.parametrize("half", ["calibrate", "test"])
def test_always_saying_the_most_frequent_topic_does_not_pass_the_samples_gate(half: str) -> None:
    truth = labels(half)
    commonest = Counter(truth).most_common(1)[0][0]
    assert said([commonest] * len(truth), truth) != "PASS"


def test_guessing_topics_does_not_pass_the_samples_gate() -> None:
    truth, chance = labels("test"), random.Random(7)
    topics = sorted(set(truth))
    verdicts = Counter(said([chance.choice(topics) for _ in truth], truth) for _ in range(300))
    assert verdicts["PASS"] == 0
    assert verdicts["FAIL"] > 290


def test_the_samples_floor_is_the_most_frequent_topic_and_six_points_by_the_other_half() -> None:
    truth = labels("calibrate")
    share = Counter(truth).most_common(1)[0][1] / len(truth)
    assert round(share + 0.06, 2) == DEMO_FLOORS["topic"]
