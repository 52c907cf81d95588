"""The server in front of control's pages: whoever sends a head without end, or none, is cut off."""

from __future__ import annotations

import asyncio
import socket

import pytest

from roadworthy.wiring.processes import http_server


async def app(scope: object, receive: object, send: object) -> None:
    raise AssertionError("no whole request came")


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200_000, b"GET / HT", b""])
def test_a_head_without_end_or_none_at_all_is_cut_off(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    if len(sent) < 100:
        monkeypatch.setattr(http_server, "PATIENCE", 0.05)

    async def talk() -> bytes:
        listener = socket.create_server(("127.0.0.1", 0))
        server = http_server.server(app, grace=0.0, public=True)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            writer.write(sent)
            await writer.drain()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()
            server.should_exit = True
            await serving

    assert asyncio.run(asyncio.wait_for(talk(), 20)) == b""
