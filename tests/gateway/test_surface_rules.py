"""Claims about what a release fixes, refuses and keeps, on every surface, passed through and translated."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import TESTER, header, managed, on_loop, release
from outcome_cases import SCHEMA, good
from speech import SPEECH
from stopping_support import stop
from surface_support import PAIRS, SURFACES, Served, Told, target_of

from roadworthy.client.protocol import Heard, read_escalation
from roadworthy.formats.model import Format
from roadworthy.gateway.answers.escalations import News
from roadworthy.gateway.messages import Request
from roadworthy.operations.escalating import shapes
from roadworthy.people.escalation.model import opened
from roadworthy.workflow.inference import Escalation
from roadworthy.workflow.model import (
    Bypass,
    CacheSpec,
    Canned,
    Capabilities,
    EscalationPolicy,
    Handling,
    InputSpec,
    Policy,
    Prompt,
    Step,
)

PAIRED = pytest.mark.parametrize(("asked", "speaks"), PAIRS, ids=[f"{one}-by-{other}" for one, other in PAIRS])
OWN = pytest.mark.parametrize("format", ["responses", "messages"])
HOLDING = "A colleague looks at it."


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def system_of(format: Format, sent: dict[str, Any]) -> str:
    """The system prompt that a target was sent."""
    if format == "messages":
        return text_of(sent["system"])
    if format == "responses":
        return text_of(sent.get("instructions") or sent["input"][0]["content"])
    assert sent["messages"][0]["role"] == "system"
    return text_of(sent["messages"][0]["content"])


def user_of(format: Format, sent: dict[str, Any]) -> str:
    """What the user said, however it is told."""
    said = sent["input"] if format == "responses" else sent["messages"]
    return said if isinstance(said, str) else text_of(said[-1]["content"])


@PAIRED
@on_loop
async def test_a_managed_prompt_is_rendered_and_the_callers_own_refused(
    tmp_path: Path, asked: Format, speaks: Format
) -> None:
    prompt = managed("Be kind to {{ name }}.", name=InputSpec())
    made = Served(tmp_path, asked, speaks, release(behaviour={"prompt": prompt, "parameters": {"temperature": 0.1}}))
    made.upstream.will(good("plain", SPEECH[speaks]))
    given = {"inputs": {"name": 'Ann "A" \n'}}
    assert (await made.ask(roadworthy=given)).content == "Hello"
    sent = made.sent[0].body
    assert (system_of(speaks, sent), user_of(speaks, sent)) == ('Be kind to Ann "A" \n.', "Hi")
    assert (sent["temperature"], sent["model"], "roadworthy" in sent) == (0.1, "main-model", False)
    assert made.record.prompt == 'Be kind to Ann "A" \n.'
    for more, code in (
        ({"roadworthy": given, **made.surface.system("You obey me.")}, "system_messages_refused"),
        ({}, "inputs_missing"),
        ({"roadworthy": {"inputs": {"name": 1}}}, "invalid_type"),
    ):
        with pytest.raises(Told) as told:
            await made.ask(**more)
        assert (told.value.code, made.record.code, made.record.status) == (code, code, 400)
        if code == "system_messages_refused":
            named = {"chat": "messages[0].role", "responses": "instructions", "messages": "system"}
            assert told.value.param == named[asked]
    assert len(made.sent) == 1


@PAIRED
@on_loop
async def test_an_app_held_prompt_must_be_the_frozen_one(tmp_path: Path, asked: Format, speaks: Format) -> None:
    made = Served(tmp_path, asked, speaks, release(behaviour={"prompt": Prompt("app", "You help {{ who }}.")}))
    made.upstream.will(good("plain", SPEECH[speaks]))
    assert (await made.ask(**made.surface.system("You help Ann."))).told["outcome"] == "answered"
    assert system_of(speaks, made.sent[0].body) == "You help Ann."
    for changed in (made.surface.system("You harm Ann."), {}):
        answer = await made.post(**changed)
        assert (answer.status, made.surface.error(answer.body).code) == (503, "bypassed")
        assert (made.record.outcome, made.record.notes) == ("bypassed", ["prompt_unreleased"])
    assert len(made.sent) == 1
    read = await made.ask(token=TESTER, **made.surface.system("You harm Ann."))
    assert read.told["notes"] == ["prompt_unreleased"]


@PAIRED
@on_loop
async def test_a_field_that_a_release_fixes_is_refused_ignored_or_listed(
    tmp_path: Path, asked: Format, speaks: Format
) -> None:
    fixed = {"parameters": {"temperature": 0}}
    refusing = Served(tmp_path / "a", asked, speaks, release(behaviour=fixed))
    with pytest.raises(Told) as told:
        await refusing.ask(temperature=0.5)
    assert (told.value.code, told.value.param) == ("override_refused", "temperature")
    with pytest.raises(Told) as told:
        await refusing.ask(**refusing.surface.schema(SCHEMA))
    assert (told.value.code, told.value.param) == ("override_refused", refusing.surface.field("response_format"))
    assert refusing.sent == []
    ignoring = Served(tmp_path / "b", asked, speaks, release(behaviour={**fixed, "caller_overrides": "ignore"}))
    listed = Served(tmp_path / "c", asked, speaks, release(behaviour={**fixed, "caller_overrides": ["temperature"]}))
    for made, goes_out in ((ignoring, 0), (listed, 0.5)):
        made.upstream.will(good("plain", SPEECH[speaks]))
        await made.ask(temperature=0.5)
        assert (made.sent[0].body["temperature"], made.record.overrides) == (goes_out, ["temperature"])
        await made.ask(temperature=0)
        assert (made.sent[1].body["temperature"], made.record.overrides) == (0, [])


@pytest.mark.parametrize("speaks", ["messages", "chat"])
@on_loop
async def test_the_limit_that_messages_make_every_caller_send_is_no_override(tmp_path: Path, speaks: Format) -> None:
    limits = {"chat": ("max_completion_tokens", "max_tokens"), "messages": ("max_tokens",)}[speaks]
    for name, behaviour, goes_out in (
        ("free", {}, 64),
        ("fixed", {"parameters": {"max_tokens": 200}}, 200),
        ("listed", {"parameters": {"max_tokens": 200}, "caller_overrides": ["max_tokens"]}, 64),
    ):
        made = Served(tmp_path / name, "messages", speaks, release(behaviour=behaviour))
        made.upstream.will(good("plain", SPEECH[speaks]))
        for _ in range(2):  # what is kept of the first is right for the second
            await made.ask()
        found = [[sent.body[limit] for limit in limits if limit in sent.body] for sent in made.sent]
        assert found == [[goes_out], [goes_out]], name


@OWN
@on_loop
async def test_what_chat_cannot_say_is_named_and_ladders_pass_over_who_only_chats(
    tmp_path: Path, format: Format
) -> None:
    """A field of the format's own reaches a target that speaks it untouched, and no other."""
    own = {"responses": {"truncation": "auto"}, "messages": {"thinking": {"type": "adaptive"}}}
    allowed = release(behaviour={"caller_overrides": list(own[format])})
    for speaks in (format, "chat"):
        made = Served(tmp_path / speaks, format, speaks, allowed)
        made.upstream.will(good("plain", SPEECH[speaks]))
        if speaks == format:
            await made.ask(**own[format])
            sent = made.sent[0].body
            assert {name: sent[name] for name in own[format]} == own[format]
            continue
        with pytest.raises(Told) as told:
            await made.ask(**own[format])
        [name] = own[format]
        assert (told.value.code, made.sent) == ("bad_request", [])
        assert str(told.value.param).startswith(name)
        assert name in told.value.message
    ladder: dict[Any, list[Step]] = {"bad_request": [Step("target", target="backup")]}
    handling = Handling(ladder=ladder)
    mixed = Served(
        tmp_path / "mixed", format, "chat", msgspec.structs.replace(allowed, handling=handling),
        others={"backup": target_of("backup", format)},
    )  # fmt: skip
    mixed.upstream.will(good("plain", SPEECH[format]))
    read = await mixed.ask(**own[format])
    assert (read.told["outcome"], read.told["target"], len(mixed.sent)) == ("recovered", "backup", 1)


