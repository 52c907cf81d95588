"""A simulated target is fitted to what a provider did, and how far it is from it is told."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from load_cases import call, sample

from roadworthy.adapters.providers.simulated import read_profile
from roadworthy.operations.loading import fitting
from roadworthy.operations.loading.fitting import NotFitted, Shown, fitted, validated
from roadworthy.statistics.distances import kolmogorov, kolmogorov_bound
from roadworthy.workflow import simulation
from roadworthy.workflow.inference import Attempt
from roadworthy.workflow.simulation import Seeded


def recorded(count: int = 400) -> list:
    rng = random.Random(3)
    return [call(n, seconds=rng.lognormvariate(0.0, 0.5), tokens=rng.randint(20, 200)) for n in range(count)]


def test_the_fitted_profile_draws_what_was_recorded() -> None:
    calls = recorded()
    fit = fitted(calls, "main", Shown(), traffic="live")
    profile, rng = simulation.parse(fit.profile), Seeded(5)
    drawn = [profile.first_token.draw(rng) for _ in range(2000)]
    seen = [one.attempts[0].first_token or 0.0 for one in calls]
    assert kolmogorov(drawn, seen) < 0.08
    assert fit.calls == 400
    assert profile.pace == "answer", "what one answer is slow by, all of its tokens are"


def test_a_provider_s_errors_come_back_by_kind_and_share() -> None:
    calls = recorded(200)
    for one in calls[:20]:
        one.attempts.insert(0, Attempt("main", ended=0.1, status=503, failure="unavailable"))
    fit = fitted(calls, "main", Shown(), traffic="live")
    (fault,) = simulation.parse(fit.profile).faults
    assert (fault.fault.name, fault.fault.options["code"]) == ("status", 503)
    assert fault.share == pytest.approx(20 / 220, abs=1e-4)


def test_whole_answers_give_a_pace_by_their_length() -> None:
    calls = [
        call(n, seconds=0.5 + 0.01 * tokens, tokens=tokens, stream=False) for n, tokens in enumerate(range(20, 220))
    ]
    profile = simulation.parse(fitted(calls, "main", Shown(), traffic="live").profile)
    rng = Seeded(1)
    assert profile.first_token.draw(rng) == pytest.approx(0.5, abs=0.01)
    assert profile.inter_token.draw(rng) == pytest.approx(0.01, abs=0.001)


def test_answers_of_another_length_take_as_long_as_the_recorded_ones() -> None:
    calls = [call(n, seconds=1.0, tokens=100) for n in range(60)]
    shaped = simulation.parse(fitted(calls, "main", Shown(pieces=20.0), traffic="live").profile)
    assert shaped.inter_token.draw(Seeded(1)) * 20 == pytest.approx(0.8, abs=0.01)


def test_too_few_calls_are_no_fit() -> None:
    with pytest.raises(NotFitted, match="49 recorded live calls"):
        fitted(recorded(49), "main", Shown(), traffic="live")


def test_a_provider_like_the_recorded_one_is_close_and_one_twice_as_slow_is_not() -> None:
    rng = random.Random(1)
    fit = fitted(recorded(), "main", Shown(), traffic="live")
    like = [sample(n, rng.lognormvariate(0.0, 0.5)) for n in range(60)]
    same = [sample(n, rng.lognormvariate(0.0, 0.5)) for n in range(60)]
    slow = [sample(n, 2 * rng.lognormvariate(0.0, 0.5)) for n in range(60)]
    good, bad = validated(fit, like, same), validated(fit, like, slow)
    assert good.why == ""
    assert [one.close for one in good.distances] == [True, True]
    assert "away from the real target's" in bad.why
    assert validated(fit, like, same[: fitting.LEAST_PROBE - 1]).why.startswith("19 of 19")


def test_probe_calls_that_were_not_answered_count_for_nothing() -> None:
    fit = fitted(recorded(), "main", Shown(), traffic="live")
    failed = [msgspec.structs.replace(sample(n), outcome="error") for n in range(60)]
    assert "0 of 60 live probe calls" in validated(fit, [sample(0)], failed).why


def test_a_simulated_probe_without_answers_validates_nothing() -> None:
    fit, live = fitted(recorded(), "main", Shown(), traffic="live"), [sample(n) for n in range(40)]
    failed = [msgspec.structs.replace(one, outcome="error") for one in live]
    assert "0 of 40 simulated probe calls" in validated(fit, failed, live).why
    assert "0 of 0 simulated" in validated(fit, [], live).why


def test_a_real_target_that_fails_more_often_than_the_simulated_one_is_no_fit() -> None:
    fit, fine = fitted(recorded(), "main", Shown(), traffic="live"), [sample(n) for n in range(60)]
    failing = [msgspec.structs.replace(one, outcome="error") if one.at < 20 else one for one in fine]
    assert "20 of 60 live probe calls were not answered, 0 of 60 simulated" in validated(fit, fine, failing).why
    assert validated(fit, failing, failing).why == ""


def test_two_samples_of_one_distribution_pass_the_bound_but_for_one_in_a_hundred() -> None:
    rng = random.Random(7)
    over = 0
    for _ in range(1000):
        a, b = [rng.random() for _ in range(40)], [rng.random() for _ in range(80)]
        over += kolmogorov(a, b) > kolmogorov_bound(40, 80)
    assert over <= 20
    assert kolmogorov([1, 2, 3], [4, 5]) == 1.0
    assert kolmogorov([1, 2, 3], [1, 2, 3]) == 0.0
    assert kolmogorov([], [1.0]) == 1.0


def test_a_fitted_profile_survives_the_file_that_hands_it_over(tmp_path: Path) -> None:
    calls = [call(n, seconds=1e-5 * (n + 1), tokens=9) for n in range(60)]
    fit = fitted(calls, "main", Shown(), traffic="live")
    file = tmp_path / "target-0.json"
    file.write_bytes(msgspec.json.encode(fit.profile))
    assert read_profile(file) == simulation.parse(fit.profile)
