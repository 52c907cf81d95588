"""A shifted mix is told from chance, and chance is not told as a shift."""

from __future__ import annotations

import random

import pytest

from roadworthy.statistics.drift import jensen_shannon, mix_shift
from roadworthy.statistics.topics import Topics


def users(n: int, share: float, seed: int, calls: int = 1) -> list[dict[str, int]]:
    rng = random.Random(seed)
    return [{"return" if rng.random() < share else "delivery": calls} for _ in range(n)]


def test_divergence_is_nothing_for_the_same_mix_and_one_bit_for_two_that_share_nothing() -> None:
    assert jensen_shannon([1, 3], [10, 30]) == pytest.approx(0.0, abs=1e-12)
    assert jensen_shannon([1, 0], [0, 5]) == pytest.approx(1.0)
    assert jensen_shannon([1, 9], [1, 3]) == pytest.approx(0.0289, abs=5e-5)
    with pytest.raises(ValueError, match="each with something in it"):
        jensen_shannon([0, 0], [1, 1])


def test_a_real_shift_is_found_and_named() -> None:
    found = mix_shift(users(300, 0.1, 1), users(100, 0.35, 2), draws=999)
    assert found.p == pytest.approx(0.001)
    assert (found.bucket, found.bits > 0.02) == ("delivery", True)
    assert found.before - found.now > 0.15


def test_chance_alone_is_significant_as_often_as_the_level_says() -> None:
    hits = sum(
        mix_shift(users(80, 0.3, seed), users(40, 0.3, 9999 - seed), draws=99, seed=seed).p <= 0.05
        for seed in range(200)
    )
    assert hits / 200 <= 0.09


def test_one_user_who_calls_in_a_loop_is_one_user() -> None:
    now = users(60, 0.1, 4)
    flood = [*now, {"return": 400}]
    assert mix_shift(users(200, 0.1, 3), flood, draws=999).p > 0.001


def test_a_period_without_calls_is_refused() -> None:
    with pytest.raises(ValueError, match="two periods"):
        mix_shift([], users(10, 0.5, 1))


def test_kinds_of_questions_are_told_apart_by_their_words() -> None:
    rng = random.Random(5)
    kinds = [
        "parcel late delivery courier street",
        "refund money card payment invoice",
        "shoe size colour exchange fit",
    ]
    texts = [" ".join(rng.sample(kinds[at % 3].split(), 4)) for at in range(90)]
    found = Topics(texts, kinds=3).assign([*texts, ""])
    for kind in range(3):
        assert len(set(found[kind:90:3])) == 1
    assert len(set(found[:90])) == 3
    assert found[90] is None


def test_too_few_texts_have_no_kinds() -> None:
    assert Topics(["a b"] * 9).assign(["a b"]) == [None]
