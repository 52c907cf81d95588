"""The process in which misbehaving servers live: ``python -m roadworthy.fallback.drills.host --fd N --ttl SECONDS``.

It obeys one runner over a socket, one JSON object a line: ``begin`` starts the servers of a drilled call and answers
with their URLs, ``end`` stops them and answers with what they sent.  The faults clear themselves: it ends when the
runner closes the socket, however that comes about, and after its time to live.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys

import msgspec

from roadworthy.fallback.drills.exchange import Good
from roadworthy.fallback.drills.listener import FaultServer
from roadworthy.fallback.drills.model import Sent
from roadworthy.fallback.drills.registry import drills

LONGEST_LINE = 1 << 20


class Stand(msgspec.Struct, frozen=True):
    """What stands for one target."""

    good: Good
    faulty: bool


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """``drill`` set: begin; empty: end."""

    call: int
    """Number of the drilled call, the runner's own."""
    drill: str = ""
    nonce: str = ""
    targets: dict[str, Stand] = {}


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    call: int
    urls: dict[str, str] = {}
    sent: list[Sent] = []
    error: str = ""
    """Why the servers could not be started."""


class Host:
    """The servers of the calls under way."""

    def __init__(self) -> None:
        self._servers: dict[int, dict[str, FaultServer]] = {}

    async def obey(self, order: Order) -> Report:
        if order.drill:
            try:
                return Report(order.call, urls=await self._begin(order))
            except OSError as error:
                await self._end(order.call)
                return Report(order.call, error=str(error))
        return Report(order.call, sent=await self._end(order.call))

    async def close(self) -> None:
        for call in list(self._servers):
            await self._end(call)

    async def _begin(self, order: Order) -> dict[str, str]:
        drill = drills()[order.drill]
        servers = self._servers.setdefault(order.call, {})
        for name, stand in order.targets.items():
            servers[name] = FaultServer(drill, stand.good, name, order.nonce, faulty=stand.faulty)
            await servers[name].start()
        return {name: server.url for name, server in servers.items()}

    async def _end(self, call: int) -> list[Sent]:
        servers = self._servers.pop(call, {})
        for server in servers.values():
            await server.stop()
        return [sent for server in servers.values() for sent in server.sent]


async def serve(fd: int, ttl: float) -> None:
    """Obey until the socket closes or the time is over."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd), limit=LONGEST_LINE)
    host = Host()
    decoder = msgspec.json.Decoder(Order)
    try:
        async with asyncio.timeout(ttl):
            while line := await reader.readline():
                report = await host.obey(decoder.decode(line))
                writer.write(msgspec.json.encode(report) + b"\n")
                await writer.drain()
    except (TimeoutError, ConnectionError):
        pass  # the lease is over, or the runner is
    finally:
        await host.close()
        writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="host", description="Misbehaving servers of a drill run.")
    parser.add_argument("--fd", type=int, required=True, help="inherited socket of the runner")
    parser.add_argument("--ttl", type=float, required=True, help="seconds after which every fault clears itself")
    options = parser.parse_args()
    asyncio.run(serve(options.fd, options.ttl))
    return 0


if __name__ == "__main__":
    sys.exit(main())
