"""Bad input at the real process: the OpenAI error shape, a stable code, a bounded cost, and the worker lives on."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.impatient import COMMAND
from support.up import Up, roadworthy
from support.waiting import until, write_files

OWNED = "owners: {workflow: ada, prompt: ada, cost: ada}\nbypass: app\ntarget: main\npolicy: {projected_peak: 9}\n"
FILES = {
    "roadworthy.yaml": (
        "version: 1\ntargets:\n  main: {provider: simulated, model: sim, price: {input: 1, output: 2}}\n"
    ),
    "people.yaml": "people:\n  ada: {name: Ada, email: ada@example.com}\n",
    "workflows/plain/workflow.yaml": OWNED + "prompt: {mode: managed, system: prompt.md}\n",
    "workflows/plain/prompt.md": "You are kind.\n",
    "workflows/held/workflow.yaml": OWNED + "prompt: {mode: app, system: prompt.md}\n",
    "workflows/held/prompt.md": "You are {{ how }}.\n",
}
MEMORY = 160 * 1024 * 1024
"""Most that the worker may ever have taken: its own 60 MB, one body at the limit and what is made of it."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool
    """Did the gateway close the connection after it?"""

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


class Gateway:
    """The running gateway, spoken to byte by byte."""

    def __init__(self, up: Up) -> None:
        self.up = up
        self.token = up.key("app")
        self.address = up.address
        self.worker = up.pid("worker w0")

    def head(self, *more: bytes, first: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
        lines = [first, b"Host: gateway", b"Authorization: Bearer " + self.token.encode(), *more]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def post(self, body: bytes, *more: bytes, path: bytes = b"/v1/chat/completions", method: bytes = b"POST") -> Answer:
        length = b"Content-Length: %d" % len(body)
        return self.say(self.head(length, *more, first=method + b" " + path + b" HTTP/1.1") + body)

    def say(self, *pieces: bytes, method: str = "POST", wait: float = 0.0) -> Answer:
        with socket.create_connection(self.address, timeout=20) as connection:
            return hear(connection, method, *pieces)

    def unharmed(self) -> None:
        """The same worker serves the next call, and nothing of the last one is left."""
        good = self.post(b'{"model":"plain","messages":[{"role":"user","content":"still there?"}]}')
        assert good.status == 200, good.body
        assert self.up.pid("worker w0") == self.worker
        assert self.memory() < MEMORY
        until(self.up.idle, "end of every call")

    def memory(self) -> int:
        """Most bytes that the worker ever held."""
        status = Path(f"/proc/{self.worker}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024


def hear(connection: socket.socket, method: str, *pieces: bytes) -> Answer:
    """Send while listening: a refusal may come before everything was sent."""

    def send() -> None:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:
            pass  # the gateway has heard enough

    sender = threading.Thread(target=send)
    sender.start()
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    body = response.read()
    sender.join(20)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body, response.will_close)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    root = tmp_path_factory.mktemp("b")
    with Up(root, config=write_files(root / "config", FILES), command=COMMAND) as up:
        up.ready("main")
        up.freeze("plain", "held")
        up.prove("plain", "held")
        yield Gateway(up)


@pytest.fixture
def gateway(running: Gateway) -> Iterator[Gateway]:
    """Whatever a test does to it, the gateway is as good as before."""
    yield running
    running.unharmed()


def refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The error of an answer that must have OpenAI's shape and this status and code."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json"), answer
    error = answer.error
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["code"] == code, error
    assert len(error["message"]) < 2000
    assert answer.headers["x-should-retry"] == "false"
    return error


USER = b'"messages":[{"role":"user","content":"x"}]'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"nonsense", "invalid_json"),
        (b"{'model': 'plain'}", "invalid_json"),
        (b'{"model":"plain",}', "invalid_json"),
        (b'{"model":"plain"} {"model":"plain"}', "invalid_json"),
        (b'{"model":NaN}', "invalid_json"),
        (b'{"model":"plain","x":"\x00"}', "invalid_json"),
        (b"\x00" * 1000, "invalid_json"),
        (b'{"model":"plain","x":"\xff\xfe"}', "invalid_json"),
        (b'{"model":"plain","x":"\xed\xa0\x80"}', "invalid_json"),
        ('{"model":"plain"}'.encode("utf-16"), "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b"\x1f\x8b\x08\x00gzipped", "invalid_json"),
        (b"[" * 200_000, "invalid_type"),
        (b'{"x":' * 200_000, "invalid_json"),
        (b'{"model":"plain","x":' + b"[" * 100_000 + b"]" * 100_000 + b"," + USER + b"}", "invalid_json"),
        (b"[]", "invalid_type"),
        (b"null", "invalid_type"),
        (b'"model"', "invalid_type"),
        (b"{}", "invalid_type"),
        (b'{"model":7,' + USER + b"}", "invalid_type"),
        (b'{"model":null,' + USER + b"}", "invalid_type"),
        (b'{"model":"plain"}', "invalid_type"),
        (b'{"model":"plain","messages":null}', "invalid_type"),
        (b'{"model":"plain","messages":{}}', "invalid_type"),
        (b'{"model":"plain","messages":"hello"}', "invalid_type"),
        (b'{"model":"plain","messages":[1,2]}', "invalid_type"),
        (b'{"model":"plain","messages":[{"content":"x"}]}', "invalid_type"),
        (b'{"model":"plain","messages":[{"role":7}]}', "invalid_type"),
        (b'{"model":"held","messages":[{"role":"system","content":{"deep":1}}]}', "bypassed"),
        (b'{"model":"plain","stream":"yes",' + USER + b"}", "invalid_type"),
        (b'{"model":"plain","stream":true,"stream_options":7,' + USER + b"}", "invalid_type"),
        (b'{"model":"plain","n":1e999,' + USER + b"}", "invalid_type"),
        (b'{"model":"plain","n":1234567890,' + USER + b"}", "bad_request"),
        (b'{"model":"plain","n":123456789012345678901234567890,' + USER + b"}", "bad_request"),
        (b'{"model":"plain","user":{},' + USER + b"}", "invalid_type"),
        (b'{"model":"plain","roadworthy":[],' + USER + b"}", "invalid_type"),
        (b'{"model":"plain","roadworthy":{"tags":{"a":1}},' + USER + b"}", "invalid_type"),
        (b'{"model":"plain","roadworthy":{"inputs":{"a":"b"}},' + USER + b"}", "invalid_type"),
        (b'{"model":"plain","messages":[{"role":"user","content":"half \\ud800 pair"}]}', "invalid_json"),
        (b'{"model":"plain\\u0000",' + USER + b"}", "model_not_found"),
        (b'{"model":"' + b"x" * 1_000_000 + b'",' + USER + b"}", "invalid_type"),
        (b'{"model":"' + b"x" * 200 + b'",' + USER + b"}", "model_not_found"),
        (b'{"model":"../../etc/passwd",' + USER + b"}", "model_not_found"),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_a_bad_body_is_refused_with_a_code(gateway: Gateway, body: bytes, code: str) -> None:
    status = {"model_not_found": 404, "bypassed": 503}.get(code, 400)
    refused(gateway.post(body), status, code)


def test_an_unknown_workflow_is_answered_with_those_that_exist(gateway: Gateway) -> None:
    error = refused(gateway.post(b'{"model":"plian",' + USER + b"}"), 404, "model_not_found")
    assert error["param"] == "model"
    assert "held, plain" in error["message"]


@pytest.mark.parametrize(
    "given", [b"", b"Bearer", b"Bearer ", b"Basic dXNlcjpwYXNz", b"Bearer rw-" + b"x" * 40, b"Bearer " + b"x" * 9000,
              b"Bearer \xff\xfe", b"bearer\trw-x"],
)  # fmt: skip
def test_a_key_that_is_none_is_refused(gateway: Gateway, given: bytes) -> None:
    body = b'{"model":"plain",' + USER + b"}"
    lines = [b"POST /v1/chat/completions HTTP/1.1", b"Host: g", b"Content-Length: %d" % len(body)]
    answer = gateway.say(b"\r\n".join([*lines, b"Authorization: " + given]) + b"\r\n\r\n" + body)
    refused(answer, 401, "invalid_api_key")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        (b"GET", b"/v1/chat/completions", 405, "method_not_allowed"),
        (b"DELETE", b"/v1/models", 405, "method_not_allowed"),
        (b"PUT", b"/v1/embeddings", 405, "method_not_allowed"),
        (b"POST", b"/healthz", 405, "method_not_allowed"),
        (b"GET", b"/v1/responses", 405, "method_not_allowed"),
        (b"POST", b"/v1/completions", 404, "route_not_served"),
        (b"POST", b"/v1/chat/completions/", 404, "route_not_served"),
        (b"POST", b"//v1/chat/completions", 404, "not_found"),
        (b"GET", b"/v1/../internal/counters", 404, "route_not_served"),
        (b"GET", b"/internal/counters", 404, "not_found"),
        (b"GET", b"/%2e%2e/%00", 404, "not_found"),
        (b"GET", b"/" + b"x" * 5000, 404, "not_found"),
        (b"GET", b"/" + b"x" * 9000, 414, "bad_request"),
        (b"BREW", b"/v1/models", 400, "bad_request"),
        (b"CONNECT", b"gateway:443", 400, "bad_request"),
    ],
)
def test_a_wrong_method_or_path_is_refused_in_the_same_shape(
    gateway: Gateway, method: bytes, path: bytes, status: int, code: str
) -> None:
    answer = gateway.post(b"", method=method, path=path)
    error = refused(answer, status, code)
    if status == 405:
        assert answer.headers["allow"]
    if code == "route_not_served":
        assert "POST /v1/chat/completions" in error["message"]


