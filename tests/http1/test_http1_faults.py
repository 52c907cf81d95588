"""The client against servers that misbehave.  Each test ends with no connection in use (``calling`` asserts it)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

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
    limits,
    on_loop,
    saying,
    scripted,
    silent_after,
)

from roadworthy.http1.connection import Connection
from roadworthy.http1.errors import (
    BodyTooLarge,
    ConnectTimeout,
    Disconnected,
    Http1Error,
    NotConnected,
    PoolFull,
    ProtocolViolation,
    ReadTimeout,
    Refused,
)
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin


@on_loop
async def test_a_connection_is_kept_and_used_again() -> None:
    async with scripted(answering) as server, calling(server.origin) as client:
        first, second = await fetch(client, server.origin), await fetch(client, server.origin)
        assert (first.reused, second.reused) == (False, True)
        assert first.connected is not None
        assert second.connected is None
        assert first.header(b"content-type") == b"text/plain"
        assert (server.accepted, client.opened, client.idle) == (1, 1, 1)


@on_loop
async def test_the_request_arrives_whole_however_large() -> None:
    bodies: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            bodies.append(peer.body)
            await peer.say(OK)

    sent = [b"", b"x", b"y" * 65_535, b"z" * 65_536, b"w" * 3_000_000]
    async with scripted(script) as server, calling(server.origin) as client:
        for body in sent:
            await fetch(client, server.origin, body=body)
    assert bodies == sent


CUT = [
    ("before_first_byte", b""),
    ("in_head", b"HTTP/1.1 200 OK\r\nContent-Le"),
    ("in_body", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
    ("in_body", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123456789"),
    ("in_body", STREAM_HEAD),
    ("in_body", STREAM_HEAD + b"5\r\nhel"),
    ("in_body", STREAM_HEAD + b"5\r\nhello\r\n"),
    ("in_body", STREAM_HEAD + b"5\r\nhello\r\n0\r\n"),
    ("in_body", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"),
]


@on_loop
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(("phase", "sent"), CUT)
async def test_an_answer_cut_short_is_never_success(phase: str, sent: bytes, reset: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(sent)
        if reset:
            peer.reset()

    async with scripted(script) as server, calling(server.origin) as client:
        with pytest.raises(Disconnected) as caught:
            await fetch(client, server.origin)
        if not reset:  # a reset may overtake what was sent before it
            assert caught.value.phase == phase
        assert server.accepted == 1, "a call on a fresh connection is not sent twice"


@on_loop
async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    async with scripted(saying(b"HTTP/1.1 200 OK\r\n\r\n", b"hel", b"lo")) as server, calling(server.origin) as client:
        assert (await fetch(client, server.origin)).body == b"hello"
        assert client.idle == 0


@on_loop
async def test_a_body_without_a_length_that_is_reset_is_not_whole() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await asyncio.sleep(0.05)
        peer.reset()

    async with scripted(script) as server, calling(server.origin) as client:
        with pytest.raises(Disconnected):
            await fetch(client, server.origin)


@on_loop
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_answers_without_a_body_keep_the_connection(status: bytes) -> None:
    async with scripted(saying(b"HTTP/1.1 %b\r\n\r\n" % status, times=2)) as server, calling(server.origin) as client:
        assert (await fetch(client, server.origin)).body == b""
        assert (await fetch(client, server.origin)).reused


@on_loop
async def test_the_answer_to_head_has_a_length_and_no_body() -> None:
    async with (
        scripted(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", times=2)) as server,
        calling(server.origin) as client,
    ):
        request = head(b"HEAD", b"/", server.origin, [])
        for reused in (False, True):
            reply = await client.fetch(server.origin, request, b"", CLOCKS)
            assert (reply.body, reply.header(b"content-length"), reply.reused) == (b"", b"5", reused)


@on_loop
async def test_interim_answers_are_skipped_and_bounded() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    async with (
        scripted(saying(b"HTTP/1.1 100 Continue\r\n\r\n", interim + OK)) as server,
        calling(server.origin) as client,
    ):
        reply = await fetch(client, server.origin)
        assert (reply.status, reply.body, reply.header(b"link")) == (200, b"hello", None)
    async with scripted(saying(interim * 50 + OK)) as server, calling(server.origin) as client:
        with pytest.raises(ProtocolViolation, match="interim"):
            await fetch(client, server.origin)


@on_loop
@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        STREAM_HEAD + b"nothex\r\nhello\r\n0\r\n\r\n",
        STREAM_HEAD + b"5\r\nhelloXX0\r\n\r\n",
        STREAM_HEAD + b"5\nhello\n0\n\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 300 + b"\r\n",
        b"\x16\x03\x01\x00\x05hello",
    ],
    ids=lambda sent: repr(sent[:60]),
)
async def test_what_is_not_http_is_a_protocol_violation(sent: bytes) -> None:
    async with scripted(silent_after(sent)) as server, calling(server.origin) as client:
        with pytest.raises(ProtocolViolation):
            await fetch(client, server.origin)


@on_loop
async def test_trailers_are_dropped() -> None:
    chunked = STREAM_HEAD + b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n"
    async with scripted(saying(chunked, times=2)) as server, calling(server.origin) as client:
        reply = await fetch(client, server.origin)
        assert (reply.body, reply.header(b"x-trailer")) == (b"hello", None)
        assert (await fetch(client, server.origin)).reused


@on_loop
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_past_the_callers_limit_is_not_read(declared: bool) -> None:
    sent = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" if declared else b"HTTP/1.1 200 OK\r\n\r\n"
    async with scripted(silent_after(sent, b"x" * 100_000)) as server, calling(server.origin) as client:
        with pytest.raises(BodyTooLarge):
            await fetch(client, server.origin, max_body=50_000)


# --- kept connections


@on_loop
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_a_kept_connection_that_dies_under_a_call_is_replaced_once(reset: bool) -> None:
    """The server answers once and then takes the next request to its grave, as a restarting server does."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        if peer.number == 0:
            await peer.reader.readexactly(1)
            if reset:
                peer.reset()
            return
        await answering(peer)

    async with scripted(script) as server, calling(server.origin) as client:
        await fetch(client, server.origin)
        reply = await fetch(client, server.origin)
        assert (reply.body, reply.reused, client.resent, server.accepted) == (b"hello", False, 1, 2)


