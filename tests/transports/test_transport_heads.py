"""A head that is taken over from the one before it says exactly what it would say parsed alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadworthy.gateway.transports.head import Heads, Malformed, parse_head
from roadworthy.gateway.transports.limits import Limits

LIMITS = Limits()

lengths = st.sampled_from(
    [
        "0",
        "7",
        "1676",
        "01",
        "+5",
        "-1",
        "1 ",
        " 12",
        "5,5",
        "",
        "1\r\nx: y",
        "9" * 18,
        "9" * 19,
        "5\r\ncontent-length: 6",
    ]
)
names = st.sampled_from(["Content-Length", "content-length", "CONTENT-LENGTH", "Content-length"])
others = st.lists(
    st.sampled_from(
        [
            "Host: a", "Authorization: Bearer rw-1", "Transfer-Encoding: chunked", "Connection: close",
            "Expect: 100-continue", "Connection: keep-alive", "X: Content-Length: 5", "Accept: */*", "bad header",
        ]
    ),
    max_size=4,
)  # fmt: skip
lines = st.sampled_from(["POST /v1/chat/completions HTTP/1.1", "POST /v1/embeddings?x=1 HTTP/1.1", "POST / HTTP/1.0"])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    before, after = draw(others), draw(others)
    length = [f"{draw(names)}:{draw(st.sampled_from(['', ' ', '  ']))}{draw(lengths)}"] if draw(st.booleans()) else []
    return "\r\n".join([draw(lines), *before, *length, *after, "", ""]).encode()


def read(heads: Heads | None, data: bytes) -> object:
    try:
        return parse_head(data, LIMITS) if heads is None else heads.read(data, LIMITS)
    except Malformed as malformed:
        return malformed.status, malformed.message


@given(st.lists(heads(), min_size=1, max_size=3), st.lists(st.integers(0, 2), min_size=1, max_size=8))
def test_the_heads_of_a_connection_are_read_as_if_each_were_its_first(pool: list[bytes], order: list[int]) -> None:
    connection = Heads()
    for index in order:
        data = pool[index % len(pool)]
        assert read(connection, data) == read(None, data)


@given(st.lists(lengths, min_size=2, max_size=6))
def test_only_the_length_may_differ_from_the_head_before(said: list[str]) -> None:
    connection = Heads()
    for length in said:
        data = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nAccept: */*\r\n\r\n".encode()
        )
        assert read(connection, data) == read(None, data)


@pytest.mark.parametrize("secret", [b"Authorization: Bearer rw-2", b"X-Api-Key: rw-2"])
def test_another_key_on_the_same_connection_is_read_anew(secret: bytes) -> None:
    connection = Heads()
    first = b"POST / HTTP/1.1\r\nHost: a\r\n" + secret[:-1] + b"1\r\nContent-Length: 5\r\n\r\n"
    second = b"POST / HTTP/1.1\r\nHost: a\r\n" + secret + b"\r\nContent-Length: 5\r\n\r\n"
    connection.read(first, LIMITS)
    assert connection.read(second, LIMITS) == parse_head(second, LIMITS)
