"""Whatever is asked: nothing is lost on the way there and back, and what cannot be said is named."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.formats.model import Inexpressible
from roadworthy.formats.responses import answer, events, request

EXAMPLES = settings(max_examples=60, deadline=None)

texts = st.text(max_size=8)
words = st.text("abcdefg_", min_size=1, max_size=6)
json_texts = st.sampled_from(["{}", '{"a":1}', '{"a":"\\"ü"}'])


def plain(translated) -> dict:
    return {name: json.loads(msgspec.json.encode(value)) for name, value in translated.items()}


def flat(lists: list[list[dict]]) -> list[dict]:
    return [one for several in lists for one in several]


def fields(values: dict) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in values.items()}


# chat → Responses → chat


def parts(*more):
    text = st.builds(lambda text: {"type": "text", "text": text}, texts)
    # one text alone is told as a text, two are parts
    return st.lists(st.one_of(text, *more), min_size=2, max_size=3)


images = st.builds(
    lambda url, detail: {"type": "image_url", "image_url": {"url": url, "detail": detail}},
    words.map("https://x/{}".format),
    st.sampled_from(["auto", "low", "high"]),
)
files = st.builds(
    lambda name: {"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,AA=="}}, words
)
system = st.builds(
    lambda role, content: {"role": role, "content": content}, st.sampled_from(["system", "developer"]), texts | parts()
)
user = st.builds(lambda content: {"role": "user", "content": content}, texts | parts(images, files))


@st.composite
def turns(draw) -> list[dict]:
    """A turn of the assistant, with the results of its calls, and what the user says then."""
    message: dict = {"role": "assistant", "content": draw(texts.filter(bool) | parts())}
    if draw(st.booleans()):
        message["reasoning_content"] = draw(texts.filter(bool))
    calls = []
    for index in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            told = {"type": "function", "function": {"name": draw(words), "arguments": draw(json_texts)}}
        else:
            told = {"type": "custom", "custom": {"name": draw(words), "input": draw(texts)}}
        calls.append({"id": f"call_{index}", **told})
    if calls:
        message["tool_calls"] = calls
        message["content"] = draw(st.none() | st.just(message["content"]))
    results = [{"role": "tool", "tool_call_id": call["id"], "content": draw(texts | parts(images))} for call in calls]
    return [message, *results, draw(user)]


schemas = st.sampled_from([{"type": "object"}, {"type": "object", "properties": {}, "additionalProperties": False}])


@st.composite
def tools(draw) -> dict:
    if draw(st.booleans()):
        return {
            "type": "function",
            "function": {"name": draw(words), "parameters": draw(schemas), "strict": draw(st.booleans())},
        }
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": draw(texts)}}
    return {
        "type": "custom",
        "custom": {"name": draw(words), "format": draw(st.sampled_from([{"type": "text"}, grammar]))},
    }


chosen = st.builds(lambda name: {"type": "function", "function": {"name": name}}, words)
formats = st.sampled_from([{"type": "text"}, {"type": "json_object"}]) | st.builds(
    lambda name, strict: {"type": "json_schema", "json_schema": {"name": name, "schema": {}, "strict": strict}},
    words,
    st.booleans(),
)
conversations = st.builds(
    lambda prompts, first, rest: [*prompts, first, *flat(rest)],
    st.lists(system, max_size=2),
    user,
    st.lists(turns(), max_size=2),
)
chat_requests = st.fixed_dictionaries(
    {"messages": conversations},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "max_completion_tokens": st.integers(1, 10**6),
        "parallel_tool_calls": st.just(False),
        "tools": st.lists(tools(), min_size=1, max_size=2),
        "tool_choice": st.sampled_from(["none", "required"])
        | chosen
        | st.builds(lambda one: {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [one]}}, chosen),
        "response_format": formats,
        "verbosity": st.sampled_from(["low", "high"]),
        "reasoning_effort": st.sampled_from(["none", "low", "xhigh"]),
        "service_tier": st.just("flex"),
        "safety_identifier": words,
        "user": words,
        "prompt_cache_key": words,
    },
)  # fmt: skip


@EXAMPLES
@given(chat_requests)
def test_a_chat_request_comes_back_as_it_went(asked):
    own = request.from_chat(fields(asked), model="m", stream=True)
    found = request.to_chat(fields(json.loads(msgspec.json.encode(own))))
    assert found.lost is None
    assert plain(found.fields) == {"model": "m", "stream": True, **asked}


# Responses → chat → Responses


def own_parts(*more):
    text = st.builds(lambda text: {"type": "input_text", "text": text}, texts)
    return st.lists(st.one_of(text, *more), min_size=2, max_size=3)


own_images = st.builds(
    lambda url, detail: {"type": "input_image", "image_url": url, "detail": detail},
    words.map("https://x/{}".format),
    st.sampled_from(["auto", "low", "high"]),
)
own_messages = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "developer", "system"]),
    texts | own_parts(own_images),
)
own_calls = st.builds(
    lambda name, arguments, output: [
        {"type": "function_call", "call_id": "c", "name": name, "arguments": arguments},
        {"type": "function_call_output", "call_id": "c", "output": output},
    ],
    words,
    json_texts,
    texts | own_parts(own_images),
)
own_said = st.builds(
    lambda text, asked: [{"type": "message", "role": "assistant", "content": text}, asked],
    texts.filter(bool),
    own_messages,
)
own_items = st.builds(
    lambda first, rest: [first, *flat(rest)], own_messages, st.lists(own_calls | own_said, max_size=3)
)
own_requests = st.fixed_dictionaries(
    {"input": own_items},
    optional={
        "temperature": st.floats(0, 2),
        "max_output_tokens": st.integers(1, 10**6),
        "text": st.fixed_dictionaries(
            {},
            optional={
                "verbosity": st.sampled_from(["low", "high"]),
                "format": st.builds(lambda name: {"type": "json_schema", "name": name, "schema": {}}, words),
            },
        ).filter(bool),
        "reasoning": st.builds(lambda effort: {"effort": effort}, st.sampled_from(["low", "high"])),
        "tools": st.lists(
            st.builds(
                lambda name, schema, strict: {"type": "function", "name": name, "parameters": schema, "strict": strict},
                words,
                schemas,
                st.booleans(),
            ),
            min_size=1,
            max_size=2,
        ),
        "tool_choice": st.builds(lambda name: {"type": "function", "name": name}, words),
        "service_tier": st.just("flex"),
        "include": st.just(["message.output_text.logprobs"]),
    },
)  # fmt: skip


@EXAMPLES
@given(own_requests)
def test_a_responses_request_comes_back_as_it_went(asked):
    found = request.to_chat(fields(asked))
    assert found.lost is None
    own = plain(request.from_chat(found.fields, model="m", stream=False))
    assert own == {"model": "m", "store": False, **asked}


# whatever is asked is said or named

LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | words
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2), max_leaves=5
)
NAMES = [
    "truncation", "max_tool_calls", "context_management", "access_programs", "image", "previous_response_id", "store",
    "background", "conversation", "prompt", "temperature", "reasoning", "text", "tools", "tool_choice", "include",
    "max_output_tokens", "top_logprobs", "stream_options", "seed", "unknown_field",
]  # fmt: skip
SAID_AS = {
    "max_output_tokens": ("max_completion_tokens",),
    "top_logprobs": ("top_logprobs", "logprobs"),
    "include": ("logprobs",),
    "text": ("response_format", "verbosity", "text"),
    "reasoning": ("reasoning_effort", "reasoning"),
}
NOTHING = (None, False, [], {}, 0)


@EXAMPLES
@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING, min_size=1, max_size=4))
def test_every_field_is_said_named_or_asks_for_nothing(asked):
    try:
        found = request.to_chat(fields({"input": "Hi", **asked}))
    except Inexpressible as error:
        found, named = None, error.param
    else:
        named = found.lost.param if found.lost is not None else None
    assert named is None or named.split(".")[0].split("[")[0] in asked
    if found is None:
        return
    for name, value in asked.items():
        if value in NOTHING:
            continue
        if name == "reasoning" and set(value) <= {"summary", "generate_summary"}:
            continue
        if isinstance(value, dict) and all(inner is None for inner in value.values()):
            continue
        assert any(said in found.fields for said in SAID_AS.get(name, (name,))), name


@EXAMPLES
@given(st.dictionaries(words, st.integers(1, 9), min_size=1, max_size=2))
def test_no_member_of_an_item_a_part_or_a_tool_is_dropped_in_silence(more):
    item = {"role": "user", "content": "Hi"}
    part = {"type": "input_text", "text": "Hi"}
    tool = {"type": "function", "name": "f"}
    for asked in (
        {"input": [{**item, **more}]},
        {"input": [{**item, "content": [{**part, **more}]}]},
        {"input": "Hi", "tools": [{**tool, **more}]},
    ):
        found = request.to_chat(fields(asked)).lost
        assert found is not None
        assert found.param.rpartition(".")[2] in more


# streams

pieces = st.lists(
    st.one_of(
        st.builds(lambda text: {"content": text}, texts),
        st.builds(lambda text: {"refusal": text}, texts),
        st.builds(lambda text: {"reasoning_content": text}, texts),
        st.builds(
            lambda index, text: {
                "tool_calls": [{"index": index, "id": f"c{index}", "function": {"name": "f", "arguments": text}}]
            },
            st.integers(0, 2),
            texts,
        ),
    ),
    max_size=6,
)


@EXAMPLES
@given(pieces)
def test_a_stream_says_what_its_chunks_say_however_they_come(deltas):
    teller = events.Translating({}, ident="1", model="m", created=1)
    out = b""
    for delta in deltas:
        out += teller.chunk(json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode())
    out += teller.end([json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).encode()], None)
    data = [block.split(b"\ndata: ")[1] for block in out.split(b"\n\n")[:-1]]
    assert [json.loads(event)["sequence_number"] for event in data] == list(range(len(data)))
    whole = json.loads(data[-1])["response"]
    said = json.loads(answer.to_chat(json.dumps(whole).encode()))["choices"][0]["message"]
    for name in ("content", "refusal", "reasoning_content"):
        assert (said.get(name) or "") == "".join(delta.get(name, "") for delta in deltas)
    told: dict[int, str] = {}
    for delta in deltas:
        for call in delta.get("tool_calls", ()):
            told[call["index"]] = told.get(call["index"], "") + call["function"]["arguments"]
    assert {call["id"]: call["function"]["arguments"] for call in said.get("tool_calls", ())} == {
        f"c{index}": arguments for index, arguments in told.items()
    }
    gathered = json.loads(events.assemble(data[:-1]))
    assert gathered["output"] == whole["output"]
