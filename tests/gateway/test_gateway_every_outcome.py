"""Claims of the official OpenAI client: whatever happens, it reads the declared answer or one clean error.

Every outcome, in every shape that an answer may have to fit, through every way in which the client reads one.  The
client retries twice by default; a call that it sent twice would show in the journal.  What every surface owes its
callers, whatever their client: ``test_surface_outcomes``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import openai
import pytest
from gateway_live import Live
from gateway_support import TOKEN, chunk, completion, key, release
from outcome_cases import (
    CHAT,
    OUTCOMES,
    SCHEMA,
    SHAPES,
    TERMINAL,
    TEXTS,
    TOOL,
    bare,
    bypassing,
    good,
    served,
    strict,
)
from pydantic import BaseModel

from roadworthy.gateway.snapshot import ServedWorkflow
from roadworthy.http1.errors import Disconnected
from roadworthy.workflow.inference import OUTCOMES as WORDS
from roadworthy.workflow.inference import Inference
from roadworthy.workflow.model import Budgets, Bypass, Policy

WAYS = ["create", "stream", "parse", "helper"]
HURRIED = "rw-" + "h" * 40


class Topic(BaseModel, extra="forbid"):
    topic: str


class Mood(BaseModel):
    mood: str


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    releases = [served(shape) for shape in SHAPES] + [
        bare(), strict(), release("poor"), bypassing("old", Bypass()), bypassing("told", Bypass("canned", "Call us.")),
        bypassing("person", Bypass("human")), served("schema_with_json", "ignoring", "ignore"),
    ]  # fmt: skip
    workflows = {
        made.workflow: ServedWorkflow(made.workflow, "default", "enforce", Policy(), made.digest) for made in releases
    }
    poor = Policy(budgets=Budgets(inference=1e-6))
    workflows["poor"] = msgspec.structs.replace(workflows["poor"], policy=poor)
    folder = tmp_path_factory.mktemp("journal")
    hurried = key(HURRIED, requests_per_minute=1)
    with Live(folder, workflows=workflows, releases=releases, keys=[hurried]) as made:
        yield made


@pytest.fixture(autouse=True)
def an_hour_later(live: Live) -> None:
    """Breakers have closed, limits and retry budgets are full again."""
    live.on_loop(live.bench.clock.an_hour)


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{live.port}/v1", api_key=TOKEN, max_retries=2) as made:
        yield made


class Read(msgspec.Struct):
    """What the client made of an answer."""

    content: str | None
    refusal: str | None
    finish: str | None
    told: dict[str, Any]
    parsed: Any = None


def ask(client: openai.OpenAI, way: str, shape: str, case: str, **more: Any) -> Read:
    asked: dict[str, Any] = {
        "model": shape, "messages": [{"role": "user", "content": case}], "user": "u-1", **more,
    }  # fmt: skip
    chats: Any = client.chat.completions
    if shape == "callers_tools":
        asked["tools"] = [TOOL]
    if shape == "callers_schema" and way in ("parse", "helper"):
        asked["response_format"] = Topic
    elif shape == "callers_schema":
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "Topic", "schema": SCHEMA}}
    if way == "stream":
        return _iterated(chats.create(**asked, stream=True))
    if way == "helper":
        with chats.stream(**asked) as events:
            for _ in events:
                pass
            final = events.get_final_completion()
        return _read(final, {})
    return _read(chats.parse(**asked) if way == "parse" else chats.create(**asked), {})


def _read(answer: Any, told: dict[str, Any]) -> Read:
    [choice] = answer.choices
    told = told or (answer.model_extra or {}).get("roadworthy") or {}
    message = choice.message
    return Read(message.content, message.refusal, choice.finish_reason, told, getattr(message, "parsed", None))


def _iterated(stream: Any) -> Read:
    content = refusal = None
    finish: str | None = None
    told: dict[str, Any] = {}
    for piece in stream:
        told = (piece.model_extra or {}).get("roadworthy") or told
        for choice in piece.choices:
            if choice.delta.content is not None:
                content = (content or "") + choice.delta.content
            if choice.delta.refusal is not None:
                refusal = (refusal or "") + choice.delta.refusal
            finish = choice.finish_reason or finish
    return Read(content, refusal, finish, told)


def newest(live: Live) -> Inference:
    return live.records()[-1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OUTCOMES)
def test_every_outcome_reads_as_declared(live: Live, client: openai.OpenAI, name: str, shape: str, way: str) -> None:
    outcome = name.split()[0]
    case = f"{name}, {shape}, {way}"
    live.upstream.cases[case] = OUTCOMES[name](shape, CHAT)
    if outcome == "cached":
        ask(client, way, shape, case)
    before = len(live.records())
    read = ask(client, way, shape, case)
    records = live.records()
    assert len(records) == before + 1
    record = records[-1]
    assert (record.outcome, record.status) == (outcome, 200)
    assert read.finish == "stop"
    if way != "helper":  # the helper's own snapshot leaves out what OpenAI does not define
        assert read.told["outcome"] == outcome
    if outcome in TEXTS:
        if shape == "plain":
            assert (read.content, read.refusal) == (TEXTS[outcome], None)
        elif shape == "schema_with_json":
            assert (msgspec.json.decode(read.content or ""), read.refusal) == ({"topic": outcome}, None)
        else:
            assert (read.content, read.refusal, read.parsed) == (None, TEXTS[outcome], None)
    else:
        assert read.content == ('{"topic": "bill"}' if "schema" in shape else "Hello")
        if shape == "callers_schema" and way in ("parse", "helper"):
            assert read.parsed == Topic(topic="bill")
    if outcome == "cached" and way != "helper":
        assert (read.told["age_seconds"], record.cached_age) == (0, 0.0)
        assert record.cached_from == records[-2].id
    if outcome == "escalated" and way != "helper":
        assert read.told["escalation"]["id"] == record.id
        assert read.told["escalation"]["poll_url"] == f"/v1/escalations/{record.id}"
    assert live.on_loop(live.bench.taken) == 0


@pytest.mark.parametrize("overrides", ["listed", "ignored"])
@pytest.mark.parametrize("outcome", TEXTS)
def test_a_caller_with_another_schema_than_the_releases_reads_what_fits_it(
    live: Live, client: openai.OpenAI, outcome: str, overrides: str
) -> None:
    """The declared JSON satisfies the release's schema, which the caller's may or may not accept."""
    case = f"another schema: {outcome}, {overrides}"
    live.upstream.cases[case] = OUTCOMES[outcome]("schema_with_json", CHAT)
    model = "schema_with_json" if overrides == "listed" else "ignoring"
    messages: Any = [{"role": "user", "content": case}]
    answer = client.chat.completions.parse(model=model, messages=messages, response_format=Mood)
    assert (answer.choices[0].message.parsed, answer.choices[0].message.refusal) == (None, TEXTS[outcome])
    same = client.chat.completions.parse(model=model, messages=messages, response_format=Topic)
    assert same.choices[0].message.parsed == Topic(topic=outcome)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("outcome", TEXTS)
def test_every_choice_that_was_asked_for_is_there(live: Live, client: openai.OpenAI, outcome: str, shape: str) -> None:
    case = f"two choices: {outcome}, {shape}"
    live.upstream.cases[case] = OUTCOMES[outcome](shape, CHAT)
    messages: Any = [{"role": "user", "content": case}]
    answer = client.chat.completions.create(model=shape, messages=messages, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.choices[0].message == answer.choices[1].message
    streamed = client.chat.completions.create(model=shape, messages=messages, n=2, stream=True)
    finished = {choice.index: choice.finish_reason for piece in streamed for choice in piece.choices}
    assert finished == {0: "stop", 1: "stop"}


REFUSED: list[tuple[str, str, Any, int, str]] = [
    *(("bare", *row) for row in TERMINAL),
    ("strict", "unsafe", completion("We guarantee a refund."), 503, "unsafe"),
    ("poor", "overspent", None, 429, "overspent"),
]
"""(model, failure, reply, status, code); without a reply nobody is asked."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("model", "failure", "reply", "status", "code"), REFUSED)
def test_every_failure_without_a_step_is_one_status_error_sent_once(
    live: Live, client: openai.OpenAI, model: str, failure: str, reply: Any, status: int, code: str, way: str
) -> None:
    case = f"refused: {failure}"
    live.upstream.cases[case] = [reply() if callable(reply) else reply]
    sent, before = len(live.upstream.sent), len(live.records())
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, way, model, case)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert (caught.value.response.headers.get("retry-after") == "7") == (failure == "overlimit")
    assert isinstance(caught.value.body, dict)
    assert "guarantee" not in caught.value.response.text
    record = newest(live)
    assert (record.outcome, record.failure, record.code) == ("error" if reply else "limited", failure, code)
    assert len(live.records()) == before + 1
    assert len(live.upstream.sent) == sent + bool(reply)
    assert live.on_loop(live.bench.taken) == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_limited_call_is_one_rate_limit_error_that_says_when_to_come_again(live: Live, way: str) -> None:
    case = "limited"
    live.upstream.cases[case] = [good("plain")]
    with openai.OpenAI(base_url=f"http://127.0.0.1:{live.port}/v1", api_key=HURRIED, max_retries=2) as hurried:
        for _ in range(2):  # the first of them all is admitted
            try:
                ask(hurried, way, "plain", case)
            except openai.RateLimitError:
                break
        before = len(live.records())
        with pytest.raises(openai.RateLimitError) as caught:
            ask(hurried, way, "plain", case)
    assert caught.value.code == "throttled"
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert newest(live).outcome == "limited"
    assert len(live.records()) == before + 1


