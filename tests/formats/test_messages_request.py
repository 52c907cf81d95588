"""Messages requests and chat requests, each as the other: as recorded, and named where they cannot be said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roadworthy.formats.messages import request
from roadworthy.formats.messages.words import FAILED
from roadworthy.formats.model import Inexpressible

CASSETTES = Path(__file__).parent / "cassettes" / "messages"
RECORDED = {path.stem.removeprefix("request_"): path for path in sorted(CASSETTES.glob("request_*.json"))}
HI = [{"role": "user", "content": "Hi"}]
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def fields(**values: Any) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in values.items()}


def plain(translated: dict[str, msgspec.Raw]) -> dict[str, Any]:
    return {name: json.loads(bytes(value)) for name, value in translated.items()}


def inward(**values: Any) -> Any:
    return request.to_chat(fields(**{"model": "m", "max_tokens": 9, "messages": HI, **values}))


def said(*blocks: dict[str, Any], role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": list(blocks)}, *([] if role == "user" else HI)]


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_request_reads_as_its_chat_request(name: str) -> None:
    recorded = json.loads(RECORDED[name].read_text())
    found = request.to_chat(fields(**recorded["own"]))
    assert plain(found.fields) == recorded["chat"]
    assert (found.lost.param if found.lost else None) == recorded["lost"]


@pytest.mark.parametrize("name", [name for name in RECORDED if json.loads(RECORDED[name].read_text())["back"]])
def test_a_recorded_chat_request_goes_out_as_messages(name: str) -> None:
    recorded = json.loads(RECORDED[name].read_text())
    own, back = recorded["own"], recorded["back"]
    made = request.from_chat(fields(**recorded["chat"]), model="m", stream=bool(own.get("stream")))
    assert json.loads(msgspec.json.encode(made)) == {**(own if back is True else back), "model": "m"}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"top_k": 5}, "top_k"),
        ({"thinking": {"type": "adaptive"}}, "thinking"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, "thinking"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": []}, "mcp_servers"),
        ({"a_field_of_next_year": 1}, "a_field_of_next_year"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"metadata": {"user_id": "u", "trace": "t"}}, "metadata.trace"),
        ({"output_config": {"task_budget": {"total": 1}}}, "output_config.task_budget"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ({"tools": [TOOL, {**TOOL, "name": "g", "defer_loading": True}]}, "tools[1].defer_loading"),
        ({"tools": [{**TOOL, "a_member_of_next_year": True}]}, "tools[0].a_member_of_next_year"),
        ({"messages": [*HI, {"role": "system", "content": "Now.", "output_config": {"effort": "low"}}]},  # Claude Code
         "messages[1].output_config"),
        ({"messages": [*HI, {"role": "assistant", "content": "{"}]}, "messages[1]"),
        ({"messages": said({"type": "thinking", "thinking": "", "signature": "s"}, role="assistant")},
         "messages[0].content[0].type"),
        ({"messages": said({"type": "image", "source": {"type": "file", "file_id": "f"}})},
         "messages[0].content[0].source.type"),
        ({"messages": said({"type": "document", "source": {"type": "url", "url": "https://x"}})},
         "messages[0].content[0].source.type"),
        ({"messages": said({"type": "container_upload", "file_id": "f"})}, "messages[0].content[0].type"),
        ({"messages": said({"type": "tool_use", "id": "t", "name": "f", "input": {}}, {"type": "text", "text": "x"},
                           role="assistant")}, "messages[0].content[1]"),
        ({"messages": said({"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "image", "source": {"type": "url", "url": "https://x"}}]})}, "messages[0].content[0].content[0]"),
    ],
)  # fmt: skip
def test_what_only_chat_cannot_say_is_named_and_served_by_native_targets(asked: dict[str, Any], param: str) -> None:
    found = inward(**asked)
    assert found.lost is not None
    assert found.lost.param == param


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"messages": "Hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": said({"type": "text"})}, "messages[0].content[0]"),
        ({"messages": said({"type": "image"})}, "messages[0].content[0].source"),
        ({"messages": said({"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": ""}})},
         "messages[0].content[0].source"),
        ({"messages": said({"type": "tool_result"})}, "messages[0].content[0].tool_use_id"),
        ({"messages": said({"type": "tool_use", "id": "t", "name": "f", "input": "x"}, role="assistant")},
         "messages[0].content[0].input"),
        ({"system": {"text": "x"}}, "system"),
        ({"system": [{"type": "image"}]}, "system[0]"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"output_config": {"effort": "minimal"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].type"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ],
)  # fmt: skip
def test_a_malformed_request_is_refused_by_the_name_of_its_field(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(Inexpressible) as refused:
        inward(**asked)
    assert refused.value.param == param


@pytest.mark.parametrize("missing", ["messages", "max_tokens"])
def test_what_every_request_needs_is_asked_for(missing: str) -> None:
    body = fields(model="m", max_tokens=9, messages=HI)
    del body[missing]
    with pytest.raises(Inexpressible, match="expected") as refused:
        request.to_chat(body)
    assert refused.value.param == missing


def test_plain_turns_keep_their_bytes() -> None:
    body = fields(model="m", max_tokens=9)
    body["messages"] = msgspec.Raw('[ {"role":"user" , "content":"\\u00fc ü"} ]'.encode())
    assert bytes(request.to_chat(body).fields["messages"]) == bytes(body["messages"])
    body["system"] = msgspec.Raw(b'"S"')
    found = bytes(request.to_chat(body).fields["messages"])
    assert found == '[{"role":"system","content":"S"}, {"role":"user" , "content":"\\u00fc ü"} ]'.encode()


def test_null_asks_for_nothing() -> None:
    optional = ["system", "temperature", "tools", "tool_choice", "metadata", "thinking", "container", "output_config"]
    found = inward(**dict.fromkeys(optional))
    assert found.lost is None
    assert plain(found.fields) == {"model": "m", "max_completion_tokens": 9, "messages": HI}


def test_a_failed_tool_is_said_in_words_and_understood_again() -> None:
    blank = {"type": "tool_result", "tool_use_id": "t", "is_error": True}
    told = plain(inward(messages=said(blank)).fields)["messages"]
    assert told == [{"role": "tool", "tool_call_id": "t", "content": FAILED}]
    made = request.from_chat(fields(messages=told), model="m", stream=False)
    assert made["messages"] == [{"role": "user", "content": [blank]}]


def test_what_a_release_fixes_is_said_in_this_format() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    shaped = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    function = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    fixed = fields(
        max_completion_tokens=7, temperature=0, stop="X", reasoning_effort="high", response_format=shaped,
        tools=[function, {"type": "web_search_20250305", "name": "web_search"}], tool_choice="required",
        thinking={"type": "adaptive"}, top_k=3, output_config={"task_budget": 5},
    )  # fmt: skip
    assert plain(request.parameters_from_chat(fixed)) == {
        "max_tokens": 7,
        "temperature": 0,
        "stop_sequences": ["X"],
        "output_config": {"task_budget": 5, "effort": "high", "format": {"type": "json_schema", "schema": schema}},
        "tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "any"},
        "thinking": {"type": "adaptive"},
        "top_k": 3,
    }


def test_tools_come_back_whole_for_a_target_that_speaks_this_format() -> None:
    own = [
        {**TOOL, "defer_loading": True, "input_examples": [{}], "of_next_year": 1},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "mcp_toolset", "mcp_server_name": "s"},
    ]
    taken = inward(tools=own)
    assert taken.lost is not None
    assert plain(request.parameters_from_chat({"tools": taken.fields["tools"]})) == {"tools": own}


@pytest.mark.parametrize("fixed", [{"seed": 1}, {"response_format": {"type": "json_object"}}, {"temperature": 2}])
def test_what_a_release_fixes_and_this_format_lacks_is_refused(fixed: dict[str, Any]) -> None:
    with pytest.raises(Inexpressible) as refused:
        request.parameters_from_chat(fields(**fixed))
    assert refused.value.param in fixed


def test_a_schema_that_cannot_be_enforced_never_becomes_our_tool_for_callers_of_this_format() -> None:
    loose = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    with pytest.raises(Inexpressible, match="additionalProperties"):
        request.parameters_from_chat(fields(response_format=loose))


def test_a_managed_prompt_and_turns_of_a_repair_are_put_into_the_callers_own_request() -> None:
    own = fields(model="m", max_tokens=9, messages=[{"role": "user", "content": [{"type": "text", "text": "é"}]}])
    prompted = request.with_prompt(own, 'Say "hi"')
    assert json.loads(bytes(prompted["system"])) == 'Say "hi"'
    turned = json.loads(bytes(request.with_turns(own, "{bad", "mend it")["messages"]))
    assert turned[1:] == [{"role": "assistant", "content": "{bad"}, {"role": "user", "content": "mend it"}]
    silent = json.loads(bytes(request.with_turns(own, "", "again")["messages"]))
    assert silent[1:] == [{"role": "user", "content": "again"}]
    assert "system" not in own
