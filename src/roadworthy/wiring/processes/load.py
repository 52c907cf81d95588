"""The process in which a load test's calls are made: ``python -m roadworthy.wiring.processes.load --fd N --ttl
SECONDS``.

It obeys one runner over a socket, one JSON object a line, and ends a test by itself where its limits say so.  It ends
when the runner closes the socket, however that comes about, and after its time to live; nobody calls any more then.
It knows one URL and one permit, and no secret.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from pathlib import Path

import msgspec
import uvloop

from roadworthy.adapters.files import write_atomically
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.messages import Clocks
from roadworthy.latency import sending, traces
from roadworthy.latency.generator import Progress, Stop, drive
from roadworthy.latency.model import Body, Sample
from roadworthy.latency.pacing import Unplannable, plan
from roadworthy.operations.loading.job import LONGEST_LINE, Command, Job, Told
from roadworthy.operations.loading.stopping import Watch

PATIENCE = 5.0
"""Seconds beyond the release's deadline after which a call is given up."""
CONNECTIONS = 64
"""Opened ahead at most; the others as they are needed."""

_commands = msgspec.json.Decoder(Command)
_bodies = msgspec.json.Decoder(list[Body])


class Host:
    """One stretch of calls at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._stop = Stop()
        self._playing: asyncio.Task[None] | None = None

    async def obey(self) -> None:
        """Until the socket closes."""
        try:
            while line := await self._reader.readline():
                command = _commands.decode(line)
                if command.job is None:
                    self._stop.now(command.stop, cut=command.cut)
                elif self._playing is None or self._playing.done():
                    self._stop = Stop()
                    self._playing = asyncio.ensure_future(self._play(command.job))
        finally:
            if self._playing is not None:
                self._playing.cancel()
                await asyncio.gather(self._playing, return_exceptions=True)

    async def _play(self, job: Job) -> None:
        stop, client = self._stop, sending.client_for(job.url, job.most_under_way)
        try:
            samples, last = await self._driven(job, client, stop)
            write_atomically(Path(job.samples), msgspec.json.encode(samples))
            self._tell(msgspec.structs.replace(last, done=True, stopped=stop.reason))
        except (OSError, Http1Error, Unplannable, ValueError) as error:
            self._tell(Told(done=True, error=f"{type(error).__name__}: {error}"))
        finally:
            await client.close()

    async def _driven(self, job: Job, client: Client, stop: Stop) -> tuple[list[Sample], Told]:
        bodies = await asyncio.to_thread(lambda: _bodies.decode(Path(job.questions).read_bytes()))
        headers = {"authorization": f"Bearer {job.token}"}
        questions = [
            sending.question(body, job.url, model=job.workflow, headers=headers, stream=job.stream) for body in bodies
        ]
        limit = job.deadline + PATIENCE
        send = sending.Sending(
            client, job.url, questions, stream=job.stream, clocks=Clocks(PATIENCE, limit, limit, limit)
        )
        await send.open_ahead(min(CONNECTIONS, job.most_under_way))
        arrivals = plan(job.arrivals, len(questions), traces.of_log(job.trace))
        watch, last = Watch(job.limits), Told()

        def told(now: Progress) -> None:
            nonlocal last
            last = _told(now)
            if not now.done:
                if why := watch.why_stop(now):
                    stop.now(why)
                self._tell(last)

        samples = await drive(arrivals, send, most_under_way=job.most_under_way, stop=stop, told=told, seen=watch.seen)
        return samples, last

    def _tell(self, told: Told) -> None:
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(told) + b"\n")


def _told(now: Progress) -> Told:
    return Told(
        seconds=now.seconds, planned=now.planned, dropped=now.dropped, under_way=now.under_way, ended=now.ended,
        answered=now.answered, errors=now.errors, usd=now.usd, late=now.late, p50=now.p50, p95=now.p95,
        first_token=now.first_token,
    )  # fmt: skip


async def serve(fd: int, ttl: float) -> None:
    """Obey until the socket closes or the time is over."""
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd), limit=LONGEST_LINE)
    try:
        async with asyncio.timeout(ttl):
            await Host(reader, writer).obey()
    except (TimeoutError, ConnectionError):
        pass  # the lease is over, or the runner is
    finally:
        writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="load", description="Makes the calls of a load test.")
    parser.add_argument("--fd", type=int, required=True, help="inherited socket of the runner")
    parser.add_argument("--ttl", type=float, required=True, help="seconds after which everything ends by itself")
    options = parser.parse_args()
    uvloop.run(serve(options.fd, options.ttl))
    return 0


if __name__ == "__main__":
    sys.exit(main())
