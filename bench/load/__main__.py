"""``python -m bench.load [--only ours naive locust] [--rates 500 3000] [--seconds 10]``: how true a load generator is.

The generator runs on one core, a minimal upstream on the other.  A *timing error* is how long after its intended start
a call's request reached the upstream, by the upstream's own note on the clock that both share; so neither side's word
about itself counts.  ``--write docs/load-generator.md`` puts the table into the page.  A measure during which others
had one of the two cores for more than 0.5 % of the time is made again, up to five times.  Exit code 1 when our
generator does not keep its promise: 3,000 calls a second on one core with a timing error of at most 2 ms at p99.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.failures import page
from bench.load.sides import MOST_UNDER_WAY, QUESTION, SEED, numbered, waited_for_core
from roadworthy.latency import locust
from roadworthy.latency.model import Arrivals

RATE = 3000.0
ERROR = 0.002
UPSTREAM_SECONDS = 0.02
TAKEN = 0.005
"""Share of the time for which another process had one of the two cores, above which a measure is made again."""
HEAD = (
    "| generator | calls/s planned | reached the upstream | p50 error | p99 error | p99.9 error | dropped or failed "
    "| its core | a core taken by others |\n|---|---|---|---|---|---|---|---|---|"
)
NAMES = {"ours": "**Roadworthy**", "naive": "asyncio + httpx2", "locust": "Locust (our file, one process)"}


@dataclass(frozen=True)
class Row:
    """One side at one rate."""

    side: str
    how: str
    rate: float
    planned: int
    arrived: int
    seconds: float
    errors: list[float]
    lost: int
    core: float
    taken: float

    def at(self, share: float) -> float:
        return self.errors[min(int(len(self.errors) * share), len(self.errors) - 1)] if self.errors else float("inf")

    def line(self) -> str:
        name = NAMES[self.side] + (", streams" if self.how == "STREAM" else "")
        return (
            f"| {name} | {self.rate:,.0f} | {self.arrived / self.seconds:,.0f} | {_ms(self.at(0.5))} | "
            f"{_ms(self.at(0.99))} | {_ms(self.at(0.999))} | {self.lost:,} of {self.planned:,} | "
            f"{100 * self.core:.0f} % | {100 * self.taken:.1f} % |"
        )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms" if seconds < 0.01 else f"{1000 * seconds:,.0f} ms"


def prefer(process: int | str, nice: int) -> None:
    """Weigh the session of a process (Linux autogroups) against all others of the machine."""
    if nice:
        Path(f"/proc/{process}/autogroup").write_text(str(nice))


@contextmanager
def upstream(core: int, nice: int = 0) -> Iterator[tuple[int, int]]:
    """(port, process id) of the minimal upstream."""
    port = processes.free_port()
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "bench.load.upstream", str(port), str(UPSTREAM_SECONDS)]
        process = processes.start(command, core=core, log=Path(place) / "upstream.log")
        try:
            processes.wait_for_ports([port], [process], Path(place))
            prefer(process.pid, nice)
            yield port, process.pid
        finally:
            processes.stop(process)


def noted(port: int) -> list[tuple[int, float]]:
    """What the upstream saw: (number of the call, when its request was there)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/seen")
    data = connection.getresponse().read()
    connection.close()
    pairs = struct.iter_unpack("<2d", data)
    return [(int(number), at) for number, at in pairs]


def measured(side: str, how: str, rate: float, seconds: float, core: int, port: int, pid: int) -> Row:
    starts = [each.at for each in numbered(rate, seconds)]
    before = waited_for_core(pid)
    said = play_locust(port, rate, seconds, core) if side == "locust" else play(side, how, rate, seconds, core, port)
    seen = noted(port)
    taken = max(said["waited_for_core"], waited_for_core(pid) - before)
    errors = sorted(at - said["begun"] - starts[number] for number, at in seen)
    spread = max((at for _, at in seen), default=0.0) - min((at for _, at in seen), default=0.0)
    return Row(
        side, how, rate, len(starts), len(seen), max(spread, seconds), errors,
        int(said["dropped"] + said["failed"]) + len(starts) - int(said["planned"]),
        said["cpu"] / said["took"], taken / said["took"],
    )  # fmt: skip


def undisturbed(side: str, how: str, rate: float, seconds: float, core: int, port: int, pid: int, most: int) -> Row:
    """Measured while the machine leaves the core alone; where it does not, the least disturbed of a few tries."""
    tries: list[Row] = []
    while not tries or (tries[-1].taken > TAKEN and len(tries) < most):
        tries.append(measured(side, how, rate, seconds, core, port, pid))
    return min(tries, key=lambda row: row.taken)


