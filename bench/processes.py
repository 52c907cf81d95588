"""Start, watch and end the processes of the benchmark, and only those.

Memory is resident set size in MiB, summed over a process and its descendants; CPU is in cores.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def start(
    command: Sequence[str | Path],
    *,
    core: int | None,
    log: Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, bound to ``core`` (``None``: any), that dies with this one."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if core is not None:
            os.sched_setaffinity(0, {core})

    with log.open("wb") as out:
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=prepare,
        )


def stop(process: subprocess.Popen[bytes], grace: float = 8.0) -> None:
    """Ask a process to end; after ``grace`` seconds end it.  Descendants that outlive it are ended too."""
    family = {pid: born for pid in tree(process.pid)[1:] if (born := birth(pid)) is not None}
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    left = {pid for pid, born in family.items() if birth(pid) == born}
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    give_up = time.monotonic() + 5
    while any(birth(pid) == family[pid] for pid in left) and time.monotonic() < give_up:
        time.sleep(0.005)


def birth(pid: int) -> int | None:
    """When a process started, in ticks since boot, which with its id names it for good; ``None`` when it is over."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def tree(pid: int) -> list[int]:
    """A process and its living descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            found += tree(int(child))
    return found


def memory(pids: Iterable[int]) -> float:
    """Resident MiB of these processes."""
    total = 0
    for pid in pids:
        try:
            match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        except OSError:
            continue
        total += int(match.group(1)) if match else 0
    return total / 1024


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time that these processes have used."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICK


def busy_seconds() -> float:
    """CPU time that the whole machine has used, all cores together."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def pin(pid: int, core: int) -> None:
    """Bind every thread of a running process to ``core``."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            os.sched_setaffinity(int(task.name), {core})
        except ProcessLookupError:
            continue


def settle(pids: Sequence[int], limit: float = 12.0) -> None:
    """Wait until these processes have worked off what the last measure left behind (under 5 % of a core)."""
    give_up = time.monotonic() + limit
    while time.monotonic() < give_up:
        before = cpu_seconds(pids)
        time.sleep(0.3)
        if cpu_seconds(pids) - before < 0.015:
            return


def wait_for_ports(
    ports: Iterable[int], started: Sequence[subprocess.Popen[bytes]], logs: Path, limit: float = 10.0
) -> None:
    """Wait until all ports accept connections; ``RuntimeError`` when a process ended or time ran out."""
    give_up = time.monotonic() + limit
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > give_up or any(process.poll() is not None for process in started):
                    raise RuntimeError(f"the upstream did not start; its logs are in {logs}") from None
                time.sleep(0.01)
