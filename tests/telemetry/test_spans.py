"""One inference becomes one span with one child an attempt, in the words of the GenAI conventions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import StatusCode
from telemetry_records import KNOWN, recovered

import roadworthy
from roadworthy.adapters.telemetry import semconv
from roadworthy.adapters.telemetry.spans import Directory, attempt_id, directory, spans
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Configuration, Settings, Target

RESOURCE = Resource({"service.name": "roadworthy"})


def made(record: Inference, known: Directory = KNOWN) -> list[ReadableSpan]:
    return list(spans(record, known, RESOURCE))


def test_an_inference_is_one_span_with_a_child_for_each_attempt() -> None:
    own, first, second = made(recovered())
    assert (own.name, own.kind) == ("invoke_workflow triage", SpanKind.SERVER)
    assert [child.name for child in (first, second)] == ["chat gpt", "chat claude"]
    assert {child.parent.span_id for child in (first, second)} == {own.context.span_id}
    assert len({span.context.trace_id for span in (own, first, second)}) == 1


def test_ids_are_those_that_the_gateway_minted() -> None:
    own = made(recovered())[0]
    assert f"{own.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{own.context.span_id:016x}" == "b7ad6b7169203331"
    assert f"{own.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert own.parent.is_remote


def test_the_same_record_makes_the_same_ids_again() -> None:
    assert [s.context for s in made(recovered())] == [s.context for s in made(recovered())]
    assert attempt_id(1, 0) != attempt_id(1, 1)


def test_a_record_without_ids_still_makes_valid_spans() -> None:
    own = made(recovered(trace="", span="", parent_span="not hex", attempts=[]))[0]
    assert own.context.is_valid
    assert own.parent is None


def test_clocks_are_nanoseconds_of_the_wall() -> None:
    own, _, second = made(recovered())
    assert own.start_time == int(1_763_860_000.25e9)
    assert own.end_time - own.start_time == pytest.approx(3.01e9, rel=1e-6)
    assert second.start_time - own.start_time == pytest.approx(2.01e9, rel=1e-6)


def test_attempts_speak_the_conventions() -> None:
    attributes = made(recovered())[2].attributes
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.provider.name"] == "anthropic"
    assert attributes["gen_ai.request.model"] == "claude"
    assert attributes["gen_ai.response.model"] == "claude-x"
    assert list(attributes["gen_ai.response.finish_reasons"]) == ["stop"]
    assert attributes["gen_ai.usage.input_tokens"] == 312  # cached ones included
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 12
    assert attributes["gen_ai.usage.output_tokens"] == 97
    assert attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.49)


def test_an_embedding_workflow_embeds() -> None:
    assert made(recovered(), Directory(embeddings=frozenset({"triage"})))[1].name == "embeddings gpt"


def test_a_failed_attempt_is_an_error_and_a_recovered_inference_is_not() -> None:
    own, first, second = made(recovered())
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, "no first token")
    assert first.attributes["error.type"] == "slow"
    assert own.status.status_code is second.status.status_code is StatusCode.UNSET
    assert "error.type" not in own.attributes


@pytest.mark.parametrize(
    ("status", "expected"), [(503, StatusCode.ERROR), (0, StatusCode.ERROR), (400, StatusCode.UNSET)]
)
def test_a_servers_span_blames_the_server_only_for_its_own_errors(status: int, expected: StatusCode) -> None:
    own = made(recovered(outcome="error", code="unavailable", status=status))[0]
    assert own.status.status_code is expected
    assert own.attributes["error.type"] == "unavailable"


def test_no_span_holds_a_prompt_an_answer_a_tag_or_the_person() -> None:
    said = "".join(span.to_json() for span in made(recovered()))
    for text in ("secret", "system prompt", "4711", "ada@example.org"):
        assert text not in said
    assert "inf_019abc" in said


def test_a_session_that_stands_in_for_the_person_is_left_out() -> None:
    assert made(recovered())[0].attributes["gen_ai.conversation.id"] == "s-1"
    assert "gen_ai.conversation.id" not in made(recovered(unit_source="session"))[0].attributes


def test_the_directory_names_providers_by_their_host() -> None:
    targets = {
        "a": Target("a", "openai", "m", "https://api.openai.com/v1"),
        "b": Target("b", "openai", "m", "https://us.openai.azure.com/openai/v1"),
        "c": Target("c", "openai", "m", "http://gpu-7:8000/v1"),
        "d": Target("d", "anthropic", "m", "https://proxy.example/anthropic"),
        "e": Target("e", "local", "m"),
        "f": Target("f", "gemini", "m", "https://generativelanguage.googleapis.com/v1beta"),
        "g": Target("g", "gemini", "m", "https://eu-aiplatform.googleapis.com/v1/publishers/google"),
        "h": Target("h", "gemini", "m", "https://proxy.example/gemini"),
        "i": Target("i", "bedrock", "m", "https://bedrock-runtime.eu-central-1.amazonaws.com"),
        "j": Target("j", "bedrock", "m", "https://proxy.example/bedrock"),
    }
    known = directory(Configuration(Settings(), targets, {}, {}))
    assert {name: served.provider for name, served in known.targets.items()} == {
        "a": "openai",
        "b": "azure.ai.openai",
        "c": "openai_compatible",
        "d": "anthropic",
        "e": "roadworthy.local",
        "f": "gcp.gemini",
        "g": "gcp.vertex_ai",
        "h": "gcp.gemini",
        "i": "aws.bedrock",
        "j": "aws.bedrock",
    }
    assert (known.targets["c"].address, known.targets["c"].port) == ("gpu-7", 8000)
    assert known.targets["a"].port == 443


def test_every_gen_ai_name_stands_in_one_module_and_is_the_conventions_own() -> None:
    root = Path(roadworthy.__file__).parent
    places = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if '"gen_ai.' in path.read_text("utf-8")}
    assert places == {"adapters/telemetry/semconv.py"}
    official = {value for value in vars(gen_ai_attributes).values() if isinstance(value, str)}
    ours = {value for value in vars(semconv).values() if isinstance(value, str) and value.startswith("gen_ai.")}
    assert ours <= official


def test_attributes_are_what_a_collector_can_hold() -> None:
    for span in made(recovered(notes=["unit_unknown"])):
        json.loads(span.to_json())
        assert all(value is not None for value in span.attributes.values())
