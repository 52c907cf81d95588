"""docs/when-roadworthy-is-down.md: its wrapper takes the old path whatever became of the gateway, and never another."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest
from gateway_live import Live
from gateway_support import HELLO, TOKEN, completion, release
from gateway_workers import Workers
from stopping_support import stop

from roadworthy.gateway.snapshot import Ramp, ServedWorkflow
from roadworthy.wiring.folders.data_folder import create_folder
from roadworthy.workflow.model import Handling, Policy
from support.provider import Exchange, Recorder, Sent

PAGE = (Path(__file__).parents[2] / "docs" / "when-roadworthy-is-down.md").read_text(encoding="utf-8")
[WRAPPER] = re.findall(r"<!-- the wrapper: a test runs it -->\n```python\n(.*?)```", PAGE, re.DOTALL)
[CALL] = re.findall(r"```python\nreply = (.*?)\n```", PAGE, re.DOTALL)
OLD = "We have your message. A colleague will write to you today."
Answered = Callable[..., Any]


@pytest.fixture(scope="module")
def provider() -> Iterator[Recorder]:
    """The provider that an OpenAI client asks that was told nothing else."""

    def answer(sent: Sent, exchange: Exchange) -> None:
        exchange.whole(completion())

    with Recorder(answer) as made:
        yield made


class App:
    """An app that holds the page's wrapper."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch, *, read: float | None = None) -> None:
        """``read``: seconds of its own patience, where a test cannot wait a minute."""
        monkeypatch.setenv("ROADWORTHY_BASE_URL", url)
        monkeypatch.setenv("ROADWORTHY_API_KEY", TOKEN)
        text = WRAPPER if read is None else WRAPPER.replace("Timeout(65,", f"Timeout({read},")
        assert read is None or text != WRAPPER
        self.names: dict[str, Any] = {"messages": [{"role": "user", "content": "Where is my parcel?"}]}
        exec(compile(text, "when-roadworthy-is-down.md", "exec"), self.names)
        self.gateway: openai.OpenAI = self.names["gateway"]

    def reply(self) -> str:
        """What the customer reads, by the call on the page."""
        made: str = eval(CALL.replace("support-reply", "support"), self.names)
        return made


@pytest.fixture(autouse=True)
def tempted(monkeypatch: pytest.MonkeyPatch, provider: Recorder) -> Iterator[None]:
    """The provider's address and key lie about; nobody uses them."""
    monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-provider")
    yield
    assert provider.sent == []


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "ai")
    return caplog


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records if record.name == "ai"]


def test_it_has_fifteen_lines() -> None:
    assert len([line for line in WRAPPER.splitlines() if line.strip()]) == 15


def test_while_the_gateway_answers_its_answer_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    with Live(tmp_path) as live:
        live.upstream.cases = {"Where is my parcel?": [completion("It arrives tomorrow.")]}
        assert App(f"http://127.0.0.1:{live.port}/v1", monkeypatch).reply() == "It arrives tomorrow."
    assert told(said) == []


def test_without_the_gateways_address_the_app_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROADWORTHY_BASE_URL", raising=False)
    with pytest.raises(KeyError, match="ROADWORTHY_BASE_URL"):
        exec(WRAPPER, {})


# --- nobody there


