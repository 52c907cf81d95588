"""The same gateway as an ASGI application, for those who mount it in uvicorn, granian or a larger app.

Head limits, time-outs, framing and keep-alive are then the ASGI server's; the body limit stays ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from roadworthy.gateway.messages import Gateway, Request, Response, StreamResponse
from roadworthy.gateway.transports.limits import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiApp:
    """ASGI 3, types ``http`` and ``lifespan``."""

    def __init__(self, gateway: Gateway, *, limits: Limits | None = None, internal: bool = False) -> None:
        self._gateway = gateway
        self._limits = limits or Limits()
        self._internal = internal

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            raise ValueError(f"ASGI scope {scope['type']!r} is not served: only http is")

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await self._body(scope, receive)
        if body is None:
            return
        if isinstance(body, Response):
            await _send_whole(body, send)
            return
        headers = [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]]
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        peer = (scope.get("client") or ("",))[0]
        query = scope["query_string"].decode("latin-1")
        request = Request(scope["method"], path, query, headers, body, peer, self._internal)
        answer = asyncio.create_task(self._answer(request, send))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()  # without effect unless the client is gone
            gone.cancel()
        with suppress(asyncio.CancelledError):
            await answer  # lets the handler release what it holds; raises what it raised

    async def _body(self, scope: Message, receive: Receive) -> bytes | Response | None:
        """The whole body; a refusal when it is too long; ``None`` when the client left."""
        limit = self._limits.body
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > limit:
            return self._too_long()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > limit:
                return self._too_long()
            if not message.get("more_body", False):
                return bytes(body)

    def _too_long(self) -> Response:
        message = f"the body is longer than {self._limits.body} bytes"
        return self._gateway.refuse(413, "body_too_large", message)

    async def _answer(self, request: Request, send: Send) -> None:
        response = await self._gateway.handle(request)
        if isinstance(response, Response):
            await _send_whole(response, send)
        else:
            await _send_stream(response, send)


async def _send_whole(response: Response, send: Send) -> None:
    length = [] if response.status in (204, 304) else [(b"content-length", b"%d" % len(response.body))]
    await send({"type": "http.response.start", "status": response.status, "headers": [*response.headers, *length]})
    await send({"type": "http.response.body", "body": response.body})


async def _send_stream(response: StreamResponse, send: Send) -> None:
    chunks = response.chunks
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
