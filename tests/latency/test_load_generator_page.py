"""The page of the load generator: its first command works, and its code runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from http1.http1_support import Peer, scripted

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "load-generator.md").read_text(encoding="utf-8")


def test_the_first_command_of_the_page_plays_a_whole_plan_and_loses_no_call() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    first = re.search(r"```\n(python .*)\n```", PAGE)
    assert first is not None
    command = first[1].replace("--seconds 2", "--seconds 0.3").split()
    ran = subprocess.run([sys.executable, *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    rows = re.findall(r"\| \*\*Roadworthy\*\*.*\| (\d+) of (\d+) \|", ran.stdout)
    assert len(rows) == 2
    assert all(lost == "0" and int(planned) > 10 for lost, planned in rows)


def test_the_code_of_the_page_tests_a_server_and_comes_to_a_verdict() -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    held: dict[str, object] = {}
    exec(code[1].replace("rate=40, seconds=60", "rate=400, seconds=0.2"), held)
    body = b'{"choices":[{"finish_reason":"stop"}],"usage":{"completion_tokens":3}}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(answer)

    async def scene() -> str:
        async with scripted(script) as server:
            made = await held["tested"](f"http://127.0.0.1:{server.origin.port}/v1/chat/completions", "k")  # type: ignore[operator]
            return str(made.verdict)

    assert uvloop.run(scene()) == "INSUFFICIENT"
