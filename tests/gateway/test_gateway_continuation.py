"""Claims about streams that break after their first bytes: continued as declared, marked and paid for, or ended so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import (
    DONE,
    USAGE,
    Bench,
    Pause,
    chat,
    chunk,
    events,
    on_loop,
    release,
    target,
    text_of,
)

from roadworthy.gateway.messages import StreamResponse
from roadworthy.gateway.streaming.seam import anchor_of
from roadworthy.http1.errors import Disconnected, ReadTimeout
from roadworthy.workflow.model import Capabilities, Handling, Prefill, Step, TargetIdentity

TEXT = "Your order was sent on Monday and should arrive within two days; please keep this receipt for your records."
CUT = 37
BROKEN = Disconnected("cut", "in_body")
END = [chunk(finish="stop"), USAGE, DONE]


def pieces(text: str, size: int = 5) -> list[bytes]:
    return [chunk(text[at : at + size]) for at in range(0, len(text), size)]


def broken(error: Any = BROKEN, cut: int = CUT) -> list[Any]:
    return [chunk(""), *pieces(TEXT[:cut]), error]


def bench(folder: Path, prefill: Prefill = "native", backup: Prefill = "none", **handling: Any) -> Bench:
    handling.setdefault("continuation", 1)
    both = {
        "main": target("main", capabilities=Capabilities(prefill=prefill)),
        "backup": target("backup", capabilities=Capabilities(prefill=backup)),
    }
    named = {name: TargetIdentity("openai", f"{name}-model", f"{name}.test") for name in both}
    made = release(behaviour={"targets": named}, handling=Handling(**handling))
    return Bench(folder, served=made, snapshot={"targets": both})


def stream(**more: Any) -> dict[str, Any]:
    return chat(stream=True, **more)


def models(bench: Bench) -> list[str]:
    return [sent.body["model"] for sent in bench.upstream.sent]


@pytest.mark.parametrize(
    "error",
    [
        BROKEN,
        ReadTimeout("idle", 15),
        b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n',
        None,  # the body ends, the answer does not
        chunk(finish="insufficient_system_resource"),
        DONE,
    ],
)
def test_a_broken_stream_is_continued_whole_marked_and_recorded(tmp_path: Path, error: Any) -> None:
    @on_loop
    async def run() -> None:
        made = bench(tmp_path)
        first = broken(error) if error is not None else broken()[:-1]
        made.upstream.will(first, [chunk(""), *pieces(TEXT[CUT:]), *END])
        found = await events(await made.post(stream()))
        assert text_of(found) == TEXT
        assert found[-1] == "[DONE]"
        told = found[-2]["roadworthy"]
        assert (told["outcome"], told["notes"]) == ("recovered", ["continued"])
        assert told["seams"] == [{"at": CUT, "target": "main"}]
        assert len({event["id"] for event in found[:-1]}) == 1
        marks = [event["roadworthy"] for event in found[:-2] if "roadworthy" in event]
        assert marks == [{"note": "continued", "seam": CUT}]
        sent = made.upstream.sent[1].body
        assert sent["messages"][-1] == {"role": "assistant", "content": TEXT[:CUT].rstrip()}
        assert sent["continue_final_message"] is True
        record = made.record()
        assert (record.outcome, record.notes) == ("recovered", ["continued"])
        assert [attempt.step for attempt in record.attempts] == ["first", "continuation"]
        assert record.failure == record.attempts[0].failure != None  # noqa: E711
        assert record.attempts[1].failure is None
        assert record.first_token == record.attempts[0].first_token
        assert record.response is not None
        whole = msgspec.json.decode(record.response)
        assert whole["choices"][0]["message"]["content"] == TEXT
        assert whole["choices"][0]["finish_reason"] == "stop"
        first_tokens, second = record.attempts[0].tokens, record.attempts[1].tokens
        assert first_tokens is not None
        assert second is not None
        assert record.attempts[0].tokens_estimated
        assert record.tokens == first_tokens + second
        assert made.upstream.streams[0].complete or made.upstream.streams[0].aborted
        assert made.taken() == 0

    run()


@on_loop
async def test_usage_that_was_asked_for_is_the_sum_of_both_streams_and_told_once(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.will(broken(), [*pieces(TEXT[CUT:]), *END])
    found = await events(await made.post(stream(stream_options={"include_usage": True})))
    told = [event["usage"] for event in found[:-1] if event.get("usage")]
    record = made.record()
    assert [usage["completion_tokens"] for usage in told] == [record.tokens.output]
    assert found[-2]["choices"] == []
    assert found[-2]["roadworthy"]["outcome"] == "recovered"


@on_loop
async def test_a_target_that_does_not_go_on_by_itself_is_asked_to_and_must_take_up_the_last_words(
    tmp_path: Path,
) -> None:
    made = bench(tmp_path, "prompted")
    anchor = anchor_of(TEXT[:CUT])
    made.upstream.will(broken(), [*pieces(anchor + TEXT[CUT:]), *END])
    assert text_of(await events(await made.post(stream()))) == TEXT
    asked = made.upstream.sent[1].body["messages"]
    assert [message["role"] for message in asked] == ["user", "assistant", "user"]
    assert asked[1]["content"] == TEXT[:CUT]
    assert anchor in asked[2]["content"]
    made.upstream.will(broken(), [*pieces("Sure, here is the rest: it arrives on Wednesday."), *END])
    found = await events(await made.post(stream()))
    assert text_of(found) == TEXT[:CUT]
    assert found[-1]["error"]["code"] == "truncated"
    assert made.records()[1].attempts[1].failure == "invalid"
    assert made.taken() == 0


@on_loop
async def test_an_answer_that_is_begun_anew_is_dropped_up_to_what_was_said(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.will(broken(), [*pieces(TEXT), *END])
    assert text_of(await events(await made.post(stream()))) == TEXT


@on_loop
async def test_the_next_target_of_the_ladder_goes_on_where_the_first_cannot(tmp_path: Path) -> None:
    for number, (prefill, second) in enumerate([("none", [(503, [], b"")]), ("native", [(503, [], b"")])]):
        made = bench(tmp_path / str(number), prefill, "native", ladder={"truncated": [Step("target", target="backup")]})  # type: ignore[arg-type]
        failing = [] if prefill == "none" else second
        made.upstream.will(broken(), *failing, [*pieces(TEXT[CUT:]), *END])
        found = await events(await made.post(stream()))
        assert text_of(found) == TEXT
        assert found[-2]["roadworthy"]["seams"] == [{"at": CUT, "target": "backup"}]
        assert models(made)[-1] == "backup-model"
        record = made.record()
        assert (record.outcome, record.failure) == ("recovered", "truncated")
        assert made.taken() == 0


@on_loop
async def test_the_record_names_who_finished_and_keeps_both(tmp_path: Path) -> None:
    made = bench(tmp_path, "none", backup="native", ladder={"truncated": [Step("target", target="backup")]})
    rest = [piece.replace(b"exact-model-2025", b"other-model-2026") for piece in [*pieces(TEXT[CUT:]), *END]]
    made.upstream.will(broken(), rest)
    found = await events(await made.post(stream()))
    record = made.record()
    assert (record.target, record.model_asked, record.model_answered) == ("backup", "backup-model", "other-model-2026")
    assert [(attempt.target, attempt.model_answered) for attempt in record.attempts] == [
        ("main", "exact-model-2025"),
        ("backup", "other-model-2026"),
    ]
    assert record.first_token == record.attempts[0].first_token
    assert (record.outcome, record.failure) == ("recovered", "truncated")
    assert found[-2]["roadworthy"]["target"] == "backup"


@on_loop
async def test_a_continuation_that_breaks_too_ends_with_an_error_and_no_finish(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.will(broken(), [*pieces(TEXT[CUT:60]), BROKEN])
    found = await events(await made.post(stream()))
    assert TEXT.startswith(text_of(found))
    assert len(text_of(found)) > CUT
    assert "[DONE]" not in found
    assert found[-1]["error"]["code"] == "truncated"
    assert found[-1]["roadworthy"]["seams"]
    assert not any(choice["finish_reason"] for event in found[:-1] for choice in event["choices"])
    record = made.record()
    assert (record.outcome, record.failure, len(record.attempts)) == ("error", "truncated", 2)
    assert record.cost_usd
    assert made.taken() == 0


@on_loop
async def test_a_stream_is_continued_as_often_as_declared(tmp_path: Path) -> None:
    made = bench(tmp_path, continuation=2)
    made.upstream.will(broken(), [*pieces(TEXT[CUT:60]), BROKEN], [*pieces(TEXT[60:]), *END])
    found = await events(await made.post(stream()))
    assert text_of(found) == TEXT
    assert [seam["at"] for seam in found[-2]["roadworthy"]["seams"]] == [CUT, 60]
    assert made.record().notes == ["continued"]


@on_loop
async def test_a_continuation_that_adds_nothing_is_never_reported_as_the_whole_answer(tmp_path: Path) -> None:
    for number, nothing in enumerate([[chunk(""), *END], END, [chunk(" \n"), *END], [chunk(TEXT[:CUT]), *END]]):
        made = bench(tmp_path / str(number), ladder={"truncated": [Step("target", target="backup")]}, backup="native")
        made.upstream.will(broken(), nothing)  # as of a server that takes the begun answer for a finished one
        found = await events(await made.post(stream()))
        assert text_of(found).rstrip() == TEXT[:CUT].rstrip(), number
        assert found[-1]["error"]["code"] == "truncated"
        assert [attempt.failure for attempt in made.record().attempts[1:]] == ["invalid"] * 2
        assert made.taken() == 0


@pytest.mark.parametrize(
    "garbled",
    [
        [b"data: {broken\n\n"],
        [b'data: {"padding": "', *[b" " * (1 << 20)] * 5],
        [chunk(finish="stop"), chunk("and so on")],
    ],
    ids=["no JSON", "a line of megabytes", "text after the end"],
)
def test_a_stream_that_cannot_be_read_any_further_is_continued_with_what_came_before(
    tmp_path: Path, garbled: list[bytes]
) -> None:
    @on_loop
    async def run() -> None:
        made = bench(tmp_path)
        made.upstream.will([*pieces(TEXT[:CUT]), *garbled], [*pieces(TEXT[CUT:]), *END])
        found = await events(await made.post(stream()))
        assert text_of(found) == TEXT
        assert (made.record().outcome, made.record().failure) == ("recovered", "invalid")
        assert made.taken() == 0

    run()


@pytest.mark.parametrize(
    ("first", "body"),
    [
        ([*pieces(TEXT[:CUT]), chunk(finish="length"), USAGE, DONE], {}),
        ([*pieces(TEXT[:CUT]), chunk(finish="content_filter"), DONE], {}),
        ([*pieces(TEXT[:CUT]), chunk(finish="stop"), BROKEN], {}),
        ([chunk("A", index=0), chunk("B", index=1), BROKEN], {"n": 2}),
        (broken(), {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Dear"}]}),
        (broken(), {"response_format": {"type": "json_object"}}),
        (broken(), {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}),
    ],
)
def test_what_was_ended_on_purpose_or_is_no_plain_text_is_not_continued(
    tmp_path: Path, first: list[Any], body: dict[str, Any]
) -> None:
    @on_loop
    async def run() -> None:
        overrides = {"caller_overrides": ["response_format", "tools"]}
        made = Bench(
            tmp_path,
            served=release(behaviour=overrides, handling=Handling(continuation=1)),
            snapshot={"targets": {"main": target("main", capabilities=Capabilities(prefill="native"))}},
        )
        made.upstream.will(first, [*pieces(TEXT[CUT:]), *END])
        found = await events(await made.post(stream(**body)))
        assert "error" in found[-1]
        assert len(made.upstream.sent) == 1
        assert made.taken() == 0

    run()


@on_loop
async def test_without_a_declaration_or_a_target_that_can_a_broken_stream_ends_with_an_error(tmp_path: Path) -> None:
    for number, made in enumerate([bench(tmp_path / "a", continuation=0), bench(tmp_path / "b", "none")]):
        made.upstream.will(broken(), [*pieces(TEXT[CUT:]), *END])
        found = await events(await made.post(stream()))
        assert found[-1]["error"]["code"] == "truncated", number
        assert len(made.upstream.sent) == 1


@on_loop
async def test_nothing_is_continued_past_the_deadline(tmp_path: Path) -> None:
    made = bench(tmp_path)

    made.upstream.will([*pieces(TEXT[:CUT]), pause := Pause(), BROKEN])
    answer = await made.post(stream())
    assert isinstance(answer, StreamResponse)
    made.clock.time += 59.99
    pause.go.set()
    found = await events(answer)
    assert found[-1]["error"]["code"] == "truncated"
    assert len(made.upstream.sent) == 1


@on_loop
async def test_a_client_that_leaves_at_the_seam_leaves_nothing_behind(tmp_path: Path) -> None:
    for number, second in enumerate([[Pause()], [chunk(""), Pause()], [*pieces(TEXT[CUT:60]), Pause()]]):
        made = bench(tmp_path / str(number))
        made.upstream.will(broken(), second)
        answer = await made.post(stream())
        assert isinstance(answer, StreamResponse)

        async def read(answer: StreamResponse = answer) -> None:
            async for _ in answer.chunks:
                pass

        reading = asyncio.ensure_future(read())
        for _ in range(60):
            await asyncio.sleep(0)
        assert len(made.upstream.sent) == 2
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await answer.chunks.aclose()  # type: ignore[attr-defined]
        assert made.upstream.streams[1].aborted
        record = made.record()
        assert record.outcome == "abandoned"
        assert [attempt.step for attempt in record.attempts] == ["first", "continuation"]
        assert record.attempts[0].failure == "truncated"
        assert record.attempts[1].detail == "the client left"
        assert record.cost_usd
        assert made.taken() == 0


@on_loop
async def test_a_key_that_wants_no_object_is_told_of_no_seam(tmp_path: Path) -> None:
    from gateway_support import key

    token = "rw-" + "c" * 40
    made = Bench(
        tmp_path,
        served=release(handling=Handling(continuation=1)),
        snapshot={"targets": {"main": target("main", capabilities=Capabilities(prefill="native"))}},
        keys=[key(token, body_object=False)],
    )
    made.upstream.will(broken(), [*pieces(TEXT[CUT:]), *END])
    found = await events(await made.post(stream(), token=token))
    assert text_of(found) == TEXT
    assert not any("roadworthy" in event for event in found[:-1])


@on_loop
async def test_text_that_came_together_with_the_next_break_is_not_lost(tmp_path: Path) -> None:
    made = bench(tmp_path, continuation=2)
    error = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
    made.upstream.will(broken(), [b"".join([*pieces(TEXT[CUT:60]), error])], [*pieces(TEXT[60:]), *END])
    found = await events(await made.post(stream()))
    assert text_of(found) == TEXT
    assert [seam["at"] for seam in found[-2]["roadworthy"]["seams"]] == [CUT, 60]
    assert [attempt.failure for attempt in made.record().attempts] == ["truncated", "unavailable", None]
    assert made.taken() == 0


@on_loop
async def test_what_was_repeated_at_the_seam_is_paid_for_though_it_is_not_told(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.will(broken(), [*pieces(TEXT), chunk(finish="stop"), DONE])  # begun anew, and no usage
    assert text_of(await events(await made.post(stream()))) == TEXT
    second = made.record().attempts[1]
    assert second.tokens_estimated
    assert second.tokens is not None
    assert second.tokens.output == len(pieces(TEXT))


@on_loop
async def test_the_id_is_that_of_the_answer_though_its_first_event_had_none(tmp_path: Path) -> None:
    made = bench(tmp_path)
    filters = b'data: {"id":"","model":"","choices":[],"prompt_filter_results":[]}\n\n'
    made.upstream.will([filters, *broken()], [*pieces(TEXT[CUT:]), *END])
    found = await events(await made.post(stream()))
    assert {event["id"] for event in found[1:-1]} == {"chatcmpl-1"}
