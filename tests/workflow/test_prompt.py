"""Prompt templates: what a hole is, that values are never re-parsed, and that matching is exact and linear."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.workflow.prompt import Template, TemplateError, system_text

LITERALS = st.text(alphabet="ab{}\\ \n", max_size=12)
NAMES = st.sampled_from(["x", "y", "name_2", "_z"])


def test_a_template_renders_its_holes_and_leaves_everything_else_alone() -> None:
    template = Template.parse('You serve {{shop}}.\nAnswer as {"topic": {"a": 1}} for {{ name }} of {{shop}}.')
    assert template.holes == ("shop", "name")
    assert (
        template.render({"shop": "Ada", "name": "Bo"}) == 'You serve Ada.\nAnswer as {"topic": {"a": 1}} for Bo of Ada.'
    )


def test_a_value_that_looks_like_a_hole_is_only_text() -> None:
    assert Template.parse("{{ a }}|{{ b }}").render({"a": "{{ b }}", "b": "secret"}) == "{{ b }}|secret"


def test_an_escaped_hole_is_literal() -> None:
    template = Template.parse(r"Write \{{ name }} or \\{{ x }}.")
    assert template.holes == ("x",)
    assert template.render({"x": "1"}) == r"Write {{ name }} or \1."


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("one\ntwo {{ name", 2, 5, "never closed"),
        ("{{ }}", 1, 1, "empty hole"),
        ("a {{ first name }}", 1, 3, "first name"),
        ("a {{ #if x }}", 1, 3, "#if x"),
        ("a {{ 1st }}", 1, 3, "1st"),
        ("{{ name\n}}", 1, 1, "never closed"),
    ],
)
def test_a_bad_hole_is_refused_with_line_and_column(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert words in str(caught.value)


def test_a_missing_value_names_the_hole() -> None:
    with pytest.raises(KeyError, match="shop"):
        Template.parse("{{ shop }}").render({})


def test_windows_line_ends_change_nothing() -> None:
    template = Template.parse("a\r\n{{ x }}\r\nb")
    assert template == Template.parse("a\n{{ x }}\nb")
    assert template.match("a\r\nvalue\r\nb") == {"x": "value"}


@given(st.lists(st.tuples(LITERALS, NAMES), max_size=5), LITERALS)
def test_a_built_template_parses_back_to_itself(pairs: list[tuple[str, str]], last: str) -> None:
    built = Template.build([literal for literal, _ in pairs] + [last], [name for _, name in pairs])
    assert Template.parse(built.text) == built


@given(
    st.lists(st.tuples(LITERALS, NAMES), max_size=5),
    LITERALS,
    st.fixed_dictionaries({name: LITERALS for name in ("x", "y", "name_2", "_z")}),
)
def test_every_rendering_matches_its_template_and_the_match_renders_back(
    pairs: list[tuple[str, str]], last: str, values: dict[str, str]
) -> None:
    names = [name for _, name in pairs]
    template = Template.build([literal for literal, _ in pairs] + [last], names)
    text = template.render(values)
    found = template.match(text)
    assert found is not None
    if len(set(names)) == len(names):
        assert template.render(found) == text


def test_another_text_does_not_match() -> None:
    template = Template.parse("You serve {{ shop }}. Be kind.")
    assert template.match("You serve Ada. Be kind. Or not.") is None
    assert template.match("You serve Ada.") is None
    assert Template.parse("a{{ x }}a").match("a") is None


def test_newlines_at_the_very_end_do_not_count() -> None:
    assert Template.parse("Be kind.").match("Be kind.\n\n") == {}
    assert Template.parse("Be {{ x }}.\n").match("Be kind.") == {"x": "kind"}
    assert Template.parse("Be kind.").match("\nBe kind.") is None


def test_matching_does_not_backtrack() -> None:
    template = Template.build(["a"] * 40, ["x"] * 39)
    started = time.perf_counter()
    assert template.match("a" * 200_000 + "b") is None
    assert Template.build(["", *(["aab"] * 30), "c"], ["x"] * 31).match("a" * 200_000) is None
    assert time.perf_counter() - started < 2.0


def test_the_system_text_joins_system_and_developer_messages() -> None:
    messages = [
        {"role": "system", "content": "One."},
        {"role": "user", "content": "Hello"},
        {"role": "developer", "content": [{"type": "text", "text": "Tw"}, {"type": "text", "text": "o."}]},
    ]
    assert system_text(messages) == "One.\n\nTwo."
    assert system_text([{"role": "user", "content": "x"}]) is None
