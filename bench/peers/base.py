"""What a peer is: something that installs, starts on the gateway's core and serves three routes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from bench import payloads, processes
from bench.payloads import Kind
from bench.upstreams import Upstream

GATEWAY_CORE = 0
LOAD_CORE = 1
"""Load generators and upstreams share this one."""


class NotInstalled(Exception):
    """The peer cannot be had here; the message is the installer's own last word."""


@dataclass(frozen=True)
class Route:
    """How the load reaches one kind of answer."""

    port: int
    body: bytes
    path: str = "/v1/chat/completions"
    headers: dict[str, str] = field(default_factory=dict)
    """Beside ``payloads.CLIENT_HEADERS``; same name: this one."""


@dataclass
class Running:
    """A started peer."""

    process: subprocess.Popen[bytes] | None
    routes: Mapping[str, Route]
    """By ``Kind``."""

    def gateway_pids(self) -> list[int]:
        """The processes on the gateway's core: what memory and CPU are reported for."""
        return processes.tree(self.process.pid) if self.process else []

    def other_pids(self) -> list[int]:
        """Further processes of the peer, on the load's core."""
        return []

    def answered(self) -> None:
        """Called once, after the first good answer and before anything is measured."""

    def stop(self) -> None:
        if self.process:
            processes.stop(self.process)


class Peer:
    """One gateway with its best plain configuration."""

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]
    """Configuration in one line, for the docs."""

    def __init__(self, work: Path) -> None:
        self.place = work / self.name
        """The peer's own folder: its installation, generated configuration and logs."""
        self.place.mkdir(parents=True, exist_ok=True)

    def install(self) -> str:
        """Make sure that the peer is there and return its version.  Raises ``NotInstalled``."""
        raise NotImplementedError

    def prepare(self, upstream: Upstream) -> None:
        """What is done once, before the clock of "ready" starts.  Raises ``NotInstalled`` when it cannot be."""

    def start(self, upstream: Upstream) -> Running:
        """Start it on ``GATEWAY_CORE``; it need not be ready yet."""
        raise NotImplementedError

    def log(self) -> Path:
        return self.place / "log.txt"

    def launch(
        self, command: list[str | Path], *, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[bytes]:
        return processes.start(command, core=GATEWAY_CORE, log=self.log(), cwd=cwd or self.place, env=env)


def routes(port: int, models: dict[Kind, str], **changes: object) -> dict[Kind, Route]:
    """Routes that differ in the model's name only; ``changes`` as in ``payloads.request``."""
    return {kind: Route(port, payloads.request(kind, model, **changes)) for kind, model in models.items()}


def installed(command: list[str | Path], *, cwd: Path, what: str) -> None:
    """Run an installer; ``NotInstalled`` with its last lines when it fails or is not on this machine."""
    try:
        done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=1800)
    except FileNotFoundError as error:
        raise NotInstalled(f"{what}: {error.filename} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"{what}: the installer did not end within {error.timeout:.0f} s") from error
    if done.returncode != 0:
        words = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise NotInstalled(f"{what}: {' / '.join(words[-2:])[:300] or f'exit code {done.returncode}'}")


class FromPyPI(Peer):
    """A peer that lives in a virtual environment of its own."""

    requirements: ClassVar[tuple[str, ...]]
    """Pinned; the first one names the peer and its version."""

    def install(self) -> str:
        """Install on first use, or when the pins changed since."""
        done = self.place / "installed.txt"
        wanted = "\n".join(self.requirements)
        if not done.exists() or done.read_text() != wanted:
            done.unlink(missing_ok=True)
            installed([sys.executable, "-m", "venv", "--clear", "venv"], cwd=self.place, what="venv")
            pip: list[str | Path] = [
                self.bin("python"),
                "-m",
                "pip",
                "--disable-pip-version-check",
                "install",
                "--quiet",
            ]
            installed([*pip, *self.requirements], cwd=self.place, what="pip")
            done.write_text(wanted)
        return self.requirements[0].partition("==")[2]

    def bin(self, program: str) -> Path:
        return self.place / "venv" / "bin" / program
