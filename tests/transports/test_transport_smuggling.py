"""Bytes that two servers could read differently are refused and the connection closed, so nothing rides behind them."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_support import get, on_loop, own

from roadworthy.gateway.transports.chunked import ChunkedBody
from roadworthy.gateway.transports.head import CHUNKED, Head, Malformed, parse_head
from roadworthy.gateway.transports.limits import Limits

LIMITS = Limits()
RIDER = get(b"/smuggled")


def head(*lines: bytes, first: bytes = b"POST / HTTP/1.1", host: bytes = b"Host: x") -> bytes:
    return b"\r\n".join([first, *([host] if host else []), *lines]) + b"\r\n\r\n"


CHUNKS = b"Transfer-Encoding: chunked"
VECTORS: dict[str, bytes] = {
    "both lengths": head(b"Content-Length: 4", CHUNKS) + b"0\r\n\r\n",
    "both lengths, other order": head(CHUNKS, b"Content-Length: 4") + b"0\r\n\r\n",
    "two equal lengths": head(b"Content-Length: 4", b"Content-Length: 4") + b"abcd",
    "two different lengths": head(b"Content-Length: 4", b"Content-Length: 0") + b"abcd",
    "a list of lengths": head(b"Content-Length: 4, 4") + b"abcd",
    "a signed length": head(b"Content-Length: +4") + b"abcd",
    "a negative length": head(b"Content-Length: -4") + b"abcd",
    "a hexadecimal length": head(b"Content-Length: 0x4") + b"abcd",
    "a fraction": head(b"Content-Length: 4.0") + b"abcd",
    "an empty length": head(b"Content-Length:") + b"abcd",
    "a length with an underscore": head(b"Content-Length: 1_0") + b"abcdefghij",
    "a length with a space inside": head(b"Content-Length: 1 0") + b"abcdefghij",
    "a length past 64 bits": head(b"Content-Length: 18446744073709551620") + b"abcd",
    "a length in other digits": head("Content-Length: ٤".encode()) + b"abcd",
    "two codings": head(CHUNKS, CHUNKS) + b"0\r\n\r\n",
    "a list of codings": head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "chunked twice": head(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n",
    "chunked not last": head(b"Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
    "identity": head(b"Transfer-Encoding: identity", b"Content-Length: 4") + b"abcd",
    "an unknown coding": head(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "a quoted coding": head(b'Transfer-Encoding: "chunked"') + b"0\r\n\r\n",
    "an empty coding": head(b"Transfer-Encoding:") + b"0\r\n\r\n",
    "a coding with a vertical tab": head(b"Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n",
    "a coding in HTTP/1.0": head(CHUNKS, first=b"POST / HTTP/1.0") + b"0\r\n\r\n",
    "white space before the colon of the length": head(b"Content-Length : 4") + b"abcd",
    "a tab before the colon of the coding": head(b"Transfer-Encoding\t: chunked") + b"0\r\n\r\n",
    "a folded coding": head(b"Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n",
    "a folded header": head(b"X: a\r\n\tContent-Length: 4"),
    "a header that starts with a space": head(b" Content-Length: 4") + b"abcd",
    "a first header that starts with a space": b"POST / HTTP/1.1\r\n Host: x\r\n\r\n",
    "a bare LF in the head": b"POST / HTTP/1.1\r\nHost: x\nContent-Length: 4\r\n\r\nabcd",
    "only bare LFs": b"POST / HTTP/1.1\nHost: x\nContent-Length: 4\n\nabcd",
    "a bare CR in a value": head(b"X: a\rContent-Length: 4"),
    "a bare CR before the line end": head(b"X: a\r"),
    "a bare LF in a value": head(b"X: a\nContent-Length: 4"),
    "a NUL in a value": head(b"X: a\0b"),
    "a NUL in a name": head(b"X\0: a"),
    "a control character in a value": head(b"X: a\x01b"),
    "DEL in a value": head(b"X: a\x7fb"),
    "a form feed in a value": head(b"X: a\x0cb"),
    "a name outside ASCII": head("Ünicode: a".encode()),
    "an empty name": head(b": a"),
    "no colon": head(b"Content-Length"),
    "a space in a name": head(b"Content Length: 4"),
    "a bracket in a name": head(b"Content-Length(): 4"),
    "no host": head(host=b""),
    "two hosts": head(b"Host: y"),
    "a host with user information": head(host=b"Host: a@b"),
    "a host with a path": head(host=b"Host: a/b"),
    "absolute form": head(first=b"GET http://elsewhere/x HTTP/1.1"),
    "authority form": head(first=b"CONNECT elsewhere:443 HTTP/1.1"),
    "connect with a path": head(first=b"CONNECT / HTTP/1.1"),
    "asterisk form": head(first=b"OPTIONS * HTTP/1.1"),
    "an empty target": head(first=b"GET  HTTP/1.1"),
    "a target without a slash": head(first=b"GET x HTTP/1.1"),
    "a fragment": head(first=b"GET /x#y HTTP/1.1"),
    "a space in the target": head(first=b"GET /x y HTTP/1.1"),
    "a tab in the request line": head(first=b"GET\t/x\tHTTP/1.1"),
    "a control character in the target": head(first=b"GET /x\x01 HTTP/1.1"),
    "a raw byte in the target": head(first=b"GET /\xff HTTP/1.1"),
    "two spaces": head(first=b"GET  /x HTTP/1.1"),
    "a lower-case method": head(first=b"get / HTTP/1.1"),
    "an invented method": head(first=b"SMUGGLE / HTTP/1.1"),
    "a method with a colon": head(first=b"GE:T / HTTP/1.1"),
    "a leading space": b" " + get(b"/"),
    "no version": head(first=b"GET /"),
    "a version in lower case": head(first=b"GET / http/1.1"),
    "a version with more digits": head(first=b"GET / HTTP/1.10"),
    "version 1.2": head(first=b"GET / HTTP/1.2"),
    "trailing space in the request line": head(first=b"GET / HTTP/1.1 "),
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "chunk: a bare LF after the size": head(CHUNKS) + b"1\na\r\n0\r\n\r\n",
    "chunk: a bare LF after the data": head(CHUNKS) + b"1\r\na\n0\r\n\r\n",
    "chunk: more data than the size": head(CHUNKS) + b"1\r\nab\r\n0\r\n\r\n",
    "chunk: a signed size": head(CHUNKS) + b"+1\r\na\r\n0\r\n\r\n",
    "chunk: a prefixed size": head(CHUNKS) + b"0x1\r\na\r\n0\r\n\r\n",
    "chunk: a negative size": head(CHUNKS) + b"-1\r\na\r\n0\r\n\r\n",
    "chunk: a size past 32 bits": head(CHUNKS) + b"100000001\r\na\r\n0\r\n\r\n",
    "chunk: an empty size": head(CHUNKS) + b"\r\na\r\n0\r\n\r\n",
    "chunk: an extension": head(CHUNKS) + b"1;a=b\r\na\r\n0\r\n\r\n",
    "chunk: an extension with a bare LF": head(CHUNKS) + b"1;\na\r\na\r\n0\r\n\r\n",
    "chunk: a bare CR in the size line": head(CHUNKS) + b"1\ra\r\na\r\n0\r\n\r\n",
    "chunk: a leading space": head(CHUNKS) + b" 1\r\na\r\n0\r\n\r\n",
    "chunk: a size line without end": head(CHUNKS) + b"0" * 100,
    "chunk: a malformed trailer": head(CHUNKS) + b"0\r\nX : y\r\n\r\n",
    "chunk: endless trailers": head(CHUNKS) + b"0\r\n" + b"X: y\r\n" * 3000,
    "chunk: crumbs": head(CHUNKS) + b"1\r\na\r\n" * 3000,
}


@on_loop
@pytest.mark.parametrize("name", list(VECTORS))
async def test_ambiguous_bytes_are_refused_and_nothing_behind_them_is_read(name: str) -> None:
    async with own() as running, running.client() as client:
        await client.send(VECTORS[name] + RIDER)
        answer = await client.answer()
        assert answer.status in (400, 505), answer
        assert answer.code == "bad_request"
        assert answer.headers[b"connection"] == b"close"
        assert await client.at_end(), "a second answer: the rider was served"
        assert running.echo.requests == []


@on_loop
async def test_every_refusal_says_what_is_wrong() -> None:
    said = {}
    for name, data in VECTORS.items():
        if name.startswith("chunk"):
            continue
        try:
            parse_head(data[: data.find(b"\r\n\r\n") + 4], LIMITS)
        except Malformed as malformed:
            said[name] = malformed.message
    assert said["a folded header"] == "malformed request: a header is folded over two lines"
    assert "bare CR or LF" in said["a bare LF in a value"]
    assert "white space before the colon" in said["white space before the colon of the length"]
    assert "must be a path" in said["absolute form"]
    assert "both" in said["both lengths"] or "Transfer-Encoding can't be present" in said["both lengths"]


def test_unusual_but_clear_heads_are_understood() -> None:
    parsed = parse_head(head(b"X-Empty:", b"x-tabs:\t a \t", b"X-Text: \xc3\xbc", b"Content-Length: 0004"), LIMITS)
    assert parsed.length == 4
    assert dict(parsed.headers)[b"x-empty"] == b""
    assert dict(parsed.headers)[b"x-tabs"] == b"a"
    assert dict(parsed.headers)[b"x-text"] == b"\xc3\xbc"
    assert parse_head(head(b"transfer-encoding: Chunked"), LIMITS).length == CHUNKED
    assert parse_head(head(host=b"Host: [::1]:8080"), LIMITS).keep_alive
    assert not parse_head(head(b"Connection: Close"), LIMITS).keep_alive


@given(st.binary(max_size=200), st.sampled_from([b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /", b""]))
@settings(max_examples=500, deadline=None)
def test_no_head_whatever_gets_past_the_grammar_by_surprise(data: bytes, start: bytes) -> None:
    try:
        parsed = parse_head(start + data + b"\r\n\r\n", LIMITS)
    except Malformed:
        return
    assert isinstance(parsed, Head)
    assert parsed.path.startswith("/")
    assert not any(c < 0x20 and c != 9 for _, value in parsed.headers for c in value)


def _decode(pieces: list[bytes]) -> Any:
    body = ChunkedBody(100_000)
    rest = None
    for number, piece in enumerate(pieces):
        try:
            rest = body.feed(piece)
        except Malformed as malformed:
            return malformed.status
        if rest is not None:
            return body.body, rest + b"".join(pieces[number + 1 :])
    return None


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.lists(st.sampled_from([b"X-T: 1", b"Digest: a b"]), max_size=2),
    st.binary(max_size=40),
    st.lists(st.integers(0, 5000), max_size=30),
)
@settings(max_examples=300, deadline=None)
def test_any_split_of_a_chunked_body_gives_the_same_body_and_rest(
    parts: list[bytes], trailers: list[bytes], rest: bytes, at: list[int]
) -> None:
    data = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n"
    data += b"".join(line + b"\r\n" for line in trailers) + b"\r\n" + rest
    edges = [0, *sorted({point % (len(data) + 1) for point in at}), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges) if a < b]
    assert _decode(pieces) == (b"".join(parts), rest)


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=10))
@settings(max_examples=300, deadline=None)
def test_no_bytes_whatever_crash_the_chunk_decoder_or_depend_on_their_split(pieces: list[bytes]) -> None:
    split, whole = _decode(pieces), _decode([b"".join(pieces)])
    if whole is None or isinstance(whole, tuple):
        assert split == whole
    else:
        assert split in (400, 413, None) or split == whole


@on_loop
async def test_random_bytes_never_hang_or_kill_the_worker() -> None:
    import random

    dice = random.Random(7)
    async with own(Limits(head_time=0.2, body_time=0.2, linger_time=0.2)) as running:

        async def one(number: int) -> None:
            async with running.client() as client:
                start = dice.choice([b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: x\r\n", head(CHUNKS)])
                await client.send(start + dice.randbytes(dice.randrange(400)))
                await client.answer()

        ended = await asyncio.gather(*(one(n) for n in range(100)), return_exceptions=True)
        assert not [error for error in ended if isinstance(error, asyncio.TimeoutError)]
        assert (await running.ask(get(b"/x"))).status == 200
