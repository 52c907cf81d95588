"""A chat request is said to Bedrock's Converse whole, or refused by the name of its field."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import botocore.session
import msgspec
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.bedrock_support import API_KEY, MODEL, body, chat, sent, target, wire
from roadworthy.adapters.providers.bedrock import STREAM_TYPE, BedrockWire
from roadworthy.adapters.providers.bedrock_turns import named
from roadworthy.gateway.ports import Unusable
from roadworthy.workflow.model import Capabilities

USER = {"role": "user", "content": "Hello"}
STRICT = {
    "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False,
}  # fmt: skip
LOOSE = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"a": "SF"}'}}
PNG = "data:image/png;base64,iVBOR"


def function(**more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": STRICT, **more}}


def schema(of: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": of, "strict": True}}


def refused(**asked: Any) -> Unusable:
    with pytest.raises(Unusable) as found:
        sent(**asked)
    assert (found.value.failure, found.value.status) == ("bad_request", 400)
    return found.value


@cache
def validator() -> tuple[ParamValidator, Any]:
    model = botocore.session.Session().get_service_model("bedrock-runtime")
    return ParamValidator(), model.shape_for("ConverseRequest")


def wrong(made: Any) -> str:
    """What AWS's own model of the service says against a request; empty: nothing."""
    by, shape = validator()
    return by.validate({"modelId": MODEL, **made}, shape).generate_report()


def test_a_plain_request():
    made = sent(messages=[{"role": "system", "content": "Be kind."}, USER], max_tokens=100, user="u-1", temperature=0)
    assert made.path == b"/model/eu.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"
    assert json.loads(made.body) == {
        "system": [{"text": "Be kind."}],
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0},
    }
    assert dict(made.headers)[b"authorization"] == b"Bearer " + API_KEY.encode()
    assert not made.signed


def test_a_stream_is_another_path_and_another_type():
    made = sent(stream=True)
    assert made.path.endswith(b"/converse-stream")
    assert STREAM_TYPE in dict(made.headers)[b"accept"]
    assert wire().stream_type == STREAM_TYPE


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("amazon.nova-lite-v1:0", b"amazon.nova-lite-v1%3A0"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2",
            b"arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2",
        ),
    ],
)
def test_the_model_stands_in_the_path_as_one_piece(model, path):
    assert sent(wire(model=model, base=b"/proxy/")).path == b"/proxy/model/%b/converse" % path


@pytest.mark.parametrize("model", ["../other", "..", ".", "a?b", "a#b", "a b", "a\r\nx: y", "ü", "", "a%2F..", 7])
def test_no_model_leads_elsewhere(model):
    with pytest.raises(Unusable) as found:
        sent(wire(model="*"), model=model)
    assert (found.value.failure, found.value.param) == ("bad_request", "model")
    if isinstance(model, str):
        with pytest.raises(Unusable) as found:
            sent(wire(model=model))
        assert found.value.failure == "misconfigured"


def test_a_target_that_passes_on_asks_for_what_the_app_asked_for():
    assert sent(wire(model="*"), model="amazon.nova-lite-v1:0").path == b"/model/amazon.nova-lite-v1%3A0/converse"


def test_what_a_user_shows():
    parts = [
        {"type": "text", "text": "What are these?", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/a.JPG"}},
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "Q3_report (final).pdf"},
        },
        {"type": "file", "file": {"file_data": "data:text/csv;base64,YSxi"}},
        {"type": "file", "file": {"file_data": "data:text/csv;base64,YSxi"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
    ]
    made = body(messages=[{"role": "user", "content": parts}])
    assert made["messages"][0]["content"] == [
        {"text": "What are these?"},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"image": {"format": "png", "source": {"bytes": "iVBOR"}}},
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a.JPG"}}}},
        {"document": {"format": "pdf", "name": "Q3-report (final)", "source": {"bytes": "JVBE"}}},
        {"document": {"format": "csv", "name": "document", "source": {"bytes": "YSxi"}}},
        {"document": {"format": "csv", "name": "document (2)", "source": {"bytes": "YSxi"}}},
        {"audio": {"format": "wav", "source": {"bytes": "UklG"}}},
    ]
    assert not wrong(made)


