"""Every kind of provider has its wire, and every wire keeps the port's promises."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args

import msgspec
import pytest

from roadworthy.adapters.providers.registry import WIRES, wire_for
from roadworthy.gateway.ports import Unusable, Wire
from roadworthy.workflow.model import ProviderKind, Target

KINDS = get_args(ProviderKind)
CHAT = {"messages": msgspec.Raw(b'[{"role":"user","content":"Hello"}]'), "model": msgspec.Raw(b'"support"')}

IN_THE_PATH = {
    "gemini": b"/base/v1/models/exact-model:generateContent",
    "bedrock": b"/base/v1/model/exact-model/converse",
}


def wire(kind: ProviderKind) -> Wire:
    return wire_for(Target("t", kind, "exact-model", endpoint="https://models.test/base/v1"), b"/base/v1/", "secret")


def test_every_kind_of_provider_has_a_wire():
    assert set(WIRES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_names_the_targets_model_and_its_base_path(kind):
    sent = wire(kind).encode("chat", CHAT, stream=False)
    if kind in IN_THE_PATH:
        assert sent.path == IN_THE_PATH[kind]
    else:
        assert json.loads(sent.body)["model"] == "exact-model"
        assert sent.path in (b"/base/v1/chat/completions", b"/base/v1/messages")
    assert all(name == name.lower() for name, _ in sent.headers)
    assert not {b"host", b"content-length"} & {name for name, _ in sent.headers}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 529])
def test_every_wire_reads_a_refusal_without_a_body(kind, status):
    assert wire(kind).refusal(status, [], b"").failure in ("bad_request", "misconfigured", "overlimit", "unavailable")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"a":', b"[" * 100_000, b"\xff"])
def test_no_wire_takes_rubbish_for_an_answer(kind, body):
    with pytest.raises(Unusable) as refused:
        wire(kind).answer("chat", [], body)
    assert refused.value.failure == "invalid"


@pytest.mark.parametrize("kind", KINDS)
def test_no_event_reader_takes_rubbish_for_a_stream(kind):
    for other in (b"<html>not a stream</html>\n\n", b'\n{"choices": []}', b"[]"):
        with pytest.raises(Unusable) as refused:
            wire(kind).events().feed(other)
        assert refused.value.failure == "invalid"
    reader = wire(kind).events()
    assert reader.feed(b"data: {broken\n\ndata: more\n\n") == []
    assert not reader.done
    assert reader.failed is not None


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_body_instead_of_a_stream_is_that_error(kind):
    with pytest.raises(Unusable) as refused:
        wire(kind).events().feed(b'{"error": {"type": "overloaded_error", "message": "Overloaded"}}')
    assert refused.value.failure == "unavailable"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", b'[{"type":"function","function":{"name":"f"}}]'),
        ("tool_choice", b'"required"'),
        ("n", b"2"),
        ("messages", b'[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y"}}]}]'),
    ],
)
def test_the_local_model_is_spared_what_it_cannot_do(field, value):
    with pytest.raises(Unusable) as refused:
        wire("local").encode("chat", {**CHAT, field: msgspec.Raw(value)}, stream=False)
    assert (refused.value.failure, refused.value.param) == ("bad_request", field)


@pytest.mark.parametrize(
    ("field", "value"), [("tools", b"[]"), ("n", b"1"), ("tool_choice", b'"none"'), ("n", b"null")]
)
def test_the_local_model_takes_what_asks_for_nothing(field, value):
    assert wire("local").encode("chat", {**CHAT, field: msgspec.Raw(value)}, stream=True)


def test_a_text_about_image_urls_is_no_image():
    said = msgspec.Raw(json.dumps([{"role": "user", "content": 'what is "image_url"?'}]).encode())
    assert wire("local").encode("chat", {**CHAT, "messages": said}, stream=False)


def test_the_wires_load_nothing_heavy():
    heavy = (
        "pydantic", "yaml", "genai_prices", "numpy", "sqlalchemy", "apsw", "httptools", "xllamacpp", "asyncio",
        "botocore",
    )  # fmt: skip
    code = f"import sys, roadworthy.adapters.providers.registry; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