# Too much


def test_a_body_of_20_mb_is_refused_before_it_is_read(gateway: Gateway) -> None:
    before = gateway.memory()
    size = 20 * 1024 * 1024
    declared = gateway.say(gateway.head(b"Content-Length: %d" % size), b"x" * size)
    refused(declared, 413, "body_too_large")
    assert declared.closed
    polite = gateway.say(gateway.head(b"Content-Length: %d" % size, b"Expect: 100-continue"))
    refused(polite, 413, "body_too_large")
    assert gateway.memory() - before < 4 * 1024 * 1024


def test_chunks_without_end_are_refused_at_the_limit(gateway: Gateway) -> None:
    piece = b"%x\r\n%b\r\n" % (1024 * 1024, b"x" * 1024 * 1024)
    answer = gateway.say(gateway.head(b"Transfer-Encoding: chunked"), *[piece] * 20)
    refused(answer, 413, "body_too_large")
    assert answer.closed


@pytest.mark.parametrize("model", [b"plain", b"held"])
@pytest.mark.parametrize("role", [b'"role"', b'"\\u0072ole"'])
def test_100_000_messages_are_refused(gateway: Gateway, model: bytes, role: bytes) -> None:
    message = b"{" + role + b':"user","content":"hello"}'
    body = b'{"model":"%b","messages":[%b]}' % (model, b",".join([message] * 100_000))
    refused(gateway.post(body), 400, "bad_request")


