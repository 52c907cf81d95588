"""The head of a request: from bytes to method, target, headers and framing, or a refusal.

Two readers must agree before a head is believed: a strict grammar (RFC 9112 without any of its lenience) over the
exact bytes, and llhttp.  What two servers could read differently (the root of request smuggling) is refused,
never mended: both lengths, a repeated or odd length, any transfer coding but ``chunked``, folded headers, bare CR
or LF, white space before a colon, control characters, targets that are not a plain path.
"""

from __future__ import annotations

import re

import httptools
import msgspec

from roadworthy.gateway.messages import Headers
from roadworthy.gateway.transports.limits import Limits

CHUNKED = -1
"""As ``Head.length``: the body comes in chunks."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# Possessive quantifiers: no input makes it backtrack.
_REQUEST_LINE = re.compile(rb"([A-Z]{3,10}) (/[\x21\x22\x24-\x7e]*+) HTTP/1\.([01])")
_FIELD_LINE = re.compile(rb"(" + _TOKEN + rb"++):[\t ]*+([\t\x20-\x7e\x80-\xff]*+)")
_HOST = re.compile(rb"[0-9A-Za-z.\-_:\[\]]*")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_ONCE = (b"content-length", b"transfer-encoding", b"host", b"expect")
"""Headers that decide about framing and may not be repeated."""
_LENGTH_LINE = re.compile(rb"\r\n[Cc]ontent-[Ll]ength:[ ]?([0-9]{1,18})\r\n")
_SECRETS = frozenset({b"authorization", b"x-api-key", b"proxy-authorization", b"cookie"})
_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")}


class Malformed(Exception):
    """Bytes that never became a request."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Head(msgspec.Struct, gc=False):
    method: str
    path: str
    query: str
    headers: Headers
    length: int
    """Bytes of body that follow, or ``CHUNKED``."""
    keep_alive: bool
    """Does the client want the connection kept?"""
    expects: bool
    """Does it wait for ``100 Continue`` before it sends the body?"""
    old: bool
    """HTTP/1.0."""


def parse_head(data: bytes, limits: Limits) -> Head:
    """Parse one whole head, ending in its empty line.  Raises ``Malformed``."""
    lines = data[:-4].split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(lines.pop(0))
    if match is None:
        raise _diagnosis(data)
    try:
        headers = list(map(_known.__getitem__, lines))
    except ValueError:
        raise _diagnosis(data) from None
    method, target, minor = match.groups()
    name = _METHODS.get(method)
    if name is None:
        raise Malformed(400, "bad_request", f"unknown method {method.decode()}")
    if len(target) > limits.target:
        raise too_long(limits)
    try:
        httptools.HttpRequestParser(None).feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # an offer that we do not take up
    except httptools.HttpParserError as error:
        raise Malformed(400, "bad_request", f"malformed request: {error}") from None
    if len(headers) > limits.headers:
        raise Malformed(431, "headers_too_large", f"more than {limits.headers} headers")
    path, _, query = target.decode("ascii").partition("?")
    old = minor == b"0"
    head = Head(name, path, query, headers, 0, not old, False, old)
    _frame(head, dict(headers))
    return head


class Heads:
    """The heads of one connection.

    On a kept connection a client says the same head again and again, its length aside: what was parsed once is taken
    over when every other byte is equal.  It saves a tenth of what a request costs.
    """

    __slots__ = ("_after", "_before", "_known", "_place")

    def __init__(self) -> None:
        self._before = self._after = b""
        """The bytes around the length of the last head."""
        self._known: Head | None = None
        self._place = 0
        """Of ``content-length`` among its headers."""

    def read(self, data: bytes, limits: Limits) -> Head:
        """Like ``parse_head``."""
        known, before = self._known, self._before
        if known is not None and data.startswith(before):
            end = data.find(b"\r\n", len(before))
            length = data[len(before) : end]
            if data[end:] == self._after and _LENGTH.fullmatch(length) is not None:
                headers = known.headers.copy()
                headers[self._place] = (b"content-length", length)
                return Head(
                    known.method,
                    known.path,
                    known.query,
                    headers,
                    int(length),
                    known.keep_alive,
                    known.expects,
                    known.old,
                )
        head = parse_head(data, limits)
        self._remember(data, head)
        return head

    def _remember(self, data: bytes, head: Head) -> None:
        line = _LENGTH_LINE.search(data)
        if line is None:
            self._known = None
            return
        self._known, self._before, self._after = head, data[: line.start(1)], data[line.end(1) :]
        self._place = [name for name, _ in head.headers].index(b"content-length")


