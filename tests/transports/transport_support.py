"""A gateway for transports to carry, both transports on real sockets, and raw clients to talk to them."""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvicorn
import uvloop

from roadworthy.gateway.messages import Request, Response, StreamResponse
from roadworthy.gateway.transports.asgi import AsgiApp
from roadworthy.gateway.transports.limits import Limits
from roadworthy.gateway.transports.protocol import Server

SWEEP = 0.02
JSON = [(b"content-type", b"application/json")]


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on uvloop, as production does."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(lambda loop, context: None)  # handlers fail on purpose here
            runner.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


class Echo:
    """Answers by path and notes what happens to it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.cancelled = asyncio.Event()
        self.closed = asyncio.Event()
        """A stream's ``aclose`` ran."""
        self.closings = 0
        self.go = asyncio.Event()
        self.sent = 0
        self.paths: dict[str, Callable[[Request], Awaitable[Response | StreamResponse]]] = {
            "/stream": self._stream,
            "/endless": self._endless,
            "/broken": self._broken,
            "/broken-stream": self._broken_stream,
            "/slow": self._slow,
            "/none": self._none,
            "/split": self._split,
            "/object": self._object,
        }

    def refuse(self, status: int, code: str, message: str) -> Response:
        body = msgspec.json.encode({"error": {"message": message, "code": code}})
        return Response(status, [*JSON, (b"x-should-retry", b"false")], body)

    async def handle(self, request: Request) -> Response | StreamResponse:
        self.requests.append(request)
        handler = self.paths.get(request.path)
        if handler is not None:
            return await handler(request)
        said = {"method": request.method, "path": request.path, "query": request.query, "length": len(request.body)}
        return Response(200, [*JSON, (b"x-request-id", b"r1")], msgspec.json.encode(said))

    async def _stream(self, request: Request) -> StreamResponse:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                for number in range(20):
                    yield b"data: %d\n\n" % number
                    yield b""
                yield b"data: [DONE]\n\n"
            finally:
                self.closings += 1
                self.closed.set()

        return StreamResponse(200, [(b"content-type", b"text/event-stream")], chunks())

    async def _endless(self, request: Request) -> StreamResponse:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    self.sent += 65_536
                    yield b"x" * 65_536
                    await asyncio.sleep(0)
            finally:
                self.closings += 1
                self.closed.set()

        return StreamResponse(200, JSON, chunks())

    async def _broken(self, request: Request) -> Response:
        raise RuntimeError("a defect")

    async def _broken_stream(self, request: Request) -> StreamResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError("a defect")

        return StreamResponse(200, JSON, chunks())

    async def _slow(self, request: Request) -> Response:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Response(200, JSON, b'"slow"')

    async def _none(self, request: Request) -> Response:
        return Response(204, [], b"")

    async def _object(self, request: Request) -> StreamResponse:
        return StreamResponse(200, JSON, Numbers(self))

    async def _split(self, request: Request) -> Response:
        return Response(200, [(b"x-evil", b"a\r\nset-cookie: b")], b"{}")


class Numbers:
    """Chunks that are no generator: only an explicit ``aclose`` tells them that they are over."""

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._left = 3

    def __aiter__(self) -> Numbers:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        return b"%d" % self._left

    async def aclose(self) -> None:
        self._echo.closings += 1
        self._echo.closed.set()


class Skipping:
    """A clock that can be moved forward."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._skipped

    async def skip(self, seconds: float) -> None:
        """Let the server take in what has come, move on, and let its sweep see that."""
        await asyncio.sleep(4 * SWEEP)
        self._skipped += seconds
        await asyncio.sleep(4 * SWEEP)


class Running:
    def __init__(self, echo: Echo, address: tuple[str, int], server: Server | None, clock: Skipping) -> None:
        self.skip = clock.skip
        self.echo = echo
        self.address = address
        self.server = server
        """Our own transport, or ``None`` under uvicorn."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Raw]:
        reader, writer = await asyncio.open_connection(*self.address, limit=4 * 1024 * 1024)
        try:
            yield Raw(reader, writer)
        finally:
            writer.transport.abort()

    async def ask(self, data: bytes) -> Answer:
        """Send bytes on a new connection and read one answer."""
        async with self.client() as client:
            await client.send(data)
            return await client.answer()


class Answer(msgspec.Struct):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def code(self) -> str:
        return str(msgspec.json.decode(self.body)["error"]["code"])

    @property
    def message(self) -> str:
        return str(msgspec.json.decode(self.body)["error"]["message"])


class Cut(Exception):
    """The connection ended before the answer did."""


class Raw:
    """A client that sends exactly the bytes it is told to and reads answers strictly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self, *, head_only: bool = False) -> Answer:
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head[:-4].split(b"\r\n")
            status = int(lines[0].split(b" ")[1])
            pairs = [line.split(b": ", 1) for line in lines[1:]]
            headers = {name.lower(): value for name, value in pairs}
            assert len(headers) == len(pairs), f"a header twice: {lines}"
            body = b""
            if head_only or status in (100, 204, 304):
                pass
            elif b"transfer-encoding" in headers:
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readuntil(b"\r\n")
            elif b"content-length" in headers:
                body = await self.reader.readexactly(int(headers[b"content-length"]))
            else:
                body = await self.reader.read()
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Cut(str(error)) from error
        return Answer(status, headers, body)

    async def at_end(self) -> bool:
        """Has the server closed?  Waits until it has, or says something."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True


def bound() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


@asynccontextmanager
async def own(limits: Limits | None = None) -> AsyncIterator[Running]:
    echo, clock = Echo(), Skipping()
    server = Server(echo, limits=limits, sweep=SWEEP, clock=clock)
    sock = bound()
    address = sock.getsockname()
    await server.start(sock)
    try:
        yield Running(echo, address, server, clock)
    finally:
        echo.go.set()
        await server.stop(5)
        assert not server.connections, "a connection is left"
        assert server.answering == 0, "a request is left"


@asynccontextmanager
async def asgi(limits: Limits | None = None) -> AsyncIterator[Running]:
    echo = Echo()
    app = AsgiApp(echo, limits=limits)
    config = uvicorn.Config(app, http="httptools", lifespan="on", log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    sock = bound()
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[sock])
    tick = asyncio.ensure_future(server.main_loop())
    try:
        yield Running(echo, sock.getsockname(), None, Skipping())
    finally:
        echo.go.set()
        server.should_exit = True
        await tick
        await server.shutdown(sockets=[sock])


TRANSPORTS = {"own": own, "asgi": asgi}


def post(path: bytes, body: bytes = b"{}", *headers: bytes) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"Host: x", *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(path: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: x", *headers]) + b"\r\n\r\n"