@pytest.mark.parametrize(
    "flood",
    [
        [b"X-%d: y" % number for number in range(5000)],
        [b"X: " + b"y" * 200_000],
        [b"X-" + b"y" * 200_000 + b": z"],
        [b"X: y"] * 101,
        [b"x-roadworthy-tag-%d: y" % number for number in range(90)],
    ],
    ids=["many", "one long value", "one long name", "one too many", "tags"],
)
def test_header_floods_are_refused(gateway: Gateway, flood: list[bytes]) -> None:
    body = b'{"model":"plain",' + USER + b"}"
    answer = gateway.post(body, *flood)
    if b"tag" in flood[0]:
        refused(answer, 400, "invalid_type")
    else:
        refused(answer, 431, "headers_too_large")
        assert answer.closed


def test_headers_that_never_end_are_refused_while_they_come(gateway: Gateway) -> None:
    first = gateway.head()[:-2]
    refused(gateway.say(first, *[b"X-Flood: y\r\n" * 1000] * 50), 431, "headers_too_large")


# Too slow


def test_slow_heads_and_bodies_are_told_so_and_cost_others_nothing(gateway: Gateway) -> None:
    parts = [gateway.head()[:40], gateway.head(b"Content-Length: 1000"), gateway.head(b"Content-Length: 1000") + b'{"m',
             gateway.head(b"Transfer-Encoding: chunked") + b"5\r\nab"]  # fmt: skip
    connections = [socket.create_connection(gateway.address, timeout=20) for _ in range(20) for _ in parts]
    for connection, part in zip(connections, parts * 20, strict=True):
        connection.sendall(part)
    assert gateway.post(b'{"model":"plain",' + USER + b"}").status == 200  # meanwhile
    for connection in connections:
        with connection:
            answer = hear(connection, "POST")
            refused(answer, 408, "slow")
            assert answer.closed


