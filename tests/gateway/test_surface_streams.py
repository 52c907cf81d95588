"""Claims about streams on every surface: hedged, continued, held back, buffered, left, stopped and hostile ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import PRICE, Pause, chunk, header, on_loop, release
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outcome_cases import SCHEMA, good, strict
from speech import MODEL, SPEECH
from stopping_support import stop
from surface_support import PAIRS, Served, Stands, Told

from roadworthy.cost.rules import cost_of
from roadworthy.formats.model import Format
from roadworthy.gateway.messages import StreamResponse
from roadworthy.http1.errors import Disconnected
from roadworthy.workflow.inference import Tokens
from roadworthy.workflow.model import CacheSpec, Capabilities, Handling, Hedge, Step

PAIRED = pytest.mark.parametrize(("asked", "speaks"), PAIRS, ids=[f"{one}-by-{other}" for one, other in PAIRS])
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
BROKEN = Disconnected("cut", "in_body")
TEXT = "Your order was sent on Monday and should arrive within two days."


@pytest.fixture(scope="module")
def stands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stands]:
    odd = release(behaviour={"caller_overrides": ["tools"]}, handling=Handling(ladder={}, cache=CacheSpec()))
    made = Stands(lambda: tmp_path_factory.mktemp("journal"), lambda *pair: Served(*pair, odd))
    yield made
    made.close()


def words(text: str, size: int = 5) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


async def until(true: Any) -> None:
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")


@PAIRED
@WAYS
@on_loop
async def test_a_late_call_is_hedged_and_the_first_good_answer_told_once(
    tmp_path: Path, stream: bool, asked: Format, speaks: Format
) -> None:
    made = Served(tmp_path, asked, speaks, release(handling=Handling(hedge=Hedge(after=0.5, share=1.0))))
    answer = good("plain", SPEECH[speaks])
    made.upstream.will(asyncio.Event(), answer)
    read = await made.ask(stream=stream)
    assert (read.content, read.told["outcome"]) == ("Hello", "recovered")
    assert [attempt.step for attempt in made.record.attempts] == ["first", "hedge"]
    assert made.bench.taken() == 0


@PAIRED
@on_loop
async def test_a_broken_stream_is_continued_in_the_callers_words(tmp_path: Path, asked: Format, speaks: Format) -> None:
    able = {"capabilities": Capabilities(prefill="native", surfaces=[speaks])}
    made = Served(tmp_path, asked, speaks, release(handling=Handling(continuation=1)), main=able)
    said = SPEECH[speaks]
    made.upstream.will([*said.begun(*words(TEXT[:30])), BROKEN], said.stream(*words(TEXT[30:])))
    read = await made.ask(stream=True)
    assert (read.content, read.finish, read.told["outcome"]) == (TEXT, "stop", "recovered")
    assert read.told["seams"] == [{"at": 30, "target": "main"}]
    record = made.record
    assert (record.outcome, record.notes, record.surface) == ("recovered", ["continued"], asked)
    assert record.model_answered == MODEL
    assert made.surface.read(bytes(record.response or b"")).content == TEXT
    made.upstream.will([*said.begun(*words(TEXT[:30])), BROKEN], (500, [], b"{}"))
    with pytest.raises(Told) as told:
        await made.ask(stream=True)
    assert told.value.code == "truncated"
    assert made.bench.taken() == 0


@PAIRED
@pytest.mark.parametrize("mode", ["windowed", "buffered", "passthrough"])
@on_loop
async def test_a_stream_is_checked_as_its_release_says(
    tmp_path: Path, mode: Any, asked: Format, speaks: Format
) -> None:
    """Windowed and buffered ones climb the ladder; one that was passed on is recorded."""
    unsafe = strict().handling
    ladder: dict[Any, list[Step]] = {"unsafe": [Step("target", target="backup")]}
    handling = msgspec.structs.replace(unsafe, stream=mode, window=30, ladder=ladder)
    made = Served(tmp_path, asked, speaks, release(handling=handling))
    said = SPEECH[speaks]
    bad, fine = ["We", " guarantee", " it.", *words(TEXT)], words(TEXT)
    replies = [{"whole": said.whole("".join(one)), "stream": said.stream(*one)} for one in (bad, fine)]
    made.upstream.will(*replies)
    read = await made.ask(stream=True)
    record = made.record
    assert [check.passed for check in record.checks] == [mode != "passthrough"]
    if mode == "passthrough":
        assert (read.content, record.outcome) == ("".join(bad), "answered")
    else:
        assert (read.content, record.outcome, record.target) == (TEXT, "recovered", "backup")
    asked_in = {"chat": "messages", "responses": "input", "messages": "max_tokens"}
    assert all(asked_in[speaks] in sent.body for sent in made.sent)
    assert [bool(sent.body.get("stream")) for sent in made.sent] == [mode != "buffered"] * len(made.sent)


@PAIRED
@on_loop
async def test_a_finding_after_text_has_left_ends_a_windowed_stream(
    tmp_path: Path, asked: Format, speaks: Format
) -> None:
    handling = msgspec.structs.replace(strict().handling, stream="windowed", window=30)
    made = Served(tmp_path, asked, speaks, release(handling=handling))
    made.upstream.will(SPEECH[speaks].stream(*words(TEXT), "We", " guarantee", " it."))
    with pytest.raises(Told) as told:
        await made.ask(stream=True)
    assert told.value.code == "unsafe"
    assert "guarantee" not in told.value.message
    assert b"guarantee" not in bytes(made.record.response or b"")


@PAIRED
@WAYS
@on_loop
async def test_a_client_that_leaves_is_recorded_as_abandoned_with_what_it_read(
    tmp_path: Path, stream: bool, asked: Format, speaks: Format
) -> None:
    made = Served(tmp_path, asked, speaks)
    if stream:
        made.upstream.will([*SPEECH[speaks].begun("Hel", "lo"), Pause()])
        answer = await made.post(stream=True)
        assert isinstance(answer, StreamResponse)
        assert await anext(answer.chunks)
        await answer.chunks.aclose()  # type: ignore[attr-defined]
        read = msgspec.json.decode(made.record.response or b"")
        assert "Hel" in str(read)
    else:
        made.upstream.gate = asyncio.Event()
        task = asyncio.ensure_future(made.post())
        await until(lambda: made.sent)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    record = made.record
    assert (record.outcome, record.status, record.surface) == ("abandoned", 499, asked)
    assert (record.attempts[0].tokens_estimated, made.bench.taken()) == (True, 0)


def counted(word: str, output: int) -> bytes:
    """A chunk of a provider that tells its usage as it goes."""
    return chunk(word, usage={"prompt_tokens": 10, "completion_tokens": output, "total_tokens": 10 + output})


STARTED = (
    SPEECH["messages"]
    .begun()[0]
    .replace(b'"input_tokens":10,', b'"input_tokens":10,"cache_read_input_tokens":30,"cache_creation_input_tokens":7,')
)
TOLD_SO_FAR: dict[Format, tuple[list[bytes], Tokens]] = {
    "chat": ([counted("Hel", 3), counted("lo", 5), chunk("!")], Tokens(10, 0, 0, 6)),
    "messages": ([STARTED, *SPEECH["messages"].begun("Hel", "lo")[1:]], Tokens(10, 30, 7, 3)),
}
"""What a provider says before it is cut, and what is charged: what it told, and a token for each event that it did not
count."""


@pytest.mark.parametrize("end", ["torn", "left", "stopped"])
@pytest.mark.parametrize(("asked", "speaks"), [pair for pair in PAIRS if pair[1] in TOLD_SO_FAR])
@on_loop
async def test_a_cut_stream_is_charged_by_what_its_provider_had_told(
    tmp_path: Path, asked: Format, speaks: Format, end: str
) -> None:
    made = Served(tmp_path, asked, speaks)
    pieces, tokens = TOLD_SO_FAR[speaks]
    made.upstream.will([b"".join(pieces), BROKEN if end == "torn" else Pause()])
    answer = await made.post(stream=True)
    first = await anext(answer.chunks)
    if end == "left":
        await answer.chunks.aclose()
    elif end == "stopped":
        await stop(made.bench, streams="cut")
    rest = b"".join([piece async for piece in answer.chunks])
    assert b'"usage":{"prompt_tokens":10,' not in first + rest  # a caller of chat has not asked for it
    [attempt] = made.record.attempts
    assert (attempt.tokens, attempt.tokens_estimated) == (tokens, True)
    assert made.record.cost_usd == pytest.approx(cost_of(tokens, PRICE))


AT_ONCE: dict[Format, bytes] = {
    "chat": b'data: {"error":{"type":"overloaded_error","message":"full"}}\n\n',
    "responses": b'event: error\ndata: {"type":"error","code":"server_is_overloaded","message":"full"}\n\n',
    "messages": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"full"}}\n\n',
}


@PAIRED
@WAYS
@on_loop
async def test_an_error_that_a_provider_tells_under_a_good_status_costs_nothing(
    tmp_path: Path, stream: bool, asked: Format, speaks: Format
) -> None:
    made = Served(tmp_path, asked, speaks, release(handling=Handling(ladder={"unavailable": []})))
    said = AT_ONCE[speaks].partition(b"data: ")[2].strip() if speaks != "responses" else b'{"error":{"code":"x"}}'
    made.upstream.will({"whole": said, "stream": [AT_ONCE[speaks]]})
    with pytest.raises(Told) as told:
        await made.ask(stream=stream)
    [attempt] = made.record.attempts
    assert (told.value.code, attempt.tokens, made.record.cost_usd) == ("unavailable", None, 0.0)


@PAIRED
@on_loop
async def test_a_stream_that_is_stopped_is_cut_with_an_explicit_error(
    tmp_path: Path, asked: Format, speaks: Format
) -> None:
    made = Served(tmp_path, asked, speaks)
    made.upstream.will([*SPEECH[speaks].begun("Hel"), pause := Pause(), *SPEECH[speaks].stream("lo")])
    answer = await made.post(stream=True)
    first = await anext(answer.chunks)
    await stop(made.bench, streams="cut")
    assert made.upstream.streams[0].aborted
    pause.go.set()
    rest = b"".join([piece async for piece in answer.chunks])
    with pytest.raises(Told) as told:
        made.surface.events(first + rest)
    assert told.value.code == "ai_off"
    assert (made.record.outcome, made.record.kill, made.bench.taken()) == ("bypassed", "off", 0)


@PAIRED
@WAYS
@on_loop
async def test_calls_of_tools_are_told_as_calls_and_checked(
    tmp_path: Path, stream: bool, asked: Format, speaks: Format
) -> None:
    handling = Handling(ladder={"invalid": [Step("retry", backoff=0.0)]}, stream="buffered")
    made = Served(tmp_path, asked, speaks, release(behaviour={"caller_overrides": ["tools"]}, handling=handling))
    said = SPEECH[speaks]
    made.upstream.will(said.calling("look", '{"topic":7}'), said.calling("look", '{"topic":"bill"}'))
    read = await made.ask(stream=stream, **made.surface.tool("look", SCHEMA))
    assert (read.content, read.tools, read.finish) == (None, [("look", {"topic": "bill"})], "tool_calls")
    record = made.record
    assert (record.outcome, record.failure, [check.passed for check in record.checks]) == (
        "recovered",
        "invalid",
        [True],
    )


@PAIRED
@on_loop
async def test_calls_of_tools_pass_while_they_come(tmp_path: Path, asked: Format, speaks: Format) -> None:
    made = Served(tmp_path, asked, speaks, release(behaviour={"caller_overrides": ["tools"]}))
    made.upstream.will(SPEECH[speaks].calling("look", '{"topic":7}'))
    read = await made.ask(stream=True, **made.surface.tool("look", SCHEMA))
    assert (read.tools, read.finish) == ([("look", {"topic": 7})], "tool_calls")
    assert [check.passed for check in made.record.checks] == [False]


def mutated(body: bytes, draw: st.DataObject) -> bytes:
    """``body`` with one of its values replaced by another type, or left out."""
    whole = msgspec.json.decode(body)
    places = list(_places(whole, ()))
    at = draw.draw(st.sampled_from(places))
    odd = draw.draw(st.sampled_from([None, 7, -1, 1e99, "", "x", [], [None], {}, {"a": None}, True]))
    inside: Any = whole
    for step in at[:-1]:
        inside = inside[step]
    inside[at[-1]] = odd
    return msgspec.json.encode(whole)


def _places(found: Any, at: tuple[Any, ...]) -> Any:
    steps = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for step, inner in steps:
        yield (*at, step)
        yield from _places(inner, (*at, step))


@pytest.mark.parametrize(("asked", "speaks"), PAIRS[1:3] + PAIRS[4:])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_no_answer_however_odd_is_a_defect_of_ours(
    stands: Stands, asked: Format, speaks: Format, draw: st.DataObject
) -> None:
    """Whole and streamed: the caller reads its own format, an error or a declared answer, and one record says which."""

    async def at(made: Served) -> None:
        said = SPEECH[speaks]
        either = st.sampled_from([said.stream("Hel", "lo"), said.calling("look", "{}")["stream"]])
        pieces = list(draw.draw(either))
        number = draw.draw(st.integers(0, len(pieces) - (2 if speaks == "chat" else 1)))
        name, _, data = pieces[number].partition(b"data: ")
        pieces[number] = b"%bdata: %b\n\n" % (name, mutated(data, draw))
        whole = draw.draw(st.sampled_from([said.whole(), said.calling("look", "{}")["whole"]]))
        made.upstream.will({"whole": mutated(whole, draw), "stream": pieces})
        for stream in (False, True):
            before = len(made.bench.records())
            answer = await made.post(stream=stream, **made.surface.tool("look", SCHEMA))
            if stream and answer.status == 200:
                assert b"".join([piece async for piece in answer.chunks])
            else:
                msgspec.json.decode(answer.body)
            records = made.bench.records()
            assert len(records) == before + 1
            assert (answer.status in (200, 400, 503), records[-1].failure != "gateway_lost") == (True, True)

    stands.run(asked, speaks, at)


DEEP = b"[" * 5000 + b"]" * 5000
HOSTILE: list[bytes] = [
    b"", b"[]", b"null", b'"support"', b"{", b'{"model":"support"}', b'{"model":7,"input":"Hi","messages":[]}',
    b'{"model":"support","input":[[]],"messages":[[]],"max_tokens":1}',
    b'{"model":"support","input":{"a":1},"messages":{"a":1},"max_tokens":1}',
    b'{"model":"support","input":[{"type":7}],"messages":[{"role":7}],"max_tokens":1}',
    b'{"model":"support","input":[{"role":"user","content":[{"type":"input_text","text":7}]}],'
    b'"messages":[{"role":"user","content":[{"type":"text","text":7}]}],"max_tokens":"x"}',
    b'{"model":"support","input":"Hi","tools":{},"messages":[{"role":"user","content":"Hi"}],"max_tokens":1}',
    b'{"model":"support","input":"Hi","tools":[null],"messages":[{"role":"user","content":"Hi"}],"max_tokens":1}',
    b'{"model":"support","input":"Hi","stream":"yes","messages":[{"role":"user","content":"Hi"}],"max_tokens":1}',
    b'{"model":"support","input":"\xff","messages":[{"role":"user","content":"\xff"}],"max_tokens":1}',
    b'{"model":"support","max_tokens":1,"input":%b,"messages":%b}' % (DEEP, DEEP),
    b'{"model":"support","max_tokens":1,"input":[%b],"messages":[{"role":"user","content":%b}]}' % (DEEP, DEEP),
]  # fmt: skip


@pytest.mark.parametrize("asked", ["responses", "messages"])
def test_no_request_however_odd_is_more_than_a_400(stands: Stands, asked: Format) -> None:
    async def at(made: Served) -> None:
        sent = len(made.sent)
        for body in HOSTILE:
            answer = await made.bench.post(body, made.surface.path)
            error = made.surface.error(answer.body)
            assert (answer.status, error.type) == (400, "invalid_request_error"), body[:90]
            assert header(answer, b"x-should-retry") == b"false"
        assert len(made.sent) == sent

    stands.run(asked, asked, at)
