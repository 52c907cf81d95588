"""Claims about rubrics: few named values, each with a score and an example, and every problem with its line."""

from __future__ import annotations

from importlib import resources

import pytest

from roadworthy.evals.rubric import Unusable, read

GOOD = "## good = 1\nSend it.\n> As it is.\n> All of it.\n\n> Another.\n"
BAD = "## bad = 0\nNever.\n> Nonsense.\n"


def problems(text: str) -> list[str]:
    with pytest.raises(Unusable) as refused:
        read(text)
    return refused.value.problems


def test_a_heading_names_a_value_its_score_and_what_is_quoted_beneath_are_its_examples() -> None:
    good, bad = read(f"# Rubric\nText.\n## How to read it\n> Not an example.\n{GOOD}{BAD}# End\n> Of nothing.\n").values
    assert (good.name, good.score, good.text) == ("good", 1.0, "Send it.")
    assert good.examples == ["As it is.\nAll of it.", "Another."]
    assert (bad.name, bad.score, bad.examples) == ("bad", 0.0, ["Nonsense."])


def test_what_stands_in_a_block_of_code_is_no_heading() -> None:
    assert len(read(f"{GOOD}```\n## neither = 0.5\n> x\n```\n{BAD}").values) == 2


def test_each_value_has_a_key_by_its_number_and_by_its_letter_where_that_is_free() -> None:
    keys = read(f"{GOOD}## useless = 0.2\n> u undoes\n## great = 0.9\n> g is taken twice\n{BAD}").keys()
    assert {key: value.name for key, value in keys.items()} == {
        "1": "good", "2": "useless", "3": "great", "4": "bad", "b": "bad",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Just be nice.\n", "rubric.md: has 0 named values, expected 2 to 4"),
        (GOOD, "has 1 named values"),
        (GOOD + BAD.replace("> ", ""), "rubric.md:7: 'bad' has no example"),
        (GOOD + BAD.replace("= 0", "= 2"), "rubric.md:7: 'bad' scores '2'; expected a number from 0 to 1"),
        (GOOD + BAD.replace("= 0", "= nought"), "'bad' scores 'nought'"),
        (GOOD + BAD.replace("= 0", "= nan"), "'bad' scores 'nan'"),
        (GOOD + BAD.replace("bad", "So Bad"), "rubric.md:7: the value is called 'So Bad'; expected a word"),
        (GOOD + BAD.replace("bad", "good"), "'good = 0' has the name of line 1"),
        (GOOD + BAD.replace("= 0", "= 1.0"), "'bad = 1' has the score of line 1"),
        (GOOD * 6, "has 6 named values"),
        (GOOD + "x" * 70_000, "characters, expected at most"),
    ],
)
def test_what_cannot_be_scored_by_is_told_with_its_line_and_how_to_mend_it(text: str, said: str) -> None:
    assert said in problems(text)[0]


def test_line_ends_of_another_system_are_none() -> None:
    assert read((GOOD + BAD).replace("\n", "\r\n")) == read(GOOD + BAD)


def test_the_samples_rubric_can_be_scored_by() -> None:
    path = "templates/support-triage/base/workflows/support-triage/rubric.md"
    text = resources.files("roadworthy").joinpath(path).read_text(encoding="utf-8")
    assert [(value.name, value.score) for value in read(text).values] == [("good", 1.0), ("partly", 0.5), ("bad", 0.0)]
