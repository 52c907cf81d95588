"""Responses requests and chat requests, each as the other: as recorded, and named where they cannot be said."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from roadworthy.formats.model import Inexpressible
from roadworthy.formats.responses import request

CASSETTES = Path(__file__).parent / "cassettes" / "responses"
RECORDED = {path.stem.removeprefix("request_"): path for path in sorted(CASSETTES.glob("request_*.json"))}


def fields(**values) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in values.items()}


def plain(translated) -> dict:
    return {name: json.loads(bytes(value)) for name, value in translated.items()}


def chat(**values) -> dict:
    return plain(request.to_chat(fields(**{"input": "Hi", **values})).fields)


def lost(**values) -> str | None:
    found = request.to_chat(fields(**{"input": "Hi", **values})).lost
    return None if found is None else found.param


def refused(**values) -> Inexpressible:
    with pytest.raises(Inexpressible) as caught:
        request.to_chat(fields(**{"input": "Hi", **values}))
    return caught.value


def outward(**values) -> dict:
    made = request.from_chat(
        fields(**{"messages": [{"role": "user", "content": "Hi"}], **values}), model="gpt-5", stream=False
    )
    return json.loads(msgspec.json.encode(made))


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_request_reads_as_its_chat_request(name):
    recorded = json.loads(RECORDED[name].read_text())
    found = request.to_chat(fields(**recorded["own"]))
    assert plain(found.fields) == recorded["chat"]
    assert (found.lost.param if found.lost else None) == recorded["lost"]


@pytest.mark.parametrize("name", [name for name in RECORDED if json.loads(RECORDED[name].read_text())["back"]])
def test_a_recorded_chat_request_goes_out_as_responses(name):
    recorded = json.loads(RECORDED[name].read_text())
    streams = bool(recorded["own"].get("stream"))
    made = request.from_chat(fields(**recorded["chat"]), model=recorded["own"]["model"], stream=streams)
    assert json.loads(msgspec.json.encode(made)) == recorded["back"]


# what is not served


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"background_options": {"completion_window": "soonest"}}, "background_options"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        *[
            ({"tools": [{"type": "function", "name": "f"}, {"type": kind}]}, "tools[1].type")
            for kind in ("web_search", "file_search", "computer_use_preview", "code_interpreter", "mcp")
        ],
        ({"tools": [{"type": "image_generation"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        ({"include": ["file_search_call.results"]}, "include[0]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "computer_call", "id": "c", "action": {}}]}, "input[0].type"),
    ],
)
def test_what_no_call_is_served_is_named(asked, param):
    error = refused(**asked)
    assert error.param == param
    assert f"`{param}`" in str(error)
    assert len(error.why) > 20


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": ["Hi"]}, "input[0]"),
        ({"input": [{"role": 7, "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"role": "owner", "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [7]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"instructions": ["x"]}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "namespace", "name": "a"}]}, "tools[0]"),
        ({"tools": [{"type": "namespace", "name": "a", "tools": [{"type": "mcp"}]}]}, "tools[0].tools[0].type"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"stream_options": {"include_usage": True}}, "stream_options.include_usage"),
    ],
)
def test_a_malformed_request_is_told_where(asked, param):
    assert refused(**asked).param == param


def test_a_request_without_input_is_refused():
    with pytest.raises(Inexpressible, match="`input`: is missing"):
        request.to_chat(fields(model="m"))


def test_what_is_nested_too_deeply_is_refused_by_name():
    deep = b"[" * 5000 + b"]" * 5000
    with pytest.raises(Inexpressible, match="`tools`"):
        request.to_chat({"input": msgspec.Raw(b'"Hi"'), "tools": msgspec.Raw(deep)})


# what only Responses can say


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"truncation": "auto"}, "truncation"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"text": {"shape": "round"}}, "text.shape"),
        ({"tools": [{"type": "function", "name": "f", "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"input": [{"role": "assistant", "content": "a", "phase": "commentary"}]}, "input[0].phase"),
        ({"input": [{"role": "user", "content": "a", "mood": "good"}]}, "input[0].mood"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
    ],
)
def test_what_chat_cannot_say_is_lost_by_name_and_kept_for_the_release(asked, param):
    assert lost(**asked) == param
    top = param.partition(".")[0]
    if top in asked and top not in ("input", "tools"):
        assert chat(**asked)[top] == asked[top]


@pytest.mark.parametrize(
    "asked",
    [
        {"truncation": "disabled"},
        {"store": False, "background": False, "previous_response_id": None, "conversation": None, "prompt": None},
        {"reasoning": {"effort": None, "summary": None, "context": "auto"}},
        {"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        {"tools": None, "text": {"format": None, "verbosity": None}, "include": None, "metadata": None},
        {"stream_options": {"include_obfuscation": False}, "top_logprobs": 0},
        {"metadata": {"told": "back"}, "client_metadata": {"turn_id": "7"}},
    ],
)
def test_what_asks_for_nothing_becomes_nothing(asked):
    assert chat(**asked).keys() == {"messages"}
    assert lost(**asked) is None


def test_fields_that_we_do_not_know_are_lost_and_stand_in_the_translation_for_who_decides_by_it():
    assert chat(top_k=4, chat_template_kwargs={"x": 1}).items() >= {"top_k": 4}.items()
    assert lost(top_k=4) == "top_k"
    assert lost(top_k=None) is None


# keeping the meaning


def test_functions_are_strict_unless_told_not_to_where_their_schema_allows_it():
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    open_ = {"type": "object", "properties": {"a": {"type": "string"}}}
    optional = {**closed, "required": []}
    inner = {**closed, "properties": {"a": open_}}
    told = [{"parameters": schema} for schema in (closed, open_, optional, inner)]
    told += [{"parameters": closed, "strict": strict} for strict in (False, None)]
    tools = [{"type": "function", "name": "f", **more} for more in told]
    made = [tool["function"].get("strict") for tool in chat(tools=tools)["tools"]]
    assert made == [True, None, None, None, False, True]


def test_functions_of_chat_are_lenient_unless_told_otherwise():
    told = [{"type": "function", "function": {"name": "f", **more}} for more in ({}, {"strict": True})]
    assert [tool["strict"] for tool in outward(tools=told)["tools"]] == [False, True]


def test_neighbouring_items_of_the_assistant_are_one_turn_and_others_are_not():
    made = chat(
        input=[
            {"role": "assistant", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
            {"type": "function_call", "call_id": "2", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": "x"},
            {"type": "function_call_output", "call_id": "2", "output": "y"},
            {"type": "function_call", "call_id": "3", "name": "f", "arguments": "{}"},
        ]
    )["messages"]
    told = [(message["role"], message.get("content"), len(message.get("tool_calls", ()))) for message in made]
    assert told == [
        ("assistant", "a", 0), ("assistant", "b", 2), ("tool", "x", 0), ("tool", "y", 0), ("assistant", None, 1)
    ]  # fmt: skip


def test_thoughts_go_back_and_their_summary_does_not():
    thoughts = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "short"}]}
    said = {"role": "assistant", "content": "yes"}
    assert chat(input=[thoughts, said])["messages"] == [said]
    raw = {**thoughts, "content": [{"type": "reasoning_text", "text": "long"}]}
    assert chat(input=[raw, said])["messages"] == [{**said, "reasoning_content": "long"}]
    assert chat(input=[raw])["messages"] == [{"role": "assistant", "content": "", "reasoning_content": "long"}]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"n": 2}, "n"),
        ({"stop": ["x"]}, "stop"),
        ({"seed": 7}, "seed"),
        ({"store": True}, "store"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "a", "name": "Ada"}]}, "messages[0].name"),
        ({"messages": [{"role": "function", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].tool_call_id"),
    ],
)
def test_what_responses_cannot_say_of_a_chat_request_is_refused_by_name(asked, param):
    with pytest.raises(Inexpressible) as caught:
        outward(**asked)
    assert caught.value.param == param


def test_what_asks_for_nothing_goes_out_as_nothing():
    nothing = {"n": 1, "stop": None, "frequency_penalty": 0, "logit_bias": {}, "modalities": ["text"], "store": False}
    assert outward(**nothing) == {"model": "gpt-5", "input": [{"role": "user", "content": "Hi"}], "store": False}


def test_the_smaller_of_two_limits_counts():
    assert outward(max_tokens=50, max_completion_tokens=40)["max_output_tokens"] == 40


# a caller's own request, edited


def test_a_release_fixes_parameters_and_leaves_how_thoughts_are_told():
    own = fields(
        model="support",
        input="Hi",
        temperature=1,
        top_k=3,
        reasoning={"effort": "high", "summary": "auto"},
        metadata={},
    )
    fixed = request.parameters_from_chat(fields(temperature=0, reasoning_effort="low", verbosity="low"))
    assert plain(request.with_parameters(own, fixed)) == {
        "model": "support",
        "input": "Hi",
        "metadata": {},
        "temperature": 0,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low"},
    }


def test_a_managed_prompt_is_the_instructions():
    assert plain(request.with_prompt(fields(input="Hi"), "Be\nbrief"))["instructions"] == "Be\nbrief"


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ("Hi", [{"role": "user", "content": "Hi"}]),
        ([{"role": "user", "content": "Hi ]"}], [{"role": "user", "content": "Hi ]"}]),
        ([], []),
    ],
)
def test_turns_are_put_behind_a_request(before, kept):
    made = plain(request.with_turns(fields(input=before), "no", "again"))["input"]
    assert made == [*kept, {"role": "assistant", "content": "no"}, {"role": "user", "content": "again"}]
    assert plain(request.with_turns(fields(input=before), "", "again"))["input"] == [*kept, made[-1]]