@settings(max_examples=50)
@given(st.text(max_size=300))
def test_every_file_name_becomes_one_that_converse_takes(filename):
    name = named(filename)
    assert 1 <= len(name) <= 200
    assert "  " not in name
    assert all((letter.isascii() and letter.isalnum()) or letter.isspace() or letter in "()[]-" for letter in name)


def test_tools_and_their_choice():
    made = body(tools=[function(strict=True), {**function(), "cache_control": {"type": "ephemeral"}}])
    spec = {"name": "get_weather", "description": "d", "inputSchema": {"json": STRICT}}
    assert made["toolConfig"] == {
        "tools": [{"toolSpec": {**spec, "strict": True}}, {"toolSpec": spec}, {"cachePoint": {"type": "default"}}]
    }
    assert not wrong(made)
    named_one = {"type": "function", "function": {"name": "get_weather"}}
    for choice, said in [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        (named_one, {"tool": {"name": "get_weather"}}),
    ]:
        assert body(tools=[function()], tool_choice=choice)["toolConfig"]["toolChoice"] == said
    assert body(tools=[function(parameters=None)])["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"] == {
        "json": {"type": "object", "properties": {}}
    }


def test_what_the_model_is_not_told_of_it_cannot_call():
    assert "toolConfig" not in body(tools=[function()], tool_choice="none", parallel_tool_calls=False)


def test_tool_calls_and_their_results_in_one_turn():
    messages = [
        USER,
        {"role": "assistant", "content": "I'll look.", "tool_calls": [CALL, {**CALL, "id": "c2"}], "refusal": None},
        {"role": "tool", "tool_call_id": "c1", "content": "15 degrees"},
        {"role": "tool", "tool_call_id": "c2", "content": "The tool call failed.\nno such city"},
        {"role": "user", "content": "And?"},
    ]
    made = body(messages=messages, tools=[function()])
    use = {"name": "get_weather", "input": {"a": "SF"}}
    assert made["messages"][1]["content"] == [
        {"text": "I'll look."}, {"toolUse": {"toolUseId": "c1", **use}}, {"toolUse": {"toolUseId": "c2", **use}},
    ]  # fmt: skip
    assert made["messages"][2] == {
        "role": "user",
        "content": [
            {"toolResult": {"toolUseId": "c1", "content": [{"text": "15 degrees"}]}},
            {"toolResult": {"toolUseId": "c2", "status": "error", "content": [{"text": "no such city"}]}},
            {"text": "And?"},
        ],
    }
    assert not wrong(made)


def test_a_cache_point_in_a_result_stands_behind_it():
    marked = {"type": "text", "text": "15", "cache_control": {"type": "ephemeral"}}
    messages = [
        USER,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": [marked]},
    ]
    made = body(messages=messages, tools=[function()])
    assert made["messages"][2]["content"][1:] == [{"cachePoint": {"type": "default"}}]
    assert not wrong(made)


