"""Quantiles within 1 %, whatever the order in which sketches merge."""

from __future__ import annotations

import ddsketch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.statistics.sketch import RELATIVE_ERROR, Sketch

durations = st.lists(st.floats(min_value=2e-6, max_value=80_000.0), min_size=1, max_size=200)
shares = st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0])


def of(values: list[float]) -> Sketch:
    sketch = Sketch()
    sketch.add(values)
    return sketch


@given(durations, shares)
def test_a_quantile_is_within_one_percent_of_the_value_at_its_rank(values: list[float], share: float) -> None:
    exact = sorted(values)[int(share * (len(values) - 1))]
    found = of(values).quantile(share)
    assert found is not None
    assert abs(found - exact) <= RELATIVE_ERROR * exact * 1.0001


@given(durations, durations, durations)
def test_merging_loses_nothing_and_order_does_not_matter(a: list[float], b: list[float], c: list[float]) -> None:
    whole = of(a + b + c)
    merged = of(c)
    merged.merge_bytes(of(a).encode())
    merged.merge(Sketch.decode(of(b).encode()))
    assert merged.encode() == whole.encode()
    assert merged.count == len(a) + len(b) + len(c)


@given(durations, shares)
def test_it_answers_as_the_reference_library_does(values: list[float], share: float) -> None:
    reference = ddsketch.DDSketch(RELATIVE_ERROR)
    for value in values:
        reference.add(value)
    assert of(values).quantile(share) == pytest.approx(reference.get_quantile_value(share), rel=1e-9)


def test_out_of_range_values_are_counted_at_the_ends() -> None:
    sketch = of([-1.0, 0.0, 1e9])
    assert sketch.count == 3
    assert sketch.quantile(0) == 0.0
    assert sketch.quantile(1) == pytest.approx(86_400, rel=0.01)


def test_an_empty_sketch_has_no_quantile_and_survives_encoding() -> None:
    assert Sketch().quantile(0.5) is None
    assert Sketch.decode(Sketch().encode()).count == 0


@pytest.mark.parametrize("data", [b"", b"\x02" + b"\0" * 8, b"\x01\0\0\0\0\xff\xff\xff\xff"])
def test_bytes_that_are_no_sketch_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Sketch().merge_bytes(data)
