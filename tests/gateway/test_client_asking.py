"""What ``roadworthy.client`` asks of a gateway, and what it makes of every answer and of none."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import httpx2
import msgspec
import pytest
from gateway_live import Live
from gateway_support import TOKEN, completion, release
from stopping_support import stop

from roadworthy.client import (
    AsyncRoadworthy,
    Escalation,
    Flag,
    Limited,
    Refused,
    Roadworthy,
    TimedOut,
    Unavailable,
    Unreachable,
    Unreadable,
    told,
)
from roadworthy.client.polling import JITTER, Polling
from roadworthy.gateway.answers.escalations import News
from roadworthy.gateway.answers.escalations import Told as Fate
from roadworthy.gateway.messages import Request
from roadworthy.workflow.inference import Feedback
from roadworthy.workflow.model import Canned, Handling, Step

Kind = Literal["blocking", "asyncio"]
KINDS: list[Kind] = ["blocking", "asyncio"]
Answers = Callable[[httpx2.Request], httpx2.Response]
PATIENT = 30.0
"""Seconds: a busy machine may take longer than a client waits to connect, and then it polls once more."""
REFUSES: Handling = Handling(ladder={"refused": [Step("escalate")]}, holding=Canned("Soon."))


class Asking:
    """One client of either kind, called the same way."""

    def __init__(self, kind: Kind, url: str, token: str = TOKEN, answers: Answers | None = None) -> None:
        """``answers`` stands in for the network."""
        self.kind = kind
        self.url = url
        self.token = token
        self.now = 0.0
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None
        self.heard: list[int] = []
        """HTTP status of every answer."""
        transport = None if answers is None else httpx2.MockTransport(answers)
        self.options: dict[str, Any] = {} if transport is None else {"transport": transport}
        self._client: Roadworthy | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            if self.kind == "asyncio":
                return asyncio.run(self._awaited(name, given, more))
            if self._client is None:
                http = httpx2.Client(event_hooks={"response": [self._hear]}, **self.options)
                self._client = Roadworthy(
                    self.url, self.token, timeout=PATIENT, http_client=http, clock=lambda: self.now, sleep=self._sleep
                )
            return getattr(self._client, name)(*given, **more)

        return call

    async def _awaited(self, name: str, given: Any, more: Any) -> Any:
        async def sleep(seconds: float) -> None:
            self._sleep(seconds)

        async def hear(response: httpx2.Response) -> None:
            self._hear(response)

        async with (
            httpx2.AsyncClient(event_hooks={"response": [hear]}, **self.options) as http,
            AsyncRoadworthy(
                self.url, self.token, timeout=PATIENT, http_client=http, clock=lambda: self.now, sleep=sleep
            ) as client,
        ):
            return await getattr(client, name)(*given, **more)

    def _hear(self, response: httpx2.Response) -> None:
        self.heard.append(response.status_code)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.on_sleep()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with Live(tmp_path, served=release(handling=REFUSES)) as made:
        made.upstream.cases = {"no": [completion(None, message={"refusal": "I will not."})]}
        yield made


@pytest.fixture(params=KINDS)
def asking(live: Live, request: pytest.FixtureRequest) -> Asking:
    return Asking(request.param, f"http://127.0.0.1:{live.port}/v1")


def handed_over(live: Live) -> str:
    """The id of a call that a person will answer."""
    body = {"model": "support", "messages": [{"role": "user", "content": "no"}]}
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = httpx2.post(f"http://127.0.0.1:{live.port}/v1/chat/completions", json=body, headers=headers)
    said = told(answer)
    assert said is not None
    assert said.escalation is not None
    return said.escalation.id


def push(live: Live, ident: str, status: Any = "answered") -> None:
    """Control tells what became of it."""
    text = {"text": "It arrives tomorrow.", "answered_at": 7.0} if status == "answered" else {}
    body = msgspec.json.encode(News([Fate(ident, "default", "support", status, 9e9, **text)]))  # type: ignore[arg-type]
    request = Request("POST", "/internal/escalations", "", [], body, "", internal=True)
    asyncio.run_coroutine_threadsafe(live.bench.gateway.handle(request), live._loop).result(10)


# --- feedback


def test_feedback_is_in_the_journal_when_it_returns(asking: Asking, live: Live) -> None:
    ident = handed_over(live)
    assert asking.feedback(ident, thumb="down", score=0.25, comment="wrong city", user="u-1") is None
    lines = [line for line in live.bench.lines() if isinstance(line, Feedback)]
    assert [(line.inference, line.name, line.score, line.label, line.by) for line in lines] == [
        (ident, "thumb", 0.0, "down", "u-1"), (ident, "score", 0.25, None, "u-1"),
        (ident, "comment", None, "wrong city", "u-1"),
    ]  # fmt: skip


def test_what_the_gateway_refuses_is_raised_with_its_code_and_words(asking: Asking, live: Live) -> None:
    ident = handed_over(live)
    with pytest.raises(Refused) as caught:
        asking.feedback(ident)
    assert (caught.value.status, caught.value.code) == (400, "invalid_type")
    assert caught.value.message == "Say something: give 'thumb', 'score' or 'comment'."
    assert str(caught.value) == f"{caught.value.message} (400 invalid_type)"
    with pytest.raises(Refused) as caught:
        asking.feedback(ident, score=2)
    assert (caught.value.param, caught.value.should_retry, caught.value.retry_after) == ("score", False, None)
    assert asking.heard == [400, 400]


def test_a_limit_says_when_to_come_again(asking: Asking, live: Live) -> None:
    body = {"error": {"message": "Slowly.", "type": "rate_limit_error", "param": None, "code": "throttled"}}
    limited = Asking(
        asking.kind, "http://ai.test", answers=lambda _: httpx2.Response(429, json=body, headers={"retry-after": "7"})
    )
    with pytest.raises(Limited) as caught:
        limited.feedback("inf_1", thumb="up")
    assert (caught.value.code, caught.value.retry_after) == ("throttled", 7.0)
    assert limited.heard == [429]


# --- escalations


def test_one_poll(asking: Asking, live: Live) -> None:
    ident = handed_over(live)
    pending = asking.escalation(ident)
    assert (pending.id, pending.status, pending.workflow, pending.text) == (ident, "pending", "support", None)
    assert pending.retry_after == 2.0
    push(live, ident)
    answered = asking.escalation(ident)
    assert (answered.status, answered.text, answered.answered_at) == ("answered", "It arrives tomorrow.", 7.0)
    assert answered.answer["choices"][0]["message"]["content"] == answered.text


def test_waiting_polls_until_a_person_has_answered(asking: Asking, live: Live) -> None:
    ident = handed_over(live)
    asking.on_sleep = lambda: push(live, ident) if len(asking.slept) == 4 else None
    found = asking.wait_for_answer(ident, timeout=600)
    assert (found.status, found.text) == ("answered", "It arrives tomorrow.")
    assert len(asking.slept) == 4
    for pause, least in zip(asking.slept, (2.0, 3.0, 4.5, 6.75), strict=True):
        assert least <= pause <= least * (1 + JITTER)


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_waiting_ends_when_nobody_will_answer(asking: Asking, live: Live, status: str) -> None:
    ident = handed_over(live)
    push(live, ident, status)
    found = asking.wait_for_answer(ident, timeout=600)
    assert (found.status, found.answer, asking.slept) == (status, None, [])


def test_waiting_ends_when_its_time_is_up(asking: Asking, live: Live) -> None:
    found = asking.wait_for_answer(handed_over(live), timeout=20)
    assert found.status == "pending"
    assert 17.9 < asking.now <= 20.0


def test_an_escalation_that_this_key_may_not_read_ends_the_waiting_at_once(asking: Asking) -> None:
    with pytest.raises(Refused) as caught:
        asking.wait_for_answer("inf_1", timeout=600)
    assert (caught.value.status, caught.value.code, asking.slept) == (404, "not_found", [])


PENDING = {"id": "inf_1", "object": "roadworthy.escalation", "status": "pending"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_gateway_that_is_away_for_a_while_ends_no_waiting_and_its_word_of_when_to_ask_again_holds(kind: Kind) -> None:
    script: Iterator[Any] = iter(
        [
            httpx2.ConnectError("refused"), httpx2.Response(503, headers={"retry-after": "40"}, text="<html>"),
            httpx2.Response(200, json=PENDING), httpx2.ReadTimeout("silent"),
            httpx2.Response(200, json={**PENDING, "status": "answered", "answer": {"choices": []}}),
        ]
    )  # fmt: skip

    def answers(_: httpx2.Request) -> httpx2.Response:
        found = next(script)
        if isinstance(found, Exception):
            raise found
        return found

    asking = Asking(kind, "http://ai.test", answers=answers)
    assert asking.wait_for_answer("inf_1", timeout=600).status == "answered"
    assert [least <= pause for least, pause in zip((2, 40, 30, 30), asking.slept, strict=True)] == [True] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_gateway_that_never_was_there_is_the_last_error(kind: Kind) -> None:
    def answers(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectTimeout("away")

    asking = Asking(kind, "http://ai.test", answers=answers)
    with pytest.raises(Unreachable, match=r"ai\.test cannot be reached"):
        asking.wait_for_answer("inf_1", timeout=30)
    assert asking.now <= 30


def test_whoever_waits_can_be_told_to_stop() -> None:
    stopped = threading.Event()

    def answers(_: httpx2.Request) -> httpx2.Response:
        stopped.set()  # while the poll is under way
        return httpx2.Response(200, json=PENDING)

    with Roadworthy("http://ai.test", TOKEN, http_client=httpx2.Client(transport=httpx2.MockTransport(answers))) as rw:
        assert rw.wait_for_answer("inf_1", timeout=3600, stop=stopped).status == "pending"


def test_a_task_that_waits_can_be_cancelled() -> None:
    async def run() -> None:
        polled = asyncio.Event()

        def answers(_: httpx2.Request) -> httpx2.Response:
            polled.set()
            return httpx2.Response(200, json=PENDING)

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answers)) as http:
            task = asyncio.create_task(
                AsyncRoadworthy("http://ai.test", TOKEN, http_client=http).wait_for_answer("inf_1", timeout=3600)
            )
            await polled.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())


@pytest.mark.parametrize("chance", [0.0, 0.999])
def test_pauses_grow_to_the_longest_and_end_with_the_time(chance: float) -> None:
    now, pauses = 0.0, []
    polling = Polling(timeout=300.0, longest_pause=30.0, now=now, random=lambda: chance)
    pending = Escalation(
        id="inf_1", status="pending", workflow=None, answer_by=None, answered_at=None, answer=None, retry_after=2.0
    )
    while (pause := polling.heard(pending, now)) is not None:
        pauses.append(pause)
        now += pause
    assert pauses[:2] == pytest.approx([2.0 * (1 + JITTER * chance), 3.0 * (1 + JITTER * chance)])
    assert max(pauses) == pytest.approx(30.0 * (1 + JITTER * chance))
    assert 298.0 < now <= 300.0
    assert len(pauses) < 20
    assert polling.result() is pending


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"message": {"content": "Tomorrow."}}]},
        {"choices": [{"message": {"content": None, "refusal": "Tomorrow."}}]},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": "Tomorrow."}]}]},
        {"output": [{"type": "message", "content": [{"type": "refusal", "refusal": "Tomorrow."}]}]},
        {"type": "message", "content": [{"type": "text", "text": "Tomor"}, {"type": "text", "text": "row."}]},
    ],
)
def test_the_text_of_an_answer_is_read_in_every_format(answer: dict[str, Any]) -> None:
    found = Escalation(id="inf_1", status="answered", workflow="support", answer_by=1.0, answered_at=2.0, answer=answer)
    assert found.text == "Tomorrow."


# --- flags


def test_a_flag_says_whether_the_ai_is_on(asking: Asking, live: Live) -> None:
    flag = asking.is_on("support", user="u-1")
    assert flag
    assert flag == Flag(
        workflow="support", on=True, reason="STATIC", route="release", state="on", release=release().digest
    )
    asyncio.run_coroutine_threadsafe(stop(live.bench), live._loop).result(10)
    flag = asking.is_on("support", user="u-1")
    assert not flag
    assert (flag.reason, flag.state, flag.error) == ("DISABLED", "off", None)


def test_a_flag_that_nobody_can_tell_is_off_and_says_why(asking: Asking, caplog: pytest.LogCaptureFixture) -> None:
    flag = asking.is_on("nothing", user="u-1")
    assert (flag.on, flag.reason, flag.error.code) == (False, "ERROR", "FLAG_NOT_FOUND")
    assert "support" in flag.error.message
    assert "the flag of nothing is off" in caplog.text
    with pytest.raises(Refused, match="FLAG_NOT_FOUND"):
        asking.is_on("nothing", user="u-1", strict=True)
    stranger = Asking(asking.kind, asking.url, "rw-" + "z" * 40)
    assert stranger.is_on("support").error.code == "invalid_api_key"
    nowhere = Asking(asking.kind, "http://127.0.0.1:9")
    assert isinstance(nowhere.is_on("support").error, Unreachable)
    with pytest.raises(Unreachable):
        nowhere.is_on("support", strict=True)


def test_all_flags_at_once_are_sent_again_only_when_they_changed(live: Live) -> None:
    asking = Asking("blocking", f"http://127.0.0.1:{live.port}")
    first = asking.flags("u-1")
    assert dict(first) == {"support": asking.is_on("support", "u-1")}
    assert asking.flags("u-1") == first
    assert not asking.flags("u-1")["nothing"]
    asyncio.run_coroutine_threadsafe(stop(live.bench), live._loop).result(10)
    assert not asking.flags("u-1")["support"]
    assert asking.heard == [200, 200, 304, 304, 200]
    assert asking.flags("u-2")["support"].state == "off"
    assert asking.heard[-1] == 200


@pytest.mark.parametrize("kind", KINDS)
def test_where_nobody_can_tell_every_flag_is_off(kind: Kind) -> None:
    asking = Asking(kind, "http://127.0.0.1:9")
    flags = asking.flags("u-1")
    assert (dict(flags), flags["support"].on) == ({}, False)
    assert isinstance(flags["support"].error, Unreachable)
    with pytest.raises(Unreachable):
        asking.flags("u-1", strict=True)


def test_all_flags_come_over_asyncio_too_with_those_that_need_a_user_off(live: Live) -> None:
    fault = {"key": "ramped", "errorCode": "TARGETING_KEY_MISSING", "errorDetails": "name one"}
    asking = Asking("asyncio", "http://ai.test", answers=lambda _: httpx2.Response(200, json={"flags": [fault]}))
    flag = asking.flags()["ramped"]
    assert (flag.on, flag.error.code, flag.error.message) == (False, "TARGETING_KEY_MISSING", "name one")
    assert dict(Asking("asyncio", f"http://127.0.0.1:{live.port}").flags())["support"].on


# --- where, who, and what answers


def test_models_are_the_workflows_of_the_key(asking: Asking) -> None:
    assert asking.models() == ["support"]


def test_the_base_url_is_that_of_an_openai_client_and_comes_from_the_environment(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADWORTHY_API_KEY", TOKEN)
    for url in (
        f"http://127.0.0.1:{live.port}",
        f"http://127.0.0.1:{live.port}/v1",
        f"http://127.0.0.1:{live.port}/v1/",
    ):
        monkeypatch.setenv("ROADWORTHY_BASE_URL", url)
        with Roadworthy() as rw:
            assert rw.models() == ["support"]


def test_without_a_place_or_a_key_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROADWORTHY_BASE_URL", raising=False)
    monkeypatch.delenv("ROADWORTHY_API_KEY", raising=False)
    with pytest.raises(ValueError, match="ROADWORTHY_BASE_URL"):
        Roadworthy(api_key="rw-x")
    with pytest.raises(ValueError, match="ROADWORTHY_API_KEY"):
        AsyncRoadworthy("https://ai.example.com")
    with pytest.raises(ValueError, match=r"'ai\.example\.com'"):
        Roadworthy("ai.example.com", "rw-x")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((200, {"text": "<html>hello"}), Unreadable, "<html>hello"),
        ((302, {"headers": {"location": "https://login.test"}}), Unreadable, "302"),
        ((200, {"json": []}), Unreadable, "no JSON object"),
        ((200, {"json": {"data": [{}]}}), Unreadable, "'data'"),
        ((502, {"text": "Bad Gateway"}), Unavailable, "502"),
        ((404, {"json": {"detail": "Not Found"}}), Refused, "404"),
        (httpx2.ReadTimeout("silent"), TimedOut, "did not answer in time"),
        (httpx2.ConnectTimeout("silent"), Unreachable, "cannot be reached"),
        (httpx2.RemoteProtocolError("hung up"), Unreachable, "hung up"),
    ],
)
def test_what_is_no_answer_of_a_gateway_has_an_error_of_its_own(
    kind: Kind, answer: Any, error: type[Exception], words: str
) -> None:
    def answers(_: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer[0], **answer[1])

    with pytest.raises(error, match=words) as caught:
        Asking(kind, "http://ai.test", answers=answers).models()
    assert caught.type is error
    assert getattr(caught.value, "code", None) is None


def test_a_gateway_that_takes_the_connection_and_is_silent_is_a_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Roadworthy(url, TOKEN, timeout=0.05) as rw, pytest.raises(TimedOut):
            rw.models()


def test_a_client_that_was_brought_along_is_left_open() -> None:
    http = httpx2.Client()
    Roadworthy("http://ai.test", TOKEN, http_client=http).close()
    assert not http.is_closed
    http.close()


def test_both_kinds_have_the_same_methods_and_parameters() -> None:
    def shape(kind: type) -> dict[str, list[str]]:
        return {
            name: [each for each in inspect.signature(method).parameters if each != "stop"]
            for name, method in vars(kind).items()
            if callable(method) and not name.startswith("__a") and name not in ("__enter__", "__exit__", "_stopped")
        }

    assert shape(Roadworthy) == shape(AsyncRoadworthy)
    assert len(shape(Roadworthy)) == 9
