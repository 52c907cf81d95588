"""Claims about ``Idempotency-Key``: the same call is made once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_support import HELLO, Bench, chat, completion, events, header, key, on_loop, release, said, text_of
from stopping_support import stop

from roadworthy.gateway.admission.idempotency import KEPT_SECONDS, Stored, Table, fingerprint, owner_of
from roadworthy.gateway.admission.peers import PeerGone
from roadworthy.gateway.messages import Request, Response
from roadworthy.workflow.model import Canned, Handling, Step

ONCE = [(b"idempotency-key", b"order-1")]


@on_loop
async def test_the_same_key_and_body_get_the_same_answer(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(completion("one"), completion("two"))
    first = await bench.post(headers=ONCE)
    again = await bench.post(headers=ONCE)
    assert said(again) == said(first)
    assert header(again, b"x-roadworthy-replayed") == b"true"
    assert header(again, b"x-request-id") == header(first, b"x-request-id")
    assert len(bench.upstream.sent) == 1
    assert len(bench.records()) == 1
    assert said(await bench.post())["choices"][0]["message"]["content"] == "two"


@on_loop
async def test_another_body_under_the_same_key_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.post(headers=ONCE)
    answer = await bench.post(chat(user="other"), headers=ONCE)
    assert (answer.status, said(answer)["error"]["code"]) == (422, "idempotency_mismatch")


@on_loop
async def test_keys_of_different_callers_do_not_meet(tmp_path: Path) -> None:
    token = "rw-" + "z" * 40
    bench = Bench(tmp_path, keys=[key(token)])
    bench.upstream.will(completion("one"), completion("two"))
    await bench.post(headers=ONCE)
    assert said(await bench.post(headers=ONCE, token=token))["choices"][0]["message"]["content"] == "two"


@on_loop
async def test_a_call_in_progress_is_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.gate = asyncio.Event()
    first = asyncio.ensure_future(bench.post(headers=ONCE))
    second = asyncio.ensure_future(bench.post(headers=ONCE))
    for _ in range(5):
        await asyncio.sleep(0)
    bench.upstream.gate.set()
    assert said(await first) == said(await second)
    assert len(bench.upstream.sent) == 1


@on_loop
async def test_an_error_is_not_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will((401, [], b""), completion())
    assert (await bench.post(headers=ONCE)).status == 503
    assert (await bench.post(headers=ONCE)).status == 200


@on_loop
async def test_a_call_whose_client_left_frees_its_key(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.gate = asyncio.Event()
    first = asyncio.ensure_future(bench.post(headers=ONCE))
    for _ in range(3):
        await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    bench.upstream.gate.set()
    assert (await bench.post(headers=ONCE)).status == 200
    assert [record.outcome for record in bench.records()] == ["abandoned", "answered"]


@on_loop
async def test_a_stream_is_told_again_from_its_whole_answer(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(HELLO)
    first = await events(await bench.post(chat(stream=True), headers=ONCE))
    again = await events(await bench.post(chat(stream=True), headers=ONCE))
    assert text_of(again) == text_of(first) == "Hello"
    assert again[-1] == "[DONE]"
    assert again[-2]["roadworthy"] == first[-2]["roadworthy"]
    assert len(bench.upstream.sent) == 1


@on_loop
async def test_the_same_key_for_another_user_is_another_request(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.post(headers=[*ONCE, (b"x-roadworthy-user", b"ann")])
    answer = await bench.post(headers=[*ONCE, (b"x-roadworthy-user", b"bob")])
    assert (answer.status, said(answer)["error"]["code"]) == (422, "idempotency_mismatch")


@on_loop
async def test_what_was_answered_without_a_model_is_kept_so_that_nothing_is_handed_over_twice(tmp_path: Path) -> None:
    handling = Handling(ladder={"unavailable": [Step("canned")]}, canned=Canned("Later."))
    bench = Bench(tmp_path, served=release(handling=handling))
    bench.upstream.will((500, [], b""), completion())
    first = await bench.post(headers=ONCE)
    again = await bench.post(headers=ONCE)
    assert said(again) == said(first)
    assert said(again)["roadworthy"]["outcome"] == "canned"
    assert len(bench.records()) == 1


@on_loop
async def test_an_answer_from_before_a_stop_is_not_told_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.post(headers=ONCE)
    await stop(bench)
    again = await bench.post(headers=ONCE)
    assert (again.status, said(again)["error"]["code"]) == (503, "ai_off")
    assert header(again, b"x-roadworthy-replayed") is None
    await stop(bench, "on", 2)
    assert (await bench.post(headers=ONCE)).status == 200
    assert len(bench.upstream.sent) == 2


@on_loop
async def test_who_waits_for_a_first_call_that_drains_reads_the_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.gate = asyncio.Event()
    first = asyncio.ensure_future(bench.post(headers=ONCE))
    second = asyncio.ensure_future(bench.post(headers=ONCE))
    for _ in range(5):
        await asyncio.sleep(0)
    await stop(bench)
    bench.upstream.gate.set()
    assert (await first).status == 200
    assert said(await second)["error"]["code"] == "ai_off"
    assert len(bench.upstream.sent) == 1


@on_loop
async def test_an_answer_of_a_release_that_was_rolled_back_is_not_told_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.will(completion("new"), completion("old"))
    await bench.post(headers=ONCE)
    world = bench.gateway.world
    assert world is not None
    other, served = msgspec.structs.replace(release(), digest="rel_" + "9" * 64), world.snapshot.workflows["support"]
    back = msgspec.structs.replace(served, release=other.digest)
    bench.load(workflows={"support": back}, releases={other.digest: other}, keys=world.snapshot.keys)
    again = await bench.post(headers=ONCE)
    assert said(again)["choices"][0]["message"]["content"] == "old"
    assert said(again)["roadworthy"]["release"] == other.digest


@on_loop
async def test_under_assist_a_repeated_call_is_handed_to_nobody_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path, served=release(handling=Handling(holding=Canned("A person answers."))))
    await stop(bench, "assist")
    first = await bench.post(headers=ONCE)
    assert said(await bench.post(headers=ONCE)) == said(first)
    assert len(bench.upstream.sent) == 1


@on_loop
async def test_a_user_who_is_forgotten_is_in_no_kept_answer(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number, user in enumerate((b"ann", b"bob")):
        headers = [(b"idempotency-key", b"order-%d" % number), (b"x-roadworthy-user", user)]
        await bench.post(headers=headers)
    assert await kept(bench, "count", "ann") == 1
    assert await kept(bench, "purge", "ann") == 1
    assert (await kept(bench, "count", "ann"), await kept(bench, "count", "bob")) == (0, 1)


@on_loop
async def test_a_call_under_way_when_its_user_is_forgotten_is_not_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.gate = asyncio.Event()
    first = asyncio.ensure_future(bench.post(headers=[*ONCE, (b"x-roadworthy-user", b"ann")]))
    for _ in range(3):
        await asyncio.sleep(0)
    assert await kept(bench, "purge", "ann") == 0
    bench.upstream.gate.set()
    assert (await first).status == 200
    assert await kept(bench, "count", "ann") == 0


async def kept(bench: Bench, what: str, unit: str) -> int:
    body = b'{"unit":"%b"}' % unit.encode()
    answer = await bench.gateway.handle(Request("POST", f"/internal/cache/{what}", "", [], body, "", internal=True))
    return int(said(answer)["answers"])


@on_loop
async def test_a_key_is_forgotten_after_ten_minutes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.post(headers=ONCE)
    bench.clock.time += KEPT_SECONDS + 1
    await bench.post(headers=ONCE)
    assert len(bench.upstream.sent) == 2


@on_loop
async def test_the_table_is_bounded_in_entries_and_bytes() -> None:
    table = Table(most_entries=10, most_bytes=1000)
    for number in range(50):
        scope = ("key_1", b"%d" % number)
        entry, ours = table.claim(scope, fingerprint("/", b""), 0.0)
        assert ours
        table.finish(scope, entry, Stored([], b"x" * 300))
        assert len(table) <= 10
    assert len(table) == 3
    assert table.claim(("key_1", b"0"), b"", 0.0)[1]


class Peer:
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[int] = []

    async def forward(self, request: Request, worker: int) -> Response:
        self.asked.append(worker)
        if isinstance(self.answer, Exception):
            raise self.answer
        assert isinstance(self.answer, Response)
        return self.answer


@on_loop
async def test_a_key_is_served_by_its_owner(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    world = bench.gateway.world
    assert world is not None
    key_id = next(served.key.id for served in world.keys.values() if served.key.kind == "live")
    owner = owner_of((key_id, b"order-1"), 4)
    stranger = (owner + 1) % 4
    peer = Peer(Response(200, [], b"from the owner"))
    away = Bench(tmp_path / "away", worker=stranger, workers=4, peers=peer)
    answer = await away.post(headers=ONCE)
    assert answer.body == b"from the owner"  # type: ignore[union-attr]
    assert peer.asked == [owner]
    assert away.lines() == []
    assert (await away.post(headers=ONCE, internal=True)).status == 200, "what a peer passed on is served here"
    home = Bench(tmp_path / "home", worker=owner, workers=4, peers=peer)
    assert (await home.post(headers=ONCE)).status == 200
    gone = Bench(tmp_path / "gone", worker=stranger, workers=4, peers=Peer(PeerGone("no socket")))
    assert (await gone.post(headers=ONCE)).status == 200, "an owner that is gone is stood in for"


@on_loop
async def test_one_patience_covers_every_first_call_that_fails(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.upstream.gate = asyncio.Event()

    async def turns() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    calls = [asyncio.ensure_future(bench.post(headers=ONCE)) for _ in range(3)]
    await turns()
    bench.clock.time += 61.0
    calls[0].cancel()  # the second takes its place; the third has waited long enough
    await turns()
    answer = await calls[2]
    assert (answer.status, said(answer)["error"]["code"]) == (409, "idempotency_in_progress")
    bench.upstream.gate.set()
    assert (await calls[1]).status == 200
    assert bench.taken() == 0
