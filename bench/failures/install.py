"""A Roadworthy of its own in front of the failing providers, and callers that keep their own account."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import processes
from bench.failures.provider import Provider
from roadworthy.http1.client import Client
from roadworthy.http1.errors import Http1Error
from roadworthy.http1.guard import AddressGuard
from roadworthy.http1.messages import Clocks, head
from roadworthy.http1.origin import Origin
from roadworthy.http1.pool import PoolLimits

PROGRAM = Path(sys.executable).parent / "roadworthy"
PATIENT = Clocks(connect=10.0, first_byte=60.0, idle=60.0, total=90.0)


@dataclass
class Heard:
    """What one caller read."""

    call: str
    status: int | None = None
    text: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    """Our object in the answer."""
    seconds: float = 0.0
    first: float | None = None
    """Seconds to the first text."""
    error: str = ""
    """An explicit error: its code."""
    broke: str = ""
    """What must never happen: the connection broke, or the answer was no answer."""

    @property
    def outcome(self) -> str:
        return str(self.told.get("outcome", ""))


@dataclass
class Install:
    """A running ``roadworthy up``."""

    data: Path
    origin: Origin
    token: str

    def run(self, *arguments: str) -> str:
        return _run(self.data, *arguments)

    async def drills(self, workflow: str) -> list[dict[str, Any]]:
        """The results of every drill that means something for the workflow.  Cancelling stops the run."""
        line = [str(PROGRAM), "--data", str(self.data), "drill", workflow, "--all", "--json"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *line, stdout=pipe, stderr=pipe, env=_environment(), start_new_session=True
        )
        try:
            out, told = await process.communicate()
        except BaseException:
            process.send_signal(signal.SIGINT)
            await process.wait()
            raise
        if not out:
            raise RuntimeError(f"{' '.join(line)}: exit {process.returncode}\n{told.decode()[-2000:]}")
        results: list[dict[str, Any]] = json.loads(out)["results"]
        return [result for result in results if result["verdict"] != "SKIPPED"]

    async def call(self, client: Client, number: int, *, stream: bool, workflow: str = "answers") -> Heard:
        heard = Heard(f"call-{number}")
        message = f"This is call-{number}: where is my order?"
        body = {"model": workflow, "messages": [{"role": "user", "content": message}], "stream": stream}
        sent = [(b"authorization", b"Bearer " + self.token.encode()), (b"content-type", b"application/json")]
        sent.append((b"x-roadworthy-user", b"u-%d" % (number % 500)))
        made = head(b"POST", b"/v1/chat/completions", self.origin, sent)
        began = time.perf_counter()
        try:
            if stream:
                await _read_stream(client, self.origin, made, json.dumps(body).encode(), heard, began)
            else:
                reply = await client.fetch(self.origin, made, json.dumps(body).encode(), PATIENT)
                _read_whole(heard, reply.status, reply.body)
        except (Http1Error, ValueError, KeyError, IndexError) as error:
            heard.broke = f"{type(error).__name__}: {error}"
        heard.seconds = time.perf_counter() - began
        if heard.first is None:
            heard.first = heard.seconds
        return heard

    async def calls(self, numbers: Iterable[int], *, at_once: int, streams: float = 0.5) -> list[Heard]:
        """Make the calls, so many at a time; every ``1 / streams``-th is streamed."""
        limits = PoolLimits(per_origin=at_once, waiting=100_000)
        client = Client(guard=AddressGuard(allowed=[self.origin]), limits=limits)
        waiting, heard = iter(numbers), list[Heard]()

        async def one_after_the_other() -> None:
            for number in waiting:
                heard.append(await self.call(client, number, stream=(number * streams) % 1 + streams >= 1))

        try:
            await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        finally:
            await client.close()
        return heard

    def records(self) -> list[dict[str, Any]]:
        """Every inference, from the log."""
        out = self.data / "export.json"
        self.run("export", "--output", str(out))
        found: list[dict[str, Any]] = json.loads(out.read_bytes())
        return found


def _read_whole(heard: Heard, status: int, body: bytes) -> None:
    heard.status = status
    answer = json.loads(body)
    heard.told = answer.get("roadworthy", {})
    if status != 200:
        heard.error = answer["error"]["code"]
        return
    heard.text = answer["choices"][0]["message"]["content"] or ""


async def _read_stream(client: Client, origin: Origin, made: bytes, body: bytes, heard: Heard, began: float) -> None:
    reply = await client.open(origin, made, body, PATIENT)
    if reply.status != 200:
        _read_whole(heard, reply.status, await reply.read(1 << 20))
        return
    heard.status, rest, done, finished = 200, b"", False, False
    async for data in reply.chunks:
        *events, rest = (rest + data).split(b"\n\n")
        for event in events:
            payload = event.removeprefix(b"data: ")
            if payload == b"[DONE]":
                done = True
                continue
            chunk = json.loads(payload)
            heard.told = chunk.get("roadworthy", heard.told)
            if "error" in chunk:
                heard.error = chunk["error"]["code"]
            for choice in chunk.get("choices", ()):
                text = choice["delta"].get("content") or ""
                if text and heard.first is None:
                    heard.first = time.perf_counter() - began
                heard.text += text
                finished = finished or choice["finish_reason"] is not None
    if not heard.error and not (done and finished):
        heard.broke = "the stream ended without an end"


@contextmanager
def install(
    providers: dict[str, Provider],
    workflow: dict[str, Any],
    targets: dict[str, Any],
    beside: dict[str, dict[str, Any]] | None = None,
    files: dict[str, Any] | None = None,
    workers: int = 1,
    grace: float = 40.0,
) -> Iterator[Install]:
    """``roadworthy up`` with a workflow ``answers`` on these providers; ``targets`` adds to each one's settings.
    ``grace``: seconds that it has to end in good order.

    ``beside``: further workflows by name; ``files``: further files, path → what it holds as JSON.
    """
    with tempfile.TemporaryDirectory(prefix="roadworthy-failures-") as made:
        root = Path(made)
        data, folder = root / "data", root / "configuration"
        workflows = {"answers": workflow, **(beside or {})}
        _write(folder, providers, workflows, targets, files or {})
        _run(data, "apply", str(folder))
        for name in workflows:
            _run(data, "freeze", name)
        token = json.loads(_run(data, "keys", "create", "bench", "--json"))["token"]
        port = processes.free_port()
        command: list[str | Path] = [
            PROGRAM,
            "up",
            folder,
            "--data",
            data,
            "--listen",
            f"127.0.0.1:{port}",
            "--metrics",
            "127.0.0.1:0",
            "--workers",
            str(workers),
        ]
        process = processes.start(command, core=None, log=root / "up.log")
        try:
            _await_ready(port, root / "up.log")
            yield Install(data, Origin.from_url(f"http://127.0.0.1:{port}"), token)
        finally:
            processes.stop(process, grace=grace)


def _write(
    folder: Path,
    providers: dict[str, Provider],
    workflows: dict[str, dict[str, Any]],
    targets: dict[str, Any],
    files: dict[str, Any],
) -> None:
    settings = {
        name: {
            "provider": "openai", "model": f"bench-{name}", "endpoint": provider.url, "allow_private": True,
            "price": {"input": 0.15, "output": 0.6}, **targets,
        }
        for name, provider in providers.items()
    }  # fmt: skip
    common = {
        "owners": {"workflow": "bench", "prompt": "bench", "cost": "bench"},
        "enforcement": "observe",
        "prompt": {"mode": "managed", "system": "prompt.md"},
        "target": "main",
        "bypass": "app",
    }
    written: dict[str, Any] = {
        **files,
        "roadworthy.yaml": {"version": 1, "targets": settings},
        "people.yaml": {"people": {"bench": {"name": "Bench", "email": "bench@example.org"}}},
    }
    for name, workflow in workflows.items():
        written[f"workflows/{name}/workflow.yaml"] = {**common, **workflow}
    for name, content in written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1))  # JSON is YAML
    for name in workflows:
        (folder / f"workflows/{name}/prompt.md").write_text("You answer customers of a shop.\n")


def _await_ready(port: int, log: Path, patience: float = 30.0) -> None:
    import http.client

    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the gateway was not ready in {patience:.0f} s:\n{log.read_text()[-2000:]}")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not re.match("ROADWORTHY_|OPENAI_", name)}


def _run(data: Path, *arguments: str) -> str:
    line = [str(PROGRAM), "--data", str(data), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, env=_environment())
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(line)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
