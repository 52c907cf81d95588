"""Claims about windowed streams: what a check forbids never leaves, what is clean does, and the record says which."""

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
    said,
    target,
    text_of,
)

from roadworthy.gateway.messages import StreamResponse
from roadworthy.http1.errors import Disconnected
from roadworthy.workflow.model import Canned, Capabilities, CheckSpec, Handling, Step

HOLD = 60
GOOD = "Your order was sent on Monday and should arrive within two days. " * 6
BAD = "We guarantee a full refund"
CHECKS = {"promises": CheckSpec("forbidden", "unsafe", options={"phrases": ["guarantee a full refund"]})}
END = [chunk(finish="stop"), USAGE, DONE]


def pieces(text: str, size: int = 5) -> list[bytes]:
    return [chunk(text[at : at + size]) for at in range(0, len(text), size)]


def bench(folder: Path, **handling: Any) -> Bench:
    handling = {"stream": "windowed", "window": HOLD, "checks": CHECKS, "ladder": {"unsafe": []}, **handling}
    able = Capabilities(prefill="native")
    targets = {name: target(name, capabilities=able) for name in ("main", "backup")}
    return Bench(folder, served=release(handling=Handling(**handling)), snapshot={"targets": targets})


def stream(**more: Any) -> dict[str, Any]:
    return chat(stream=True, **more)


