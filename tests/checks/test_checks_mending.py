# ruff: noqa: E501  (texts are read as one line)
"""Nearly JSON becomes JSON, and nothing is made up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.fallback.mending import mended


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('Sure! {"a": 1, "b": "x"} Hope it helps', {"a": 1, "b": "x"}),
        ('```json\n{"a": [1, 2,],}\n```', {"a": [1, 2]}),
        ("{'a': 'b', 'c': True}", {"a": "b", "c": True}),
        ('{"a": {"b": "c"}', {"a": {"b": "c"}}),
        ('{"items": ["a", "b"', {"items": ["a", "b"]}),
        ('{"ok": true', {"ok": True}),
        ('{"a": "x" // note\n, "b": 2}', {"a": "x", "b": 2}),
        ('{a: 1, b: "q"}', {"a": 1, "b": "q"}),
        ('{"a": "b"}}', {"a": "b"}),
        ('{"a": 1} and again {"a": 1}', {"a": 1}),
        ('```\n{"a": {"b": "c"}\n```', {"a": {"b": "c"}}),
        ('{"Größe": "für 3 €", "n": 1,}', {"Größe": "für 3 €", "n": 1}),
    ],
)
def test_what_is_nearly_json_is_mended(text: str, value: Any) -> None:
    found = mended(text)
    assert found is not None
    assert json.loads(found) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "I think you should pick {option A}.", "No JSON here, sorry.", "The set {a, b} is small", "Answer: yes",
        "I'm sorry, but I can't help with that.", "Dear {name}, your order is on its way: {order}", "Dear {}, hello",
        '{"a": "cut in the mid', '{"a": 12', '{"a": 1,', '{"a":', '{"a": tru', '{"a": 1} or rather {"a": 2}', "[1, 2, 3]",
        "see [1] and [2]", '{"a"', "price: 12, currency: EUR",
    ],
)  # fmt: skip
def test_prose_cut_texts_and_two_answers_are_never_mended(text: str) -> None:
    assert mended(text) is None


def test_a_list_is_mended_where_the_schema_allows_one() -> None:
    found = mended("Here: [1, 2,]", array=True)
    assert found is not None
    assert json.loads(found) == [1, 2]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.text(max_size=8), VALUES, min_size=1, max_size=4),
    st.sampled_from(["", "Here it is: ", "```json\n"]),
)
def test_json_in_prose_comes_out_as_it_was(value: dict[str, Any], before: str) -> None:
    found = mended(before + json.dumps(value) + ("\n```" if "`" in before else " Bye"))
    assert found is not None
    assert json.loads(found) == value


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, min_size=1, max_size=4), st.data())
def test_a_cut_answer_is_mended_to_a_part_of_it_or_not_at_all(value: dict[str, Any], data: st.DataObject) -> None:
    whole = json.dumps(value)
    found = mended(whole[: data.draw(st.integers(0, len(whole)))])
    if found is not None:
        assert holds(value, json.loads(found))


def holds(whole: Any, part: Any) -> bool:
    """Is ``part`` what is left of ``whole`` when its end is cut off?"""
    if isinstance(whole, dict) and isinstance(part, dict):
        return all(name in whole and holds(whole[name], item) for name, item in part.items())
    if isinstance(whole, list) and isinstance(part, list):
        return len(part) <= len(whole) and all(map(holds, whole, part))
    return bool(whole == part)


def test_an_escape_that_would_be_read_otherwise_is_not_mended() -> None:
    assert mended('{"page\\fbreak": null') is None
    assert mended('{"path": "C:\\\\temp",}') == '{"path": "C:\\\\temp"}'
