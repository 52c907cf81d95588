"""A provider on loopback that fails on purpose, signs every answer with a nonce and remembers what it sent.

Speaks chat completions, whole and streamed.  A request whose last messages ask to go on with an unfinished answer
(the continuation of a broken stream) gets the rest of that very answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

SENTENCE = "we have looked at your order and it is on its way so please give us one more day to find out"
WORDS = SENTENCE.split(" ")
NONCE = re.compile(r"nonce-[0-9a-z]+-\d+-[0-9a-f]{12}")
LAST_WORDS = re.compile(r"<last_words>\n(.*)\n</last_words>", re.S)
"""What a model without native prefill is asked to begin with."""
CALL = re.compile(r"call-(\d+)")

Fault = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Sent:
    """One answer that the provider made up, whether it arrived or not."""

    call: str
    text: str


@dataclass
class Provider:
    """One target.  ``fault`` chooses what happens to a request (``None``: it is answered)."""

    name: str
    choose: Callable[[int], Fault | None] = lambda number: None
    delay: Callable[[], float] = lambda: 0.0
    """Seconds until the first byte."""
    requests: int = 0
    sent: dict[str, Sent] = field(default_factory=dict)
    """Nonce → answer."""
    struck: Counter[str] = field(default_factory=Counter)
    """Fault → how often."""
    port: int = 0
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[Any]] = field(default_factory=set)

    async def start(self) -> Provider:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing():
                await self._answer(await _request(reader), writer)
        writer.close()

    async def _answer(self, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        number = self.requests
        exchange = Exchange(self, writer, request, self._text(request, number))
        if pause := self.delay():
            await asyncio.sleep(pause)
        fault = self.choose(number)
        if fault is None:
            await exchange.good()
        else:
            self.struck[fault.__name__] += 1
            await fault(exchange)

    def _text(self, request: dict[str, Any], number: int) -> str:
        """A new answer, or the rest of the one that the request holds."""
        messages = request["messages"]
        begun = next((m["content"] for m in reversed(messages[-2:]) if m["role"] == "assistant"), None)
        if begun is not None and (found := NONCE.search(begun)):
            whole = self.sent_anywhere(found[0])
            if whole is not None and whole.text.startswith(begun):
                wanted = LAST_WORDS.search(messages[-1]["content"])
                return (wanted[1] if wanted else "") + whole.text[len(begun) :]
        rng = random.Random(f"{self.name} {number}")
        nonce = f"nonce-{self.name}-{number}-{rng.getrandbits(48):012x}"
        asked = CALL.search(json.dumps(messages))
        text = f"{nonce}: " + " ".join(rng.choices(WORDS, k=30)) + "."
        self.sent[nonce] = Sent(asked[0] if asked else "", text)
        return text

    siblings: list[Provider] = field(default_factory=list)

    def sent_anywhere(self, nonce: str) -> Sent | None:
        """Another target may be asked to go on with our answer: the story is the same."""
        return next((p.sent[nonce] for p in (self, *self.siblings) if nonce in p.sent), None)


@dataclass
class Exchange:
    """One request and the connection to answer it on."""

    provider: Provider
    writer: asyncio.StreamWriter
    request: dict[str, Any]
    text: str

    @property
    def stream(self) -> bool:
        return bool(self.request.get("stream"))

    async def good(self) -> None:
        if self.stream:
            await self.events([*self.deltas(), self.finish(), self.usage()])
        else:
            await self.whole(self.completion())

    def completion(self, **message: Any) -> dict[str, Any]:
        said = {"role": "assistant", "content": self.text, **message}
        return {
            "id": "chatcmpl-bench", "object": "chat.completion", "created": 1, "model": "bench",
            "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100},
        }  # fmt: skip

    def deltas(self) -> list[str]:
        pieces = re.findall(r"\S+\s*", self.text)
        return [self._chunk([{"index": 0, "delta": {"content": piece}, "finish_reason": None}]) for piece in pieces]

    def finish(self) -> str:
        return self._chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])

    def usage(self) -> str:
        return self._chunk([], usage={"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100})

    def _chunk(self, choices: list[Any], **more: Any) -> str:
        chunk = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1, "model": "bench"}
        return json.dumps({**chunk, "choices": choices, **more})

    async def whole(self, body: Any, status: int = 200, headers: str = "", kind: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\n{headers}content-length: {len(data)}\r\n\r\n"
        self.writer.write(head.encode() + data)
        await self.writer.drain()

    async def head(self) -> None:
        self.writer.write(b"HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        await self.writer.drain()

    async def event(self, data: str) -> None:
        line = f"data: {data}\n\n".encode()
        self.writer.write(b"%x\r\n%b\r\n" % (len(line), line))
        await self.writer.drain()

    async def events(self, found: list[str]) -> None:
        await self.head()
        for data in [*found, "[DONE]"]:
            await self.event(data)
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def reset(self) -> None:
        """A TCP reset instead of an end."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: close sends RST
        self.writer.close()


