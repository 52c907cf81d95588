"""The sides that are compared: our generator, and what one would write without it.  Each is a process of its own.

``python -m bench.load.sides SIDE PORT RATE SECONDS WHOLE|STREAM`` plays a seeded Poisson plan against the upstream on
``PORT`` and prints one line of JSON; the upstream notes when each numbered call reached it.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import uvloop

from roadworthy.http1.messages import Clocks
from roadworthy.latency import sending
from roadworthy.latency.generator import drive
from roadworthy.latency.model import Arrival, Arrivals, Body, Sample
from roadworthy.latency.pacing import plan

MOST_UNDER_WAY = 1024
SEED = 42
QUESTION = Body([{"role": "user", "content": "Explain why connection pooling matters here. " * 30}])


def numbered(rate: float, seconds: float) -> Iterator[Arrival]:
    """The plan; a call's number stands where its length of answer does, for the upstream to note."""
    arrivals = plan(Arrivals(shape="poisson", rate=rate, seconds=seconds, seed=SEED), 1)
    return (Arrival(each.at, 0, number) for number, each in enumerate(arrivals))


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1/chat/completions"


async def ours(port: int, rate: float, seconds: float, stream: bool) -> dict[str, float]:
    """``roadworthy.latency``."""
    client = sending.client_for(url(port), MOST_UNDER_WAY)
    question = sending.question(QUESTION, url(port), model="m", headers={}, stream=stream)
    send = sending.Sending(client, url(port), [question], stream=stream, clocks=Clocks(5, 30, 30, 60))
    await send.open_ahead(256)
    begun: list[float] = []

    async def noted(arrival: Arrival, due: float) -> Sample:
        if not begun:
            begun.append(due - arrival.at)
        return await send(arrival, due)

    samples = await drive(numbered(rate, seconds), noted, most_under_way=MOST_UNDER_WAY)
    await client.close()
    return {
        "begun": begun[0],
        "planned": len(samples),
        "dropped": sum(each.sent is None for each in samples),
        "failed": sum(each.sent is not None and each.outcome != "answered" for each in samples),
    }


async def naive(port: int, rate: float, seconds: float, stream: bool) -> dict[str, float]:
    """asyncio and an HTTP library: sleep until a call is due, make it in a task."""
    failed = planned = 0
    limits = httpx2.Limits(max_connections=MOST_UNDER_WAY, max_keepalive_connections=MOST_UNDER_WAY)
    under_way: set[asyncio.Task[None]] = set()
    async with httpx2.AsyncClient(limits=limits, timeout=60) as client:

        async def call(number: int) -> None:
            nonlocal failed
            body = sending.asked(QUESTION, model="m", stream=stream, fields={"max_tokens": number})
            try:
                answer = await client.post(url(port), json=body)
                failed += answer.status_code != 200
            except httpx2.HTTPError:
                failed += 1

        begun = time.monotonic()
        for arrival in numbered(rate, seconds):
            left = begun + arrival.at - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
            planned += 1
            task = asyncio.create_task(call(arrival.max_tokens or 0))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
    return {"begun": begun, "planned": planned, "dropped": 0, "failed": failed}


def waited_for_core(process: int | str = "self") -> float:
    """Seconds for which a process could have run and another had the core (Linux; else 0)."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def main(side: str, port: str, rate: str, seconds: str, how: str) -> None:
    play = {"ours": ours, "naive": naive}[side]
    began, waited = time.monotonic(), waited_for_core()
    found = uvloop.run(play(int(port), float(rate), float(seconds), how == "STREAM"))
    used = resource.getrusage(resource.RUSAGE_SELF)
    found |= {
        "took": time.monotonic() - began,
        "cpu": used.ru_utime + used.ru_stime,
        "waited_for_core": waited_for_core() - waited,
        "memory_mib": used.ru_maxrss / 1024,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
