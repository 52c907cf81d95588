"""The counting upstream of the kill drill: an OpenAI-like server on loopback that stamps every request.

The stamp is the kernel's own (``SO_TIMESTAMPNS``): when the bytes reached this machine's queue for us, and not when
this process came round to reading them.  So a busy machine does not make an attempt look later than it was, and no
gateway has a say in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from roadworthy.kill_switch.drill.model import MARK, Attempt

SO_TIMESTAMPNS: Final = 35
_ANCILLARY: Final = socket.CMSG_SPACE(16)
_CHUNK: Final = 65536
_MARK: Final = MARK.encode()

STREAM_CHUNKS: Final = 20
STREAM_PAUSE: Final = 0.1
"""Seconds between two chunks."""
ANSWER: Final = 0.03
"""Seconds that a whole answer takes."""
LATE: Final = 0.6
"""Seconds before the first token of a late one."""
FAILS: Final = 2
"""Attempts of three that fail where a call is flaky."""

_USAGE: Final = b'"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}'
_WHOLE: Final = (
    b'{"id":"chatcmpl-drill","object":"chat.completion","created":1,"model":"drill","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"As ordered."},"finish_reason":"stop"}],' + _USAGE + b"}"
)
_FAILED: Final = b'{"error":{"message":"as ordered","type":"server_error","code":null}}'


class Upstream:
    """Serves until it is closed."""

    def __init__(self, count: Callable[[Attempt], None]) -> None:
        self._count = count
        self._listening = socket.socket()
        self._connections: set[Connection] = set()
        self._flaky = 0
        self.port = 0

    def start(self) -> int:
        """Returns the port."""
        listening = self._listening
        with contextlib.suppress(OSError):  # the time of reading counts then, which is later: it fails closed
            listening.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # what is accepted inherits it
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        listening.setblocking(False)
        asyncio.get_running_loop().add_reader(listening, self._accept)
        self.port = int(listening.getsockname()[1])
        return self.port

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listening)
        self._listening.close()
        for connection in list(self._connections):
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, ConnectionError):
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.add(Connection(accepted, self._take, self._connections.discard))

    def _take(self, connection: Connection, path: bytes, body: bytes, at: float) -> None:
        lane = path.split(b"/", 3)[1]
        self._count(Attempt(int(lane) if lane.isdigit() else -1, at))
        _, _, rest = body.partition(_MARK)
        kind = rest[: rest.find(b'"')]
        fails = False
        if kind == b"flaky":
            self._flaky += 1
            fails = self._flaky % (FAILS + 1) != 0
        connection.answer(LATE if kind == b"late" else ANSWER, stream=kind == b"stream", fails=fails)


class Connection:
    """One connection; one request at a time."""

    def __init__(
        self,
        sock: socket.socket,
        take: Callable[[Connection, bytes, bytes, float], None],
        gone: Callable[[Connection], None],
    ) -> None:
        self._sock = sock
        self._take = take
        self._gone = gone
        self._held = b""
        self._at = 0.0
        self._answering: asyncio.Task[None] | None = None
        asyncio.get_running_loop().add_reader(sock, self._read)

    def answer(self, seconds: float, *, stream: bool, fails: bool) -> None:
        """After so many seconds."""
        self._answering = asyncio.ensure_future(self._answer(seconds, stream, fails))

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    def close(self) -> None:
        if self._sock.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._sock)
        if self._answering is not None:
            self._answering.cancel()
        self._sock.close()
        self._gone(self)

    async def _answer(self, seconds: float, stream: bool, fails: bool) -> None:
        try:
            await asyncio.sleep(seconds)
            if fails:
                await self.send(_response(b"503 Service Unavailable", _FAILED))
            elif stream:
                await _streamed(self)
            else:
                await self.send(_response(b"200 OK", _WHOLE))
        except OSError:  # the gateway let go of it, which is its right
            self.close()

    def _read(self) -> None:
        try:
            data, ancillary, _, _ = self._sock.recvmsg(_CHUNK, _ANCILLARY)
        except BlockingIOError:
            return
        except OSError:
            data, ancillary = b"", []
        if not data:
            self.close()
            return
        if not self._held:
            self._at = _stamp(ancillary)
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _length(self._held[:end])
        if len(self._held) < end + 4 + length:
            return
        head, body = self._held[:end], self._held[end + 4 : end + 4 + length]
        self._held = self._held[end + 4 + length :]
        self._take(self, head.split(b" ", 2)[1], body, self._at)


async def _streamed(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for number in range(STREAM_CHUNKS):
        await connection.send(_event(b'{"role":"assistant","content":"word %d "}' % number, b"null"))
        await asyncio.sleep(STREAM_PAUSE)
    done = b"data: [DONE]\n\n"
    await connection.send(_event(b"{}", b'"stop"') + b"%x\r\n%b\r\n0\r\n\r\n" % (len(done), done))


def _event(delta: bytes, reason: bytes) -> bytes:
    data = (
        b'data: {"id":"chatcmpl-drill","object":"chat.completion.chunk","created":1,"model":"drill",'
        b'"choices":[{"index":0,"delta":%b,"finish_reason":%b}]}\n\n' % (delta, reason)
    )
    return b"%x\r\n%b\r\n" % (len(data), data)


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> float:
    """Unix seconds; without a stamp of the kernel's, now."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("@qq", data[:16])
            return float(seconds + nanoseconds / 1e9)
    return time.time()
