"""Why spend changed: the causes add up, and each is charged with what it did."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from roadworthy.cost.budgets import NANO
from roadworthy.cost.causes import FACTORS, Cause, Factor, Group, Spent, Split, sentence, split
from roadworthy.workflow.model import Price

LISTED = {
    "small": Price(input=1e-6, output=4e-6, cache_read=1e-7, cache_write=1.25e-6),
    "large": Price(input=3e-6, output=15e-6, cache_read=3e-7),
    "free": Price(input=0.0, output=0.0),
    "a call": Price(input=0.0, output=0.0, per_request=0.01),
}

amounts = st.integers(0, 10**7).map(float)  # tokens are counted
spents = st.builds(
    Spent, calls=st.integers(0, 5000).map(float), attempts=st.integers(0, 9000).map(float), usd=st.floats(0, 1e4),
    input=amounts, cache_read=amounts, cache_write=amounts, output=amounts,
)  # fmt: skip
groups: st.SearchStrategy[Group] = st.tuples(
    st.sampled_from(["live", "eval", "load"]), st.sampled_from([*LISTED, "unknown", ""])
)
times = st.dictionaries(groups, spents, max_size=5)


@example(
    {("live", "small"): Spent(1.0, 0.0, 5e-324, output=1.0)}, {("live", "small"): Spent(1.0, 0.0, 0.0)}
)  # fmt: skip
@given(times, times)
def test_causes_add_up_to_the_whole_difference(before: dict[Group, Spent], after: dict[Group, Spent]) -> None:
    found = split(before, after, LISTED.get)
    wanted = round(sum(each.usd for each in after.values()) * NANO) - round(
        sum(each.usd for each in before.values()) * NANO
    )
    assert sum(cause.nano for cause in found.causes) == wanted
    assert [cause.factor for cause in found.causes] == list(FACTORS)
    assert all(math.isfinite(cause.before) and math.isfinite(cause.after) for cause in found.causes)


@given(times)
def test_nothing_changed_means_no_cause(same: dict[Group, Spent]) -> None:
    assert {cause.nano for cause in split(same, same, LISTED.get).causes} == {0}


@given(times, times)
def test_the_way_back_has_the_same_causes_with_the_other_sign(
    before: dict[Group, Spent], after: dict[Group, Spent]
) -> None:
    there, back = split(before, after, LISTED.get).causes, split(after, before, LISTED.get).causes
    largest = max(abs(cause.nano) for cause in there)
    for one, other in zip(there, back, strict=True):
        assert abs(one.nano + other.nano) <= 2 + largest * 1e-9


def usual(
    calls: float = 1000.0, *, attempts: float = 1.0, given: float = 1000.0, read: float = 0.0, model: str = "large",
    paid: float = 1.0,
) -> tuple[Group, Spent]:  # fmt: skip
    """Calls of ``given`` input tokens (share ``read`` of them cached) and 100 output tokens."""
    price = LISTED[model]
    tried = calls * attempts
    assert price.cache_read is not None
    usd = tried * (given * ((1 - read) * price.input + read * price.cache_read) + 100 * price.output) * paid
    return ("live", model), Spent(calls, tried, usd, tried * given * (1 - read), tried * given * read, 0.0, tried * 100)


def only(found: Split, factor: Factor) -> Cause:
    """The one cause, which has all of the difference."""
    assert [cause.factor for cause in found.causes if cause.nano] == [factor]
    return next(cause for cause in found.causes if cause.factor == factor)


def test_a_factor_that_changes_alone_is_the_only_cause() -> None:
    base = dict([usual()])
    changes: dict[Factor, dict[Group, Spent]] = {
        "volume": dict([usual(1500.0)]),
        "retries": dict([usual(attempts=1.5)]),
        "tokens": dict([usual(given=1500.0)]),
        "cache": dict([usual(read=0.5)]),
        "price": dict([usual(paid=0.8)]),
    }
    for factor, after in changes.items():
        only(split(base, after, LISTED.get), factor)


def test_calls_of_another_model_are_the_mix_and_not_the_price() -> None:
    both = dict([usual(500.0), usual(500.0, model="small")])
    found = only(split(dict([usual()]), both, LISTED.get), "mix")
    assert found.nano < 0


def test_a_first_day_is_volume_alone() -> None:
    found = split({}, dict([usual()]), LISTED.get)
    assert only(found, "volume").usd == round(found.after, 9)


def test_the_sentence_names_the_causes_that_matter_and_its_amounts_add_up() -> None:
    found = split(dict([usual()]), dict([usual(1840.0, given=1200.0)]), LISTED.get)
    said = sentence(found, whose="support-reply", when="today by 14:00", usual="the same hours of the last 7 days")
    assert said == (
        "support-reply spent $9.38 today by 14:00, $4.88 more than in the same hours of the last 7 days ($4.50): "
        "+$4.03 from more calls (1,000 → 1,840); +$0.8520 from longer calls (1,100 → 1,300 tokens an attempt)."
    )


def test_charges_that_no_list_explains_still_add_up() -> None:
    """A model that nobody knows, and one that is free by the list."""
    before = {("live", "unknown"): Spent(10, 10, 1.0, 1000.0), ("live", "free"): Spent(10, 10, 2.0, 1000.0)}
    after = {("live", "unknown"): Spent(20, 20, 3.0, 2000.0), ("live", "free"): Spent(20, 20, 4.0, 2000.0)}
    found = split(before, after, LISTED.get)
    assert found.difference == 4.0
    assert {cause.factor for cause in found.causes if cause.nano} == {"volume", "price"}
