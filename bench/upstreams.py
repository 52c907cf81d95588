"""The upstream: nginx answering at once and a C program that streams, both on the load's core."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import payloads, processes
from bench.payloads import GAPS_US, Kind

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Upstream:
    ports: dict[Kind, int]
    pids: tuple[int, ...]

    def base(self, kind: Kind) -> str:
        """Base URL with its version path, as an OpenAI client wants it."""
        return f"http://127.0.0.1:{self.ports[kind]}/v1"


class ToolMissing(Exception):
    """A program that the benchmark needs is not on this machine; the message says how to get it."""


def require(*programs: str) -> None:
    """Raise ``ToolMissing`` naming every program that is not on the path."""
    packages = {"nginx": "nginx", "wrk": "wrk", "gcc": "gcc"}
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        wanted = " ".join(packages.get(program, program) for program in missing)
        raise ToolMissing(f"not found: {', '.join(missing)}. On Debian: apt-get install {wanted}")


def build(source: Path, work: Path) -> Path:
    """Compile one C file; again only when it changed."""
    binary = work / "bin" / source.stem
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        binary.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", binary, source], check=True)
    return binary


@contextmanager
def running(work: Path, core: int) -> Iterator[Upstream]:
    """Start the upstream on ``core``; stop it at the end."""
    place = work / "upstream"
    place.mkdir(parents=True, exist_ok=True)
    ports: dict[Kind, int] = {kind: processes.free_port() for kind in payloads.KINDS}
    text = (HERE / "upstream" / "nginx.conf.in").read_text()
    for mark, value in {"@DIR@": str(place), "@PORT@": str(ports["instant"]), "@ANSWER@": payloads.answer()}.items():
        text = text.replace(mark, value)
    (place / "nginx.conf").write_text(text)
    (place / "events.bin").write_text("".join(event + "\x01" for event in payloads.events()))
    sse = build(HERE / "upstream" / "sse.c", work)
    commands: list[tuple[str, list[str | Path]]] = [("nginx", ["nginx", "-p", place, "-c", place / "nginx.conf"])]
    commands += [(kind, [sse, str(ports[kind]), str(gap), place / "events.bin"]) for kind, gap in GAPS_US.items()]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, command in commands:
            started.append(processes.start(command, core=core, log=place / f"{name}.log"))
        processes.wait_for_ports(ports.values(), started, place)
        yield Upstream(ports, tuple(pid for process in started for pid in processes.tree(process.pid)))
    finally:
        for process in started:
            processes.stop(process)
