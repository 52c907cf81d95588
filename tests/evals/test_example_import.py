"""Claims about importing examples: content-addressed, without repeats, and every problem with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roadworthy.evals.examples import set_of, sound
from roadworthy.evals.importing import MOST_EXAMPLES, Columns, NotImported, read_rows
from roadworthy.evals.model import Examples
from roadworthy.evals.scorers.base import Case
from roadworthy.evals.scorers.exact import Exact
from roadworthy.evals.scorers.registry import SCORERS, UnknownScorer, hash_of, rebuilt, recorded, scorers_of
from roadworthy.evals.scorers.valid_json import ValidJson

TOPIC = Columns(expect=["topic"])


def rows(*found: Any) -> str:
    return "\n".join(each if isinstance(each, str) else json.dumps(each) for each in found)


def row(message: str = "Where is it?", topic: str = "delivery", **more: Any) -> dict[str, Any]:
    return {"message": message, "topic": topic, **more}


def problems(text: str, columns: Columns = TOPIC) -> list[str]:
    with pytest.raises(NotImported) as refused:
        read_rows(text, columns)
    return refused.value.problems


def test_the_same_rows_have_the_same_version_in_any_order_and_under_any_label() -> None:
    one = read_rows(rows(row("a", id="m1"), row("b", id="m2")), TOPIC)
    two = read_rows(rows(row("b", id="x"), row("a")), TOPIC)
    other = read_rows(rows(row("a"), row("b", "return")), TOPIC)
    assert one.examples.version == two.examples.version != other.examples.version
    assert [each.label for each in sorted(one.examples.items, key=lambda e: e.label)] == ["m1", "m2"]


def test_a_row_that_says_the_same_again_is_left_out_and_counted() -> None:
    found = read_rows(rows(row(), row(), row("other")), TOPIC)
    assert (len(found.examples.items), found.repeated) == (2, 1)


def test_one_question_with_two_answers_is_refused_with_both_lines() -> None:
    assert problems(rows(row(), row("b"), row(topic="return"))) == [
        "line 3: asks what line 1 asks and expects something else; keep one"
    ]


def test_where_takes_a_part() -> None:
    found = read_rows(
        rows(row("a", half="test"), row("b", half="calibrate")), Columns(expect=["topic"], where={"half": "test"})
    )
    assert (len(found.examples.items), found.passed_over) == (1, 1)
    assert problems(rows(row(half="test")), Columns(expect=["topic"], where={"half": "tets"})) == [
        "no row has half=tets"
    ]


def test_every_problem_is_told_with_its_line_and_how_to_mend_it() -> None:
    found = problems(
        rows(
            row(), "{", "[1]", {"massage": "x", "topic": "y"}, row("  "), row(inputs={"shop": 1}), row("q", topic=None)
        )
    )
    assert [text.split(":")[0] for text in found] == ["line 2", "line 3", "line 4", "line 5", "line 6", "line 7"]
    assert "is not JSON" in found[0]
    assert "did you mean 'massage'" in found[2]


def test_nothing_at_all_is_refused() -> None:
    assert "holds no row" in problems("\n\n")[0]
    assert "is the name of a scorer" in problems(rows(row()), Columns(expect=["valid_json"]))[0]


def test_too_many_are_refused() -> None:
    text = "\n".join(f'{{"message": "m{at}", "topic": "t"}}' for at in range(MOST_EXAMPLES + 1))
    assert "take a part" in problems(text)[0]


def test_a_list_of_messages_is_asked_as_it_is() -> None:
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "bye"},
    ]
    [found] = read_rows(
        rows({"messages": messages, "topic": "other"}), Columns(input="messages", expect=["topic"])
    ).examples.items
    assert found.messages == messages


def test_a_conversation_of_responses_or_messages_is_kept_as_chat_completions() -> None:
    asked, call = {"role": "user", "content": "Rain?"}, {"type": "function_call", "call_id": "c", "name": "look_up"}
    items = [{"role": "user", "content": [{"type": "input_text", "text": "Rain?"}]}, {**call, "arguments": "{}"},
             {"type": "function_call_output", "call_id": "c", "output": "no"}]  # fmt: skip
    use = {"type": "tool_use", "id": "c", "name": "look_up", "input": {}}
    blocks = [asked, {"role": "assistant", "content": [use]},
              {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "no"}]}]  # fmt: skip
    for turns in (items, blocks):
        [found] = read_rows(rows({"asked": turns}), Columns(input="asked")).examples.items
        assert [each["role"] for each in found.messages] == ["user", "assistant", "tool"]
        assert found.messages[1]["tool_calls"][0]["function"] == {"name": "look_up", "arguments": "{}"}
        assert found.messages[2]["content"] == "no"
    thought = [
        asked,
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "…", "signature": "s"}]},
        asked,
    ]
    [problem] = problems(rows({"asked": thought}), Columns(input="asked"))
    assert problem.startswith("line 1: asked: messages[1].content[0].type: chat completions")


def test_a_set_that_was_changed_where_it_is_kept_is_not_sound() -> None:
    kept = read_rows(rows(row("a"), row("b")), TOPIC).examples
    assert sound(kept)
    import msgspec

    easier = msgspec.structs.replace(kept.items[0], expected={"topic": "other"})
    assert not sound(Examples(kept.version, [easier, kept.items[1]]))
    assert not sound(Examples(kept.version, kept.items[:1]))
    assert not sound(Examples(set_of([easier]).version, [easier]))


# --- scorers

SCHEMA = {"type": "object", "properties": {"topic": {"enum": ["delivery", "return"]}}, "required": ["topic"]}


@pytest.mark.parametrize(
    ("text", "good"),
    [('{"topic": "delivery"}', 1.0), ('{"topic": "return"}', 0.0), ('{"Topic": "delivery"}', 0.0), ("delivery", 0.0),
     ('["delivery"]', 0.0), ("", 0.0), ('{"topic": "delivery"', 0.0)],
)  # fmt: skip
def test_a_field_is_compared_to_the_letter(text: str, good: float) -> None:
    assert Exact("topic").score(Case(text, {"topic": "delivery"})) == good


def test_true_is_not_one() -> None:
    assert Exact("ok").score(Case('{"ok": true}', {"ok": 1})) == 0.0
    assert Exact("ok").score(Case('{"ok": 1.0}', {"ok": 1})) == 1.0


def test_a_whole_text_is_compared_but_for_space_around_it() -> None:
    assert Exact().score(Case(" Paris\n", expected_text="Paris")) == 1.0
    assert Exact().score(Case("paris", expected_text="Paris")) == 0.0


def test_json_is_valid_when_it_satisfies_the_releases_schema() -> None:
    good, wrong = '{"topic": "return"}', '{"topic": "weather"}'
    assert [ValidJson().score(Case(text, schema=SCHEMA)) for text in (good, wrong, "no")] == [1.0, 0.0, 0.0]
    assert ValidJson().score(Case(wrong)) == 1.0


def test_a_scorer_is_rebuilt_from_what_was_recorded() -> None:
    for scorer in (Exact("topic"), Exact(), ValidJson()):
        assert rebuilt(json.loads(json.dumps(recorded(scorer)))) == scorer
    assert {"exact", "valid_json"} <= set(SCORERS)
    with pytest.raises(UnknownScorer):
        rebuilt({"scorer": "exact", "version": 99, "arguments": {}})


def test_another_argument_is_another_hash_and_the_order_is_none() -> None:
    assert (
        hash_of([Exact("a"), ValidJson()]) == hash_of([ValidJson(), Exact("a")]) != hash_of([Exact("b"), ValidJson()])
    )
    fields = read_rows(rows(row()), TOPIC).examples
    assert [each.name for each in scorers_of(fields)] == ["valid_json", "topic"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ('{"message": "a", "topic": ' + "[" * 900 + "]" * 900 + "}", "line 1: is nested too deeply"),
        ('{"message": [{"role": 5, "content": "a"}], "topic": "b"}', "line 1: message: holds a list"),
    ],
)
def test_what_nobody_could_ask_is_refused_with_its_line(row: str, why: str) -> None:
    with pytest.raises(NotImported, match=why):
        read_rows(row, Columns(expect=["topic"]))
