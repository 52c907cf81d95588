"""The load generator tells the truth about a server that is slow, broken, cut off or gone."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bench import payloads, upstreams

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not on this machine")

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
HERE = Path(upstreams.__file__).parent


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return upstreams.build(HERE / "load" / "load.c", tmp_path_factory.mktemp("load"))


def measure(load: Path, tmp_path: Path, handler: Handler, **options: float) -> dict[str, Any]:
    """Run the generator against a server whose handler gets each request with its number, from 0."""
    (tmp_path / "body.json").write_bytes(payloads.request("instant", "m"))

    async def run() -> dict[str, Any]:
        count = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    count += 1
                    await handler(reader, writer, count - 1)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        chosen = {"port": port, "warm": 0, "drain": 0.3, **options}
        words = [f"--{name}={value}" for name, value in chosen.items()]
        process = await asyncio.create_subprocess_exec(
            load, "--body", tmp_path / "body.json", *words, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        server.close()
        result: dict[str, Any] = json.loads(said)
        return result

    return asyncio.run(run())


def answer(writer: asyncio.StreamWriter, status: str = "200 OK", body: bytes = b"{}") -> None:
    writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body))


async def good(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    answer(writer)


def stream(events: list[bytes], *, pause: float = 0.0, end: bool = True, newline: bytes = b"\n") -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for index, event in enumerate(events):
            if index == 1:
                await asyncio.sleep(pause)
            text = b"data: " + event + newline * 2
            writer.write(b"%x\r\n%s\r\n" % (len(text), text))
            await writer.drain()
        if end:
            writer.write(b"0\r\n\r\n")
        else:
            writer.close()

    return handler


FINISH = b'{"choices":[{"finish_reason": "stop"}]}'
TOKEN = b'{"choices":[{"finish_reason":null}]}'


def test_it_makes_the_rate_it_was_asked_for(load: Path, tmp_path: Path) -> None:
    found = measure(load, tmp_path, good, rate=200, seconds=0.5, connections=8)
    assert (found["good"], found["finished"], found["unfinished"]) == (100, 100, 0)


def test_a_server_that_stalls_is_charged_for_everyone_who_waited(load: Path, tmp_path: Path) -> None:
    async def stall_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        if number == 0:
            await asyncio.sleep(0.3)
        answer(writer)

    found = measure(load, tmp_path, stall_once, rate=100, seconds=0.4, connections=1)
    assert found["good"] == 40
    assert found["p50"] > 100  # a closed loop would say less than a millisecond


def test_what_never_ends_is_reported_as_unfinished(load: Path, tmp_path: Path) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        if number > 4:
            await reader.read(1)
        answer(writer)

    found = measure(load, tmp_path, never, rate=50, seconds=0.4, connections=2)
    assert (found["good"], found["unfinished"]) == (5, 15)


def test_a_bad_status_is_not_a_good_answer(load: Path, tmp_path: Path) -> None:
    async def every_other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        answer(writer, "200 OK" if number % 2 else "503 Service Unavailable")

    found = measure(load, tmp_path, every_other, rate=100, seconds=0.2, connections=1)
    assert (found["good"], found["bad_status"], found["first_bad_status"]) == (10, 10, 503)


def test_a_connection_that_dies_in_the_answer_is_broken(load: Path, tmp_path: Path) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        writer.close()

    found = measure(load, tmp_path, half, rate=50, seconds=0.2, connections=1)
    assert (found["good"], found["broken"]) == (0, 10)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [FINISH, b"[DONE]"])
def test_a_stream_that_finished_is_whole(load: Path, tmp_path: Path, last: bytes, newline: bytes) -> None:
    handler = stream([TOKEN, TOKEN, last], newline=newline)
    found = measure(load, tmp_path, handler, rate=50, seconds=0.2, connections=2)
    assert (found["streams_whole"], found["streams_cut"], found["stalls"]) == (10, 0, 0)
    assert found["events_per_second"] == pytest.approx(150, rel=0.15)


def test_a_stream_that_ends_without_a_finish_reason_is_cut(load: Path, tmp_path: Path) -> None:
    found = measure(load, tmp_path, stream([TOKEN, TOKEN]), rate=50, seconds=0.2, connections=2)
    assert (found["streams_whole"], found["streams_cut"]) == (0, 10)


def test_a_stream_whose_body_breaks_off_is_cut(load: Path, tmp_path: Path) -> None:
    found = measure(load, tmp_path, stream([TOKEN, FINISH], end=False), rate=50, seconds=0.2, connections=2)
    assert (found["streams_whole"], found["streams_cut"], found["broken"]) == (0, 10, 10)


def test_a_silence_inside_a_stream_is_a_stall(load: Path, tmp_path: Path) -> None:
    handler = stream([TOKEN, TOKEN, FINISH], pause=0.08)
    found = measure(load, tmp_path, handler, rate=20, seconds=0.2, connections=4, stall=40)
    assert found["stalls"] == found["streams_whole"] == 4


def test_a_closed_loop_keeps_every_connection_busy(load: Path, tmp_path: Path) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await asyncio.sleep(0.05)
        answer(writer)

    found = measure(load, tmp_path, slow, rate=0, seconds=0.5, connections=4)
    assert 28 <= found["good"] <= 44  # 4 connections x 10 turns, and those under way at the end
