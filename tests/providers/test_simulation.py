"""The rehearsal target: repeatable, honest in its ledger, and faulty exactly as ordered."""

from __future__ import annotations

import json
import statistics

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.adapters.providers.openai import OpenAIEvents, OpenAIWire
from roadworthy.adapters.providers.simulated import Director, InlineFault
from roadworthy.adapters.providers.simulated_answer import Asked, example
from roadworthy.adapters.providers.simulated_script import STREAM_FAULTS, Script, compose
from roadworthy.gateway.ports import Unusable
from roadworthy.workflow import simulation
from roadworthy.workflow.model import Target
from roadworthy.workflow.simulation import FAULTS, Profile, ProfileError, Seeded, parse

CHAT = "/v1/chat/completions"
SCHEMA = {"type": "object", "properties": {"topic": {"enum": ["bill", "bug"]}}, "required": ["topic"]}


def body(text: str = "Hello there", **more) -> bytes:
    return json.dumps({"model": "gpt-x", "messages": [{"role": "user", "content": text}], **more}).encode()


def run(director: Director, profile: Profile, data: bytes, order: str | None = None, path: str = CHAT) -> Script:
    call = director.call(path, data, msgspec.json.decode(data, type=Asked), order, 1_700_000_000.0)
    return compose(profile, call)


def play(order: str | None = None, profile: Profile | None = None, **more) -> Script:
    profile = profile or Profile()
    return run(Director(profile), profile, body(**more), order)


def sent(script: Script) -> tuple[int, dict[bytes, bytes], bytes]:
    """(status, headers, body with its chunks joined)."""
    head, _, rest = b"".join(data for _, data in script.steps).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    if b"transfer-encoding" not in headers:
        return int(first.split()[1]), headers, rest
    joined = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        joined, rest = joined + rest[:length], rest[length + 2 :]
    return int(first.split()[1]), headers, joined


def message(script: Script) -> dict:
    return json.loads(sent(script)[2])["choices"][0]["message"]


def read(script: Script):
    status, headers, data = sent(script)
    wire = OpenAIWire(Target("t", "simulated", "gpt-x"), b"/v1", None, now=lambda: 1_700_000_000.0)
    if status != 200:
        raise wire.refusal(status, list(headers.items()), data)
    return wire.answer("chat", list(headers.items()), data)


def stream(order: str | None = None, **more) -> tuple[OpenAIEvents, list]:
    script = play(order, stream=True, stream_options={"include_usage": True}, **more)
    reader = OpenAIEvents()
    return reader, reader.feed(sent(script)[2])


# profiles


def test_an_empty_profile_answers_at_once():
    assert parse(None) == Profile()
    assert sum(wait for wait, _ in play().steps) == 0


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"frist_token": 1}, "frist_token"),
        ({"first_token": "fast"}, "first_token"),
        ({"first_token": {"lognormal": {"median": "1s"}}}, "first_token.lognormal"),
        ({"first_token": {"lognormal": {"median": "2s", "p95": "1s"}}}, "first_token.lognormal.p95"),
        ({"first_token": {"quantiles": {0: "1s", 0.5: "2s"}}}, "first_token.quantiles"),
        ({"first_token": {"quantiles": {0: "2s", 1: "1s"}}}, "first_token.quantiles"),
        ({"output_tokens": -1}, "output_tokens"),
        ({"cached_share": 2}, "cached_share"),
        ({"seed": "x"}, "seed"),
        ({"answers": []}, "answers"),
        ({"faults": [{"fault": "explode"}]}, "faults[0]"),
        ({"faults": [{"share": 0.1}]}, "faults[0]"),
        ({"faults": [{"fault": "status", "code": 200}]}, "faults[0].code"),
        ({"faults": [{"fault": "cut", "code": 500}]}, "faults[0].code"),
        ({"faults": [{"fault": "cut", "share": "200%"}]}, "faults[0].share"),
        ({"faults": [{"fault": "cut", "calls": "9-3"}]}, "faults[0].calls"),
        ({"faults": [{"fault": "content", "as": "text"}]}, "faults[0].text"),
        ([], "profile"),
    ],
)
def test_a_profile_that_cannot_run_is_refused_by_field(data, field):
    with pytest.raises(ProfileError) as refused:
        parse(data)
    assert refused.value.field == field
    assert "expected" in str(refused.value)


def draws(data, count: int = 20_000) -> list[float]:
    made = parse({"first_token": data}).first_token
    random = Seeded(1)
    return [made.draw(random) for _ in range(count)]


