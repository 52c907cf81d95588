"""However the network cuts a valid answer into pieces, the reply is the same; and no bytes crash the parser."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from roadworthy.http1.connection import STREAM, Connection
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.messages import Clocks, Reply
from roadworthy.http1.stream import StreamReply

CLOCKS = Clocks(1, 1, 1, 1)


class Wire(asyncio.Transport):
    """A transport into nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: Any) -> None: ...
    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0


class Owner:
    def __init__(self) -> None:
        self.events: list[str] = []

    def closed(self, connection: Connection) -> None:
        self.events.append("closed")

    def finished(self, connection: Connection) -> None:
        self.events.append("finished")

    def gone(self, connection: Connection) -> None:
        self.events.append("gone")


def receive(pieces: list[bytes], *, close: bool) -> tuple[Reply | Http1Error | None, list[str]]:
    """What a connection makes of these pieces, and what it told its owner."""
    loop = asyncio.new_event_loop()

    async def play() -> tuple[Reply | Http1Error | None, list[str]]:
        owner = Owner()
        connection = Connection(owner, "k", lambda: 0.0)
        wire = Wire()
        connection.connection_made(wire)
        answer = connection.send(b"POST / HTTP/1.1\r\nContent-Length: ", b"", CLOCKS, 0.0, 10_000)
        for piece in pieces:
            if not wire.closed:
                connection.data_received(piece)
        if close or wire.closed:
            connection.connection_lost(None)
        if not answer.done():
            return None, owner.events
        error = answer.exception()
        result = error or answer.result()
        assert isinstance(result, Reply | Http1Error)
        return result, owner.events

    try:
        return loop.run_until_complete(play())
    finally:
        loop.close()


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted({point % (len(data) + 1) for point in at}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


bodies = st.binary(max_size=300)
extra = st.lists(st.sampled_from([b"X-A: b", b"Content-Type: text/plain", b"x-empty:"]), max_size=3)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bytes, bool]:
    """(bytes of an answer, its body, does the end of the connection end it?)"""
    body = draw(bodies)
    lines = [b"HTTP/1.1 200 OK", *draw(extra)]
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n" if draw(st.booleans()) else b""
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
        payload = body
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        parts = cut(body, draw(st.lists(st.integers(0, 300), max_size=5)))
        payload = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    else:
        payload = body
    return interim + b"\r\n".join(lines) + b"\r\n\r\n" + payload, body, framing == "close"


@given(answers(), st.lists(st.integers(0, 10_000), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_split_of_a_valid_answer_gives_the_same_reply(answer: tuple[bytes, bytes, bool], at: list[int]) -> None:
    data, body, close = answer
    whole, whole_events = receive([data], close=close)
    split, split_events = receive(cut(data, at), close=close)
    assert isinstance(whole, Reply)
    assert whole.body == body
    assert split == whole
    assert whole_events == split_events
    assert ("finished" in split_events) is not close


@given(answers(), st.integers(0, 10_000), st.lists(st.integers(0, 10_000), max_size=10))
@settings(max_examples=200, deadline=None)
def test_any_answer_cut_short_is_never_success(answer: tuple[bytes, bytes, bool], end: int, at: list[int]) -> None:
    data, _, close = answer
    short = data[: end % len(data)]
    if close and b"\r\n\r\n" in short.removeprefix(b"HTTP/1.1 103 Early Hints\r\n\r\n"):
        return  # its end cannot be told from a cut: the reason why JSON APIs send a length
    result, events = receive(cut(short, at), close=True)
    assert isinstance(result, Http1Error)
    assert events.count("gone") == 1
    assert "finished" not in events


@given(st.lists(st.binary(max_size=200), max_size=10), st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_bytes_whatever_crash_the_connection(pieces: list[bytes], close: bool) -> None:
    result, events = receive([b"HTTP/1.1 200 OK\r\n", *[p for p in pieces if p]], close=True)
    assert isinstance(result, Reply | Http1Error)
    assert events[-2:] == ["gone", "closed"]


def test_a_stream_that_ends_while_its_consumer_is_behind_leaves_a_connection_that_reads() -> None:
    async def play() -> None:
        owner, wire = Owner(), Wire()
        connection = Connection(owner, "k", lambda: 0.0)
        connection.connection_made(wire)
        answer = connection.send(b"POST / HTTP/1.1\r\nContent-Length: ", b"", CLOCKS, 0.0, STREAM)
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 150_000)
        assert not wire.reading
        connection.data_received(b"x" * 50_000)
        assert (wire.reading, owner.events) == (True, ["finished"])
        stream = await answer
        assert isinstance(stream, StreamReply)
        assert len(await stream.read(200_000)) == 200_000
        assert stream.complete

    asyncio.run(play())
