"""One call as a provider answers it, well or badly: what a drill's fault is written in.

Over a raw connection, so that a fault may break anything from TLS upwards, and in the format in which it was asked
(``wires.py``).  A stream is sent chunked, so that a cut in it is seen as one.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

import msgspec

from roadworthy.fallback.drills.model import Sent
from roadworthy.fallback.drills.wires import Speech, event, speech_of
from roadworthy.fallback.drills.wording import Frame
from roadworthy.formats.messages.words import ANSWER_TOOL
from roadworthy.workflow.model import CheckKind

__all__ = ["USAGE", "ClientGone", "Exchange", "Good", "event"]

USAGE = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests", 500: "Internal Server Error"}
_DIMENSIONS = 8
_MOST_IDLE = 300.0


class Good(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a good answer of a target is for the workflow under drill."""

    text: str
    """Content of a chat; ``{nonce}`` stands where the call's mark goes, if it can carry one."""
    model: str = "drill"
    tool: str = ""
    """Tool that is called, with ``text`` as its arguments; empty: none."""
    dimensions: int = _DIMENSIONS
    """Of an embedding."""
    beat: float = 1.0
    """Seconds between two signs of life of a provider that is slow, and never silent by the release's clocks."""
    breaking: dict[CheckKind, str] = {}
    """Texts that declared checks find, where it depends on what is declared (``breaking.py``)."""

    frame: Frame | None = None
    """Of an answer in JSON: where it has room for words."""

    def said(self, nonce: str) -> str:
        return self.text.replace("{nonce}", nonce)


class ClientGone(Exception):
    """The client closed the connection."""


