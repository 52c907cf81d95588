"""Answers read while they arrive: order, back-pressure, early ends, clocks."""

from __future__ import annotations

import asyncio

import pytest
from http1_support import (
    CLOCKS,
    OK,
    STREAM_HEAD,
    Peer,
    Skipping,
    answering,
    calling,
    fetch,
    on_loop,
    saying,
    scripted,
    silent_after,
)

from roadworthy.http1.client import Client
from roadworthy.http1.errors import BodyTooLarge, Disconnected, ProtocolViolation, ReadTimeout
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.http1.stream import HIGH_WATER, StreamReply


async def open_stream(client: Client, origin: Origin, clocks: Clocks = CLOCKS) -> StreamReply:
    return await client.open(origin, head(b"POST", b"/v1/x", origin, []), b"{}", clocks)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = b"0\r\n\r\n"


@on_loop
async def test_the_head_is_here_before_the_body_and_pieces_come_in_order() -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(STREAM_HEAD)
        await go.wait()
        for number in range(50):
            await peer.say(chunk(b"%d," % number))
        await peer.say(END)
        await answering(peer)

    async with scripted(script) as server, calling(server.origin) as client:
        stream = await open_stream(client, server.origin)
        assert (stream.status, stream.header(b"transfer-encoding"), stream.complete) == (200, b"chunked", False)
        assert client.in_use == 1
        go.set()
        pieces = [piece async for piece in stream.chunks]
        assert b"".join(pieces) == b"".join(b"%d," % n for n in range(50))
        assert stream.complete
        assert client.idle == 1
        assert (await fetch(client, server.origin)).reused


@on_loop
async def test_complete_is_true_only_once_everything_has_been_consumed() -> None:
    async with (
        scripted(saying(STREAM_HEAD + chunk(b"a") + chunk(b"b") + END)) as server,
        calling(server.origin) as client,
    ):
        stream = await open_stream(client, server.origin)
        pieces = aiter(stream.chunks)
        assert await anext(pieces) == b"a"
        assert not stream.complete
        assert await anext(pieces) == b"b"
        assert not stream.complete
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
        assert stream.complete


