"""What is measured of every peer, and how one measure is taken.

The upstream and the load share one core, the gateway has the other.  A measure's ``foreign`` is the CPU, in cores,
that anything else on the machine used meanwhile: it tells how far a number can be trusted.  ``cpu_us`` is the gateway's
own CPU time for one request in microseconds, which holds up best on a busy machine.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench import processes
from bench.payloads import CLIENT_HEADERS, Kind
from bench.peers.base import LOAD_CORE, Running

STALL_MS = 100.0
"""A silence of this length inside a stream is a stall (the upstream talks every 10 or 20 ms)."""

Result = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """One measure.  ``rate`` 0: closed loop."""

    name: str
    title: str
    tool: Literal["wrk", "load"]
    kind: Kind
    connections: int
    rate: float = 0.0


MEASURES: tuple[Measure, ...] = (
    Measure("closed64", "throughput, 64 connections", "wrk", "instant", 64),
    Measure("open100", "latency at 100 requests/s", "load", "instant", 64, 100),
    Measure("open500", "latency at 500 requests/s", "load", "instant", 128, 500),
    Measure("streams256", "256 streams", "load", "stream256", 256),
    Measure("streams512", "512 streams", "load", "stream512", 512),
    Measure("closed256", "throughput, 256 connections", "wrk", "instant", 256),
)


@dataclass(frozen=True)
class Tools:
    """The load generators and where their inputs may be written."""

    load: Path
    place: Path
    script: Path = Path(__file__).parent / "load" / "throughput.lua"

    def files(self, running: Running, kind: Kind) -> tuple[Path, Path]:
        """Body and header files for a route."""
        route = running.routes[kind]
        body, headers = self.place / "body.json", self.place / "headers.txt"
        body.write_bytes(route.body)
        lines = [f"{name}: {value}" for name, value in {**CLIENT_HEADERS, **route.headers}.items()]
        headers.write_text("\n".join(lines) + "\n")
        return body, headers


def command(measure: Measure, tools: Tools, running: Running, seconds: float) -> tuple[list[str], dict[str, str]]:
    """The load generator's command line and environment."""
    route = running.routes[measure.kind]
    body, headers = tools.files(running, measure.kind)
    pinned = ["taskset", "-c", str(LOAD_CORE)]
    if measure.tool == "wrk":
        url = f"http://127.0.0.1:{route.port}{route.path}"
        options = ["-t1", f"-c{measure.connections}", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(tools.script)]
        return [*pinned, "wrk", *options, url], {"BODY": str(body), "HEADERS": str(headers)}
    options = ["--port", str(route.port), "--path", route.path, "--body", str(body), "--headers", str(headers)]
    options += ["--connections", str(measure.connections), "--rate", f"{measure.rate:g}", "--seconds", f"{seconds:g}"]
    streams = measure.kind != "instant"
    options += ["--warm", "1.5" if streams else "1", "--stagger", "1" if streams else "0", "--stall", f"{STALL_MS:g}"]
    options += ["--drain", "15" if streams else "5"]
    return [*pinned, str(tools.load), *options], {}


def run_load(line: list[str], env: dict[str, str], limit: float) -> Result:
    """Run a load generator; its result, or ``{"failed": its words}``."""
    process = subprocess.Popen(
        line,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"the load generator did not end within {limit:.0f} s"}
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    match = re.search(r"\{.*\}", said)
    found: Result = json.loads(match.group(0)) if match else {"failed": said.strip()[-300:]}
    return found


def take(measure: Measure, tools: Tools, running: Running, ours: tuple[int, ...], seconds: float) -> Result:
    """Take one measure.  ``ours`` are the upstream's processes."""
    line, env = command(measure, tools, running, seconds)
    gateway, others = running.gateway_pids(), running.other_pids()
    before = (processes.busy_seconds(), processes.cpu_seconds(gateway), processes.cpu_seconds([*ours, *others]))
    load_before, started = os.times(), time.monotonic()
    result = run_load(line, env, limit=seconds + 30)
    spent, load_after = time.monotonic() - started, os.times()
    busy = processes.busy_seconds() - before[0]
    gateway_cpu = processes.cpu_seconds(gateway) - before[1]
    upstream_cpu = processes.cpu_seconds([*ours, *others]) - before[2]
    load_cpu = sum(load_after[:4]) - sum(load_before[:4])
    result["gateway_cpu"] = round(gateway_cpu / spent, 3)
    if result.get("finished"):
        result["cpu_us"] = round(gateway_cpu * 1e6 / result["finished"], 1)
    result["foreign"] = round(max(0.0, busy - gateway_cpu - upstream_cpu - load_cpu) / spent, 3)
    return result


def warm_up(tools: Tools, running: Running, seconds: float) -> None:
    """Let caches, pools and compilers of the peer reach their working state."""
    measure = Measure("warm", "warm-up", "load", "instant", 16)
    line, env = command(measure, tools, running, seconds)
    run_load(line, env, limit=seconds + 30)
