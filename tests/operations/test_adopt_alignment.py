"""From rendered texts back to a template that matches them all."""

from __future__ import annotations

import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.operations.adoption.alignment import derive_template
from roadworthy.workflow.prompt import Template

TEXT = """you are the friendly helper of a small shop answer in short sentences customer name order total today
{ } {{ }} \\ <b> </b> : , . 2026-07-14 ümlaut 漢字 🙂"""
WORDS = st.sampled_from([*TEXT.split(), "\n", "\t", "\0"])
LITERAL = st.lists(WORDS, max_size=12).map(" ".join)
FILLING = st.text(max_size=40) | LITERAL


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_templates_with_random_fillings_are_recovered_so_that_every_call_matches(data: st.DataObject) -> None:
    literals = data.draw(st.lists(LITERAL, min_size=1, max_size=5))
    names = [f"h{number}" for number in range(len(literals) - 1)]
    hidden = Template.build(literals, names)
    fillings = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, FILLING)), min_size=1, max_size=6))
    texts = [hidden.render(filling) for filling in fillings]
    found = derive_template(texts)
    assert all(found.match(text) is not None for text in texts)
    assert Template.parse(found.text) == found


def test_names_and_boundaries_come_out_as_a_person_would_write_them() -> None:
    people = [("Ada Lovelace", "Berlin"), ("Bo", "New York"), ("Grace Hopper", "Oslo")]
    texts = [
        f"You help {person}. City: {city}.\nAlways be kind to {person}!\n<plan>gold {number}</plan>"
        for number, (person, city) in enumerate(people)
    ]
    assert derive_template(texts).text == (
        "You help {{ hole_1 }}. City: {{ city }}.\nAlways be kind to {{ hole_3 }}!\n<plan>gold {{ hole_4 }}</plan>"
    )


def test_equal_texts_have_no_holes() -> None:
    assert derive_template(["Be kind.\r\n"] * 4).text == "Be kind.\n"


def test_the_day_of_the_call_is_a_hole_even_when_all_calls_were_on_one_day() -> None:
    day = datetime.date(2026, 7, 14)
    for form in ("2026-07-14", "14 July 2026", "July 14, 2026", "14.7.2026", "07/14/2026", "2026-07-14T09:30:00Z"):
        found = derive_template([f"Today: {form}. Founded on 2019-01-01."] * 3, [day] * 3)
        assert found.text == "Today: {{ today }}. Founded on 2019-01-01.", form


def test_prompts_with_nothing_in_common_become_one_hole() -> None:
    assert derive_template(["alpha", "beta gamma", "delta"]).text == "{{ hole_1 }}"


def test_a_long_prompt_is_aligned_quickly() -> None:
    body = " ".join(f"rule {number} says to be kind." for number in range(3000))
    texts = [f"{body} Customer: c{number} {body}" for number in range(20)]
    assert derive_template(texts).holes == ("customer",)
