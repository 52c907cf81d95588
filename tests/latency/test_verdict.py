"""Three figures, three verdicts."""

import msgspec
import pytest

from roadworthy.latency.model import Interval, Measured, Percentiles, Saturation
from roadworthy.latency.verdict import LONG_ANSWERS, judge
from roadworthy.workflow.model import Objective

OWNER = Objective(latency_p99=20.0)


def _interval(value: float, spread: float = 0.02) -> Interval:
    return Interval(value, value * (1 - spread), value * (1 + spread))


def _clock(p50: float, ratio: float, spread: float = 0.02, count: int = 10_000) -> Percentiles:
    p95 = p50 * (1 + 0.7 * (ratio - 1))
    return Percentiles(
        _interval(p50, spread), _interval(p95, spread), _interval(p50 * ratio, spread), _interval(ratio, spread), count
    )


def _measured(
    raw: float = 2.0, first: float | None = 1.5, matched: float | None = 1.5, spread: float = 0.02, **changes: object
) -> Measured:
    made = Measured(
        planned=10_000, sent=10_000, dropped=0, answered=10_000, errors=0, seconds=3600, rate=2.8,
        whole=_clock(2.0, raw, spread), first_token=None if first is None else _clock(0.3, first),
        matched_ratio=None if matched is None else _interval(matched),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def test_a_ratio_of_at_most_three_passes_whatever_its_parts() -> None:
    found = judge(_measured(2.9, first=None, matched=None), Objective())
    assert found.verdict == "PASS"
    assert found.raw is not None
    assert found.raw.value == 2.9


def test_a_long_tail_passes_when_it_is_long_answers_and_says_so() -> None:
    found = judge(_measured(5.0), OWNER)
    assert found.verdict == "PASS"
    assert LONG_ANSWERS in found.why


@pytest.mark.parametrize(
    ("measured", "objective", "said"),
    [
        (_measured(5.0, first=3.5), OWNER, "the first-token ratio is 3.50"),
        (_measured(5.0, matched=3.5), OWNER, "the ratio at matched output length is 3.50"),
        (_measured(5.0), Objective(latency_p99=5.0), "p99 is 10.00 s"),
        (_measured(5.0), Objective(), "objective.latency_p99 is not stated"),
        (_measured(5.0, first=None), OWNER, "nobody saw their first token"),
        (_measured(5.0, matched=None), OWNER, "output lengths are not known"),
    ],
)
def test_any_other_long_tail_fails_and_says_what_is_missing(
    measured: Measured, objective: Objective, said: str
) -> None:
    found = judge(measured, objective)
    assert found.verdict == "FAIL"
    assert said in found.why
    assert LONG_ANSWERS not in found.why


def test_a_ratio_that_is_not_clear_of_three_decides_nothing_and_says_how_many_calls_would() -> None:
    found = judge(_measured(2.8, first=None, spread=0.2), OWNER)
    assert found.verdict == "INSUFFICIENT"
    assert found.calls_needed == pytest.approx(10_000 * (2.8 * 0.2 / 0.2) ** 2, rel=0.01)


def test_a_ratio_that_is_not_clear_of_three_passes_when_its_tail_would_be_excused_anyway() -> None:
    assert judge(_measured(2.95, spread=0.1), OWNER).verdict == "PASS"
    assert judge(_measured(3.05, spread=0.1), OWNER).verdict == "PASS"


def test_too_few_calls_decide_nothing() -> None:
    found = judge(_measured(whole=_clock(2.0, 1.5, count=60), planned=60, sent=60, answered=60), OWNER)
    assert (found.verdict, found.calls_needed) == ("INSUFFICIENT", 368)


def test_fast_errors_never_pass() -> None:
    found = judge(_measured(1.1, errors=400, answered=9600), OWNER)
    assert found.verdict == "FAIL"
    assert "400 of 10,000 calls" in found.why


def test_a_ladder_that_answers_for_an_overloaded_model_never_passes() -> None:
    assert judge(_measured(1.1, fell_back=400, answered=9600), OWNER).verdict == "FAIL"


def test_starts_that_were_dropped_count_as_lost() -> None:
    assert judge(_measured(1.1, dropped=200, sent=9800), OWNER).verdict == "FAIL"


def test_the_objectives_own_error_share_replaces_ours() -> None:
    lost = _measured(1.5, errors=300)
    assert judge(lost, Objective(error_share=0.05)).verdict == "PASS"
    assert judge(lost, Objective(error_share=0.001)).verdict == "FAIL"


def test_a_missed_objective_fails_and_one_that_is_not_clear_decides_nothing() -> None:
    assert judge(_measured(2.0), Objective(latency_p95=1.0)).verdict == "FAIL"
    assert judge(_measured(2.0), Objective(latency_p95=3.42)).verdict == "INSUFFICIENT"
    assert judge(_measured(2.0), Objective(latency_p95=10.0)).verdict == "PASS"


def test_saturation_fails() -> None:
    assert judge(_measured(saturation=Saturation(True, 40.0, "both rose")), OWNER).verdict == "FAIL"


def test_nothing_sent_is_insufficient_and_nothing_answered_fails() -> None:
    empty = _measured(planned=0, sent=0, answered=0, whole=None)
    assert judge(empty, OWNER).verdict == "INSUFFICIENT"
    assert judge(_measured(answered=0, errors=10_000, whole=None), OWNER).verdict == "FAIL"


def test_a_generator_that_was_late_itself_may_pass_but_not_fail_a_system() -> None:
    late = judge(_measured(5.0, first=None, timing_error_p99=0.5), OWNER)
    assert late.verdict == "INSUFFICIENT"
    assert "generator itself" in late.why
    assert judge(_measured(2.0, timing_error_p99=0.5), OWNER).verdict == "PASS"