def test_thoughts_go_back_as_they_came():
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "EqoB"}, {"type": "redacted_thinking", "data": "cmVk"},
    ]  # fmt: skip
    said = {"role": "assistant", "content": "Yes.", "thinking_blocks": blocks, "reasoning_content": "Hm."}
    made = body(messages=[USER, said, USER])
    assert made["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "EqoB"}}},
        {"reasoningContent": {"redactedContent": "cmVk"}},
        {"text": "Yes."},
    ]
    unsigned = body(messages=[USER, {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}, USER])
    assert unsigned["messages"][1]["content"][0] == {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
    assert not wrong(made) + wrong(unsigned)


def test_a_schema_that_structured_outputs_enforce_goes_there():
    made = body(response_format=schema(STRICT), reasoning_effort="high", tools=[function()])
    text = made["outputConfig"]["textFormat"]
    assert made["outputConfig"]["effort"] == "high"
    assert json.loads(text["structure"]["jsonSchema"].pop("schema")) == STRICT
    assert text == {"type": "json_schema", "structure": {"jsonSchema": {"name": "n"}}}


@pytest.mark.parametrize(
    ("of", "able"), [(LOOSE, Capabilities()), (STRICT, Capabilities(response_schema=False))]
)  # fmt: skip
def test_any_other_schema_goes_out_whole_as_a_forced_tool(of, able):
    made = body(wire(capabilities=able), response_format=schema(of))
    assert made["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"] == {"json": of}
    assert made["toolConfig"]["toolChoice"] == {"tool": {"name": "roadworthy_answer"}}
    assert "outputConfig" not in made
    assert not wrong(made)


def test_what_has_a_place_of_its_own():
    guardrail = {"guardrailIdentifier": "gr1", "guardrailVersion": "3"}
    made = body(
        stop="END", top_p=0.5, max_completion_tokens=7, max_tokens=9, service_tier="flex", metadata={"app": "a:b"},
        thinking={"type": "enabled", "budget_tokens": 1024}, top_k=5, guardrailConfig=guardrail,
        performanceConfig={"latency": "optimized"}, additionalModelRequestFields={"anthropic_beta": ["x"]},
    )  # fmt: skip
    del made["messages"]
    assert made == {
        "inferenceConfig": {"maxTokens": 7, "topP": 0.5, "stopSequences": ["END"]},
        "additionalModelRequestFields": {
            "anthropic_beta": ["x"], "thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 5,
        },
        "serviceTier": {"type": "flex"},
        "requestMetadata": {"app": "a:b"},
        "guardrailConfig": guardrail,
        "performanceConfig": {"latency": "optimized"},
    }  # fmt: skip
    assert not wrong(made)


NOTHING_ASKED: dict[str, Any] = {
    "n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "logprobs": False, "top_logprobs": 0,
    "store": False, "modalities": ["text"], "verbosity": "medium", "metadata": {}, "service_tier": "auto", "seed": None,
    "parallel_tool_calls": True, "response_format": {"type": "text"}, "tools": [], "tool_choice": "auto", "stop": None,
    "stream": True, "stream_options": {"include_usage": True}, "user": "u", "safety_identifier": "s", "whatever": None,
}  # fmt: skip


def test_what_asks_for_nothing_says_nothing():
    assert body(**NOTHING_ASKED) == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


def part(**said: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [said]}]


