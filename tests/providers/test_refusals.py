"""A provider's refusal in our words, whatever dialect it speaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.adapters.providers.refusals import refusal
from roadworthy.workflow.model import Target

NOW = 1_700_000_000.0
DATE = b"Tue, 14 Nov 2023 22:13:20 GMT"  # NOW


def refuse(status: int, body: object = b"", headers=()):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return OpenAIWire(Target("t", "openai", "m"), b"/v1", None, now=lambda: NOW).refusal(status, list(headers), data)


def openai(message: str, kind: str = "", code: str | None = None, param: str | None = None) -> dict:
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (401, "misconfigured"), (402, "misconfigured"), (403, "misconfigured"), (404, "misconfigured"),
        (301, "misconfigured"), (405, "misconfigured"), (501, "misconfigured"),
        (429, "overlimit"), (400, "bad_request"), (413, "bad_request"), (422, "bad_request"),
        (408, "unavailable"), (409, "unavailable"), (500, "unavailable"), (502, "unavailable"), (503, "unavailable"),
        (504, "unavailable"), (520, "unavailable"), (529, "unavailable"),
    ],
)  # fmt: skip
def test_a_status_alone_tells_the_failure(status, failure):
    assert refuse(status).failure == failure
    assert refuse(status, b"<html><h1>oops</h1></html>").failure == failure


CASSETTES = json.loads((Path(__file__).parent / "cassettes" / "refusals.json").read_text())


@pytest.mark.parametrize("said", CASSETTES, ids=lambda said: f"{said['provider']}-{said['failure']}")
def test_every_dialect_is_understood(said):
    found = refuse(said["status"], said["body"])
    assert found.failure == said["failure"]
    if found.failure == "context_length":
        assert found.status is not None
        assert 400 <= found.status < 500
        assert found.message


def test_a_bad_request_keeps_the_providers_words_for_the_caller_only():
    found = refuse(
        400, openai("Invalid value: 'my secret prompt'", "invalid_request_error", "invalid_value", "messages[0].role")
    )
    assert (found.failure, found.status, found.param) == ("bad_request", 400, "messages[0].role")
    assert found.message == "Invalid value: 'my secret prompt'"
    assert "secret prompt" not in found.detail
    assert "invalid_value" in found.detail


def test_keys_are_hidden_in_details():
    found = refuse(401, openai("Incorrect API key provided: sk-proj-abc*****************xyz."))
    assert "sk-proj" not in found.detail
    assert "Incorrect API key" in found.detail


def test_fastapi_validation_errors_are_bad_requests():
    found = refuse(422, {"detail": [{"loc": ["body", "n"], "msg": "too large"}]})
    assert found.failure == "bad_request"
    assert "too large" in found.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"3")], 3.0),
        ([(b"retry-after", b"0.5")], 0.5),
        ([(b"retry-after", b"31536000")], 31536000.0),
        ([(b"retry-after", b"-5")], 0.0),
        ([(b"retry-after", b"Tue, 14 Nov 2023 22:13:50 GMT")], 30.0),
        ([(b"retry-after", b"Tue, 14 Nov 2023 22:13:50 GMT"), (b"date", b"Tue, 14 Nov 2023 22:13:45 GMT")], 5.0),
        ([(b"retry-after", b"Tue, 14 Nov 2000 22:13:50 GMT")], 0.0),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"9")], 1.5),
        ([(b"retry-after", b"banana")], None),
        ([(b"retry-after", b"inf")], None),
        ([(b"retry-after", b"nan")], None),
        ([(b"retry-after", b"Tue, 99 Nov 2023 99:13:50 GMT")], None),
        ([(b"retry-after", b"")], None),
        ([], None),
    ],
)
def test_retry_after_is_read_in_every_form(headers, seconds):
    assert refuse(429, b"", headers).retry_after == seconds


def test_googles_retry_delay_is_read_from_the_body():
    body = [{"error": {"code": 429, "message": "quota", "details": [{"@type": "x", "retryDelay": "34s"}]}}]
    assert refuse(429, body).retry_after == 34.0


def test_the_request_id_is_kept():
    assert refuse(500, b"", [(b"x-request-id", b"req_9")]).request_id == "req_9"


@given(
    st.integers(300, 599),
    st.binary(max_size=300) | st.recursive(st.none() | st.text(), st.lists).map(lambda x: json.dumps(x).encode()),
)
def test_any_refusal_is_understood_and_bounded(status, body):
    found = refusal(status, [], body, now=NOW, request_id=None)
    assert len(found.detail) <= 300
    assert found.status is None or 400 <= found.status < 500