def test_a_lognormal_has_its_median_and_p95():
    found = statistics.quantiles(draws({"lognormal": {"median": "300ms", "p95": "900ms"}}), n=20)
    assert found[9] == pytest.approx(0.3, rel=0.03)
    assert found[18] == pytest.approx(0.9, rel=0.05)


def test_empirical_quantiles_are_kept():
    found = statistics.quantiles(draws({"quantiles": {0: "100ms", 0.5: "200ms", 0.95: "1s", 1: "4s"}}), n=20)
    assert found[9] == pytest.approx(0.2, rel=0.03)
    assert found[18] == pytest.approx(1.0, rel=0.05)


# repeatable


def test_the_same_calls_get_the_same_answers_in_any_order():
    profile = parse({"first_token": {"lognormal": {"median": 1, "p95": 2}}, "faults": [{"fault": "cut", "share": 0.3}]})
    bodies = [body(str(number % 5)) for number in range(50)]
    told = []
    for calls in (bodies, bodies[::-1]):
        director = Director(profile)
        scripts = [run(director, profile, data) for data in calls]
        told.append(sorted((script.sent.fault or "", script.sent.chars, script.steps[0][0]) for script in scripts))
    assert told[0] == told[1]


def test_another_seed_is_another_run():
    lengths = {"output_tokens": {"lognormal": {"median": 50, "p95": 200}}}
    told = [play(profile=parse({"seed": seed, **lengths})).sent.output for seed in range(9)]
    assert len(set(told)) > 3


def test_a_request_that_names_its_seed_always_gets_the_same_answer():
    profile = parse({"output_tokens": {"lognormal": {"median": 50, "p95": 200}}})
    director = Director(profile)
    answers = {run(director, profile, body(seed=7)).sent.output for _ in range(9)}
    others = {run(director, profile, body()).sent.output for _ in range(9)}
    assert (len(answers), len(others) > 1) == (1, True)


# answers


def test_every_record_says_that_it_was_simulated():
    status, headers, data = sent(play())
    found = json.loads(data)
    assert (status, headers[b"x-simulated"]) == (200, b"true")
    assert (found["model"], found["system_fingerprint"], found["simulated"]) == ("simulated:gpt-x", "simulated", True)


def test_ledger_and_answer_tell_the_same_counts():
    script = play(profile=parse({"cached_share": 0.5, "reasoning_tokens": 3}), text="x" * 80)
    tokens = read(script).tokens
    ledger = script.sent
    assert (tokens.input, tokens.cache_read, tokens.output, tokens.reasoning) == (10, 10, 43, 3)
    assert (ledger.input, ledger.cached, ledger.output, ledger.reasoning) == (10, 10, 43, 3)


def test_a_stream_tells_the_same_as_a_whole_answer():
    whole = message(play(max_tokens=9))["content"]
    reader, chunks = stream(max_tokens=9)
    deltas = [json.loads(chunk.data)["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert len("".join(delta.get("content", "") for delta in deltas).split()) == len(whole.split())
    assert chunks[-1].usage_only
    assert chunks[-1].tokens.output == 9
    assert [chunk.finishes for chunk in chunks if chunk.finishes] == [((0, "length"),)]
    assert reader.done


def test_n_choices_tools_and_logprobs():
    tool = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}
    assert read(play(n=3)).finishes == ("stop",) * 3
    called = message(play(tools=[tool]))
    assert jsonschema_rs.is_valid(SCHEMA, json.loads(called["tool_calls"][0]["function"]["arguments"]))
    assert json.loads(sent(play(logprobs=True))[2])["choices"][0]["logprobs"]["content"][0]["logprob"] == -0.1
    assert [chunk.finishes for chunk in stream(tools=[tool])[1] if chunk.finishes] == [((0, "tool_calls"),)]
    assert "tool_calls" not in message(play(tools=[tool], tool_choice="none"))


def test_waits_come_from_the_profile():
    profile = parse({"first_token": "200ms", "inter_token": "10ms", "output_tokens": 5})
    whole, streamed = play(profile=profile), play(profile=profile, stream=True)
    assert [wait for wait, _ in whole.steps] == [0.2, pytest.approx(0.05)]
    assert streamed.steps[0][0] == 0.2
    assert sum(wait for wait, _ in streamed.steps[1:]) == pytest.approx(0.05)


def test_answers_may_be_given():
    profile = parse({"answers": [{"topic": "bill"}]})
    assert json.loads(message(play(profile=profile))["content"]) == {"topic": "bill"}


SMALL = st.integers(0, 99)
LEAVES = st.one_of(
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"enum": ["a", 1, None]}, {"const": [1]}]),
    st.sampled_from([{"type": ["string", "null"]}, {"type": "string", "format": "date-time"}]),
    st.builds(lambda low, span: {"type": "integer", "minimum": -low, "maximum": span - low}, SMALL, SMALL),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, SMALL),
    st.builds(lambda step: {"type": "integer", "multipleOf": step + 1}, SMALL),
    st.builds(lambda low, span: {"type": "string", "minLength": low, "maxLength": low + span}, SMALL, SMALL),
)


