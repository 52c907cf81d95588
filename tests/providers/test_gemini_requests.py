"""A chat request for Gemini: everything is expressed or refused by name, never dropped."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.gemini_support import (
    NEW,
    OLD,
    SCHEMA,
    USER,
    call,
    encode,
    fields,
    function,
    refused,
    result,
    signed,
    wire,
)
from roadworthy.adapters.providers.gemini_request import SKIPPED_SIGNATURE, enforceable
from roadworthy.gateway.ports import ANY_MODEL, Unusable

# heads


def test_the_model_stands_in_the_path_and_the_key_in_a_header() -> None:
    whole = wire().encode("chat", fields(), stream=False)
    stream = wire().encode("chat", fields(), stream=True)
    assert whole.path == b"/v1beta/models/gemini-3-flash-preview:generateContent"
    assert stream.path == b"/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse"
    assert dict(whole.headers)[b"x-goog-api-key"] == b"AIza-key"
    assert b"authorization" not in dict(whole.headers)
    assert b"AIza" not in whole.path + stream.path
    assert whole.body == stream.body


VERTEX = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1/publishers/google"


@pytest.mark.parametrize(
    ("endpoint", "header", "value"),
    [
        (VERTEX, b"authorization", b"Bearer AIza-key"),
        ("https://aiplatform.googleapis.com/v1/publishers/google", b"x-goog-api-key", b"AIza-key"),
        ("https://proxy.example/v1/projects/p", b"x-goog-api-key", b"AIza-key"),
        ("https://evil-aiplatform.googleapis.com.example/v1/projects/p", b"x-goog-api-key", b"AIza-key"),
    ],
)
def test_a_project_of_vertex_takes_an_access_token(endpoint: str, header: bytes, value: bytes) -> None:
    path = "/" + endpoint.split("/", 3)[3]
    sent = wire(base=path.encode(), endpoint=endpoint).encode("chat", fields(), stream=False)
    assert dict(sent.headers)[header] == value
    assert sent.path == f"{path}/models/gemini-3-flash-preview:generateContent".encode()


@pytest.mark.parametrize("model", ["models/gemini-3", "tunedModels/mine-1", "endpoints/123"])
def test_a_name_with_its_collection_is_taken_as_it_is(model: str) -> None:
    assert wire(model).encode("chat", fields(), stream=False).path == f"/v1beta/{model}:generateContent".encode()


TRICKS = [
    "../files",
    "x/../../v1",
    "gemini?key=1",
    "a#b",
    "a b",
    "gemini:countTokens",
    "%2e%2e",
    "",
    "models/",
    "a\r\nb",
]


@pytest.mark.parametrize("model", TRICKS)
def test_no_name_of_a_model_leads_elsewhere(model: str) -> None:
    with pytest.raises(Unusable) as asked:
        wire(ANY_MODEL).encode("chat", fields(model=model), stream=False)
    assert (asked.value.failure, asked.value.param) == ("bad_request", "model")
    with pytest.raises(Unusable) as configured:
        wire(model).encode("chat", fields(), stream=False)
    assert configured.value.failure == "misconfigured"


def test_a_target_of_any_model_asks_for_the_callers() -> None:
    sent = wire(ANY_MODEL).encode("chat", fields(model="gemini-2.5-pro"), stream=False)
    assert sent.path == b"/v1beta/models/gemini-2.5-pro:generateContent"


# conversations


def test_a_plain_request() -> None:
    assert encode(model=NEW, stream_options={"include_usage": True}) == {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}]
    }


def test_system_and_developer_messages_become_the_system_instruction() -> None:
    developer = {"role": "developer", "content": [{"type": "text", "text": "Be short."}]}
    body = encode(messages=[{"role": "system", "content": "Be kind."}, developer, USER])
    assert body["systemInstruction"] == {"parts": [{"text": "Be kind."}, {"text": "Be short."}]}
    assert len(body["contents"]) == 1


def test_roles_are_user_and_model_and_neighbours_are_joined() -> None:
    again, said = {"role": "user", "content": "Are you there?"}, {"role": "assistant", "content": "Yes."}
    contents = encode(messages=[USER, again, said, USER])["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    assert contents[0]["parts"] == [{"text": "Hello"}, {"text": "Are you there?"}]


def test_media_go_inline_and_googles_own_addresses_as_files() -> None:
    def image(url: str) -> dict[str, Any]:
        return {"type": "image_url", "image_url": {"url": url, "detail": "high"}}

    file = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    parts = [
        image("data:image/png;base64,iVBOR"), image(file), image("gs://bucket/a.JPG"),
        {"type": "input_audio", "input_audio": {"data": "UklGR", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0"}},
    ]  # fmt: skip
    assert encode(messages=[{"role": "user", "content": parts}])["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}},
        {"fileData": {"fileUri": file}},
        {"fileData": {"fileUri": "gs://bucket/a.JPG", "mimeType": "image/jpeg"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "UklGR"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0"}},
    ]


def test_calls_and_their_results_are_told_by_name_and_id_and_stay_together() -> None:
    pixel = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iV"}}
    messages = [
        USER,
        {"role": "assistant", "content": "I look.", "tool_calls": [call(**signed("S1")), call("c2", "")]},
        result('{"degrees": 12345678901234567890}'),
        result([{"type": "text", "text": "noon"}, pixel], "c2"),
        {"role": "user", "content": "And?"},
    ]
    contents = encode(messages=messages, tools=[function()])["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user", "user"]
    assert contents[1]["parts"] == [
        {"text": "I look."},
        {"functionCall": {"id": "c1", "name": "get_weather", "args": {"city": "Paris"}}, "thoughtSignature": "S1"},
        {"functionCall": {"id": "c2", "name": "get_weather", "args": {}}},
    ]
    first, second = (part["functionResponse"] for part in contents[2]["parts"])
    output = {"output": '{"degrees": 12345678901234567890}'}
    assert first == {"id": "c1", "name": "get_weather", "response": output}
    assert second["response"] == {"output": "noon"}
    assert second["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "iV"}}]


def calls_of(body: dict[str, Any]) -> list[str | None]:
    parts = [part for content in body["contents"] for part in content["parts"]]
    return [part.get("thoughtSignature") for part in parts if "functionCall" in part]


def test_a_signature_that_nobody_has_is_replaced_in_the_current_turn_as_google_says() -> None:
    old = [USER, {"role": "assistant", "tool_calls": [call("c0")]}, result("12", "c0")]
    now = [
        {"role": "assistant", "content": "It is 12 degrees."},
        {"role": "user", "content": "And tomorrow?"},
        {"role": "assistant", "tool_calls": [call("c1"), call("c2")]}, result("13"), result("14", "c2"),
        {"role": "assistant", "tool_calls": [call("c3", **signed("S3"))]}, result("15", "c3"),
    ]  # fmt: skip
    assert calls_of(encode(messages=old + now)) == [None, SKIPPED_SIGNATURE, None, "S3"]
    assert calls_of(encode(OLD, messages=old + now)) == [None, None, None, "S3"]


def test_what_a_model_said_goes_back_as_it_was_said() -> None:
    said = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm.", "refusal": None, "audio": None}
    parts = encode(messages=[USER, {**said, **signed("S")}, USER])["contents"][1]["parts"]
    assert parts == [{"text": "Hm.", "thought": True}, {"text": "Yes.", "thoughtSignature": "S"}]


# settings


def test_sampling_and_limits() -> None:
    asked = {
        "temperature": 1.5, "top_p": 0.9, "top_k": 40, "max_completion_tokens": 7, "max_tokens": 9, "n": 2,
        "stop": "END", "presence_penalty": 0.1, "frequency_penalty": -0.1, "seed": 3, "logprobs": True,
        "top_logprobs": 5, "media_resolution": "MEDIA_RESOLUTION_LOW",
    }  # fmt: skip
    assert encode(**asked)["generationConfig"] == {
        "temperature": 1.5, "topP": 0.9, "topK": 40, "maxOutputTokens": 7, "candidateCount": 2,
        "stopSequences": ["END"], "presencePenalty": 0.1, "frequencyPenalty": -0.1, "seed": 3,
        "responseLogprobs": True, "logprobs": 5, "mediaResolution": "MEDIA_RESOLUTION_LOW",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        (NEW, "minimal", {"thinkingLevel": "MINIMAL"}),
        (NEW, "xhigh", {"thinkingLevel": "XHIGH"}),
        ("gemini-flash-latest", "low", {"thinkingLevel": "LOW"}),
        (OLD, "none", {"thinkingBudget": 0}),
        ("models/gemini-2.5-pro", "medium", {"thinkingBudget": 8192}),
    ],
)
def test_effort_is_a_level_or_before_gemini_3_a_budget(model: str, effort: str, config: dict[str, Any]) -> None:
    assert encode(model, reasoning_effort=effort)["generationConfig"] == {"thinkingConfig": config}


def test_fields_of_geminis_own_are_taken_under_chats_spelling_or_googles() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}]
    own = {"thinking_config": {"include_thoughts": True}, "cached_content": "cachedContents/1"}
    body = encode(reasoning_effort="low", safety_settings=safety, labels={"team": "a"}, **own)
    assert body["generationConfig"] == {"thinkingConfig": {"thinkingLevel": "LOW", "include_thoughts": True}}
    assert (body["safetySettings"], body["cachedContent"], body["labels"]) == (
        safety,
        "cachedContents/1",
        {"team": "a"},
    )
    googles = encode(extra_body={"google": {**own, "safety_settings": safety}})
    assert googles == encode(safety_settings=safety, **own)


@pytest.mark.parametrize(("tier", "sent"), [("default", "standard"), ("flex", "flex"), ("priority", "priority")])
def test_service_tiers(tier: str, sent: str) -> None:
    assert encode(service_tier=tier)["serviceTier"] == sent


def test_who_asks_is_for_roadworthy_to_know() -> None:
    assert encode(user="u-1", safety_identifier="u-1") == encode()


NAMED = {"type": "function", "function": {"name": "get_weather"}}


@pytest.mark.parametrize(
    ("choice", "strict", "config"),
    [
        (None, False, None),
        ("auto", False, None),
        ("auto", True, {"mode": "VALIDATED"}),
        ("none", True, {"mode": "NONE"}),
        ("required", False, {"mode": "ANY"}),
        (NAMED, False, {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}, False,
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}, False,
            {"mode": "VALIDATED", "allowedFunctionNames": ["get_weather"]},
        ),
    ],
)  # fmt: skip
def test_tools_and_their_choice(choice: Any, strict: bool, config: Any) -> None:
    body = encode(tools=[function(strict=strict)], tool_choice=choice, parallel_tool_calls=True)
    declared = {"name": "get_weather", "description": "d", "parametersJsonSchema": SCHEMA}
    assert body["tools"] == [{"functionDeclarations": [declared]}]
    assert body.get("toolConfig", {}).get("functionCallingConfig") == config


def test_schemas() -> None:
    described = {"name": "place", "description": "A place.", "schema": SCHEMA, "strict": True}
    config = encode(response_format={"type": "json_schema", "json_schema": described})["generationConfig"]
    schema = {**SCHEMA, "description": "A place."}
    assert config == {"responseMimeType": "application/json", "responseJsonSchema": schema}
    plain = encode(response_format={"type": "json_object"})
    assert plain["generationConfig"] == {"responseMimeType": "application/json"}
    beside = encode(tools=[function()], response_format={"type": "json_schema", "json_schema": described})
    assert beside["generationConfig"]["responseJsonSchema"] == schema


def test_a_constant_is_an_enum_of_one_wherever_a_schema_stands() -> None:
    tag = {"const": "cat", "title": "Kind"}
    schema = {
        "$defs": {"cat": {"properties": {"kind": tag, "const": {"type": "string"}}}},
        "oneOf": [{"const": 1}, {"const": True}],
        "items": {"const": "x"},
    }
    assert enforceable(schema) == {
        "$defs": {"cat": {"properties": {"kind": {"title": "Kind", "enum": ["cat"]}, "const": {"type": "string"}}}},
        "oneOf": [{"enum": [1]}, {"const": True}],
        "items": {"enum": ["x"]},
    }


# what cannot be said


def user(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part]}]}


def image(url: str, **more: str) -> dict[str, Any]:
    return user({"type": "image_url", "image_url": {"url": url, **more}})


AT = "messages[0].content[0]"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"store": True}, "store"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"verbosity": "low"}, "verbosity"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"reasoning_effort": "none"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "thinking_config": {"thinking_budget": 5}}, "reasoning_effort"),
        ({"thinking_config": 5}, "thinking_config"),
        ({"some_new_field": 1}, "some_new_field"),
        ({"extra_body": {"x": 1}}, "extra_body"),
        ({"extra_body": {"google": {"thought_tag_marker": "t"}}}, "extra_body.google.thought_tag_marker"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"tools": 5}, "tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0]"),
        ({"tools": [function(examples=["x"])]}, "tools[0].function.examples"),
        ({"tools": [function()], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [function()], "tool_choice": "some"}, "tool_choice"),
        ({"tools": [function()], "tool_choice": {"type": "function", "function": 5}}, "tool_choice"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "only"}]}, "messages"),
        ({"messages": [USER, {"role": "system", "content": "late"}]}, "messages[1].role"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "x", "name": "ada"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [call(arguments="{")]}]},
         "messages[1].tool_calls[0].function.arguments"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": 5}]}, "messages[1].tool_calls"),
        ({"messages": [USER, {"role": "assistant", "content": "x", "extra_content": {"google": {"x": 1}}}]},
         "messages[1].extra_content"),
        ({"messages": [USER, result("x")]}, "messages[1].tool_call_id"),
        (user({"type": "video_url", "video_url": {"url": "x"}}), AT),
        (user({"type": "input_audio", "input_audio": {"data": "x", "format": "flac"}}), f"{AT}.input_audio.format"),
        (user({"type": "file", "file": {"file_id": "f"}}), f"{AT}.file.file_id"),
        (image("https://example.com/a.png"), f"{AT}.image_url.url"),
        (image("https://generativelanguage.googleapis.com.evil.example/a"), f"{AT}.image_url.url"),
        (image("gs://bucket/a"), f"{AT}.image_url.url"),
        (image("data:image/tiff;base64,AA"), f"{AT}.image_url.url"),
        (image("data:image/png,AA"), f"{AT}.image_url.url"),
        (image("data:image/png;base64,AA", detail="low"), f"{AT}.image_url.detail"),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_refused_by_name(asked: dict[str, Any], field: str) -> None:
    found = refused(**asked)
    assert found.param == field
    assert f"`{field}`" in found.message


def test_before_gemini_3_tools_and_a_schema_exclude_each_other() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    assert refused(OLD, tools=[function()], response_format=schema).param == "response_format"
    assert refused(OLD, reasoning_effort="xhigh").param == "reasoning_effort"


@pytest.mark.parametrize(
    "nothing",
    [
        {"logprobs": False}, {"logit_bias": {}}, {"store": False}, {"modalities": ["text"]}, {"metadata": {}},
        {"seed": None}, {"tools": []}, {"tool_choice": "auto"}, {"parallel_tool_calls": True}, {"stop": None},
        {"parallel_tool_calls": False}, {"response_format": {"type": "text"}}, {"service_tier": "auto"}, {"stop": []},
    ],
    ids=str,
)  # fmt: skip
def test_what_asks_for_nothing_is_no_reason_to_refuse(nothing: dict[str, Any]) -> None:
    assert encode(**nothing) == encode()


def test_what_is_nested_too_deeply_is_refused_in_words() -> None:
    raw = msgspec.Raw(b'{"type":"json_schema","json_schema":{"schema":' + b'{"items":' * 5000 + b"1" + b"}" * 5002)
    with pytest.raises(Unusable) as found:
        wire().encode("chat", {**fields(), "response_format": raw}, stream=False)
    assert (found.value.failure, found.value.status) == ("bad_request", 400)
    assert "nested too deeply" in found.value.message


LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just([]) | st.just({})
NAMES = st.sampled_from(
    [
        "temperature", "top_p", "top_k", "n", "seed", "presence_penalty", "stop", "max_tokens", "logprobs", "user",
        "top_logprobs", "logit_bias", "store", "metadata", "service_tier", "reasoning_effort", "thinking_config",
        "cached_content", "safety_settings", "labels", "response_format", "tools", "tool_choice", "modalities", "audio",
        "prediction", "prompt_cache_key", "extra_body", "something_new", "parallel_tool_calls",
    ]
)  # fmt: skip
UNSAID = {"user", "tool_choice", "parallel_tool_calls", "prompt_cache_key"}
"""Who asks, what means nothing without tools, and a hint of how to save."""


def tried(asked: dict[str, Any]) -> dict[str, Any] | Unusable:
    try:
        return encode(**asked)
    except Unusable as unusable:
        return unusable


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, LEAVES | st.dictionaries(st.text(max_size=3), LEAVES, max_size=2), max_size=3))
def test_every_field_that_asks_for_something_changes_the_request_or_is_named(asked: dict[str, Any]) -> None:
    body = tried(asked)
    if isinstance(body, Unusable):
        assert body.failure == "bad_request"
        assert (body.param or "").split(".")[0].split("[")[0] in asked
        return
    for name in asked:
        if tried({key: value for key, value in asked.items() if key != name}) == body:
            # it asked for nothing: as nothing does, or as the default of its provider
            assert name in UNSAID or not asked[name] or asked[name] in ("auto", "medium", True), name


# embeddings


def embed(**asked: Any) -> dict[str, Any]:
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in asked.items()}
    sent = wire("gemini-embedding-001").encode("embeddings", raw, stream=False)
    assert sent.path == b"/v1beta/models/gemini-embedding-001:batchEmbedContents"
    return json.loads(sent.body)


def test_texts_are_embedded_in_one_batch() -> None:
    model = "models/gemini-embedding-001"
    assert embed(input=["a", "b"], dimensions=256, encoding_format="base64", user="u") == {
        "requests": [
            {"model": model, "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 256},
            {"model": model, "content": {"parts": [{"text": "b"}]}, "outputDimensionality": 256},
        ]
    }
    assert len(embed(input="a")["requests"]) == 1


@pytest.mark.parametrize(("asked", "field"), [({"input": [[1, 2]]}, "input"), ({"input": []}, "input"),
                                              ({"input": "a", "task": "x"}, "task")])  # fmt: skip
def test_what_embeddings_cannot_say_is_named(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Unusable) as found:
        embed(**asked)
    assert found.value.param == field


def test_vertex_has_no_embeddings_here_and_nobody_a_moderation() -> None:
    for target, operation in ((wire(endpoint=VERTEX), "embeddings"), (wire(), "moderation")):
        with pytest.raises(Unusable) as found:
            target.encode(operation, fields(input="x"), stream=False)  # type: ignore[arg-type]
        assert found.value.failure == "bad_request"


def test_a_begun_answer_is_the_last_content_with_which_the_model_goes_on() -> None:
    raw = fields()
    sent = json.loads(wire().encode("chat", wire().prefilled(raw, "Dear Ann,"), stream=True).body)
    assert sent["contents"][-1] == {"role": "model", "parts": [{"text": "Dear Ann,"}]}
    assert raw == fields()
