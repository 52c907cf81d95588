"""Upstream and callers of the measurement, in a process of their own: ``python -m bench.control.traffic --fd N``.

The upstream is the kill drill's, which stamps every request with the kernel's time.  The callers call without pause,
in as many connections as asked, whatever they are answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys

from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.http1.pool import PoolLimits
from roadworthy.kill_switch.drill.model import Attempt
from roadworthy.kill_switch.drill.upstream import Upstream

CLOCKS = Clocks(connect=10.0, first_byte=30.0, idle=30.0, total=40.0)
REFUSED_PAUSE = 0.02
"""Seconds after an answer without a model: a real app does something else then, too."""


class Callers:
    def __init__(self, url: str, token: str, count: int) -> None:
        self._origin = Origin.from_url(url)
        self._client = Client(guard=AddressGuard(allowed=[self._origin]), limits=PoolLimits(per_origin=count + 8))
        sent = [(b"authorization", b"Bearer " + token.encode()), (b"content-type", b"application/json")]
        self._head = head(b"POST", b"/v1/chat/completions", self._origin, sent)
        self.said: dict[str, int] = {}
        self._tasks = [asyncio.ensure_future(self._calls(number)) for number in range(count)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    async def _calls(self, number: int) -> None:
        message = {"role": "user", "content": "Where is my order? " * 70}
        body = json.dumps({"model": "answers", "messages": [message], "user": f"u-{number}"}).encode()
        while True:
            try:
                reply = await self._client.fetch(self._origin, self._head, body, CLOCKS)
                said = str(reply.status)
            except Http1Error as error:
                said = type(error).__name__
            self.said[said] = self.said.get(said, 0) + 1
            if said != "200":
                await asyncio.sleep(REFUSED_PAUSE)


async def serve(fd: int) -> None:
    """One JSON object a line: ``listen``, ``begin``, ``take``; ends with the socket."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd), limit=64 << 20)
    counted: list[Attempt] = []
    upstream = Upstream(counted.append)
    callers: Callers | None = None
    while line := await reader.readline():
        order = json.loads(line)
        answer: dict[str, object] = {}
        if order["do"] == "listen":
            answer["port"] = upstream.start()
        elif order["do"] == "begin":
            callers = Callers(order["url"], order["token"], order["callers"])
        else:
            answer = {"attempts": [each.at for each in counted], "said": callers.said if callers else {}}
            counted.clear()
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    if callers is not None:
        await callers.stop()
    upstream.close()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    asyncio.run(serve(parser.parse_args().fd))
    return 0


if __name__ == "__main__":
    sys.exit(main())
