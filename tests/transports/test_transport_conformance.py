"""What a caller may rely on, whichever transport carries the gateway."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from transport_support import TRANSPORTS, Cut, Echo, get, on_loop, post

from roadworthy.gateway.transports.asgi import AsgiApp
from roadworthy.gateway.transports.limits import Limits

both = pytest.mark.parametrize("transport", list(TRANSPORTS))


@both
@on_loop
async def test_a_request_arrives_as_it_was_sent(transport: str) -> None:
    async with TRANSPORTS[transport]() as running:
        data = post(b"/v1/a%20b?x=1&y=%2F", b'{"a": 1}', b"Authorization: Bearer k", b"X-Two: 1", b"X-Two: 2")
        answer = await running.ask(data)
        assert (answer.status, answer.headers[b"content-type"]) == (200, b"application/json")
        assert answer.headers[b"x-request-id"] == b"r1"
        (request,) = running.echo.requests
        assert (request.method, request.path, request.query) == ("POST", "/v1/a%20b", "x=1&y=%2F")
        assert (request.body, request.peer, request.internal) == (b'{"a": 1}', "127.0.0.1", False)
        assert request.header(b"authorization") == b"Bearer k"
        assert [value for name, value in request.headers if name == b"x-two"] == [b"1", b"2"]


@both
@on_loop
async def test_a_connection_serves_many_requests_one_after_the_other(transport: str) -> None:
    async with TRANSPORTS[transport]() as running, running.client() as client:
        for number in range(20):
            await client.send(post(b"/%d" % number, b"x" * number))
            answer = await client.answer()
            assert msgspec.json.decode(answer.body)["length"] == number


@both
@on_loop
async def test_pipelined_requests_are_answered_in_order(transport: str) -> None:
    async with TRANSPORTS[transport]() as running, running.client() as client:
        await client.send(b"".join([post(b"/stream"), *(post(b"/%d" % n, b"b" * n) for n in range(10)), get(b"/none")]))
        assert (await client.answer()).body.endswith(b"[DONE]\n\n")
        for number in range(10):
            assert msgspec.json.decode((await client.answer()).body)["path"] == f"/{number}"
        assert (await client.answer()).status == 204


@both
@on_loop
async def test_a_chunked_upload_arrives_whole(transport: str) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with TRANSPORTS[transport]() as running, running.client() as client:
        await client.send(head + b"5\r\nhello\r\n", b"1", b"0\r\n0123456789abcdef\r", b"\n0\r\n\r\n")
        assert msgspec.json.decode((await client.answer()).body)["length"] == 21
        assert running.echo.requests[0].body == b"hello0123456789abcdef"
        await client.send(get(b"/next"))
        assert (await client.answer()).status == 200


@both
@on_loop
async def test_a_stream_arrives_piece_by_piece_and_whole(transport: str) -> None:
    async with TRANSPORTS[transport]() as running:
        answer = await running.ask(post(b"/stream"))
        assert answer.headers[b"content-type"] == b"text/event-stream"
        assert answer.body == b"".join(b"data: %d\n\n" % n for n in range(20)) + b"data: [DONE]\n\n"
        assert running.echo.closings == 1


@both
@on_loop
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_stream_is_closed_exactly_once(transport: str, method: bytes) -> None:
    async with TRANSPORTS[transport]() as running, running.client() as client:
        await client.send(b"%b /object HTTP/1.1\r\nHost: x\r\n\r\n" % method)
        assert (await client.answer(head_only=method == b"HEAD")).body == (b"210" if method == b"GET" else b"")
        await running.echo.closed.wait()
        assert running.echo.closings == 1


@both
@on_loop
async def test_head_gets_the_headers_and_no_body(transport: str) -> None:
    async with TRANSPORTS[transport]() as running, running.client() as client:
        for path in (b"/x", b"/stream"):
            await client.send(b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            assert (await client.answer(head_only=True)).status == 200
        await client.send(get(b"/after"))
        assert msgspec.json.decode((await client.answer()).body)["path"] == "/after"


@both
@on_loop
async def test_no_content_has_no_length(transport: str) -> None:
    async with TRANSPORTS[transport]() as running:
        answer = await running.ask(get(b"/none"))
        assert answer.status == 204
        assert b"content-length" not in answer.headers
        assert b"transfer-encoding" not in answer.headers


@both
@on_loop
async def test_http_1_0_gets_its_answer_and_the_end(transport: str) -> None:
    async with TRANSPORTS[transport]() as running, running.client() as client:
        await client.send(b"GET /x HTTP/1.0\r\n\r\n")
        assert (await client.answer()).status == 200
        assert await client.at_end()


@both
@on_loop
async def test_connection_close_is_honoured(transport: str) -> None:
    async with TRANSPORTS[transport]() as running, running.client() as client:
        await client.send(get(b"/x", b"Connection: close"))
        assert (await client.answer()).headers[b"connection"] == b"close"
        assert await client.at_end()


@both
@on_loop
async def test_a_caller_that_expects_100_continue_gets_it(transport: str) -> None:
    async with TRANSPORTS[transport]() as running, running.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.answer()).status == 100
        await client.send(b"hello")
        assert (await client.answer()).status == 200


@both
@on_loop
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_past_the_limit_is_refused_in_our_shape(transport: str, chunked: bool) -> None:
    async with TRANSPORTS[transport](Limits(body=1000)) as running, running.client() as client:
        if chunked:
            data = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n"
        else:
            data = post(b"/", b"x" * 1001)
        await client.send(data)
        answer = await client.answer()
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert "1000" in answer.message
        assert running.echo.requests == []


@both
@on_loop
async def test_a_body_at_the_limit_is_taken(transport: str) -> None:
    async with TRANSPORTS[transport](Limits(body=1_000_000)) as running:
        assert (await running.ask(post(b"/", b"x" * 1_000_000))).status == 200


@both
@on_loop
async def test_a_client_that_leaves_cancels_its_request(transport: str) -> None:
    async with TRANSPORTS[transport]() as running:
        async with running.client() as client:
            await client.send(post(b"/slow"))
            while not running.echo.requests:
                await asyncio.sleep(0.001)
        await running.echo.cancelled.wait()


@both
@on_loop
async def test_a_client_that_leaves_a_stream_closes_it(transport: str) -> None:
    async with TRANSPORTS[transport]() as running:
        async with running.client() as client:
            await client.send(post(b"/endless"))
            await client.reader.readexactly(100_000)
        await running.echo.closed.wait()
        assert running.echo.closings == 1


@both
@on_loop
async def test_a_client_that_does_not_read_stops_the_stream_from_being_made(transport: str) -> None:
    async with TRANSPORTS[transport]() as running, running.client() as client:
        client.writer.transport.pause_reading()
        await client.send(post(b"/endless"))
        made = -1
        while made != running.echo.sent or not made:
            made = running.echo.sent
            await asyncio.sleep(0.1)
        assert made < 32 * 1024 * 1024


@both
@on_loop
async def test_a_stream_that_breaks_is_never_taken_for_whole(transport: str) -> None:
    async with TRANSPORTS[transport]() as running:
        with pytest.raises(Cut):
            await running.ask(post(b"/broken-stream"))
        assert (await running.ask(get(b"/x"))).status == 200


@both
@on_loop
async def test_a_handler_that_raises_is_a_500_and_the_worker_lives_on(transport: str) -> None:
    async with TRANSPORTS[transport]() as running:
        assert (await running.ask(get(b"/broken"))).status == 500
        assert (await running.ask(get(b"/x"))).status == 200


@both
@on_loop
async def test_many_clients_at_once_each_get_their_own_answer(transport: str) -> None:
    async with TRANSPORTS[transport]() as running:

        async def one(number: int) -> None:
            async with running.client() as client:
                for turn in range(5):
                    await client.send(post(b"/%d-%d" % (number, turn)))
                    assert msgspec.json.decode((await client.answer()).body)["path"] == f"/{number}-{turn}"

        await asyncio.gather(*(one(n) for n in range(50)))


@on_loop
async def test_an_asgi_server_learns_of_a_defect_in_the_handler() -> None:
    async def receive() -> dict[str, object]:
        if asked:
            await asyncio.Event().wait()
        asked.append(True)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None: ...

    asked: list[bool] = []
    scope = {"type": "http", "method": "GET", "path": "/broken", "query_string": b"", "headers": []}
    with pytest.raises(RuntimeError, match="a defect"):
        await AsgiApp(Echo())(scope, receive, send)