@on_loop
async def test_a_call_is_sent_again_only_once() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.say(OK)
            await peer.reader.readexactly(1)

    async with scripted(script) as server, calling(server.origin) as client:
        await fetch(client, server.origin)
        with pytest.raises(Disconnected):
            await fetch(client, server.origin)
        assert server.accepted == 2


@on_loop
async def test_a_call_whose_answer_had_begun_is_never_sent_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        await peer.say(b"HTTP/1.1 2")

    async with scripted(script) as server, calling(server.origin) as client:
        await fetch(client, server.origin)
        with pytest.raises(Disconnected):
            await fetch(client, server.origin)
        assert (server.accepted, client.resent) == (1, 0)


@on_loop
@pytest.mark.parametrize("extra", [OK, b"garbage", b"HTTP/1.1 408 Request Timeout\r\n"])
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_bytes_that_nobody_asked_for_are_never_an_answer(extra: bytes, later: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if later:
            await peer.say(OK)
            await asyncio.sleep(0.02)
            await peer.say(extra)
        else:
            await peer.say(OK + extra)
        await peer.reader.read()

    async with scripted(script) as server, calling(server.origin) as client:
        assert (await fetch(client, server.origin)).body == b"hello"
        while client.idle:
            await asyncio.sleep(0.005)
        assert client.open_connections == 0


@on_loop
@pytest.mark.parametrize("version", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n"])
async def test_a_server_that_says_close_is_not_used_again(version: bytes) -> None:
    async with (
        scripted(saying(version + b"Content-Length: 5\r\n\r\nhello")) as server,
        calling(server.origin) as client,
    ):
        assert (await fetch(client, server.origin)).body == b"hello"
        assert client.idle == 0


@on_loop
async def test_an_answer_before_the_end_of_the_request_closes_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.sleep(0.3)

    async with scripted(script) as server, calling(server.origin) as client:
        reply = await fetch(client, server.origin, body=b"x" * 30_000_000)
        assert (reply.status, client.idle) == (413, 0)


@on_loop
async def test_an_unused_connection_is_closed_after_its_time() -> None:
    now = Skipping()
    async with scripted(answering) as server, calling(server.origin, limits=limits(idle_expiry=60), now=now) as client:
        await fetch(client, server.origin)
        await now.skip(50)
        assert client.idle == 1
        await now.skip(11)
        assert client.open_connections == 0


@on_loop
async def test_a_connection_that_the_server_closes_while_idle_is_forgotten() -> None:
    async with scripted(saying(OK)) as server, calling(server.origin) as client:
        await fetch(client, server.origin)
        while client.idle:
            await asyncio.sleep(0.005)
        assert client.open_connections == 0


# --- clocks


@on_loop
@pytest.mark.parametrize(
    ("clock", "sent"),
    [
        ("first_byte", ()),
        ("idle", (b"HTTP/1.1 200 OK\r\n",)),
        ("idle", (STREAM_HEAD, b"5\r\nhello\r\n")),
    ],
)
async def test_silence_ends_with_the_clock_that_it_breaks(clock: str, sent: tuple[bytes, ...]) -> None:
    now = Skipping()
    clocks = Clocks(connect=60, first_byte=30 if clock == "first_byte" else 500, idle=30, total=1000)
    async with scripted(silent_after(*sent)) as server, calling(server.origin, now=now) as client:
        call = asyncio.ensure_future(fetch(client, server.origin, clocks=clocks))
        await now.skip(20)
        assert not call.done()
        await now.skip(31)
        with pytest.raises(ReadTimeout) as caught:
            await call
        assert caught.value.clock == clock


@on_loop
async def test_a_dribble_ends_with_the_total_clock() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await peer.say(b"x")
            await asyncio.sleep(0.001)

    now = Skipping()
    async with scripted(script) as server, calling(server.origin, now=now) as client:
        clocks = Clocks(connect=60, first_byte=60, idle=60, total=100)
        call = asyncio.ensure_future(fetch(client, server.origin, clocks=clocks))
        await now.skip(50)
        assert not call.done()
        await now.skip(51)
        with pytest.raises(ReadTimeout) as caught:
            await call
        assert caught.value.clock == "total"


@on_loop
async def test_slow_pieces_within_the_idle_clock_are_whole() -> None:
    now = Skipping()

    async def script(peer: Peer) -> None:
        await peer.request()
        for at in range(0, len(OK), 20):
            await peer.say(OK[at : at + 20])
            await now.skip(40)

    async with scripted(script) as server, calling(server.origin, now=now) as client:
        reply = await fetch(client, server.origin, clocks=Clocks(connect=60, first_byte=60, idle=60, total=1000))
        assert reply.body == b"hello"
        assert now() > time.monotonic() + 60, "longer than the idle clock in all"


# --- connecting


@on_loop
async def test_a_closed_port_is_refused() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        origin = Origin.from_url(f"http://127.0.0.1:{sock.getsockname()[1]}")
        async with calling(origin) as client:
            with pytest.raises(Refused):
                await fetch(client, origin)


@on_loop
async def test_a_server_that_does_not_accept_ends_with_the_connect_clock() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        address = sock.getsockname()
        fillers = []
        for _ in range(4):  # fills the backlog: the kernel drops the next handshake
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        origin = Origin.from_url(f"http://127.0.0.1:{address[1]}")
        async with calling(origin) as client:
            with pytest.raises(ConnectTimeout):
                await fetch(client, origin, clocks=Clocks(connect=0.1, first_byte=30, idle=30, total=30))
        for filler in fillers:
            filler.close()


@on_loop
async def test_the_next_address_is_tried_when_one_refuses() -> None:
    from roadworthy.http1.guard import AddressGuard

    async def both(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with scripted(answering) as server:
        origin = Origin.from_url(f"http://two.example:{server.origin.port}")
        async with calling(guard=AddressGuard(allowed=[origin], resolve=both)) as client:
            assert (await fetch(client, origin)).body == b"hello"


@on_loop
async def test_a_unix_socket_is_called_like_any_origin(tmp_path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Peer(reader, writer, 0).request()
        writer.write(OK)
        writer.close()

    path = str(tmp_path / "s.sock")
    listener = await asyncio.start_unix_server(serve, path)
    async with calling() as client:
        assert (await fetch(client, Origin.unix(path))).body == b"hello"
        with pytest.raises(Refused):
            await fetch(client, Origin.unix(path + ".missing"))
    listener.close()


# --- the bound and the queue


@on_loop
async def test_calls_past_the_bound_wait_in_order_of_arrival() -> None:
    ended: list[int] = []
    most = 0
    under_way = 0

    async def script(peer: Peer) -> None:
        nonlocal most, under_way
        while True:
            await peer.request()
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.002)
            under_way -= 1
            await peer.say(OK)

    async with scripted(script) as server, calling(server.origin, limits=limits(2, 100)) as client:

        async def one(number: int) -> None:
            await fetch(client, server.origin)
            ended.append(number)

        await asyncio.gather(*(one(n) for n in range(30)))
        assert most == 2
        assert server.accepted == 2
        assert all(abs(place - number) <= 2 for place, number in enumerate(ended)), ended


@on_loop
async def test_a_full_queue_refuses_at_once_and_a_wait_ends_with_the_connect_clock() -> None:
    async with scripted(silent_after()) as server, calling(server.origin, limits=limits(1, 1)) as client:
        holder = asyncio.ensure_future(fetch(client, server.origin))
        await asyncio.sleep(0)
        clocks = Clocks(connect=0.2, first_byte=30, idle=30, total=30)
        queued = asyncio.ensure_future(fetch(client, server.origin, clocks=clocks))
        await asyncio.sleep(0)
        assert client.waiting == 1
        with pytest.raises(PoolFull):
            await fetch(client, server.origin)
        with pytest.raises(ConnectTimeout):
            await queued
        assert client.waiting == 0
        holder.cancel()
        await asyncio.gather(holder, return_exceptions=True)


@on_loop
async def test_a_dead_connection_passes_its_slot_to_the_next_in_the_queue() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await asyncio.sleep(0.02)
            return
        await peer.say(OK)

    async with scripted(script) as server, calling(server.origin, limits=limits(1, 4)) as client:
        first, second = await asyncio.gather(
            fetch(client, server.origin), fetch(client, server.origin), return_exceptions=True
        )
        assert isinstance(first, Disconnected)
        assert not isinstance(second, BaseException)


@on_loop
async def test_cancelling_at_any_moment_leaves_nothing_behind() -> None:
    """Calls are cancelled after each small number of loop turns: connecting, waiting, sent, half answered."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(OK[:40])
            await asyncio.sleep(0.001)
            await peer.say(OK[40:])

    async with scripted(script) as server, calling(server.origin, limits=limits(3, 50)) as client:
        for turns in range(40):
            calls = [asyncio.ensure_future(fetch(client, server.origin)) for _ in range(8)]
            for _ in range(turns):
                await asyncio.sleep(0)
            if turns % 3 == 0:
                await asyncio.sleep(0.0015)
            for call in calls[::2]:
                call.cancel()
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert all(getattr(reply, "body", b"hello") == b"hello" for reply in ended)
            assert not any(isinstance(reply, Http1Error) for reply in ended)
            assert client.in_use == 0
            assert client.waiting == 0
            assert client.open_connections == client.idle <= 3
        assert (await fetch(client, server.origin)).body == b"hello"


@on_loop
async def test_closing_ends_every_call_and_every_wait() -> None:
    async with scripted(silent_after()) as server, calling(server.origin, limits=limits(1, 4)) as client:
        calls = [asyncio.ensure_future(fetch(client, server.origin)) for _ in range(3)]
        await asyncio.sleep(0.02)
        await client.close()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in ended] == [Disconnected, NotConnected, NotConnected]
        with pytest.raises(NotConnected):
            await fetch(client, server.origin)


@on_loop
@pytest.mark.parametrize("dies", [False, True], ids=["connection", "slot"])
async def test_what_a_cancelled_call_was_just_given_goes_to_the_next(dies: bool) -> None:
    """The moment between being handed a connection (or its slot) and waking up to use it."""

    async def script(peer: Peer) -> None:
        await peer.request()
        if dies and peer.number == 0:
            return
        await peer.say(OK)
        await answering(peer)

    async with scripted(script) as server, calling(server.origin, limits=limits(1, 4)) as client:
        calls = [asyncio.ensure_future(fetch(client, server.origin)) for _ in range(3)]
        await asyncio.sleep(0)
        finished, gone = client.finished, client.gone

        def cancelling(report: Callable[[Connection], None]) -> Callable[[Connection], None]:
            def reported(connection: Connection) -> None:
                report(connection)
                calls[1].cancel()

            return reported

        client.finished, client.gone = cancelling(finished), cancelling(gone)  # type: ignore[method-assign]
        first, second, third = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(first, Disconnected) is dies
        assert isinstance(second, asyncio.CancelledError)
        assert not isinstance(third, BaseException)


@on_loop
async def test_a_connection_that_opens_after_the_client_was_closed_is_closed_too() -> None:
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        assert await peer.reader.read() == b""
        ended.set()

    async with scripted(script) as server, calling(server.origin) as client:
        call = asyncio.ensure_future(fetch(client, server.origin))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(NotConnected):
            await call
        await ended.wait()