@on_loop
async def test_a_clean_stream_arrives_whole_while_it_comes(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.will([chunk(""), *pieces(GOOD[:200]), pause := Pause(), *pieces(GOOD[200:]), *END])
    answer = await made.post(stream())
    assert isinstance(answer, StreamResponse)
    early = b"".join([await anext(answer.chunks) for _ in range(2)])
    assert b"Your " in early
    pause.go.set()
    found = await events(answer)
    assert (msgspec.json.encode(early.decode()).decode() + text_of(found)).endswith(GOOD[-HOLD:])
    assert found[-1] == "[DONE]"
    record = made.record()
    assert record.outcome == "answered"
    assert record.response is not None
    assert msgspec.json.decode(record.response)["choices"][0]["message"]["content"] == GOOD
    assert [check.passed for check in record.checks] == [True]
    assert made.taken() == 0


@on_loop
async def test_a_finding_before_anything_left_climbs_the_ladder(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unsafe": [Step("target", target="backup")]})
    made.upstream.will(pieces(f"{BAD}. " + GOOD) + END, pieces(GOOD) + END)
    found = await events(await made.post(stream()))
    assert text_of(found) == GOOD
    assert found[-2]["roadworthy"]["outcome"] == "recovered"
    assert found[-2]["roadworthy"]["target"] == "backup"
    record = made.record()
    assert (record.failure, record.attempts[0].failure) == ("unsafe", "unsafe")
    assert made.upstream.streams[0].aborted
    assert made.taken() == 0


@on_loop
async def test_an_answer_shorter_than_the_window_is_checked_as_a_whole_first(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unsafe": [Step("drop"), Step("canned")]}, canned=Canned("We will write to you."))
    made.upstream.will(pieces(f"{BAD}.") + END)
    found = await events(await made.post(stream()))
    assert text_of(found) == "We will write to you."
    assert found[-2]["roadworthy"]["failure"] == "unsafe"
    made.upstream.will([*pieces("Yes."), *END])
    assert text_of(await events(await made.post(stream()))) == "Yes."


@on_loop
async def test_a_finding_after_the_first_text_ends_the_stream_at_the_last_clean_text(tmp_path: Path) -> None:
    made = bench(tmp_path)
    whole = GOOD + BAD + " of everything, at once, to everybody who asks for it." * 3
    made.upstream.will([chunk(""), *pieces(whole), *END])
    found = await events(await made.post(stream()))
    told = text_of(found)
    assert GOOD.startswith(told)
    assert len(told) > len(GOOD) - 2 * HOLD
    assert "guarantee" not in told
    assert "[DONE]" not in found
    assert found[-1]["error"]["code"] == "unsafe"
    assert found[-1]["roadworthy"]["failure"] == "unsafe"
    record = made.record()
    assert (record.outcome, record.failure) == ("error", "unsafe")
    [check] = record.checks
    assert (check.name, check.passed, check.failure) == ("promises", False, "unsafe")
    assert check.span is not None
    assert whole[check.span[0] : check.span[1]] == "guarantee a full refund"
    assert record.response is not None
    assert msgspec.json.decode(record.response)["choices"][0]["message"]["content"] == told
    assert made.upstream.streams[0].aborted
    assert record.cost_usd
    assert made.taken() == 0


@on_loop
async def test_a_finding_in_the_last_words_is_found_at_the_end(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.will([*pieces(GOOD + BAD), *END])
    found = await events(await made.post(stream()))
    assert found[-1]["error"]["code"] == "unsafe"
    assert "guarantee" not in text_of(found)
    assert not any(choice["finish_reason"] for event in found[:-1] for choice in event["choices"])


@on_loop
async def test_each_of_several_choices_is_held_back_by_itself(tmp_path: Path) -> None:
    made = bench(tmp_path)
    both = [chunk(GOOD[at : at + 9], index=index) for at in range(0, len(GOOD), 9) for index in (0, 1)]
    made.upstream.will([*both, chunk(finish="stop", index=0), chunk(finish="stop", index=1), DONE])
    found = await events(await made.post(stream(n=2)))
    assert text_of([event for event in found[:-1] if event["choices"][0]["index"] == 1]) == GOOD
    ends = [chunk(finish="stop", index=0), chunk(finish="stop", index=1), DONE]
    made.upstream.will([*both, *[chunk(part, index=1) for part in (BAD[:11], BAD[11:])], *ends])
    found = await events(await made.post(stream(n=2)))
    assert found[-1]["error"]["code"] == "unsafe"


@on_loop
async def test_what_the_model_thinks_aloud_is_searched_too(tmp_path: Path) -> None:
    made = bench(tmp_path)
    delta = {"index": 0, "delta": {"reasoning_content": f"{BAD}? No. " + "Better not. " * 20}, "finish_reason": None}
    thought = b"data: " + msgspec.json.encode({"id": "c", "choices": [delta]}) + b"\n\n"
    made.upstream.will([thought, *pieces(GOOD), *END])
    assert said(await made.post(stream()))["error"]["code"] == "unsafe"


@on_loop
async def test_under_observe_nothing_is_held_back_and_the_finding_is_recorded(tmp_path: Path) -> None:
    made = Bench(
        tmp_path,
        served=release(handling=Handling(stream="windowed", window=HOLD, checks=CHECKS)),
        enforcement="observe",
    )
    made.upstream.will([*pieces(GOOD + BAD), *END])
    found = await events(await made.post(stream()))
    assert text_of(found) == GOOD + BAD
    assert found[-1] == "[DONE]"
    assert [check.passed for check in made.record().checks] == [False]


@on_loop
async def test_a_window_goes_on_over_the_seam_of_a_continued_stream(tmp_path: Path) -> None:
    for number, ending in enumerate(
        [" Kind regards, the help desk.", " refund, and more, and more, and more, and more."]
    ):
        made = bench(tmp_path / str(number), continuation=1)
        first = GOOD + BAD.removesuffix(" refund")
        made.upstream.will([*pieces(first), Disconnected("cut", "in_body")], [*pieces(ending), *END])
        found = await events(await made.post(stream()))
        if "refund" in ending:  # one half of the promise before the break, one after it
            assert found[-1]["error"]["code"] == "unsafe"
            assert "guarantee" not in text_of(found)
        else:
            assert text_of(found) == first + ending
            assert found[-2]["roadworthy"]["notes"] == ["continued"]
        assert made.taken() == 0


@on_loop
async def test_a_client_that_leaves_while_text_is_held_leaves_nothing_behind(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.will([chunk(""), *pieces("Your order"), Pause()])
    task = asyncio.ensure_future(made.post(stream()))
    for _ in range(30):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made.upstream.streams[0].aborted
    record = made.record()
    assert record.outcome == "abandoned"
    assert record.tokens.output == 2
    assert made.taken() == 0
    made = bench(tmp_path / "later")
    made.upstream.will([chunk(""), *pieces(GOOD), Pause()])
    answer = await made.post(stream())
    assert isinstance(answer, StreamResponse)
    await anext(answer.chunks)
    await answer.chunks.aclose()  # type: ignore[attr-defined]
    response = made.record().response
    assert response is not None
    read = msgspec.json.decode(response)["choices"][0]["message"]["content"]
    assert GOOD.startswith(read)
    assert len(read) <= len(GOOD) - HOLD
    assert made.taken() == 0


@on_loop
async def test_text_in_the_chunk_that_ends_a_choice_is_searched_too(tmp_path: Path) -> None:
    made = bench(tmp_path, ladder={"unsafe": [Step("target", target="backup")]})
    for bad in ([chunk(f"{BAD}.", finish="stop")], [*pieces("We guarantee a "), chunk("full refund", finish="stop")]):
        made.upstream.will([*bad, USAGE, DONE], [chunk(GOOD, finish="stop"), USAGE, DONE])
        found = await events(await made.post(stream()))
        assert text_of(found) == GOOD
        assert found[-2]["roadworthy"]["outcome"] == "recovered"
        assert made.records()[-1].failure == "unsafe"
    assert made.taken() == 0


@on_loop
async def test_text_of_a_choice_that_nobody_asked_for_is_searched_too(tmp_path: Path) -> None:
    made = bench(tmp_path)
    made.upstream.will([*pieces(GOOD), chunk(finish="stop"), chunk(BAD, index=1), USAGE, DONE])
    found = await events(await made.post(stream()))
    assert "guarantee" not in msgspec.json.encode(found).decode()
    assert made.record().failure == "unsafe"