@pytest.mark.parametrize("way", WAYS)
def test_a_bypass_is_an_error_for_the_app_or_an_answer(live: Live, client: openai.OpenAI, way: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, way, "old", "bypass")
    assert (caught.value.status_code, caught.value.code) == (503, "bypassed")
    assert newest(live).outcome == "bypassed"
    assert ask(client, way, "told", "bypass").content == "Call us."
    assert (newest(live).outcome, newest(live).route) == ("bypassed", "bypass")
    assert ask(client, way, "person", "bypass").content == TEXTS["escalated"]
    record = newest(live)
    assert (record.outcome, record.route, record.failure) == ("escalated", "bypass", None)


def test_a_stream_that_breaks_after_its_first_bytes_raises_in_the_client(live: Live, client: openai.OpenAI) -> None:
    case = "cut after a word"
    live.upstream.cases[case] = [[chunk("Hel"), Disconnected("cut", "in_body")]]
    for way in ("stream", "helper"):
        with pytest.raises(openai.APIError) as caught:
            ask(client, way, "plain", case)
        assert caught.value.code == "truncated"
        record = newest(live)
        assert (record.outcome, record.failure) == ("error", "truncated")


def test_the_matrix_covers_every_outcome() -> None:
    assert {name.split()[0] for name in OUTCOMES} | {"limited", "bypassed", "error", "abandoned"} == set(WORDS)