class Exchange:
    """One request and the answer to it.  Every writing method raises ``ClientGone`` when nobody reads any more."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        path: str,
        body: bytes,
        good: Good,
        sent: Sent,
        *,
        kept: bool = False,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._good = good
        self._chunked = False
        self.sent = sent
        self.path = path
        self.speech: Speech = speech_of(path, body, sent.nonce, good.model)
        self.request = self.speech.asked
        """The body, as chat completions say it."""
        sent.wire = self.speech.format
        self.number = sent.number
        """Of this call among those to this server, from 1."""
        self.nonce = sent.nonce
        self.kept = kept
        """The connection has carried an answer before."""
        self.stream = self.request.get("stream") is True
        self.text = good.said(sent.nonce)
        """What a good answer says."""
        self.beat = good.beat
        self.open = True
        """The connection can take another request."""
        self.breaking = good.breaking
        """Kind of check → a text that the workflow's own check of that kind finds."""

    def worded(self, text: str) -> str:
        """The good answer saying ``text``: where it must be JSON, in its roomiest string, cut to what that may hold."""
        return text if self._good.frame is None else self._good.frame.around(text)

    # --- whole answers and streams, as the caller asked ---

    async def good(self) -> None:
        """The answer that the workflow hopes for."""
        await self.answer()
        self.sent.good, self.sent.text = True, self.text

    async def answer(self, text: str | None = None, *, finish: str = "stop", **fields: Any) -> None:
        """A good answer with something changed: its text, its finish reason, or top-level ``fields``
        (``usage=None`` leaves one out).  Relayed as a stream when one was asked for.
        """
        if self.path.endswith("/moderations"):  # asked by a check: the customer's answer is harmless
            return await self.reply(200, {"model": self._good.model, "results": [{"flagged": False}]})
        if self.path.endswith("/embeddings"):
            return await self.reply(200, _without_none({**self._embedding(), **fields}))
        if self.stream and "choices" not in fields:
            return await self._streamed(self._said(text), finish, fields)
        message = {"role": "assistant", "content": self._said(text), "refusal": None}
        if tool := self._tool(self._said(text)):
            message, finish = self._tool_call(tool, self._said(text)), "tool_calls" if finish == "stop" else finish
        message.update(fields.pop("message", {}))
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        whole = {**self._base("chat.completion"), "choices": [choice], "usage": USAGE}
        await self.reply(200, self.speech.whole(_without_none({**whole, **fields})))

    async def refuse(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        **error: Any,
    ) -> None:
        """An error as the provider words it; ``error``: members of its own that OpenAI's has."""
        await self.reply(status, self.speech.refusal(status, message, code, error), headers=headers)

    async def reply(
        self,
        status: int,
        body: Mapping[str, Any] | str | bytes,
        *,
        headers: Mapping[str, str] | None = None,
        kind: str = "application/json",
    ) -> None:
        """A whole answer: an object as JSON, anything else as it is."""
        raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        await self.head(status, length=len(raw), kind=kind, headers=headers)
        await self.write(raw)

    # --- a stream by hand ---

    async def begin(self) -> None:
        """The head of an event stream."""
        await self.head(200, kind="text/event-stream")

    async def say(self, text: str, **fields: Any) -> None:
        """One chunk of text; a sign of life, where no text is no chunk."""
        await self.write(self.chunk({"content": text}, **fields) or b": keep-alive\n\n")

    async def end(
        self, finish: str = "stop", *, usage: Mapping[str, Any] | None = USAGE, done: bool = True, **fields: Any
    ) -> None:
        """What finishes the answer, with its usage, the marker of the end and the end of the body."""
        ending = self.ending(finish, usage=usage, **fields)
        for made in ending if done else ending[:-1]:
            await self.write(made)
        await self.close_body()

    def ending(self, finish: str = "stop", *, usage: Mapping[str, Any] | None = USAGE, **fields: Any) -> list[bytes]:
        """The events that end a stream, ready to ``write``; the first finishes the answer, the last marks the end."""
        return self.speech.ending(self._chunk({}, finish, fields), usage)

    def chunk(self, delta: Mapping[str, Any], **fields: Any) -> bytes:
        """The event of one chunk, ready to ``write``."""
        return self.speech.chunk(self._chunk(delta, None, fields))

    def failure(self, message: str) -> bytes:
        """The event of an error, ready to ``write``."""
        return self.speech.failure(message)

    def pieces(self, count: int = 4) -> list[str]:
        """The good text cut into ``count`` pieces."""
        size = -(-len(self.text) // count)
        return [self.text[at : at + size] for at in range(0, len(self.text), size)]

    # --- the bare connection ---

    async def head(
        self,
        status: int,
        *,
        length: int | None = None,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Status line and headers; ``length=None``: the body is chunked."""
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}", f"content-type: {kind}", framing]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._chunked = False
        await self.write("\r\n".join([*lines, "", ""]).encode())
        self._chunked = length is None

    async def write(self, data: bytes) -> None:
        """Bytes of the body, framed as the head said."""
        if self._chunked and data:  # an empty chunk would end the body
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if self._writer.is_closing() or self._reader.at_eof():
            self.sent.cut = True
            raise ClientGone
        self._writer.write(data)
        try:
            await self._writer.drain()
        except ConnectionError as error:
            self.sent.cut = True
            raise ClientGone from error

    async def close_body(self) -> None:
        """The end of a chunked body."""
        self._chunked = False
        await self.write(b"0\r\n\r\n")

    async def silence(self, seconds: float = _MOST_IDLE) -> None:
        """Say nothing for so long, or until the client leaves (``ClientGone``)."""
        try:
            async with asyncio.timeout(seconds):
                gone = await self._reader.read(1)
        except TimeoutError:
            return
        except ConnectionError:
            gone = b""
        self.sent.cut = not gone
        raise ClientGone

    def cut(self) -> None:
        """Close the connection in good order (FIN), whatever was promised."""
        self.open = False
        self._writer.close()

    def reset(self) -> None:
        """Break the connection (RST)."""
        self.open = False
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    # --- shapes ---

    def _said(self, text: str | None) -> str:
        return self.text if text is None else text

    def _base(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.nonce}", "object": kind, "created": 1_700_000_000, "model": self._good.model}

    def _chunk(self, delta: Mapping[str, Any], finish: str | None, fields: Mapping[str, Any]) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**self._base("chat.completion.chunk"), "choices": [choice], **fields}

    def _tool(self, text: str) -> str:
        """The tool that is called with ``text``: the workflow's, or ours where JSON was asked for by it.  Who answers
        with anything but an object calls none of ours."""
        choice = self.request.get("tool_choice")
        forced = isinstance(choice, dict) and (choice.get("function") or {}).get("name") == ANSWER_TOOL
        return ANSWER_TOOL if forced and text.startswith("{") else self._good.tool

    def _tool_call(self, tool: str, arguments: str) -> dict[str, Any]:
        call = {"id": f"call_{self.nonce}", "type": "function"}
        function = {"name": tool, "arguments": arguments}
        return {"role": "assistant", "content": None, "tool_calls": [{**call, "function": function}]}

    def _embedding(self) -> dict[str, Any]:
        given = self.request.get("input")
        count = len(given) if isinstance(given, list) else 1
        mark = sum(self.nonce.encode()) % 97
        vectors = [
            {"object": "embedding", "index": index, "embedding": [(mark + at) / 100 for at in range(self._dimensions)]}
            for index in range(count)
        ]
        usage = {"prompt_tokens": 20, "total_tokens": 20}
        base = {"object": "list", "data": vectors, "model": self._good.model, "usage": usage}
        return {**base, "id": f"chatcmpl-{self.nonce}"}

    @property
    def _dimensions(self) -> int:
        asked = self.request.get("dimensions")
        return asked if isinstance(asked, int) else self._good.dimensions

    async def _streamed(self, text: str, finish: str, fields: Mapping[str, Any]) -> None:
        usage = fields.get("usage", USAGE)
        more = {name: value for name, value in fields.items() if name not in ("usage", "message")}
        message: Mapping[str, Any] = fields.get("message", {})
        await self.begin()
        await self.write(self.chunk({"role": "assistant", "content": ""}, **more))
        if (tool := self._tool(text)) or message:
            said = self._tool_call(tool, text) if tool else {"content": text}
            delta = {**said, **message}
            for index, call in enumerate(delta.get("tool_calls") or ()):
                call["index"] = index
            await self.write(self.chunk(_without_none(delta), **more))
            finish = "tool_calls" if tool and finish == "stop" else finish
        else:
            size = max(1, -(-len(text) // 4))
            for at in range(0, len(text), size):
                await self.say(text[at : at + size], **more)
        await self.end(finish, usage=usage, **more)


def _without_none(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}