def play(side: str, how: str, rate: float, seconds: float, core: int, port: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.load.sides", side, str(port), str(rate), str(seconds), how]
    made = subprocess.run(["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, check=True, timeout=600)
    found: dict[str, float] = json.loads(made.stdout.splitlines()[-1])
    return found


def play_locust(port: int, rate: float, seconds: float, core: int) -> dict[str, float]:
    """Our Locust file, its calls numbered by ``max_tokens`` as the others' are."""
    arrivals = Arrivals(shape="poisson", rate=rate, seconds=seconds, seed=SEED)
    text = locust.write(
        arrivals, [QUESTION], host=f"http://127.0.0.1:{port}", path="/v1/chat/completions", model="m", stream=False,
        most_under_way=MOST_UNDER_WAY,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "locustfile.py"
        for written, wanted in _NUMBERED:
            text = text.replace(written, wanted)
        file.write_text(text)
        program = os.environ.get("LOCUST") or shutil.which("locust") or ""
        command = [program, "-f", str(file), "--headless", "-u", "1", "-r", "1", "--only-summary", "--json"]
        before = os.times()
        began = time.monotonic()
        made = subprocess.run(["taskset", "-c", str(core), *command], capture_output=True, timeout=600, check=False)
        took, after = time.monotonic() - began, os.times()
    told = made.stdout.decode()
    begun = re.search(r"^BEGUN ([\d.]+)$", told, re.MULTILINE)
    found = re.search(r"^\[$.*^\]$", told, re.MULTILINE | re.DOTALL)
    whole = [each for each in json.loads(found[0]) if each["name"] == "whole"] if found else []
    if not whole or begun is None:
        raise SystemExit(f"locust said nothing of its calls: {made.stderr.decode()[-600:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "begun": float(begun[1]), "planned": whole[0]["num_requests"], "dropped": 0, "failed": whole[0]["num_failures"],
        "took": took, "cpu": cpu, "waited_for_core": 0.0,
    }  # fmt: skip


_NUMBERED = (
    ("question, max_tokens)\n        while", "question, number)\n        while"),
    (
        "        begun = time.monotonic()\n",
        "        begun = time.monotonic()\n        print('BEGUN', begun, flush=True)\n",
    ),
)
"""So that the upstream can note which call came when."""


def run(
    sides: Sequence[str], rates: Sequence[float], seconds: float, cores: tuple[int, int], most: int, nice: int
) -> list[Row]:
    rows: list[Row] = []
    with upstream(cores[1], nice) as (port, pid):
        for side in sides:
            for how in ("WHOLE", "STREAM") if side == "ours" else ("WHOLE",):
                for rate in rates:
                    shown = rate / 4 if how == "STREAM" else rate
                    row = undisturbed(side, how, shown, seconds, cores[0], port, pid, most)
                    rows.append(row)
                    print(row.line(), file=sys.stderr, flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(NAMES), default=None, help="sides to measure")
    parser.add_argument("--rates", nargs="*", type=float, default=[500.0, 1000.0, RATE], metavar="CALLS/S")
    parser.add_argument("--seconds", type=float, default=10.0, help="of every measure")
    parser.add_argument("--tries", type=int, default=5, help="how often at most a measure is made that was disturbed")
    parser.add_argument(
        "--nice", type=int, default=0, help="weight of both sides against the machine's other work (as root, to -19)"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    asked = parser.parse_args()
    free = sorted(os.sched_getaffinity(0))
    if len(free) < 2:
        raise SystemExit("one core is free for this, expected two: the generator's and the upstream's")
    installed = shutil.which("locust") or os.environ.get("LOCUST")
    sides = asked.only or [side for side in NAMES if side != "locust" or installed]
    if asked.write:
        page.check(asked.write.read_text(), ["timing"])
    if asked.nice:
        if os.getsid(0) != os.getpid():
            os.setsid()
        prefer("self", asked.nice)
    rows = run(sides, asked.rates, asked.seconds, (free[0], free[1]), asked.tries, asked.nice)
    table = "\n".join([HEAD, *(row.line() for row in rows)])
    if not installed:
        table += "\n\nLocust was not installed here and is not compared."
    if asked.nice:
        table += f"\n\nThe machine had other work; both sides were preferred to it (`--nice {asked.nice}`)."
    print(table)
    if asked.write:
        asked.write.write_text(page.replaced(asked.write.read_text(), {"timing": table}))
    return kept(rows)


def kept(rows: Sequence[Row]) -> int:
    """0 when our generator kept its promise, or was not asked to."""
    asked = [row for row in rows if row.side == "ours" and row.how == "WHOLE" and row.rate >= RATE]
    for row in asked:
        held = row.at(0.99) <= ERROR and row.lost == 0 and row.arrived == row.planned
        print(f"{row.rate:,.0f} calls/s, p99 error {_ms(row.at(0.99))}: {'kept' if held else 'NOT KEPT'}")
        if not held and row.taken > TAKEN:
            print(f"Others had a core for {100 * row.taken:.0f} % of the time: measure again on an idle machine.")
        if not held:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
