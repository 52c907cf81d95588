"""Transport faults of the rehearsal target, read by the gateway's own HTTP client and wire."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator

import pytest

from roadworthy.adapters.providers import child
from roadworthy.adapters.providers.openai import OpenAIWire
from roadworthy.gateway.verdict import broken
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.workflow.model import Target

CLOCKS = Clocks(connect=1.0, first_byte=0.3, idle=0.3, total=2.0)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    port_file = tmp_path_factory.mktemp("simulated") / "port"
    process = subprocess.Popen(child.command("simulated", "--port-file", str(port_file)))
    until = time.monotonic() + 30
    while (url := child.endpoint(port_file)) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    yield Origin.from_url(url)
    process.terminate()
    assert process.wait(10) == 0


async def call(origin: Origin, fault: str, stream: bool) -> str:
    """``whole`` or ``not done``, or the failure that the core would see."""
    wire = OpenAIWire(Target("t", "simulated", "m"), b"/v1", None)
    message = {"role": "user", "content": f"[[fault {fault}]]"}
    body = json.dumps({"model": "m", "messages": [message], "stream": stream}).encode()
    client = Client(guard=AddressGuard(allowed=[origin]))
    request = head(b"POST", b"/v1/chat/completions", origin, [(b"content-type", b"application/json")])
    try:
        if not stream:
            reply = await client.fetch(origin, request, body, CLOCKS, max_body=1 << 20)
            wire.answer("chat", reply.headers, reply.body)
            return "whole"
        opened = await client.open(origin, request, body, CLOCKS)
        reader = wire.events()
        async for data in opened.chunks:
            reader.feed(data)
        return "whole" if reader.done and reader.failed is None else "not done"
    except Http1Error as error:
        return broken(error).failure
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("fault", "whole", "streamed"),
    [
        ("reset", "unavailable", "unavailable"),
        ("reset at=after_headers", "truncated", "truncated"),
        ("reset at=mid_body", "truncated", "truncated"),
        ("cut", "truncated", "truncated"),
        ("stall at=before_first_byte", "slow", "slow"),
        ("stall at=after_headers", "slow", "slow"),
        ("stall at=mid_body", "slow", "slow"),
        ("slow first_token=20s", "slow", "slow"),
        ("slow inter_token=1s", "slow", "slow"),
        ("no_done", "whole", "not done"),
        ("split_utf8", "whole", "whole"),
        ("mixed_newlines", "whole", "whole"),
    ],
)
def test_a_transport_fault_is_the_failure_that_it_stands_for(origin, fault, whole, streamed):
    assert asyncio.run(call(origin, fault, stream=False)) == whole
    assert asyncio.run(call(origin, fault, stream=True)) == streamed
