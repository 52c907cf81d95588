"""TLS is verified, always; the proxy tunnels TLS and forwards plain text.

``certificates/`` holds a self-signed certificate for 127.0.0.1 and good.example (openssl req -x509, 100 years).
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from http1_support import OK, Peer, answering, calling, fetch, on_loop, saying, scripted

from roadworthy.http1.client import Client
from roadworthy.http1.errors import AddressForbidden, ConnectTimeout, ProxyFailure, TlsFailure
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks
from roadworthy.http1.origin import Origin, default_tls

HERE = Path(__file__).parent / "certificates"


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / "local.pem", HERE / "local.key")
    return context


def trusting() -> ssl.SSLContext:
    context = default_tls()
    context.load_verify_locations(HERE / "local.pem")
    return context


def names(address: str = "127.0.0.1", *origins: Origin) -> AddressGuard:
    async def resolve(host: str, port: int) -> list[str]:
        return [address]

    return AddressGuard(allowed=origins, resolve=resolve)


@on_loop
async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    async with scripted(answering, ssl=server_tls()) as server, calling(server.origin) as client:
        with pytest.raises(TlsFailure, match="self-signed certificate"):
            await fetch(client, server.origin)
        assert client.sockets == 0


@on_loop
async def test_a_trusted_certificate_for_the_right_name_is_spoken_to() -> None:
    async with scripted(answering, ssl=server_tls()) as server:
        good = Origin.from_url(f"https://good.example:{server.origin.port}")
        async with calling(guard=names("127.0.0.1", good), tls=trusting()) as client:
            assert (await fetch(client, good)).body == b"hello"
            assert (await fetch(client, good)).reused
            big = await fetch(client, good, body=b"x" * 1_000_000)
            assert big.body == b"hello"


@on_loop
async def test_a_trusted_certificate_for_another_name_is_refused() -> None:
    async with scripted(answering, ssl=server_tls()) as server:
        other = Origin.from_url(f"https://other.example:{server.origin.port}")
        async with calling(guard=names("127.0.0.1", other), tls=trusting()) as client:
            with pytest.raises(TlsFailure, match=r"other\.example"):
                await fetch(client, other)


@on_loop
async def test_a_plain_text_server_is_a_tls_failure() -> None:
    async def plain(peer: Peer) -> None:
        await peer.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with scripted(plain) as server:
        origin = Origin.from_url(f"https://127.0.0.1:{server.origin.port}")
        async with calling(origin) as client:
            with pytest.raises(TlsFailure):
                await fetch(client, origin)


@on_loop
async def test_a_handshake_that_never_ends_ends_with_the_connect_clock() -> None:
    async def mute(peer: Peer) -> None:
        await peer.reader.read()

    async with scripted(mute) as server:
        origin = Origin.from_url(f"https://127.0.0.1:{server.origin.port}")
        async with calling(origin) as client:
            with pytest.raises(ConnectTimeout):
                await fetch(client, origin, clocks=Clocks(connect=0.2, first_byte=30, idle=30, total=30))


# --- proxy


@asynccontextmanager
async def tunnelling(seen: list[bytes], port: int) -> AsyncIterator[str]:
    """A proxy that notes what it is asked for and tunnels to ``port``, whatever name was asked for."""

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        copies.extend([asyncio.create_task(copy(reader, forth)), asyncio.create_task(copy(back, writer))])

    copies: list[asyncio.Task[None]] = []
    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://user:pass%40word@127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        for task in copies:
            task.cancel()
        await asyncio.gather(*copies)


CREDENTIALS = b"Proxy-Authorization: Basic " + b64encode(b"user:pass@word")


@on_loop
async def test_tls_goes_through_the_tunnel_of_the_proxy_and_is_verified_end_to_end() -> None:
    seen: list[bytes] = []
    async with scripted(answering, ssl=server_tls()) as server, tunnelling(seen, server.origin.port) as proxy:
        good = Origin.from_url("https://good.example")
        async with calling(guard=AddressGuard(), tls=trusting(), proxy=proxy) as client:
            assert (await fetch(client, good)).body == b"hello"
            assert (await fetch(client, good)).reused
        assert seen[0].startswith(b"CONNECT good.example:443 HTTP/1.1\r\nHost: good.example:443\r\n")
        assert CREDENTIALS in seen[0]
        async with calling(guard=AddressGuard(), tls=trusting(), proxy=proxy) as client:
            with pytest.raises(TlsFailure, match=r"other\.example"):
                await fetch(client, Origin.from_url("https://other.example"))
            assert client.sockets == 0


@on_loop
async def test_plain_text_goes_to_the_proxy_in_absolute_form() -> None:
    heads: list[bytes] = []

    async def proxying(peer: Peer) -> None:
        heads.append(await peer.request())
        await peer.say(OK)

    async with scripted(proxying) as proxy:
        url = f"http://user:pass%40word@127.0.0.1:{proxy.origin.port}"
        async with calling(guard=AddressGuard(), proxy=url) as client:
            assert (await fetch(client, Origin.from_url("http://plain.example:8080"))).body == b"hello"
    assert heads[0].startswith(b"POST http://plain.example:8080/v1/x HTTP/1.1\r\n")
    assert b"\r\nHost: plain.example:8080\r\n" in heads[0]
    assert CREDENTIALS in heads[0]


@on_loop
@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"HTTP/1.1 403 Forbidden\r\n\r\n", b"", b"x" * 20_000],
    ids=["407", "403", "closed", "endless"],
)
async def test_a_proxy_that_refuses_the_tunnel_is_named(answer: bytes) -> None:
    async def refusing(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(answer)

    async with (
        scripted(refusing) as proxy,
        calling(guard=AddressGuard(), proxy=f"http://127.0.0.1:{proxy.origin.port}") as client,
    ):
        with pytest.raises(ProxyFailure, match="proxy"):
            await fetch(client, Origin.from_url("https://good.example"))
        assert client.sockets == 0


@on_loop
async def test_this_host_and_allowed_private_origins_are_reached_without_the_proxy() -> None:
    async with scripted(answering) as server:
        inside = Origin.from_url(f"http://inside.example:{server.origin.port}")
        guard = names("127.0.0.1", inside, server.origin)
        async with calling(guard=guard, proxy="http://127.0.0.1:9") as client:
            assert (await fetch(client, inside)).status == 200
            assert (await fetch(client, server.origin)).status == 200


@on_loop
async def test_an_address_literal_is_judged_even_where_the_proxy_connects() -> None:
    async with (
        scripted(saying(OK)) as proxy,
        calling(guard=AddressGuard(), proxy=f"http://127.0.0.1:{proxy.origin.port}") as client,
    ):
        with pytest.raises(AddressForbidden):
            await fetch(client, Origin.from_url("http://169.254.169.254"))
    assert proxy.accepted == 0


@pytest.mark.parametrize("url", ["https://proxy.example:3128", "socks5://proxy.example", "proxy.example:3128"])
def test_a_proxy_that_cannot_be_used_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="expected http://host:port"):
        Client(guard=AddressGuard(), proxy=url)
