"""The process in which the drill's upstream and callers live: ``python -m roadworthy.kill_switch.drill.host --fd N
--ttl SECONDS``.

It obeys one runner over a socket, one JSON object a line.  It ends when the runner closes the socket, however that
comes about, and after its time to live; nobody calls any more then.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from collections import Counter

import msgspec

from roadworthy.kill_switch.drill.callers import Callers
from roadworthy.kill_switch.drill.model import Attempt, Order, Report
from roadworthy.kill_switch.drill.upstream import Upstream

LONGEST_LINE = 8 << 20


class Host:
    """One upstream, one set of callers."""

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []
        self._upstream: Upstream | None = None
        self._callers: Callers | None = None

    def obey(self, order: Order) -> Report:
        if order.do == "listen":
            self._upstream = Upstream(self._attempts.append)
            return Report(port=self._upstream.start())
        if order.do == "begin":
            self._callers = Callers(order.lanes, order.pause)
            self._callers.start()
            return Report()
        callers = self._callers
        assert callers is not None
        if order.do == "look":
            return Report(
                counts=dict(Counter(each.lane for each in self._attempts)),
                under_way={lane: count for lane, count in callers.open.items() if count > 0},
            )
        only = set(order.only)
        report = Report(
            attempts=[each for each in self._attempts if each.lane in only],
            streams=[each for each in callers.ended if each.lane in only],
            said=dict(callers.said),
        )
        self._attempts[:] = [each for each in self._attempts if each.lane not in only]
        callers.ended[:] = [each for each in callers.ended if each.lane not in only]
        callers.said.clear()
        return report

    async def close(self) -> None:
        if self._callers is not None:
            await self._callers.stop()
        if self._upstream is not None:
            self._upstream.close()


async def serve(fd: int, ttl: float) -> None:
    """Obey until the socket closes or the time is over."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd), limit=LONGEST_LINE)
    host = Host()
    decoder = msgspec.json.Decoder(Order)
    try:
        async with asyncio.timeout(ttl):
            while line := await reader.readline():
                try:
                    report = host.obey(decoder.decode(line))
                except OSError as error:
                    report = Report(error=str(error))
                writer.write(msgspec.json.encode(report) + b"\n")
                await writer.drain()
    except (TimeoutError, ConnectionError):
        pass  # the lease is over, or the runner is
    finally:
        await host.close()
        writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="host", description="Upstream and callers of a kill drill.")
    parser.add_argument("--fd", type=int, required=True, help="inherited socket of the runner")
    parser.add_argument("--ttl", type=float, required=True, help="seconds after which everything ends by itself")
    options = parser.parse_args()
    asyncio.run(serve(options.fd, options.ttl))
    return 0


if __name__ == "__main__":
    sys.exit(main())
