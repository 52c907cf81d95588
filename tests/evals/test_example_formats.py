"""Claims about the files that examples come from: CSV, JSON, conversations, promptfoo, and garbage."""

from __future__ import annotations

import json
from typing import Any

import pytest

from roadworthy.evals.importing import Columns, Imported, NotImported, read_rows


def read(text: str, name: str, **columns: Any) -> Imported:
    return read_rows(text, Columns(**columns), name)


def problems(text: str, name: str, **columns: Any) -> str:
    with pytest.raises(NotImported) as refused:
        read(text, name, **columns)
    return str(refused.value)


def asked(found: Imported) -> list[Any]:
    return sorted((each.messages[-1]["content"] for each in found.examples.items), key=str)


# --- CSV


def test_a_column_is_what_is_asked_and_cells_may_hold_commas_quotes_and_lines() -> None:
    text = 'id,body,topic\n1,"Hello, I said ""where""\nis it?",delivery\n2,Bye,other\n'
    found = read(text, "tickets.csv", input="body", expect=["topic"])
    assert asked(found) == ["Bye", 'Hello, I said "where"\nis it?']
    assert {each.label: each.expected for each in found.examples.items} == {
        "1": {"topic": "delivery"}, "2": {"topic": "other"},
    }  # fmt: skip


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_seen(delimiter: str) -> None:
    text = "\ufeff" + "\n".join(delimiter.join(row) for row in (("message", "topic"), ("Hi", "other")))
    assert asked(read(text, "t.csv", expect=["topic"])) == ["Hi"]


def test_a_cell_means_the_number_that_it_says_unless_it_is_a_whole_text() -> None:
    [found] = read("message,stars,ok,zip\nHi,4,true,01234\n", "t.csv", expect=["stars", "ok", "zip"]).examples.items
    assert found.expected == {"stars": 4, "ok": True, "zip": "01234"}
    [found] = read("message,answer\nHi,4\n", "t.csv", expect_text="answer").examples.items
    assert found.text == "4"


def test_rows_that_do_not_fit_their_head_are_told_by_line() -> None:
    assert "line 3: has 3 cells, and the first line names 2" in problems("message,t\na,b\na,b,c\n", "t.csv")
    assert "line 1: the column 'a' is there twice" in problems("a,a\n1,2\n", "t.csv")
    assert "is not CSV" in problems('message\n"a"b\n', "t.csv")
    assert "line 2: has no 'topic' (--expect)" in problems("message,topic\nHi,\n", "t.csv", expect=["topic"])
    assert "has no 'body' (--input); expected" in problems("bode\nHi\n", "t.csv", input="body").replace(
        "did you mean 'bode'", "expected"
    )


# --- conversations

TURN = [{"role": "system", "content": "Sort."}, {"role": "user", "content": "Where is it?"}]
SAID = {"role": "assistant", "content": '{"topic": "delivery", "urgency": 2}'}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [*TURN, SAID]},
        {"custom_id": "r1", "body": {"messages": [*TURN, SAID]}},
        {"request": {"messages": TURN}, "response": {"choices": [{"message": SAID}]}},
        {"body": {"messages": TURN}, "response": {"body": {"choices": [{"message": SAID}]}}},
    ],
)
def test_a_conversation_is_a_question_and_the_answer_that_it_had(row: dict[str, Any]) -> None:
    text = json.dumps(row) + "\n"
    [found] = read(text, "history.jsonl", expect=["topic"], expect_text="assistant").examples.items
    assert (found.messages, found.expected, found.text) == (TURN, {"topic": "delivery"}, SAID["content"])
    [bare] = read(text, "history.jsonl", keep_system=False).examples.items
    assert (bare.messages, bare.expected, bare.text) == (TURN[1:], {}, None)
    assert read(text, "history.jsonl", keep_system=False).system_dropped == 1