def test_a_dribbled_body_is_refused_though_it_never_stops(gateway: Gateway) -> None:
    with socket.create_connection(gateway.address, timeout=20) as connection:
        connection.sendall(gateway.head(b"Content-Length: 1000000"))
        stop = threading.Event()

        def dribble() -> None:
            while not stop.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

        dribbler = threading.Thread(target=dribble)
        dribbler.start()
        refused(hear(connection, "POST"), 408, "slow")
        stop.set()
        dribbler.join()


# Two requests in one


@pytest.mark.parametrize(
    "request_",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd",
        b"Content-Length: +4\r\n\r\nabcd",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        b"X: a\nContent-Length: 4\r\n\r\nabcd",
        b"X: a\0b\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1;a=\nb\r\na\r\n0\r\n\r\n",
        b"Host: elsewhere\r\n\r\n",
    ],
    ids=lambda value: value.split(b"\r\n")[0].decode("latin-1"),
)
def test_what_two_servers_could_read_differently_is_refused_with_all_that_follows(
    gateway: Gateway, request_: bytes
) -> None:
    smuggled = b"GET /v1/models HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer " + gateway.token.encode() + b"\r\n\r\n"
    with socket.create_connection(gateway.address, timeout=20) as connection:
        answer = hear(connection, "POST", gateway.head()[:-2] + request_ + smuggled)
        refused(answer, 400, "bad_request")
        assert answer.closed
        assert connection.recv(100) == b""


# Odd, and still good: whatever is served must be found again


ODD_TEXTS = [
    "nul \\u0000 nul",
    "\\u202e\\ufffe",
    "' OR 1=1; --",
    "[bold]x[/bold] \\u001b[31m",
    "🙂" * 500,
]


@pytest.mark.parametrize("text", ODD_TEXTS, ids=lambda text: text[:12])
def test_odd_text_is_served_logged_and_shown(gateway: Gateway, text: str) -> None:
    asked = '"model":"plain","messages":[{"role":"user","content":"' + text + '"}]'
    kept = text[:60]
    ours = f'"user":"{kept}","roadworthy":{{"tags":{{"odd":"{kept}"}},"session":"{kept}"}}'
    answer = gateway.post(f"{{{asked},{ours}}}".encode())
    assert answer.status == 200, answer.body
    inference = json.loads(answer.body)["roadworthy"]["inference"]
    assert gateway.up.record(inference)["outcome"] == "answered"
    data = ("--data", str(gateway.up.data))
    shown = roadworthy("show", inference, *data).stdout
    assert inference in shown
    assert "\x1b[31m" not in shown
    assert "\x00" not in shown
    assert inference in roadworthy("log", *data, "--json").stdout


def test_odd_headers_are_served_and_logged(gateway: Gateway) -> None:
    body = b'{"model":"plain",' + USER + b"}"
    answer = gateway.post(
        body, b"x-roadworthy-user: \xff\xfe", b"x-roadworthy-session: " + b"s" * 5000,
        b"x-roadworthy-tag-a: \xf0\x9f\x99\x82",
        b"traceparent: 00-zz-zz-01", b"Content-Type: text/plain", b"Cookie: " + b"c" * 4000,
    )  # fmt: skip
    assert answer.status == 200
    record = gateway.up.record(json.loads(answer.body)["roadworthy"]["inference"])
    assert record["unit"] == "ÿþ"
    assert len(record["session"]) == 256
    assert record["tags"] == {"a": "🙂"}


def test_nothing_was_lost_on_the_way(gateway: Gateway) -> None:
    gateway.unharmed()
    lag = gateway.up.admin("POST", "/v1/journal/flush")["lag"]
    assert (lag["malformed"], lag["lost"], lag["duplicates"]) == (0, 0, 0)
    assert lag["stored"] == len(gateway.up.records())
