"""A chunked request body, decoded strictly and without ever reading past its end.

Extensions are refused but for white space: nobody sends them, and servers differ over their line ends.
Trailers are read, limited and dropped.
"""

from __future__ import annotations

import re

from roadworthy.gateway.transports.head import Malformed

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*+")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+")
_MAX_LINE = 64
_MAX_TRAILERS = 8 * 1024
_FREE_CHUNKS = 1024
"""Past these, chunks must hold ``_LEAST_CHUNK`` bytes on average: tiny ones cost us more than their sender."""
_LEAST_CHUNK = 32


class ChunkedBody:
    """Feed it bytes until ``feed`` returns what lies behind the body."""

    __slots__ = ("_buffer", "_chunks", "_in_trailers", "_limit", "_need", "_size", "_taken", "_trailers")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = b""
        self._taken = bytearray()
        self._chunks = 0
        self._size = 0
        self._need = 0
        """Bytes of the current chunk still to come, its line end included."""
        self._in_trailers = False
        self._trailers = 0

    @property
    def body(self) -> bytes:
        return bytes(self._taken)

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; returns those behind the end of the body, ``None`` while it goes on.

        Raises ``Malformed``: 413 past the limit, 400 for bad framing.
        """
        data = self._buffer + data if self._buffer else data
        at = 0
        while True:
            if self._need:
                at = self._take(data, at)
                if self._need:
                    self._buffer = data[at:]
                    return None
            end = data.find(b"\r\n", at)
            if end < 0:
                self._buffer = data[at:]
                self._check_unfinished_line()
                return None
            line = data[at:end]
            at = end + 2
            if not self._in_trailers:
                self._begin_chunk(line)
            elif line:
                self._check_trailer(line)
            else:
                return data[at:]

    def _take(self, data: bytes, at: int) -> int:
        """Move payload of the current chunk into the body; its line end is checked once it is all there."""
        payload = self._need - 2
        if payload > 0:
            part = data[at : at + payload]
            self._taken += part
            self._need -= len(part)
            at += len(part)
        if 0 < self._need <= 2 and len(data) - at >= 2:
            if data[at : at + 2] != b"\r\n":
                raise Malformed(400, "bad_request", "a chunk does not end where its size says")
            self._need = 0
            at += 2
        return at

    def _begin_chunk(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise Malformed(400, "bad_request", "a chunk size is not a hexadecimal number")
        size = int(match.group(1), 16)
        if size == 0:
            self._in_trailers = True
            return
        self._size += size
        if self._size > self._limit:
            raise Malformed(413, "body_too_large", f"the body is longer than {self._limit} bytes")
        self._chunks += 1
        if self._chunks > _FREE_CHUNKS + self._size // _LEAST_CHUNK:
            raise Malformed(400, "bad_request", "the body comes in needlessly small chunks")
        self._need = size + 2

    def _check_unfinished_line(self) -> None:
        if len(self._buffer) > (_MAX_TRAILERS if self._in_trailers else _MAX_LINE) or b"\n" in self._buffer:
            raise Malformed(400, "bad_request", "a line of the chunked body has no proper end")

    def _check_trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if self._trailers > _MAX_TRAILERS or _TRAILER.fullmatch(line) is None:
            raise Malformed(400, "bad_request", "malformed or too long trailers")
