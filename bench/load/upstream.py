"""``python -m bench.load.upstream``: the least that a load generator can be measured against, in a process of its own.

Answers every chat completion with the same small one, whole or as a stream, after ``delay`` seconds, and notes when the
request arrived: its ``max_tokens`` is the call's number, the instant is CLOCK_MONOTONIC, which all processes of the
machine share.  ``GET /seen`` hands over what was noted as pairs of little-endian doubles and forgets it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import re
import time
from array import array

import httptools
import uvloop

NUMBER = re.compile(rb'"max_tokens": ?(\d+)')
STREAMED = re.compile(rb'"stream": ?true')
USAGE = b'"usage":{"prompt_tokens":312,"completion_tokens":8,"total_tokens":320}'
CHUNK = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"m","choices":[%b]}\n\n'
WHOLE = (
    b'{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"' + b"Count how many new connections a second the gateway opens. " * 8
    + b'"},"finish_reason":"stop"}],'
) + USAGE + b"}"  # fmt: skip
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(WHOLE), WHOLE)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = 8
WORD = CHUNK % b'{"index":0,"delta":{"content":" word"},"finish_reason":null}'
END = (
    CHUNK % b'{"index":0,"delta":{},"finish_reason":"stop"}'
    + b'data: {"choices":[],' + USAGE + b"}\n\ndata: [DONE]\n\n"
)  # fmt: skip


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    """One connection; one request at a time."""

    seen: array[float] = array("d")

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._path = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        del self._parser

    def data_received(self, data: bytes) -> None:
        self._at = time.monotonic()
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        if self._path == b"/seen":
            return self._hand_over()
        number = NUMBER.search(body)
        if number is not None:
            Upstream.seen.extend((float(number[1]), self._at))
        self._after(self._stream if STREAMED.search(body) else self._answer)

    def _after(self, what: object, *given: object) -> None:
        if self._delay:
            self._loop.call_later(self._delay, what, *given)  # type: ignore[arg-type]
        else:
            what(*given)  # type: ignore[operator]

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(ANSWER)

    def _stream(self, piece: int = 0) -> None:
        if self._transport.is_closing():
            return
        if piece < PIECES:
            self._transport.write((b"" if piece else STREAM_HEAD) + chunked(WORD))
            self._after(self._stream, piece + 1)
        else:
            self._transport.write(chunked(END) + b"0\r\n\r\n")

    def _hand_over(self) -> None:
        noted = Upstream.seen.tobytes()
        del Upstream.seen[:]
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(noted), noted))


async def serve(port: int, delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(delay), "127.0.0.1", port, backlog=1024)
    gc.freeze()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("delay", type=float)
    asked = parser.parse_args()
    uvloop.run(serve(asked.port, asked.delay))
