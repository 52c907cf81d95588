"""The upstream: nginx answering at once and a C program that streams, both on the load's core."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import payloads, processes, surface_payloads
from bench.payloads import GAPS_US

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Upstream:
    ports: dict[str, int]
    """``instant`` and each of the streams."""
    pids: tuple[int, ...]

    def base(self, kind: str) -> str:
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


@dataclass(frozen=True)
class Talk:
    """What one streaming upstream sends."""

    gap_us: int
    """Microseconds between two events."""
    events: list[str]


def chats() -> dict[str, Talk]:
    """The streams of chat completions."""
    return {kind: Talk(gap, payloads.events()) for kind, gap in GAPS_US.items()}


@contextmanager
def running(work: Path, core: int, talks: Mapping[str, Talk]) -> Iterator[Upstream]:
    """Start the upstream on ``core``; stop it at the end."""
    place = work / "upstream"
    place.mkdir(parents=True, exist_ok=True)
    ports = {kind: processes.free_port() for kind in ("instant", *talks)}
    text = (HERE / "upstream" / "nginx.conf.in").read_text()
    marks = {"@DIR@": str(place), "@PORT@": str(ports["instant"]), "@ANSWER@": payloads.answer()}
    marks |= {f"@{format.upper()}@": surface_payloads.answer(format) for format in surface_payloads.FORMATS}
    for mark, value in marks.items():
        text = text.replace(mark, value)
    (place / "nginx.conf").write_text(text)
    sse = build(HERE / "upstream" / "sse.c", work)
    commands: list[tuple[str, list[str | Path]]] = [("nginx", ["nginx", "-p", place, "-c", place / "nginx.conf"])]
    for kind, talk in talks.items():
        said = place / f"{kind}.bin"
        said.write_text("".join(event + "\x01" for event in talk.events))
        commands.append((kind, [sse, str(ports[kind]), str(talk.gap_us), said]))
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, command in commands:
            started.append(processes.start(command, core=core, log=place / f"{name}.log"))
        processes.wait_for_ports(ports.values(), started, place)
        yield Upstream(ports, tuple(pid for process in started for pid in processes.tree(process.pid)))
    finally:
        for process in started:
            processes.stop(process)
