"""Claims about requests that cannot be served: the right status, a stable code, a bounded cost, a living worker."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from gateway_support import TOKEN, Bench, chat, header, on_loop, said

from roadworthy.gateway.core import Gateway
from roadworthy.gateway.messages import Request, Response
from roadworthy.gateway.surfaces.table import COUNT, SURFACES


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"nonsense", "invalid_json"),
        (b"[]", "invalid_type"),
        (b'"x"', "invalid_type"),
        (b'{"model":"support","messages":[{"role":"user","content":"\xff\xfe"}]}', "invalid_json"),
        (b'{"model":"support","messages":[{"role":"user","content":"\x00"}]}', "invalid_json"),
        (b'{"model":"support","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
        (b'{"messages":[]}', "invalid_type"),
        (b'{"model":7,"messages":[]}', "invalid_type"),
        (b'{"model":"support"}', "invalid_type"),
        (b'{"model":"support","messages":"Hi"}', "invalid_type"),
        (b'{"model":"support","messages":[],"stream":"yes"}', "invalid_type"),
        (b'{"model":"support","messages":[],"stream":true,"stream_options":[]}', "invalid_type"),
        (b'{"model":"support","messages":[],"n":"two"}', "invalid_type"),
        (b'{"model":"support","messages":[],"user":{}}', "invalid_type"),
        (b'{"model":"support","messages":[],"roadworthy":[]}', "invalid_type"),
        (b'{"model":"support","messages":[],"roadworthy":{"tags":{"a":1}}}', "invalid_type"),
        (b'{"model":"support","messages":[],"roadworthy":{"session":"' + b"x" * 300 + b'"}}', "invalid_type"),
        (b'{"model":"support","messages":[' + b'{"role":"user","content":""},' * 100_000 + b"{}]}", "bad_request"),
    ],
)
@on_loop
async def test_bad_bodies_are_400_with_a_code(tmp_path: Path, body: bytes, code: str) -> None:
    bench = Bench(tmp_path)
    began = time.monotonic()
    answer = await bench.post(body)
    assert time.monotonic() - began < 2
    assert answer.status == 400
    assert said(answer)["error"]["code"] == code
    assert said(answer)["error"]["type"] == "invalid_request_error"
    assert header(answer, b"x-should-retry") == b"false"
    assert bench.upstream.sent == []
    assert (await bench.post()).status == 200
    assert bench.taken() == 0


@on_loop
async def test_too_many_tags_are_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    headers = [(b"x-roadworthy-tag-%d" % number, b"x") for number in range(20)]
    assert said(await bench.post(headers=headers))["error"]["code"] == "invalid_type"


@on_loop
async def test_routes_that_are_not_served_say_what_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for path, code in (
        ("/v1/images/generations", "route_not_served"),
        ("/admin", "not_found"),
        ("/internal/counters", "not_found"),
    ):
        answer = await bench.get(path)
        assert (answer.status, said(answer)["error"]["code"]) == (404, code)
        assert "POST /v1/chat/completions" in said(answer)["error"]["message"]
    answer = await bench.get("/v1/responses/resp_1")
    assert (answer.status, said(answer)["error"]["code"]) == (404, "route_not_served")
    assert "not stored here" in said(answer)["error"]["message"]
    answer = await bench.get("/v1/messages/batches")
    assert (said(answer)["type"], said(answer)["error"]["type"]) == ("error", "not_found_error")
    answer = await bench.get("/v1/chat/completions")
    assert (answer.status, header(answer, b"allow")) == (405, b"POST")
    assert said(answer)["error"]["code"] == "method_not_allowed"
    answer = await bench.get("/v1/models", method="DELETE")
    assert (answer.status, header(answer, b"allow")) == (405, b"GET")


@on_loop
async def test_counters_are_internal(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.post()
    await bench.post(token="wrong")
    report: dict[str, Any] = said(await bench.get("/internal/counters", internal=True))
    assert report["inferences"][0]["outcome"] == "answered"
    assert report["workflows"][0]["tokens_output"] == 5
    assert report["refusals"] == [{"code": "invalid_api_key", "count": 1}]
    assert sum(report["workflows"][0]["latency"]["buckets"]) == 1


@on_loop
async def test_a_worker_is_ready_once_it_has_a_snapshot(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert (await bench.get("/healthz")).status == 200
    assert (await bench.get("/readyz")).status == 200
    world, bench.gateway.world = bench.gateway.world, None
    assert (await bench.get("/healthz")).status == 200
    assert (await bench.get("/readyz")).status == 503
    assert bench.gateway.report().refusals == []  # a probe is no call
    assert (await bench.post()).status == 503
    bench.gateway.world = world
    assert (await bench.post()).status == 200


@on_loop
async def test_what_a_transport_refuses_has_the_same_shape(tmp_path: Path) -> None:
    gateway: Gateway = Bench(tmp_path).gateway
    answer = gateway.refuse(413, "body_too_large", "The body has more than 16 MB.")
    assert (answer.status, said(answer)["error"]["code"]) == (413, "body_too_large")
    assert header(answer, b"x-request-id") == header(answer, b"request-id") != None  # noqa: E711 - no surface is known


@on_loop
async def test_headers_of_any_bytes_do_no_harm(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    odd = bytes(range(128, 256))
    names = (b"x-roadworthy-user", b"x-roadworthy-session", b"x-roadworthy-tag-" + odd[:9], b"traceparent")
    answer = await bench.post(headers=[(name, odd) for name in names])
    assert answer.status == 200
    headers = [(b"authorization", b"Bearer " + TOKEN.encode() + odd)]
    assert (await bench.gateway.handle(Request("POST", "/v1/embeddings", "", headers, b"", ""))).status == 401
    assert (await bench.post(chat(user="u" * 5000))).status == 200
    assert len(bench.records()[-1].unit or "") == 256


REFUSALS: list[tuple[str, dict[str, Any], int]] = [
    ("POST", {"token": "rw-unknown"}, 401),
    ("POST", {"body": b"{"}, 400),
    ("POST", {"body": {"model": "nope"}}, 404),
    ("DELETE", {}, 405),
]


@pytest.mark.parametrize("path", [*SURFACES, COUNT])
@pytest.mark.parametrize(("method", "asked", "status"), REFUSALS)
@on_loop
async def test_whoever_is_refused_has_an_id_to_quote_where_its_client_looks(
    tmp_path: Path, path: str, method: str, asked: dict[str, Any], status: int
) -> None:
    bench = Bench(tmp_path)
    answer = await (bench.post(path=path, **asked) if method == "POST" else bench.get(path, method))
    assert answer.status == status
    ident = (header(answer, b"x-request-id") or b"").decode()
    recorded = [record.id for record in bench.records()]
    assert [ident] == recorded if ident.startswith("inf_") else re.fullmatch("req_[0-9a-f]{32}", ident)
    if path.startswith("/v1/messages"):
        assert header(answer, b"request-id") == ident.encode()
        assert said(answer)["request_id"] == ident
    else:
        assert header(answer, b"request-id") is None


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/support", "/v1/models/nope", "/v1/v1/messages", "/nothing"])
@pytest.mark.parametrize("token", [TOKEN, "rw-unknown"])
@on_loop
async def test_every_other_answer_has_one_too(tmp_path: Path, path: str, token: str) -> None:
    bench = Bench(tmp_path)
    for headers, names in (([], [b"x-request-id"]), ([(b"anthropic-version", b"1")], [b"x-request-id", b"request-id"])):
        sent = [(b"authorization", b"Bearer " + token.encode()), *headers]
        answer = await bench.gateway.handle(Request("GET", path, "", sent, b"", "127.0.0.1"))
        assert isinstance(answer, Response)
        idents = [header(answer, name) for name in names]
        assert len(set(idents)) == 1
        assert re.fullmatch(rb"req_[0-9a-f]{32}", idents[0] or b"")
        if answer.status >= 400 and headers:
            assert said(answer)["request_id"].encode() == idents[0]
    assert bench.records() == []