HISTORY = [USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": "15"}]


@pytest.mark.parametrize(
    ("param", "asked"),
    [
        ("n", {"n": 2}),
        ("seed", {"seed": 1}),
        ("logprobs", {"logprobs": True}),
        ("frequency_penalty", {"frequency_penalty": 0.1}),
        ("temperature", {"temperature": 1.5}),
        ("temperature", {"temperature": "hot"}),
        ("top_p", {"top_p": 2}),
        ("max_tokens", {"max_tokens": 0}),
        ("max_tokens", {"max_tokens": True}),
        ("stop", {"stop": [1]}),
        ("verbosity", {"verbosity": "low"}),
        ("reasoning_effort", {"reasoning_effort": "none"}),
        ("service_tier", {"service_tier": "scale"}),
        ("metadata", {"metadata": {str(number): "x" for number in range(17)}}),
        ("metadata.a", {"metadata": {"a": "bücher"}}),
        ("metadata", {"metadata": {"a": "b"}, "requestMetadata": {"c": "d"}}),
        ("guardrailConfig", {"guardrailConfig": "gr1"}),
        ("top_k", {"top_k": 1, "additionalModelRequestFields": {"top_k": 2}}),
        ("web_search_options", {"web_search_options": {}}),
        ("response_format", {"response_format": {"type": "json_object"}}),
        ("response_format.json_schema.schema", {"response_format": {"type": "json_schema"}}),
        ("response_format.json_schema.schema", {"response_format": schema({"type": "array", "maxItems": 3})}),
        ("response_format", {"response_format": schema(LOOSE), "tools": [function()]}),
        ("thinking", {"response_format": schema(LOOSE), "thinking": {"type": "enabled"}}),
        ("tools", {"tools": "get_weather"}),
        ("tools", {"messages": HISTORY}),
        ("tools[0]", {"tools": [{"type": "custom", "custom": {}}]}),
        ("tools[0].function.name", {"tools": [function(name="roadworthy_answer")]}),
        ("tools[0].function.parameters", {"tools": [function(parameters=[1])]}),
        ("tools[0].function.strict", {"tools": [function(strict=True, parameters=LOOSE)]}),
        ("tools[0].function.examples", {"tools": [function(examples=[1])]}),
        ("tool_choice", {"tool_choice": "required"}),
        ("tool_choice", {"tools": [function()], "tool_choice": "none", "messages": HISTORY}),
        ("tool_choice", {"tools": [function()], "tool_choice": {"type": "allowed_tools"}}),
        ("tool_choice", {"tools": [function()], "tool_choice": "any"}),
        ("parallel_tool_calls", {"tools": [function()], "parallel_tool_calls": False}),
        ("messages", {"messages": []}),
        ("messages", {"messages": [{"role": "system", "content": "only"}]}),
        ("messages[0]", {"messages": ["Hello"]}),
        ("messages[0].role", {"messages": [{"role": "critic", "content": "x"}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": ""}]}),
        ("messages[0].content", {"messages": [{"role": "user", "content": 7}]}),
        ("messages[0].name", {"messages": [{**USER, "name": "ann"}]}),
        ("messages[0].content[0]", {"messages": part(type="video_url")}),
        (
            "messages[0].content[0].image_url.url",
            {"messages": part(type="image_url", image_url={"url": "https://x/y"})},
        ),
        ("messages[0].content[0].image_url.url", {"messages": part(type="image_url", image_url={"url": "s3://b/k"})}),
        ("messages[0].content[0].image_url.url", {"messages": part(type="image_url", image_url={"url": "data:a,b"})}),
        (
            "messages[0].content[0].image_url.detail",
            {"messages": part(type="image_url", image_url={"url": PNG, "detail": "low"})},
        ),
        ("messages[0].content[0].file.file_id", {"messages": part(type="file", file={"file_id": "f"})}),
        ("messages[0].content[0].file.file_data", {"messages": part(type="file", file={"file_data": "data:a/b,c"})}),
        (
            "messages[0].content[0].input_audio.format",
            {"messages": part(type="input_audio", input_audio={"data": "x", "format": "pcm16"})},
        ),
        (
            "messages[0].content[0].cache_control",
            {"messages": part(type="text", text="x", cache_control={"type": "for"})},
        ),
        ("messages[1].audio", {"messages": [USER, {"role": "assistant", "content": "x", "audio": {"id": "a"}}]}),
        ("messages[1].content[0]", {"messages": [USER, {"role": "assistant", "content": [{"type": "image_url"}]}]}),
        ("messages[1].thinking_blocks[0]", {"messages": [USER, {"role": "assistant", "thinking_blocks": [{}]}]}),
        ("messages[1].tool_calls[0]", {"messages": [USER, {"role": "assistant", "tool_calls": [{}]}]}),
        (
            "messages[1].tool_calls[0].id",
            {"messages": [USER, {"role": "assistant", "tool_calls": [{**CALL, "id": "a b"}]}]},
        ),
        (
            "messages[1].tool_calls[0].function.arguments",
            {
                "messages": [
                    USER,
                    {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "["}}]},
                ]
            },
        ),
        ("messages[1].tool_call_id", {"messages": [USER, {"role": "tool", "content": "x"}]}),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(param, asked):
    found = refused(**asked)
    assert found.param == param
    assert f"`{param}`" in found.message


def test_a_request_nested_beyond_measure_is_refused():
    deep = msgspec.Raw(b'[{"type":"function","function":' + b'{"parameters":' * 5000 + b"{}" + b"}" * 5002 + b"]")
    with pytest.raises(Unusable) as found:
        wire().encode("chat", {**chat(), "tools": deep}, stream=False)
    assert (found.value.failure, found.value.status) == ("bad_request", 400)


def test_other_operations_are_none_of_its_own():
    with pytest.raises(Unusable) as found:
        wire().encode("embeddings", chat(), stream=False)
    assert found.value.param == "model"
    assert BedrockWire(target(capabilities=Capabilities(surfaces=["messages"])), b"", API_KEY).speaks == {"chat"}


def test_a_begun_answer_is_the_last_turn():
    fields = wire().prefilled(chat(), "It is")
    assert json.loads(wire().encode("chat", fields, stream=True).body)["messages"][-1] == {
        "role": "assistant", "content": [{"text": "It is"}],
    }  # fmt: skip


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12).map(
    lambda text: f"w:{text}"
)
TEXT_PART = st.builds(
    lambda text, mark: {"type": "text", "text": text, **({"cache_control": {"type": "ephemeral"}} if mark else {})},
    WORDS, st.booleans(),
)  # fmt: skip
OTHER_PART = st.sampled_from(
    [
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "w:a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
    ]
)
CONTENT = st.one_of(WORDS, st.lists(TEXT_PART, min_size=1, max_size=3))
SHOWN = st.one_of(WORDS, st.lists(st.one_of(TEXT_PART, OTHER_PART), min_size=1, max_size=3))
TURN = st.one_of(
    st.builds(lambda content: [{"role": "user", "content": content}], SHOWN),
    st.builds(lambda content: [{"role": "assistant", "content": content}], CONTENT),
    st.builds(lambda content: [{"role": "developer", "content": content}], CONTENT),
    st.builds(
        lambda said, content: [
            {"role": "assistant", "content": said, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": content},
        ],
        st.none() | WORDS, SHOWN,
    ),
)  # fmt: skip
ASKED = st.fixed_dictionaries(
    {"messages": st.lists(TURN, min_size=1, max_size=4).map(lambda turns: [m for turn in turns for m in turn])},
    optional={
        "temperature": st.floats(0, 1.2), "top_p": st.floats(0, 1), "max_tokens": st.integers(0, 99),
        "stop": WORDS | st.lists(WORDS, max_size=2), "tools": st.just([function()]), "n": st.integers(1, 2),
        "tool_choice": st.sampled_from(["auto", "none", "required"]), "seed": st.none() | st.integers(0, 3),
        "response_format": st.sampled_from([schema(STRICT), schema(LOOSE), {"type": "json_object"}]),
        "metadata": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2), "user": WORDS,
        "reasoning_effort": st.sampled_from(["low", "minimal"]), "parallel_tool_calls": st.booleans(),
        "service_tier": st.sampled_from(["auto", "flex"]), "top_k": st.integers(1, 5), "whatever": st.none() | WORDS,
    },
)  # fmt: skip


def texts_of(messages: list[dict[str, Any]]) -> list[str]:
    contents = [message["content"] for message in messages if message["content"] is not None]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return [content for content in contents if isinstance(content, str)] + [
        each["text"] for each in parts if "text" in each
    ]


def strings_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in strings_in(each)]


@settings(max_examples=150, deadline=None)
@given(ASKED)
def test_every_field_is_expressed_or_refused_by_its_name(asked):
    refusal: Unusable | None = None
    made: dict[str, Any] = {}
    try:
        made = body(**asked)
    except Unusable as error:
        refusal = error
    if refusal is not None:
        assert refusal.failure == "bad_request"
        assert (refusal.param or "").partition(".")[0].partition("[")[0] in {*asked, "tools"}  # they may be missing
        return
    assert not wrong(made)
    told = strings_in(made)
    assert sorted(text for text in told if text.startswith("w:")) == sorted(
        texts_of(asked["messages"]) + ([asked["stop"]] if isinstance(asked.get("stop"), str) else asked.get("stop", []))
    )
    marks = json.dumps(asked).count("cache_control")
    assert json.dumps(made).count("cachePoint") <= marks
    assert bool(marks) == ("cachePoint" in json.dumps(made))
    config = made.get("inferenceConfig", {})
    for name, own in (("temperature", "temperature"), ("top_p", "topP"), ("max_tokens", "maxTokens")):
        assert config.get(own) == asked.get(name)
    assert made.get("outputConfig", {}).get("effort") == asked.get("reasoning_effort")
    assert made.get("additionalModelRequestFields", {}).get("top_k") == asked.get("top_k")
    assert made.get("requestMetadata", {}) == asked.get("metadata", {})
    wanted = json.dumps(made.get("outputConfig", {})) + json.dumps(made.get("toolConfig", {}))
    assert ("roadworthy_answer" in wanted or "json_schema" in wanted) == ("response_format" in asked)
    assert asked.get("n", 1) == 1
    assert not {"seed", "whatever"} & {name for name, value in asked.items() if value is not None}
