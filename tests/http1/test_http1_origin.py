"""Origins and request heads: what is refused before a byte is sent."""

from __future__ import annotations

import pytest

from roadworthy.http1.messages import head
from roadworthy.http1.origin import Origin

HERE = Origin.from_url("http://127.0.0.1:8000/v1")


@pytest.mark.parametrize(
    ("url", "key", "authority"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com:443", b"api.openai.com"),
        ("https://API.OpenAI.com:443", "https://api.openai.com:443", b"api.openai.com"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000", b"127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000", b"[::1]:8000"),
        ("https://münchen.example/", "https://xn--mnchen-3ya.example:443", b"xn--mnchen-3ya.example"),
    ],
)
def test_equal_servers_have_equal_keys(url: str, key: str, authority: bytes) -> None:
    origin = Origin.from_url(url)
    assert (origin.key, origin.authority) == (key, authority)
    assert origin == Origin.from_url(url.upper().replace("HTTP", "http").replace("Ü", "ü"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://x", "expected http"),
        ("api.openai.com/v1", "expected http"),
        ("http://", "names no host"),
        ("http://user:secret@x/", "carries a user or password"),
        ("http://x:99999/", "Port out of range"),
        ("http://x:0/", "port 0"),
        ("http://a b/", "not a host name"),
    ],
)
def test_an_url_that_cannot_be_called_says_why(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        Origin.from_url(url)
    assert "secret" not in str(caught.value)


def test_a_unix_socket_is_an_origin_of_its_own() -> None:
    assert Origin.unix("/a").key != Origin.unix("/b").key


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        (b"POST", b"/x", [(b"a", b"b\r\nevil: 1")]),
        (b"POST", b"/x", [(b"a\r\nb", b"c")]),
        (b"POST", b"/x", [(b"a", b"b\0")]),
        (b"POST", b"/x", [(b"a", b"b\rc")]),
        (b"POST", b"/x y", []),
        (b"POST", b"/x\r\nevil: 1", []),
        (b"POST", b"/x", [(b"Content-Length", b"3")]),
        (b"POST", b"/x", [(b"transfer-encoding", b"chunked")]),
        (b"POST", b"/x", [(b"host", b"elsewhere")]),
        (b"POST", b"/x", [(b"connection", b"close")]),
    ],
)
def test_a_head_that_could_change_the_framing_is_refused(method: bytes, path: bytes, headers: list) -> None:
    with pytest.raises(ValueError):
        head(method, path, HERE, headers)


def test_a_head_ends_where_the_client_appends_the_length() -> None:
    assert head(b"POST", b"/v1/x", HERE, [(b"accept", b"*/*")]) == (
        b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:8000\r\naccept: */*\r\nContent-Length: "
    )