def test_a_closed_port_is_the_old_path_at_once(monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    assert App(url, monkeypatch).reply() == OLD
    assert told(said) == [(logging.ERROR, "old path: no answer (ConnectError)")]


def test_where_packets_vanish_the_old_path_begins_after_the_connect_time_out(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as open_until_the_end:
        hole = open_until_the_end.enter_context(socket.socket())
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for _ in range(4):  # nobody accepts: soon the kernel drops every packet that asks for a connection
            waiting = open_until_the_end.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(hole.getsockname())
        began = time.monotonic()
        assert App(f"http://127.0.0.1:{hole.getsockname()[1]}/v1", monkeypatch).reply() == OLD
        assert time.monotonic() - began < 30  # not the minute of an answer, nor the OpenAI client's ten
    assert told(said) == [(logging.ERROR, "old path: no answer (ConnectTimeout)")]


def test_a_gateway_that_takes_the_call_and_is_silent_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def listen() -> None:
            while True:
                connection, _ = silent.accept()
                if heard and heard[-1] == b"end":
                    return
                heard.append(connection.recv(65536))
                kept.append(connection)

        kept: list[socket.socket] = []
        listener = threading.Thread(target=listen)
        listener.start()
        try:
            assert App(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", monkeypatch, read=0.2).reply() == OLD
        finally:
            calls = list(heard)
            heard.append(b"end")
            socket.create_connection(silent.getsockname()).close()
            listener.join(10)
            for connection in kept:
                connection.close()
    assert len(calls) == 1
    assert told(said) == [(logging.ERROR, "old path: no answer (ReadTimeout)")]


def test_a_gateway_that_is_killed_under_a_call_and_before_the_next_one(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    asked, go = threading.Event(), threading.Event()

    def slow(sent: Sent, exchange: Exchange) -> None:
        asked.set()
        go.wait(20)

    with Recorder(slow) as upstream:
        gateway = Workers(create_folder(tmp_path_factory.mktemp("k")), upstream.url)
        try:
            app = App(f"http://127.0.0.1:{gateway.port}/v1", monkeypatch)
            replies: list[str] = []
            customer = threading.Thread(target=lambda: replies.append(app.reply()))
            customer.start()
            assert asked.wait(20)
            gateway.processes[0].kill()  # SIGKILL
            gateway.processes[0].wait(20)  # its call may be torn before its port is closed
            customer.join(20)
            replies.append(app.reply())
        finally:
            go.set()
            gateway.end()
        assert replies == [OLD, OLD]
        assert len(upstream.sent) == 1  # the gateway's own, before it died
    [during, after] = told(said)
    assert during[1] in ("old path: no answer (ReadError)", "old path: no answer (RemoteProtocolError)")
    assert after == (logging.ERROR, "old path: no answer (ConnectError)")


# --- the gateway speaks


def test_a_stopped_workflow_is_the_old_path_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    with Live(tmp_path) as live:
        asyncio.run_coroutine_threadsafe(stop(live.bench), live._loop).result(10)
        assert App(f"http://127.0.0.1:{live.port}/v1", monkeypatch).reply() == OLD
        assert live.upstream.sent == []
    [(level, words)] = told(said)
    assert level == logging.INFO
    assert "ai_off" in words


def test_a_user_outside_the_share_gets_the_old_path_and_it_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    with Live(tmp_path) as live:
        flow = ServedWorkflow("support", "default", "enforce", Policy(), release().digest, ramp=Ramp(0.0, "1 %", 2))
        assert live.bench.gateway.world is not None
        keys = live.bench.gateway.world.snapshot.keys
        live.on_loop(
            lambda: live.bench.load(
                workflows={"support": flow}, releases={release().digest: release()}, keys=keys, seq=2
            )
        )
        assert App(f"http://127.0.0.1:{live.port}/v1", monkeypatch).reply() == OLD
        assert live.upstream.sent == []
    [(level, words)] = told(said)
    assert level == logging.INFO
    assert "bypassed" in words


@pytest.mark.parametrize(
    ("token", "case", "level", "words"),
    [
        (TOKEN, (503, [], b"{}"), logging.INFO, "unavailable"),
        ("rw-" + "z" * 40, completion(), logging.ERROR, "invalid_api_key"),
        (TOKEN, (400, [], b'{"error": {"message": "too long", "code": "bad"}}'), logging.ERROR, "bad_request"),
    ],
)
def test_failures_and_mistakes_of_the_app_are_the_old_path_and_only_mistakes_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture,
    token: str, case: Any, level: int, words: str,
) -> None:  # fmt: skip
    with Live(tmp_path, served=release(handling=Handling(ladder={"unavailable": []}))) as live:
        live.upstream.cases = {"Where is my parcel?": [case]}
        app = App(f"http://127.0.0.1:{live.port}/v1", monkeypatch)
        app.gateway.api_key = token
        assert app.reply() == OLD
        assert len(live.upstream.sent) == (token == TOKEN)
    [(found, text)] = told(said)
    assert found == level
    assert words in text


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_a_gateway_behind_it_is_an_error(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture, status: int
) -> None:
    def answer(sent: Sent, exchange: Exchange) -> None:
        exchange.whole(b"<html>Bad Gateway", status=status, kind="text/html")

    with Recorder(answer) as proxy:
        assert App(proxy.url, monkeypatch).reply() == OLD
        assert len(proxy.sent) == 1
    assert [level for level, _ in told(said)] == [logging.ERROR]


def test_a_stream_takes_the_old_path_before_its_first_word_and_is_read_outside_of_the_wrapper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Live(tmp_path) as live:
        live.upstream.cases = {"good": [HELLO]}
        app = App(f"http://127.0.0.1:{live.port}/v1", monkeypatch)

        def ask(gateway: openai.OpenAI) -> Any:
            messages: Any = [{"role": "user", "content": "good"}]
            return gateway.chat.completions.create(model="support", messages=messages, stream=True)

        words = "".join(piece.choices[0].delta.content or "" for piece in app.names["answered"](ask, lambda: []))
        assert words == "Hello"
        asyncio.run_coroutine_threadsafe(stop(live.bench), live._loop).result(10)
        assert app.names["answered"](ask, lambda: OLD) == OLD


def test_what_the_page_says_of_the_deadline_is_the_default() -> None:
    assert Handling().deadline == 60.0
    assert "(60 s unless declared)" in PAGE


def test_an_app_whose_code_is_wrong_hears_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the network and the gateway do is caught."""
    app = App("http://127.0.0.1:9/v1", monkeypatch)
    with pytest.raises(AttributeError):
        app.names["answered"](lambda gateway: gateway.nothing, lambda: OLD)
