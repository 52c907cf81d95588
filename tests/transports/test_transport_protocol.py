"""Our own transport: limits, clocks, pipelining, back-pressure and the way it stops."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path

import msgspec
import pytest
from transport_support import Cut, Echo, Raw, get, on_loop, own, post

from roadworthy.gateway.messages import Request, Response
from roadworthy.gateway.transports.limits import Limits
from roadworthy.gateway.transports.protocol import Server


@on_loop
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (get(b"/" + b"a" * 9000), 414, "bad_request"),
        (b"GET /" + b"a" * 9000, 414, "bad_request"),
        (get(b"/", *(b"X-%d: 1" % n for n in range(101))), 431, "headers_too_large"),
        (get(b"/", b"X: " + b"a" * 40_000), 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 6000, 431, "headers_too_large"),
        (get(b"/", b"Content-Length: 999999999"), 413, "body_too_large"),
        (get(b"/", b"Expect: something"), 417, "bad_request"),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "bad_request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "bad_request"),
    ],
)
async def test_what_is_too_much_is_refused_before_it_is_read(data: bytes, status: int, code: str) -> None:
    async with own() as running, running.client() as client:
        await client.send(data)
        answer = await client.answer()
        assert (answer.status, answer.code, answer.headers[b"connection"]) == (status, code, b"close")
        assert await client.at_end()
        assert running.echo.requests == []


@on_loop
async def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    """20 MB against a limit of 16: the answer must survive what is still on its way."""
    async with own() as running, running.client() as client:
        sending = asyncio.ensure_future(client.send(post(b"/", b"x" * 20_000_000)))
        answer = await client.answer()
        assert (answer.status, answer.code) == (413, "body_too_large")
        await sending


@on_loop
async def test_a_refused_expectation_never_invites_the_body() -> None:
    async with own() as running:
        data = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
        assert (await running.ask(data)).status == 413


@on_loop
@pytest.mark.parametrize(
    "part", [b"GET / HTTP/1.1\r\nHos", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe", b"G"]
)
async def test_slow_heads_and_slow_bodies_end_with_408(part: bytes) -> None:
    async with own(Limits(head_time=10, body_time=10)) as running, running.client() as client:
        await client.send(part)
        await running.skip(11)
        answer = await client.answer()
        assert (answer.status, answer.code) == (408, "slow")
        assert await client.at_end()


@on_loop
async def test_a_dribble_does_not_wind_the_clock_up_again() -> None:
    async with own(Limits(head_time=10)) as running, running.client() as client:

        async def dribble() -> None:
            for byte in get(b"/", b"X: " + b"a" * 20_000):
                client.writer.write(bytes([byte]))
                await asyncio.sleep(0.001)

        dribbling = asyncio.ensure_future(dribble())
        await running.skip(6)
        await running.skip(5)
        assert (await client.answer()).status == 408
        dribbling.cancel()


@on_loop
async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with own(Limits(idle_time=75)) as running, running.client() as fresh, running.client() as used:
        await used.send(get(b"/x"))
        assert (await used.answer()).status == 200
        await running.skip(70)
        assert running.server is not None
        assert len(running.server.connections) == 2
        await running.skip(6)
        assert await fresh.at_end()
        assert await used.at_end()


@on_loop
async def test_a_request_under_way_is_not_idle() -> None:
    async with own() as running, running.client() as client:
        await client.send(post(b"/slow"))
        await running.skip(1000)
        running.echo.go.set()
        assert (await client.answer()).body == b'"slow"'


@on_loop
async def test_a_refused_client_that_never_closes_is_not_kept() -> None:
    async with own() as running, running.client() as client:
        await client.send(b"nonsense\r\n\r\n")
        assert (await client.answer()).status == 400
        assert running.server is not None
        assert len(running.server.connections) == 1
        await running.skip(3)
        assert not running.server.connections


@on_loop
async def test_a_client_that_takes_nothing_of_its_stream_is_cut() -> None:
    async with own(Limits(write_time=60)) as running, running.client() as client:
        client.writer.transport.pause_reading()
        await client.send(post(b"/endless"))
        made = -1
        while made != running.echo.sent or not made:
            made = running.echo.sent
            await asyncio.sleep(0.1)
        await running.skip(61)
        await running.echo.closed.wait()
        assert running.echo.closings == 1


@on_loop
async def test_http_1_0_gets_a_stream_that_ends_with_the_connection() -> None:
    async with own() as running:
        answer = await running.ask(b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert answer.body.endswith(b"[DONE]\n\n")
        assert b"transfer-encoding" not in answer.headers
        assert answer.headers[b"connection"] == b"close"


@on_loop
async def test_pipelined_bytes_are_bounded_while_a_request_is_under_way() -> None:
    async with own(Limits(ahead=10_000)) as running, running.client() as client:
        client.writer.transport.set_write_buffer_limits(high=0)
        more = post(b"/next", b"x" * 100_000) * 200
        await client.send(post(b"/slow"))
        sending = asyncio.ensure_future(client.send(more))
        await asyncio.sleep(0.3)
        assert not sending.done(), "20 MB were taken although nothing is read"
        running.echo.go.set()
        assert (await client.answer()).body == b'"slow"'
        for _ in range(200):
            assert msgspec.json.decode((await client.answer()).body)["length"] == 100_000
        await sending


@on_loop
async def test_a_client_that_pipelines_and_reads_nothing_is_not_read_from_and_then_cut() -> None:
    async def big(request: Request) -> Response:
        return Response(200, [], b"x" * 100_000)

    async with own(Limits(ahead=10_000, write_time=60)) as running, running.client() as client:
        running.echo.paths["/big"] = big
        client.writer.transport.pause_reading()
        more = asyncio.ensure_future(client.send(get(b"/big") * 1000))
        taken = -1
        while taken != len(running.echo.requests) or not taken:
            taken = len(running.echo.requests)
            await asyncio.sleep(0.1)
        assert taken < 500, f"{taken} answers were made that nobody read"
        assert running.server is not None
        [connection] = running.server.connections
        assert connection._transport.get_write_buffer_size() < 500_000
        await running.skip(61)
        assert not running.server.connections
        more.cancel()


@on_loop
async def test_a_request_may_arrive_byte_by_byte() -> None:
    data = post(b"/a", b'{"a": 1}') + b"\r\n" + b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    data += b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n" + get(b"/c")
    async with own() as running, running.client() as client:
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        paths = [msgspec.json.decode((await client.answer()).body)["path"] for _ in range(3)]
        assert paths == ["/a", "/b", "/c"]
        assert [request.body for request in running.echo.requests] == [b'{"a": 1}', b"abc", b""]


@on_loop
async def test_a_second_http_1_0_request_may_use_the_connection_when_it_asks_to() -> None:
    async with own() as running, running.client() as client:
        for _ in range(2):
            await client.send(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (await client.answer()).headers[b"connection"] == b"keep-alive"


@on_loop
async def test_an_offer_to_upgrade_is_declined_by_answering() -> None:
    async with own() as running, running.client() as client:
        for _ in range(2):
            await client.send(
                get(b"/x", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA")
            )
            assert (await client.answer()).status == 200


@on_loop
async def test_a_response_header_cannot_split_the_answer() -> None:
    async with own() as running:
        answer = await running.ask(get(b"/split"))
        assert answer.status == 500
        assert b"set-cookie" not in answer.headers


@on_loop
async def test_connections_past_the_bound_are_refused_and_room_is_found_again() -> None:
    async with own(Limits(connections=2)) as running:
        async with running.client() as first, running.client() as second:
            for client in (first, second):
                await client.send(get(b"/x"))
                assert (await client.answer()).status == 200
            async with running.client() as third:
                answer = await third.answer()
                assert (answer.status, answer.code) == (503, "unavailable")
        assert running.server is not None
        while running.server.connections:
            await asyncio.sleep(0.005)
        assert (await running.ask(get(b"/x"))).status == 200


@on_loop
async def test_the_private_socket_marks_its_requests() -> None:
    echo = Echo()
    server = Server(echo, internal=True)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "worker-0.sock")
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        await server.start(sock)
        client = Raw(*await asyncio.open_unix_connection(path))
        await client.send(get(b"/x"))
        assert (await client.answer()).status == 200
        assert (echo.requests[0].internal, echo.requests[0].peer) == (True, "")
        client.writer.close()
        await server.stop(1)


# --- stopping


@on_loop
async def test_stopping_finishes_what_is_under_way_and_takes_nothing_new() -> None:
    async with own(Limits(linger_time=0.05)) as running, running.client() as busy, running.client() as idle:
        assert running.server is not None
        await idle.send(get(b"/x"))
        await idle.answer()
        await busy.send(post(b"/slow") + get(b"/after"))
        while not running.server.answering:
            await asyncio.sleep(0.001)
        stopping = asyncio.ensure_future(running.server.stop(30))
        assert await idle.at_end()
        with pytest.raises(OSError):
            await asyncio.open_connection(*running.address)
        running.echo.go.set()
        answer = await busy.answer()
        assert (answer.body, answer.headers[b"connection"]) == (b'"slow"', b"close")
        assert await busy.at_end()
        assert await stopping == 0
        assert [request.path for request in running.echo.requests] == ["/x", "/slow"]


@on_loop
async def test_a_request_half_received_when_the_stop_comes_is_still_answered() -> None:
    async with own() as running, running.client() as client:
        assert running.server is not None
        await client.send(post(b"/x", b"hello")[:-3])
        while not running.server.connections:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        stopping = asyncio.ensure_future(running.server.stop(30))
        await asyncio.sleep(0.02)
        await client.send(b"llo")
        assert (await client.answer()).status == 200
        assert await stopping == 0


@on_loop
async def test_streams_are_finished_whole_when_the_stop_comes() -> None:
    async with own() as running, running.client() as client:
        assert running.server is not None
        await client.send(post(b"/stream"))
        while not running.server.answering and not running.echo.requests:
            await asyncio.sleep(0)
        stopping = asyncio.ensure_future(running.server.stop(30))
        assert (await client.answer()).body.endswith(b"[DONE]\n\n")
        assert await stopping == 0


@on_loop
async def test_what_outlasts_the_grace_is_cut_and_counted() -> None:
    async with own() as running, running.client() as client:
        assert running.server is not None
        await client.send(post(b"/slow"))
        while not running.server.answering:
            await asyncio.sleep(0.001)
        assert await running.server.stop(0.05) == 1
        assert running.echo.cancelled.is_set()
        with pytest.raises(Cut):
            await client.answer()