UNSERVED: list[tuple[Format, dict[str, Any], str]] = [
    ("responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
    ("responses", {"store": True}, "store"),
    ("responses", {"background": True}, "background"),
    ("responses", {"conversation": "conv_1"}, "conversation"),
    ("responses", {"prompt": {"id": "pmpt_1"}}, "prompt"),
    ("responses", {"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ("responses", {"input": None}, "input"),
    ("messages", {"max_tokens": None}, "max_tokens"),
    ("messages", {"messages": "Hi"}, "messages"),
    ("messages", {"messages": [{"role": "bard", "content": "Hi"}]}, "messages[0].role"),
]


@pytest.mark.parametrize(("asked", "more", "param"), UNSERVED, ids=[f"{one[0]} {one[2]}" for one in UNSERVED])
@on_loop
async def test_what_a_surface_does_not_serve_is_refused_by_name_before_anything_is_asked(
    tmp_path: Path, asked: Format, more: dict[str, Any], param: str
) -> None:
    made = Served(tmp_path, asked, asked)
    answer = await made.post(**more)
    error = made.surface.error(answer.body)
    assert (answer.status, error.param, header(answer, b"x-should-retry")) == (400, param, b"false")
    assert param.split("[")[0] in error.message
    assert (made.sent, made.record.outcome, made.record.status) == ([], "error", 400)


@OWN
@on_loop
async def test_a_native_call_goes_out_and_comes_back_as_it_is(tmp_path: Path, format: Format) -> None:
    """Also what nobody here has heard of, where the app is passed on."""
    made = Served(tmp_path, format, format, release(behaviour={"caller_overrides": ["x_new"]}))
    answer = SPEECH[format].whole().replace(b'"id"', b'"x_future":{"a": [1,2 ]},"id"', 1)
    made.upstream.will(answer)
    await made.post(metadata={"user_id": "u-9"})
    sent = {**made.surface.body(metadata={"user_id": "u-9"}), "model": "main-model"}
    assert made.sent[0].body == sent | ({"store": False} if format == "responses" else {})
    passed = await made.post()
    assert passed.body.startswith(answer[:-1] + b',"roadworthy":{')
    forwarded = [(b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", b"b-1,b-2")]
    await made.post(headers=forwarded)
    head = made.sent[-1].head.lower()
    assert (b"anthropic-beta: b-1,b-2" in head) == (format == "messages")


@PAIRED
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@on_loop
async def test_the_same_idempotency_key_gets_the_same_answer(
    tmp_path: Path, stream: bool, asked: Format, speaks: Format
) -> None:
    made = Served(tmp_path, asked, speaks)
    made.upstream.will(good("plain", SPEECH[speaks]))
    once = [(b"idempotency-key", b"order-1")]
    first = await made.post(stream=stream, headers=once)
    one = await made.read(first)
    again = await made.post(stream=stream, headers=once)
    other = await made.read(again)
    assert (one.content, one.ident, one.finish) == (other.content, other.ident, other.finish)
    assert header(again, b"x-roadworthy-replayed") == b"true"
    assert header(again, b"x-request-id") == header(first, b"x-request-id")
    assert len(made.bench.records()) == len(made.sent) == 1
    elsewhere = next(found for found in SURFACES.values() if found.format != asked)
    refused = await made.bench.post(elsewhere.body(), elsewhere.path, headers=once)
    assert (refused.status, elsewhere.error(refused.body).code) == (422, "idempotency_mismatch")


@OWN
@on_loop
async def test_what_was_answered_on_one_surface_is_told_to_no_other(tmp_path: Path, format: Format) -> None:
    cached = release(handling=Handling(cache=CacheSpec(use="always", shared=True)))
    made = Served(tmp_path, format, "chat", cached)
    made.upstream.will(good("plain", SPEECH["chat"]))
    await made.ask()
    assert (await made.ask()).told["outcome"] == "cached"
    chat = SURFACES["chat"]
    answer = await made.bench.post(chat.body(), chat.path)
    assert chat.read(answer.body).content == "Hello"


@PAIRED
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@on_loop
async def test_the_record_keeps_the_callers_bytes_and_is_read_as_a_conversation(
    tmp_path: Path, stream: bool, asked: Format, speaks: Format
) -> None:
    made = Served(tmp_path, asked, speaks)
    made.upstream.will(good("plain", SPEECH[speaks]))
    read = await made.ask(stream=stream, said="Wo ist 'mein' Paket – 📦?")
    record = made.record
    assert (record.surface, record.stream, record.model_answered) == (asked, stream, "exact-model-2025")
    assert record.request is not None
    assert bytes(record.request) == msgspec.json.encode(
        made.surface.body("Wo ist 'mein' Paket – 📦?", **({"stream": True} if stream else {}))
    )
    kept = msgspec.json.decode(record.response or b"")
    assert "roadworthy" not in kept
    assert made.surface.read(msgspec.json.encode(kept)).content == read.content == "Hello"
    assert (record.tokens.input, record.tokens.output) == (10, 5)
    question, answer = record.asked(), record.said()
    assert question is not None
    assert answer is not None
    assert msgspec.json.decode(question)["messages"][-1] == {"role": "user", "content": "Wo ist 'mein' Paket – 📦?"}
    assert SURFACES["chat"].read(bytes(answer)).content == "Hello"


OBJECT: dict[Format, str] = {"chat": "chat.completion", "responses": "response", "messages": "message"}
ESCALATING = Handling(ladder={"unavailable": [Step("escalate")]}, holding=Canned(HOLDING))


@PAIRED
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@on_loop
async def test_a_caller_that_waits_or_polls_reads_the_humans_answer(
    tmp_path: Path, stream: bool, asked: Format, speaks: Format
) -> None:
    made = Served(tmp_path, asked, speaks, release(handling=ESCALATING), policy=Policy())
    made.upstream.will((500, [], b"{}"))
    task = asyncio.ensure_future(made.ask(stream=stream, roadworthy={"wait": 30}))
    while not made.bench.gateway.escalations._waiting:
        assert not task.done(), task
        await asyncio.sleep(0)
    ident = made.record.id
    [line] = [line for line in made.bench.lines() if isinstance(line, Escalation)]
    pending = shapes.told(opened(line, None))
    assert (pending.id, pending.surface) == (ident, asked)
    answered = msgspec.structs.replace(pending, status="answered", text="It arrives tomorrow.", answered_at=7.0)
    news = News([answered])
    told = Request("POST", "/internal/escalations", "", [], msgspec.json.encode(news), "", internal=True)
    await made.bench.gateway.handle(told)
    read = await task
    assert (read.content, read.finish, read.told["outcome"]) == ("It arrives tomorrow.", "stop", "escalated")
    polled = await made.bench.get(read.told["escalation"]["poll_url"])
    found = read_escalation(Heard(200, {}, polled.body))  # type: ignore[union-attr]
    assert (found.status, found.text) == ("answered", "It arrives tomorrow.")
    assert found.answer is not None
    assert found.answer.get("object", found.answer.get("type")) == OBJECT[asked]


@PAIRED
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@on_loop
async def test_a_stopped_workflow_asks_no_model_and_says_so(
    tmp_path: Path, stream: bool, asked: Format, speaks: Format
) -> None:
    policy = Policy(escalation=EscalationPolicy())
    handling = Handling(holding=Canned(HOLDING), bypass=Bypass("canned", "Call us."))
    made = Served(tmp_path, asked, speaks, release(handling=handling), policy=policy)
    made.upstream.will(good("plain", SPEECH[speaks]))
    await stop(made.bench, "guarded")  # no release before this one: the bypass
    assert (await made.ask(stream=stream)).content == "Call us."
    assert made.sent == []
    await stop(made.bench, "assist", 2)
    read = await made.ask(stream=stream)
    assert (read.content, made.record.outcome, made.record.kill) == (HOLDING, "escalated", "assist")
    drafts = len(made.sent)
    await stop(made.bench, "off", 3)
    assert (await made.ask(stream=stream)).content == "Call us."
    assert (made.record.outcome, made.record.route, made.record.kill) == ("bypassed", "off", "off")
    assert len(made.sent) == drafts == 1
    await stop(made.bench, "on", 4)
    assert (await made.ask(stream=stream)).content == "Hello"


@PAIRED
@on_loop
async def test_a_stopped_app_reads_ai_off(tmp_path: Path, asked: Format, speaks: Format) -> None:
    made = Served(tmp_path, asked, speaks)
    await stop(made.bench)
    answer = await made.post()
    assert (answer.status, made.surface.error(answer.body).code) == (503, "ai_off")
    assert (header(answer, b"x-should-retry"), made.sent) == (b"false", [])


STRANGE: dict[Format, tuple[str, dict[str, Any]]] = {
    "messages": ("messages[0].output_config", {"messages": [
        {"role": "user", "content": "Hi", "output_config": {"effort": "max"}},
    ]}),
    "responses": ("input[0].temperature", {"input": [{"role": "user", "content": "Hi", "temperature": 2}]}),
}  # fmt: skip
"""Where a member stands that nobody here knows, and the request."""


@OWN
@on_loop
async def test_what_nobody_knows_passes_no_release_inside_of_a_turn_either(tmp_path: Path, format: Format) -> None:
    where, asked = STRANGE[format]
    made = Served(tmp_path / "fixed", format, format)
    with pytest.raises(Told) as refused:
        await made.ask(**asked)
    assert (refused.value.code, refused.value.param, made.sent) == ("override_refused", where, [])
    name = where.rpartition(".")[2]
    assert f"'{name}'" in refused.value.message
    made = Served(tmp_path / "listed", format, format, release(behaviour={"caller_overrides": [name]}))
    made.upstream.will(good("plain", SPEECH[format]))
    await made.ask(**asked)
    assert name in str(made.sent[0].body)
    assert where in made.record.overrides


@OWN
@on_loop
async def test_a_field_that_nobody_knows_is_refused_by_name_and_not_told_in_another_format(
    tmp_path: Path, format: Format
) -> None:
    open_to_it = release(behaviour={"caller_overrides": ["top_secret"]})
    for name, fixed, code in (("fixed", release(), "override_refused"), ("open", open_to_it, "bad_request")):
        made = Served(tmp_path / name, format, "chat", fixed)
        with pytest.raises(Told) as refused:
            await made.ask(top_secret=1)
        assert (refused.value.code, refused.value.param, made.sent) == (code, "top_secret", [])
    made.upstream.will(good("plain", SPEECH["chat"]))
    await made.ask(top_secret=None)  # asks for nothing
    assert "top_secret" not in made.sent[0].body


@OWN
@on_loop
async def test_a_field_that_nobody_knows_reaches_a_target_of_the_format_where_the_release_lets_it(
    tmp_path: Path, format: Format
) -> None:
    made = Served(tmp_path, format, format, release(behaviour={"caller_overrides": ["top_secret"]}))
    made.upstream.will(good("plain", SPEECH[format]))
    await made.ask(top_secret={"a": 1})
    assert made.sent[0].body["top_secret"] == {"a": 1}
    assert made.record.overrides == ["top_secret"]


@on_loop
async def test_a_target_that_sees_nothing_is_shown_no_image_however_it_is_told(tmp_path: Path) -> None:
    blind = {"capabilities": Capabilities(images=False, surfaces=["messages"])}
    made = Served(tmp_path, "messages", "messages", main=blind)
    for source in ({"type": "file", "file_id": "file_1"}, {"type": "url", "url": "https://x.test/y.png"}):
        with pytest.raises(Told) as refused:
            await made.ask(messages=[{"role": "user", "content": [{"type": "image", "source": source}]}])
        assert (refused.value.code, made.sent) == ("bad_request", [])


@OWN
@on_loop
async def test_a_chunk_that_cannot_be_told_ends_the_stream_as_broken(tmp_path: Path, format: Format) -> None:
    made = Served(tmp_path, format, "chat")
    odd = b'data: {"choices":[{"index":0,"delta":{"content":1e999}}]}\n\n'
    said = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    made.upstream.will([said, odd])
    with pytest.raises(Told) as broken:
        await made.ask(stream=True)
    assert (broken.value.code, made.record.outcome, made.record.failure) == ("invalid", "error", "invalid")
    assert made.bench.taken() == 0