def too_long(limits: Limits) -> Malformed:
    return Malformed(414, "bad_request", f"the request target is longer than {limits.target} bytes")


class _Known(dict[bytes, tuple[bytes, bytes]]):
    """Header line → (lower-case name, value), of lines that the grammar allows; ``ValueError`` for others.

    Clients say the same lines with every request, and looking one up takes a fifth of the time that checking and
    splitting it does.  Bounded; lines that hold secrets or are long are not kept.
    """

    MOST = 1024
    LONGEST = 256

    def __missing__(self, line: bytes) -> tuple[bytes, bytes]:
        match = _FIELD_LINE.fullmatch(line)
        if match is None:
            raise ValueError
        header = match[1].lower(), match[2].rstrip(b" \t")
        if len(line) <= self.LONGEST and header[0] not in _SECRETS:
            if len(self) >= self.MOST:
                self.clear()
            self[line] = header
        return header


_known = _Known()


def _frame(head: Head, seen: dict[bytes, bytes]) -> None:
    """Settle length, connection and expectation from the headers that decide them."""
    if len(seen) < len(head.headers):
        _join_repeated(head.headers, seen)
    connection = seen.get(b"connection")
    if connection is not None:
        tokens = connection.lower()
        if b"close" in tokens:
            head.keep_alive = False
        elif head.old and b"keep-alive" in tokens:
            head.keep_alive = True
    host = seen.get(b"host")
    if host is None:
        if not head.old:
            raise Malformed(400, "bad_request", "the host header is missing")
    elif _HOST.fullmatch(host) is None:
        raise Malformed(400, "bad_request", "the host header is not a host name")
    length = seen.get(b"content-length")
    coding = seen.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise Malformed(400, "bad_request", "both content-length and transfer-encoding")
        if head.old or coding.lower() != b"chunked":
            raise Malformed(400, "bad_request", "transfer-encoding may only be chunked, in HTTP/1.1")
        head.length = CHUNKED
    elif length is not None:
        if _LENGTH.fullmatch(length) is None:
            raise Malformed(400, "bad_request", "content-length is not a number of bytes")
        head.length = int(length)
    expected = seen.get(b"expect")
    if expected is not None:
        if expected.lower() != b"100-continue":
            raise Malformed(417, "bad_request", "the only expectation understood is 100-continue")
        head.expects = not head.old


def _join_repeated(headers: Headers, seen: dict[bytes, bytes]) -> None:
    """Refuse repeated headers that may come once only; of ``connection`` every token counts."""
    names = [name for name, _ in headers]
    for name in _ONCE:
        if names.count(name) > 1:
            raise Malformed(400, "bad_request", f"more than one {name.decode()} header")
    if b"connection" in seen:
        seen[b"connection"] = b",".join(value for name, value in headers if name == b"connection")


def _diagnosis(data: bytes) -> Malformed:
    """What is wrong with a head that the grammar refused, in words for whoever wrote the client."""
    line, _, rest = data.partition(b"\r\n")
    lines = rest[:-4].split(b"\r\n") if len(rest) > 2 else []
    words = line.split(b" ")
    if len(words) == 3 and re.fullmatch(rb"HTTP/[0-9]\.[0-9]", words[2]) and not words[2].startswith(b"HTTP/1."):
        return Malformed(505, "bad_request", f"{words[2].decode()} is not served: use HTTP/1.1")
    if len(words) != 3 or re.fullmatch(rb"HTTP/1\.[01]", words[2]) is None:
        reason = "the request line is not METHOD /path HTTP/1.1"
    elif re.fullmatch(rb"[A-Z]{3,10}", words[0]) is None:
        reason = "the method is not one of HTTP's"
    elif not words[1].startswith(b"/"):
        reason = "the request target must be a path that starts with /"
    elif re.fullmatch(rb"[\x21\x22\x24-\x7e]*", words[1]) is None:
        reason = "the request target holds characters that must be percent-encoded"
    elif any(field[:1] in (b" ", b"\t") for field in lines):
        reason = "a header is folded over two lines"
    elif any(b"\r" in field or b"\n" in field for field in lines):
        reason = "a header holds a bare CR or LF"
    elif any(re.match(_TOKEN + rb"+[ \t]+:", field) for field in lines):
        reason = "white space before the colon of a header"
    elif any(b":" not in field for field in lines):
        reason = "a header without a colon"
    elif any(re.match(_TOKEN + rb"+:", field) is None for field in lines):
        reason = "a header name holds a forbidden character"
    else:
        reason = "a header value holds a control character"
    return Malformed(400, "bad_request", f"malformed request: {reason}")
