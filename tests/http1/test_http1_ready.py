"""Claims about a request whose sender changes its mind while a connection is waited for."""

from __future__ import annotations

import asyncio

import pytest
from http1_support import answering, calling, fetch, limits, on_loop, scripted


class ChangedMind(Exception):
    pass


def refuse() -> None:
    raise ChangedMind


@on_loop
async def test_nothing_is_sent_on_a_new_connection_and_the_connection_is_kept() -> None:
    heard: list[bytes] = []

    async def script(peer) -> None:  # type: ignore[no-untyped-def]
        while True:
            heard.append(await peer.request())
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    async with scripted(script) as server, calling(server.origin) as client:
        with pytest.raises(ChangedMind):
            await fetch(client, server.origin, ready=refuse)
        assert (await fetch(client, server.origin)).body == b"hello"
        assert (len(heard), server.accepted, client.opened) == (1, 1, 1)


@on_loop
async def test_nothing_is_sent_on_a_connection_that_came_free_and_the_next_call_gets_it() -> None:
    async with scripted(answering) as server, calling(server.origin, limits=limits(per_origin=1)) as client:
        first = asyncio.ensure_future(fetch(client, server.origin))
        waiting = asyncio.ensure_future(fetch(client, server.origin, ready=refuse))
        after = asyncio.ensure_future(fetch(client, server.origin))
        assert (await first).body == b"hello"
        with pytest.raises(ChangedMind):
            await waiting
        assert (await after).body == b"hello"
        assert client.opened == 1


@on_loop
async def test_on_a_connection_that_is_at_hand_nobody_is_asked() -> None:
    async with scripted(answering) as server, calling(server.origin) as client:
        await fetch(client, server.origin)
        assert (await fetch(client, server.origin, ready=refuse)).body == b"hello"