def closed(of: dict) -> dict:
    return {"type": "object", "properties": of, "required": [*of], "additionalProperties": False}


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda item, low: {"type": "array", "items": item, "minItems": low}, inner, st.integers(0, 3)),
        st.builds(closed, st.dictionaries(st.sampled_from("abcd"), inner)),
        st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(SCHEMAS, st.integers(0, 2**64 - 1))
def test_an_answer_satisfies_its_schema(schema, seed):
    assert jsonschema_rs.is_valid(schema, example(schema, Seeded(seed)))


def test_references_and_recursion_are_followed_to_an_end():
    node = closed({"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}})
    schema = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    for seed in range(50):
        assert jsonschema_rs.is_valid(schema, example(schema, Seeded(seed)))


# when faults strike


def struck(rule: dict, calls: int = 100, **more) -> list[int]:
    profile = parse({"faults": [{"fault": "finish", **rule}]})
    director = Director(profile)
    return [number for number in range(1, calls + 1) if run(director, profile, body(str(number), **more)).sent.fault]


def test_faults_strike_by_every_window_marker_and_times():
    assert struck({"every": 10}) == list(range(10, 101, 10))
    assert struck({"calls": "7-9"}) == [7, 8, 9]
    assert struck({"marker": "99"}) == [99]
    assert struck({"every": 10, "times": 2}) == [10, 20]
    assert struck({"fault": "no_done"}) == []


def test_faults_strike_by_share():
    assert 30 < len(struck({"share": "5%"}, calls=1000)) < 75


def test_a_message_may_order_its_fault():
    with pytest.raises(Unusable) as refused:
        read(play(text="please [[fault status code=429 retry_after=2]]"))
    assert (refused.value.failure, refused.value.retry_after) == ("overlimit", 2.0)
    assert read(play(text="[[fault status]]", profile=parse({"inline_faults": False}))).finishes == ("stop",)


def test_an_ordered_fault_may_pass_after_some_times():
    profile = Profile()
    director = Director(profile)
    data = body("[[fault status code=500 times=1]]")
    assert [run(director, profile, data).sent.status for _ in range(3)] == [500, 200, 200]


@pytest.mark.parametrize("order", ["nonsense", "status code=99", "cut at=noon", "status code"])
def test_an_order_that_there_is_not_is_refused(order):
    with pytest.raises(InlineFault):
        play(order)


# what faults do, seen through the wire that the gateway uses


@pytest.mark.parametrize(
    ("order", "failure"),
    [
        ("status code=401", "misconfigured"),
        ("status code=404", "misconfigured"),
        ("status code=529", "unavailable"),
        ("status code=502 html=true", "unavailable"),
        ("status error=context_length", "context_length"),
        ("status error=content_filter", "refused"),
        ("status error=insufficient_quota", "misconfigured"),
        ("body as=html", "invalid"),
        ("body as=empty", "invalid"),
        ("body as=invalid_json", "invalid"),
        ("body as=truncated_json", "invalid"),
    ],
)
def test_a_faulty_answer_is_the_failure_that_it_stands_for(order, failure):
    with pytest.raises(Unusable) as refused:
        read(play(order))
    assert refused.value.failure == failure


@pytest.mark.parametrize(
    ("form", "seconds"), [("2", 2.0), ("date+30", 30.0), ("31536000", 31536000.0), ("banana", None)]
)
def test_retry_after_takes_every_form(form, seconds):
    with pytest.raises(Unusable) as refused:
        read(play(f"status code=429 retry_after={form}"))
    assert refused.value.retry_after == seconds


def test_faults_of_shape():
    assert read(play("body as=no_choices")).empty
    assert read(play("body as=extra_fields")).tokens is not None
    assert read(play("content as=null")).empty
    assert read(play("content as=refusal")).refused
    assert read(play("finish reason=content_filter")).finishes == ("content_filter",)
    assert read(play("finish reason=length")).finishes == ("length",)
    assert read(play("model name=other")).model == "other"
    assert [read(play(f"usage as={kind}")).tokens for kind in ("missing", "zero", "negative")] == [None] * 3
    assert read(play("usage as=huge")).tokens.output == 4000


def test_faults_of_content():
    wanted = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    kinds = ("prose", "schema_violation", "html", "nul", "huge")
    said = {kind: message(play(f"content as={kind}", response_format=wanted))["content"] for kind in kinds}
    assert not jsonschema_rs.is_valid(SCHEMA, json.loads(said["schema_violation"]))
    assert "```json" in said["prose"]
    assert "<script>" in said["html"]
    assert "\x00" in said["nul"]
    assert len(said["huge"]) > 1_000_000


def test_tool_faults():
    tool = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}
    calls = {
        kind: message(play(f"tool as={kind}", tools=[tool]))["tool_calls"][0]["function"]
        for kind in ("unknown", "bad_arguments")
    }
    assert calls["unknown"]["name"] == "unknown_tool"
    with pytest.raises(json.JSONDecodeError):
        json.loads(calls["bad_arguments"]["arguments"])


@pytest.mark.parametrize("order", ["no_done", "error_event", "malformed_chunk", "reordered_chunk"])
def test_a_broken_stream_is_never_done_whole(order):
    reader, chunks = stream(order)
    finished = any(chunk.finishes for chunk in chunks)
    assert not reader.done or reader.failed is not None or (order == "reordered_chunk" and finished)
    if order in ("error_event", "malformed_chunk"):
        assert reader.failed is not None
        assert not finished


@pytest.mark.parametrize("order", ["split_utf8", "mixed_newlines", "usage as=delta_chunk", "long_line bytes=100000"])
def test_an_odd_stream_is_read_whole(order):
    reader, chunks = stream(order)
    assert reader.done
    assert reader.failed is None
    assert sum(chunk.text for chunk in chunks) == 40
    assert chunks[-1].usage_only
    assert chunks[-1].tokens.output == 40


def test_split_utf8_really_splits_a_character():
    pieces = [data for _, data in play("split_utf8", stream=True).steps]
    assert any(not _is_utf8(piece) for piece in pieces)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_faults_of_transport():
    whole = b"".join(data for _, data in play().steps)
    reset, headers, cut = play("reset"), play("reset at=after_headers"), play("cut")
    assert (b"".join(data for _, data in reset.steps), reset.end, reset.whole) == (b"", "reset", False)
    assert b"".join(data for _, data in headers.steps).endswith(b"\r\n\r\n")
    assert 0 < len(b"".join(data for _, data in cut.steps)) < len(whole)
    assert (cut.end, cut.whole, cut.sent.usage) == ("close", False, False)
    stalled = play("stall seconds=30s at=before_first_byte")
    assert stalled.steps[0][0] == 30
    assert play("slow first_token=20s").steps[0][0] == 20
    assert play("slow_close seconds=4s", stream=True).steps[-1] == (4.0, b"0\r\n\r\n")


@pytest.mark.parametrize("name", sorted(FAULTS))
@pytest.mark.parametrize("streamed", [True, False])
def test_every_fault_plays_with_its_defaults_and_is_in_the_ledger(name, streamed):
    profile = parse({"faults": [{"fault": name, **({"as": "null"} if name == "content" else {})}]})
    tool = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
    script = play(profile=profile, stream=streamed, **({"tools": [tool]} if name == "tool" else {}))
    strikes = streamed or name not in STREAM_FAULTS
    assert (script.sent.fault or "").startswith(name if strikes else "")
    assert simulation.fault("x", name, {}).name == name


def test_embeddings_repeat_and_have_length_one():
    profile = parse({"embedding_dimensions": 8})
    data = json.dumps({"model": "e", "input": ["one", "two", "one"]}).encode()
    found = json.loads(sent(run(Director(profile), profile, data, path="/v1/embeddings"))[2])["data"]
    vectors = [item["embedding"] for item in found]
    assert vectors[0] == vectors[2] != vectors[1]
    assert sum(value * value for value in vectors[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("cut", [11, 17, 20, 24, 25, 60, 111, 180])
def test_a_begun_answer_gets_its_rest_and_not_the_fault_that_broke_it(cut: int) -> None:
    profile = parse({"output_tokens": 60})
    director = Director(profile)
    asked = [{"role": "user", "content": "hi [[fault cut times=1]]"}]
    whole = message(run(director, profile, json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()))
    text = whole["content"]
    begun = {"role": "assistant", "content": text[:cut].rstrip()}
    rest = run(director, profile, json.dumps({"messages": [*asked, begun]}).encode())
    assert begun["content"] + message(rest)["content"] == text


def test_a_begun_answer_of_the_profile_gets_its_rest() -> None:
    profile = parse({"answers": ["It is 42, as always.", "Nobody knows."]})
    data = json.dumps({"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "It is 4"}]})
    assert message(run(Director(profile), profile, data.encode()))["content"] == "2, as always."