@on_loop
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_stream_cut_short_gives_its_pieces_and_then_the_error(reset: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(STREAM_HEAD + chunk(b"a") + chunk(b"b"))
        await asyncio.sleep(0.03)
        if reset:
            peer.reset()

    async with scripted(script) as server, calling(server.origin) as client:
        stream = await open_stream(client, server.origin)
        got: list[bytes] = []

        async def consume() -> None:
            async for piece in stream.chunks:
                got.append(piece)  # noqa: PERF401 (kept when the iteration raises)

        with pytest.raises(Disconnected) as caught:
            await consume()
        assert (b"".join(got), caught.value.phase, stream.complete) == (b"ab", "in_body", False)


@on_loop
async def test_a_malformed_chunk_ends_the_stream_as_a_violation() -> None:
    async with (
        scripted(silent_after(STREAM_HEAD + chunk(b"a") + b"zz\r\n")) as server,
        calling(server.origin) as client,
    ):
        stream = await open_stream(client, server.origin)
        with pytest.raises(ProtocolViolation):
            assert [piece async for piece in stream.chunks]
        assert not stream.complete


@on_loop
async def test_a_slow_consumer_slows_the_server_and_loses_nothing() -> None:
    total = 20 * 1024 * 1024
    piece = b"x" * 16_384
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        peer.writer.transport.set_write_buffer_limits(high=0)
        await peer.say(STREAM_HEAD)
        while written < total:
            await peer.say(chunk(piece))
            written += len(piece)
        await peer.say(END)
        await peer.reader.read()

    async with scripted(script) as server, calling(server.origin) as client:
        stream = await open_stream(client, server.origin)
        stalled = -1
        while written != stalled:  # until the server makes no more progress
            stalled = written
            await asyncio.sleep(0.1)
        assert stream.paused
        assert written < total, "the client took everything although nobody read it"
        assert stream.unread < HIGH_WATER + 512 * 1024, "more is held than one read past the mark"
        assert sum([len(data) async for data in stream.chunks]) == total
        assert stream.complete
        assert client.idle == 1


@on_loop
async def test_the_idle_clock_stands_still_while_the_consumer_is_behind() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(STREAM_HEAD)
        for _ in range(200):
            await peer.say(chunk(b"x" * 100_000))
        await peer.say(END)

    now = Skipping()
    async with scripted(script) as server, calling(server.origin, now=now) as client:
        stream = await open_stream(client, server.origin, Clocks(connect=60, first_byte=60, idle=60, total=1000))
        while not stream.paused:
            await asyncio.sleep(0.01)
        await now.skip(100)
        assert sum([len(data) async for data in stream.chunks]) == 20_000_000


@on_loop
@pytest.mark.parametrize(("clock", "total"), [("idle", 1000.0), ("total", 40.0)])
async def test_a_stall_in_mid_stream_ends_with_a_clock(clock: str, total: float) -> None:
    now = Skipping()
    async with scripted(silent_after(STREAM_HEAD + chunk(b"a"))) as server, calling(server.origin, now=now) as client:
        stream = await open_stream(client, server.origin, Clocks(connect=30, first_byte=30, idle=60, total=total))
        await now.skip(61)
        assert await anext(stream.chunks) == b"a"
        with pytest.raises(ReadTimeout) as caught:
            await anext(stream.chunks)
        assert caught.value.clock == clock


@on_loop
async def test_abort_closes_the_connection_so_that_the_server_notices() -> None:
    noticed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(STREAM_HEAD + chunk(b"a"))
        await peer.reader.read()
        noticed.set()

    async with scripted(script) as server, calling(server.origin) as client:
        stream = await open_stream(client, server.origin)
        assert await anext(stream.chunks) == b"a"
        stream.abort()
        stream.abort()
        assert client.open_connections == 0
        await asyncio.wait_for(noticed.wait(), 2)
        assert [piece async for piece in stream.chunks] == []
        assert not stream.complete


@on_loop
async def test_abort_after_the_end_keeps_the_connection_but_is_not_complete() -> None:
    async with scripted(answering) as server, calling(server.origin) as client:
        stream = await open_stream(client, server.origin)
        await asyncio.sleep(0.02)
        stream.abort()
        assert [piece async for piece in stream.chunks] == []
        assert (stream.complete, client.idle) == (False, 1)


@on_loop
async def test_read_takes_the_rest_within_a_limit() -> None:
    async with scripted(answering) as server, calling(server.origin) as client:
        stream = await open_stream(client, server.origin)
        assert await stream.read(5) == b"hello"
        assert stream.complete
        stream = await open_stream(client, server.origin)
        with pytest.raises(BodyTooLarge):
            await stream.read(4)


@on_loop
async def test_a_stream_on_a_dead_kept_connection_is_asked_for_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        if peer.number == 0:
            await peer.reader.readexactly(1)

    async with scripted(script) as server, calling(server.origin) as client:
        await fetch(client, server.origin)
        stream = await open_stream(client, server.origin)
        assert (await stream.read(100), stream.reused, client.resent) == (b"hello", False, 1)


@on_loop
async def test_cancelling_before_or_as_the_head_arrives_leaves_nothing_behind() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await asyncio.sleep(0.001)
            await peer.say(STREAM_HEAD, chunk(b"a"))
            await peer.say(END)

    async with scripted(script) as server, calling(server.origin) as client:
        for turns in range(60):
            call = asyncio.ensure_future(open_stream(client, server.origin))
            for _ in range(turns % 20):
                await asyncio.sleep(0)
            if turns >= 20:
                await asyncio.sleep(0.0011)
            call.cancel()
            (ended,) = await asyncio.gather(call, return_exceptions=True)
            if isinstance(ended, StreamReply):
                ended.abort()
            assert client.in_use == 0


@on_loop
async def test_a_cancelled_consumer_can_still_abort() -> None:
    async with scripted(silent_after(STREAM_HEAD)) as server, calling(server.origin) as client:
        stream = await open_stream(client, server.origin)

        async def consume() -> None:
            try:
                async for _ in stream.chunks:
                    pass
            finally:
                stream.abort()

        consumer = asyncio.ensure_future(consume())
        await asyncio.sleep(0.01)
        consumer.cancel()
        await asyncio.gather(consumer, return_exceptions=True)
        assert client.open_connections == 0


@on_loop
async def test_a_reading_that_is_cancelled_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(STREAM_HEAD + chunk(b"some"))
        await peer.reader.read()

    async with scripted(script) as server, calling(server.origin) as client:
        stream = await open_stream(client, server.origin)
        reading = asyncio.create_task(stream.read(1000))
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert client.open_connections == 0
