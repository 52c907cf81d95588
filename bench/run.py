"""``python -m bench.run``: every peer visited once a round, the order turned from round to round.

Results go to bench/results/<time>.jsonl, one line a visit, so an interrupted run keeps what it had.  A full run (no
``--quick``, no ``--only``) ends by writing the tables into docs/benchmarks.md; ``--table FILE`` does that from an
earlier run's results.  Everything started is stopped, also on Ctrl-C.
"""

from __future__ import annotations

import argparse
import fcntl
import http.client
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import machine, measures, processes, table, upstreams
from bench.measures import MEASURES, Result, Tools
from bench.payloads import CLIENT_HEADERS
from bench.peers import ALL
from bench.peers.base import LOAD_CORE, NotInstalled, Peer, Running
from bench.upstreams import ToolMissing, Upstream

HERE = Path(__file__).parent
WORK = HERE / ".work"
RESULTS = HERE / "results"
DOCS = HERE.parent / "docs" / "benchmarks.md"
READY_LIMIT = 90.0


class NotReady(Exception):
    """A peer did not answer its first request in time; the message holds the end of its log."""


def say(text: str) -> None:
    print(text, flush=True)


def first_answer(peer: Peer, running: Running, started: float) -> float:
    """Seconds from the start of the process to its first good answer.  Raises ``NotReady``."""
    last = "no answer"
    while time.monotonic() - started < READY_LIMIT:
        if running.process is not None and running.process.poll() is not None:
            last = f"it ended with code {running.process.returncode}"
            break
        if "instant" not in running.routes:
            break
        try:
            status, body = ask(running)
        except (OSError, http.client.HTTPException) as error:
            last = str(error)
        else:
            if status == 200:
                return time.monotonic() - started
            last = f"status {status}: {body[:200].decode('utf-8', 'replace')}"
        time.sleep(0.005)
    log = peer.log().read_text(errors="replace").strip()[-400:] if peer.log().exists() else ""
    raise NotReady(f"{last}; {log}" if log else last)


