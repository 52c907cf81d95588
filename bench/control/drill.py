"""``roadworthy drill kill`` as a person runs it: two gateways, live traffic beside it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import msgspec

from bench import processes
from bench.control.bench import admin, bench
from bench.failures.install import PROGRAM
from bench.failures.tables import row
from roadworthy.kill_switch.drill.model import At

PATIENCE = 30.0


def drill(callers: int) -> bool:
    """Its own account of each gateway, and what came of the live calls beside it."""
    with bench(4, callers) as made:
        control, joined = made.data / "run" / "control.sock", made.data.parent / "b"
        command: list[str | Path] = [
            PROGRAM, "gateway", "--data", joined, "--control", control, "--name", "b", "--workers", "4",
            "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0",
        ]  # fmt: skip
        second = processes.start(command, core=None, log=made.data.parent / "b.log")
        try:
            _await_gateway(made.data)
            made.traffic.attempts()
            before = made.traffic.said()
            line = [str(PROGRAM), "--data", str(made.data), "drill", "kill", "--presses", "5", "--json"]
            done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
            after = made.traffic.said()
        finally:
            processes.stop(second, grace=40.0)
    run = json.loads(done.stdout)
    seen = {
        name: [msgspec.convert(press["gateways"][name], At) for press in run["presses"]] for name in run["gateways"]
    }
    print(
        f"**{len(run['presses'])} stops, half drained and half cut; {callers} callers without pause beside it**\n\n"
        "| gateway | confirmed, slowest ms | last attempt, slowest ms | attempts before | afterwards | streams |\n"
        "|---|--:|--:|--:|--:|---|"
    )
    for name, ats in seen.items():
        ended = ", ".join(f"{sum(getattr(at, word) for at in ats)} {word}" for word in ("drained", "cut", "broken"))
        print(
            f"| {name} | {max(at.confirmed or 0.0 for at in ats) * 1000:.0f} | {max(at.last for at in ats) * 1000:.0f} "
            f"| {sum(at.attempts for at in ats)} | {sum(at.late for at in ats)} | {ended} |"
        )
    calls = {said: after[said] - before.get(said, 0) for said in after if after[said] > before.get(said, 0)}
    beside = ", ".join(f"{count:,} × {status}" for status, count in sorted(calls.items()))
    figures = run["figures"]
    print("\n| | found | promised | holds |\n|---|---|---|---|")
    return all([
        row("verdict", f"{run['verdict']}: {run['figure']}", "PASS", run["verdict"] == "PASS"),
        row("slowest", f"{figures['max'] * 1000:.0f} ms", "< 1 s", figures["max"] < 1.0),
        row("live calls beside it", beside, "all 200", set(calls) == {"200"}),
    ])  # fmt: skip


def _await_gateway(data: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        items = admin(data, "GET", "/v1/gateways")["items"]
        if len(items) == 2 and all(item["current"] and item["answering"] == item["workers"] for item in items):
            return
        time.sleep(0.1)
    raise RuntimeError("the second gateway did not join")