async def error_500(exchange: Exchange) -> None:
    await exchange.whole({"error": {"message": "internal"}}, 500)


async def error_503(exchange: Exchange) -> None:
    await exchange.whole({"error": {"message": "overloaded"}}, 503)


async def error_529(exchange: Exchange) -> None:
    await exchange.whole({"error": {"message": "overloaded"}}, 529)


async def rate_limit(exchange: Exchange) -> None:
    await exchange.whole({"error": {"message": "slow down"}}, 429, "retry-after: 1\r\n")


async def html_with_200(exchange: Exchange) -> None:
    await exchange.whole(b"<html>We are sorry</html>", kind="text/html")


async def empty_body(exchange: Exchange) -> None:
    await exchange.whole(b"")


async def truncated_json(exchange: Exchange) -> None:
    await exchange.whole(json.dumps(exchange.completion()).encode()[:-40])


async def no_choices(exchange: Exchange) -> None:
    await exchange.whole({**exchange.completion(), "choices": []})


async def null_content(exchange: Exchange) -> None:
    await exchange.whole(exchange.completion(content=None))


async def reset_before_first_byte(exchange: Exchange) -> None:
    exchange.reset()


async def reset_after_headers(exchange: Exchange) -> None:
    if exchange.stream:
        await exchange.head()
    else:
        exchange.writer.write(b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{")
        await exchange.writer.drain()
    exchange.reset()


async def closed_without_answer(exchange: Exchange) -> None:
    exchange.writer.close()


async def silent(exchange: Exchange) -> None:
    await asyncio.sleep(120.0)


async def cut_in_mid_stream(exchange: Exchange) -> None:
    if not exchange.stream:
        await truncated_json(exchange)
        return
    deltas = exchange.deltas()
    await exchange.head()
    for data in deltas[: max(1, len(deltas) * 2 // 3)]:
        await exchange.event(data)
    exchange.reset()


async def cut_once(exchange: Exchange) -> None:
    """One answer in eight is cut, which the retry budget bears; what goes on with one that was is not."""
    begun = any(message["role"] == "assistant" for message in exchange.request["messages"])
    if begun or len(exchange.provider.sent) % 8:
        await exchange.good()
    else:
        exchange.provider.struck["cut"] += 1
        await cut_in_mid_stream(exchange)


async def stalled_in_mid_stream(exchange: Exchange) -> None:
    if not exchange.stream:
        await silent(exchange)
        return
    deltas = exchange.deltas()
    await exchange.head()
    for data in deltas[: max(1, len(deltas) // 2)]:
        await exchange.event(data)
    await asyncio.sleep(30.0)


async def error_event_in_mid_stream(exchange: Exchange) -> None:
    if not exchange.stream:
        await error_500(exchange)
        return
    await exchange.head()
    for data in exchange.deltas()[:10]:
        await exchange.event(data)
    await exchange.event(json.dumps({"error": {"message": "overloaded", "type": "server_error"}}))
    exchange.writer.write(b"0\r\n\r\n")
    await exchange.writer.drain()


QUICK: tuple[Fault, ...] = (
    error_500, error_503, error_529, rate_limit, html_with_200, empty_body, truncated_json, no_choices, null_content,
    reset_before_first_byte, reset_after_headers, closed_without_answer, cut_in_mid_stream, error_event_in_mid_stream,
)  # fmt: skip
SLOW: tuple[Fault, ...] = (silent, stalled_in_mid_stream)
"""Each costs its caller a clock."""


def rotating(share: float, seed: int = 7) -> Callable[[int], Fault | None]:
    """This share of the requests fails, each time in the next way; one failure in fifty is a slow one."""
    rng = random.Random(seed)
    quick, slow, struck = itertools.cycle(QUICK), itertools.cycle(SLOW), itertools.count(1)

    def choose(number: int) -> Fault | None:
        if rng.random() >= share:
            return None
        return next(slow) if next(struck) % 50 == 0 else next(quick)

    return choose


async def _request(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    body = await reader.readexactly(int(length[1]) if length else 0)
    found: dict[str, Any] = json.loads(body)
    return found