def ask(running: Running) -> tuple[int, bytes]:
    """One call."""
    route = running.routes["instant"]
    connection = http.client.HTTPConnection("127.0.0.1", route.port, timeout=5)
    try:
        headers = {**CLIENT_HEADERS, **route.headers, "Content-Type": "application/json"}
        connection.request("POST", route.path, route.body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def visit(peer: Peer, upstream: Upstream, tools: Tools, seconds: float, wanted: set[str]) -> dict[str, Any]:
    """Start a peer, take all measures, stop it."""
    record: dict[str, Any] = {"peer": peer.name, "at": time.strftime("%H:%M:%S"), "measures": {}}
    running: Running | None = None
    try:
        peer.prepare(upstream)
        started = time.monotonic()
        running = peer.start(upstream)
        ready = first_answer(peer, running, started)
        running.answered()
        if running.process is not None:
            record["ready_seconds"] = round(ready, 3)
            record["memory_idle"] = round(processes.memory(running.gateway_pids()), 1)
        measures.warm_up(tools, running, 1.0)
        for measure in MEASURES:
            if wanted and measure.name not in wanted:
                continue
            processes.settle([*running.gateway_pids(), *running.other_pids()])
            result = measures.take(measure, tools, running, upstream.pids, seconds)
            record["measures"][measure.name] = result
            say(f"    {measure.title:<30} {brief(result)}")
        if running.process is not None:
            record["memory_loaded"] = round(processes.memory(running.gateway_pids()), 1)
            record["memory_others"] = round(processes.memory(running.other_pids()), 1)
    except (NotInstalled, NotReady) as error:
        record["failed"] = f"did not start: {error}"
        say(f"    {record['failed']}")
    finally:
        if running is not None:
            running.stop()
    return record


def brief(result: Result) -> str:
    """One measure on one line."""
    if "failed" in result:
        return f"failed: {result['failed']}"
    parts = [f"{result['per_second']:>9,.1f}/s", f"p50 {result['p50']:.2f} ms", f"p99 {result['p99']:.2f} ms"]
    if result.get("events_per_second"):
        first, stalls = result["first_p50"], result["stalls"]
        parts.append(f"{result['events_per_second']:,.0f} events/s, first {first:.1f} ms, {stalls} stalls")
    bad = sum(result.get(name, 0) for name in ("bad_status", "broken", "unfinished", "timeouts", "streams_cut"))
    return "  ".join([*parts, f"gateway {result['gateway_cpu']:.2f} core"] + ([f"{bad} not good"] if bad else []))


def prepare(wanted: list[str]) -> tuple[list[Peer], dict[str, str], dict[str, str]]:
    """Install the peers: those that are there, their versions, and why the others are not."""
    peers: list[Peer] = []
    versions: dict[str, str] = {}
    missing: dict[str, str] = {}
    for kind in ALL:
        if wanted and kind.name not in wanted:
            continue
        peer = kind(WORK)
        say(f"{kind.title}: looking for it, installing it if need be")
        try:
            versions[kind.name] = peer.install()
        except NotInstalled as error:
            missing[kind.name] = str(error)
            say(f"    not installed: {error}")
        else:
            peers.append(peer)
    return peers, versions, missing


@contextmanager
def alone() -> Iterator[None]:
    """Refuse a second benchmark in this checkout: it would measure the first."""
    WORK.mkdir(exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another `make bench` is running in this checkout; wait for it or stop it") from None
        yield


def arguments(argv: list[str] | None) -> argparse.Namespace:
    names = [kind.name for kind in ALL]
    parser = argparse.ArgumentParser(prog="make bench", description="Compare gateways side by side on one core.")
    parser.add_argument("--rounds", type=int, default=3, help="visits of each peer (default 3)")
    parser.add_argument("--only", default="", help=f"comma-separated peers out of: {', '.join(names)}")
    parser.add_argument("--measure", default="", help=f"comma-separated out of: {', '.join(m.name for m in MEASURES)}")
    parser.add_argument("--quick", action="store_true", help="short measures: a smoke test, not a result")
    parser.add_argument("--install-only", action="store_true", help="install the peers and stop")
    parser.add_argument("--table", type=Path, help="write docs/benchmarks.md from these results and stop")
    chosen = parser.parse_args(argv)
    chosen.only = [name for name in chosen.only.split(",") if name]
    chosen.measure = {name for name in chosen.measure.split(",") if name}
    unknown = set(chosen.only) - set(names)
    unknown |= chosen.measure - {measure.name for measure in MEASURES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    return chosen


def main(argv: list[str] | None = None) -> int:
    chosen = arguments(argv)
    if chosen.table:
        table.write(DOCS, table.read(chosen.table))
        say(f"wrote {DOCS}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        upstreams.require("nginx", "wrk", "gcc", "taskset")
    except ToolMissing as error:
        say(str(error))
        return 2
    with alone():
        peers, versions, missing = prepare(chosen.only)
        if chosen.install_only:
            return 0
        try:
            results = rounds(peers, versions, missing, chosen)
        except KeyboardInterrupt:
            say("\ninterrupted: everything started was stopped; finished visits are kept in bench/results/")
            return 130
    run = table.read(results)
    say("\n" + table.render(run))
    say(f"results: {results}")
    if not (chosen.quick or chosen.only or chosen.measure):
        table.write(DOCS, run)
        say(f"wrote {DOCS}")
    return 0


def rounds(peers: list[Peer], versions: dict[str, str], missing: dict[str, str], chosen: argparse.Namespace) -> Path:
    """Visit all peers in every round; the path of the results."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    seconds = 2.0 if chosen.quick else 5.0
    head = {**machine.facts(), "versions": versions, "missing": missing, "quick": chosen.quick, "seconds": seconds}
    tools = Tools(upstreams.build(HERE / "load" / "load.c", WORK), WORK)
    with upstreams.running(WORK, LOAD_CORE, upstreams.chats()) as upstream, path.open("a") as out:
        out.write(json.dumps({"run": head}) + "\n")
        for number in range(chosen.rounds):
            turn = number % len(peers)
            for peer in peers[turn:] + peers[:turn]:
                say(f"round {number + 1}/{chosen.rounds}  {peer.title} {versions[peer.name]}")
                record = visit(peer, upstream, tools, seconds, chosen.measure)
                out.write(json.dumps({"round": number, **record}) + "\n")
                out.flush()
    return path


if __name__ == "__main__":
    sys.exit(main())
