"""When calls are meant to start."""

from itertools import islice, pairwise

import pytest

from roadworthy.latency.model import Arrivals
from roadworthy.latency.pacing import Unplannable, expected, plan
from roadworthy.latency.traces import Traced, burstiness


def _starts(arrivals: Arrivals, bodies: int = 1, trace: list[Traced] | None = None) -> list[float]:
    return [each.at for each in plan(arrivals, bodies, trace or [])]


def test_a_constant_rate_has_equal_gaps_and_exactly_its_number_of_calls() -> None:
    starts = _starts(Arrivals(shape="constant", rate=40, seconds=60))
    assert len(starts) == 2400
    assert starts[0] == 0.0
    assert {round(later - earlier, 9) for earlier, later in pairwise(starts)} == {0.025}


@pytest.mark.parametrize(("shape", "cv"), [("poisson", 1.0), ("gamma", 0.5), ("gamma", 1.0), ("gamma", 4.0)])
def test_random_arrivals_keep_their_rate_and_burstiness(shape: str, cv: float) -> None:
    arrivals = Arrivals(shape=shape, rate=50, seconds=1200, cv=cv, seed=7)  # type: ignore[arg-type]
    found = burstiness(_starts(arrivals))
    assert found.rate == pytest.approx(50, rel=0.06)
    assert found.cv == pytest.approx(cv, rel=0.05)


def test_a_ramp_grows_from_its_first_rate_to_its_last() -> None:
    arrivals = Arrivals(shape="ramp", start_rate=10, rate=100, seconds=600, seed=3)
    starts = _starts(arrivals)
    assert len(starts) == pytest.approx(expected(arrivals), rel=0.02)
    assert sum(at < 60 for at in starts) / 60 == pytest.approx(14.5, rel=0.12)
    assert sum(at >= 540 for at in starts) / 60 == pytest.approx(95.5, rel=0.08)


def test_a_ramp_may_come_down_to_nothing() -> None:
    arrivals = Arrivals(shape="ramp", start_rate=100, rate=0.001, seconds=100, seed=3)
    assert len(_starts(arrivals)) == pytest.approx(5000, rel=0.06)


def test_the_same_seed_makes_the_same_plan_and_another_seed_another() -> None:
    arrivals = Arrivals(shape="gamma", rate=20, cv=3, seconds=60, seed=1)
    assert list(plan(arrivals, 5)) == list(plan(arrivals, 5))
    assert list(plan(arrivals, 5)) != list(plan(Arrivals(shape="gamma", rate=20, cv=3, seconds=60, seed=2), 5))


def test_every_body_is_asked_as_often_as_any_other_give_or_take_one() -> None:
    asked = [each.body for each in islice(plan(Arrivals(shape="constant", rate=10, seconds=60), 7), 0, 503)]
    counts = [asked.count(body) for body in range(7)]
    assert max(counts) - min(counts) <= 1
    assert asked[:7] != asked[7:14]


def test_an_endless_plan_is_made_one_call_at_a_time() -> None:
    assert len(list(islice(plan(Arrivals(shape="poisson", rate=3000, seconds=1e9), 3), 100))) == 100


def test_a_replay_keeps_the_gaps_and_lengths_of_its_trace_under_compression() -> None:
    trace = [Traced(1000.0, 50, 10), Traced(1006.0, 900, 20), Traced(1066.0, 60, None)]
    played = list(plan(Arrivals(shape="replay", seconds=60, compression=60), 2, trace))
    assert [(each.at, each.max_tokens) for each in played] == [(0.0, 10), (0.1, 20), (1.1, None)]


def test_a_bursty_trace_replayed_sixty_times_as_fast_is_as_bursty() -> None:
    trace = [Traced(at, None, 5) for at in _starts(Arrivals(shape="gamma", rate=3, cv=13, seconds=3600, seed=5))]
    before = burstiness([each.at for each in trace])
    after = burstiness(_starts(Arrivals(shape="replay", seconds=3600, compression=60), 1, trace))
    assert after.cv == pytest.approx(before.cv, rel=0.05)
    assert after.rate == pytest.approx(60 * before.rate, rel=0.01)


def test_a_replay_asks_what_is_nearest_in_length_and_takes_turns_among_equals() -> None:
    trace = [Traced(float(at), tokens) for at, tokens in enumerate([10, 480, 520, 5000, 11])]
    played = plan(Arrivals(shape="replay", seconds=60), 4, trace, sizes=[500, 20, 500, 2000])
    assert [each.body for each in played] == [1, 0, 2, 3, 1]


@pytest.mark.parametrize(
    ("arrivals", "bodies", "field"),
    [
        (Arrivals(shape="poisson", rate=0, seconds=60), 1, "rate"),
        (Arrivals(shape="poisson", rate=float("nan"), seconds=60), 1, "rate"),
        (Arrivals(shape="constant", rate=1, seconds=0), 1, "seconds"),
        (Arrivals(shape="gamma", rate=1, seconds=1, cv=0), 1, "cv"),
        (Arrivals(shape="ramp", rate=1, seconds=1, start_rate=-1), 1, "start_rate"),
        (Arrivals(shape="replay", seconds=1, compression=0), 1, "compression"),
        (Arrivals(shape="replay", seconds=1), 1, "trace"),
        (Arrivals(shape="constant", rate=1, seconds=1), 0, "bodies"),
    ],
)
def test_what_cannot_be_planned_is_refused_by_its_name(arrivals: Arrivals, bodies: int, field: str) -> None:
    with pytest.raises(Unplannable, match=f"^{field}: "):
        plan(arrivals, bodies)