def test_one_conversation_alone_and_a_list_of_them_are_read_from_json() -> None:
    assert asked(read(json.dumps([*TURN, SAID]), "chat.json")) == ["Where is it?"]
    rows = [{"messages": TURN}, {"messages": [{"role": "user", "content": "Bye"}]}]
    assert asked(read(json.dumps(rows), "chat.json")) == ["Bye", "Where is it?"]


def test_a_conversation_without_an_answer_or_without_a_question_is_told() -> None:
    rows = json.dumps({"messages": TURN}) + "\n" + json.dumps({"messages": TURN[:1]})
    said = problems(rows, "h.jsonl", expect_text="assistant", keep_system=False)
    assert "line 1: has no answer (--expect-text assistant)" in said
    assert "line 2: messages: holds nothing but system messages" in said


# --- promptfoo

PROMPTFOO = """
prompts: ["{{body}}"]
defaultTest: {vars: {shop: Berlin}}
tests:
  - description: late
    vars: {body: "Where is it?"}
    metadata: {channel: mail}
    assert:
      - {type: equals, value: {topic: delivery}}
      - {type: llm-rubric, value: is polite}
  - vars: {body: Bye}
    assert: [{type: equals, value: Goodbye}, {type: contains, value: bye}]
"""


def test_tests_of_promptfoo_are_examples_and_what_they_cannot_hold_is_said() -> None:
    found = read(PROMPTFOO, "promptfooconfig.yaml", input="body")
    late = next(each for each in found.examples.items if each.label == "late")
    assert (late.messages, late.inputs, late.tags) == (
        [{"role": "user", "content": "Where is it?"}], {"shop": "Berlin"}, {"channel": "mail"},
    )  # fmt: skip
    assert found.notes == [
        "asserted otherwise than by equality: contains (1), llm-rubric (1); declare these under evals: in workflow.yaml"
    ]


def test_what_promptfoo_equals_may_be_expected_of_a_field_or_of_the_whole_answer() -> None:
    one = "tests:\n- vars: {q: Hi}\n  assert: [{type: equals, value: {topic: other}}]\n"
    [found] = read(one, "p.yaml", expect=["topic"]).examples.items
    assert (found.messages[0]["content"], found.expected) == ("Hi", {"topic": "other"})
    [found] = read(one.replace("{topic: other}", "Hello"), "p.yaml", expect_text="expected").examples.items
    assert found.text == "Hello"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tests: file://t.csv", "stand in another file"),
        ("providers: [x]", "has no list of 'tests'"),
        ("tests: [3]", "line 1: holds a number; expected a test with 'vars'"),
        ("tests: [", "found"),
        ("a: &a [x, x, x, x, x, x, x, x]\n" + "\n".join(
            f"a{i}: &a{i} [{', '.join(['*a' + (str(i - 1) if i else '')] * 8)}]" for i in range(9)), "aliases"),
    ],
)  # fmt: skip
def test_yaml_that_is_no_list_of_tests_is_refused(text: str, said: str) -> None:
    assert said in problems(text, "p.yaml")


# --- anything

GARBAGE = ["\x00\x01\x02", "{" * 1000, "[" * 3000, '"\ud800"', "a" * 20_000, "\n\n\n", '{"message": ' + "9" * 5000]


@pytest.mark.parametrize("name", ["t.csv", "t.json", "t.jsonl", "t.yaml"])
def test_garbage_is_refused_in_words_whatever_it_is_called(name: str) -> None:
    for text in GARBAGE:
        assert problems(text, name, expect=["topic"])


def test_what_the_columns_say_becomes_marks_of_the_example() -> None:
    text = "message,team,must,who\nHi,blue,yes,u-42\nBye,red,,u-43\n"
    columns = Columns(tags=["team"], critical="must", user="who")
    found = read_rows(text, columns, "t.csv", unit=lambda unit: f"usr_{unit[-2:]}").examples.items
    assert {(each.tags["team"], each.critical, each.cluster) for each in found} == {
        ("blue", True, "usr_42"), ("red", False, "usr_43"),
    }  # fmt: skip
