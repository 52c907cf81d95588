"""Roadworthy with everything on, started as ``roadworthy up`` starts it.

The worker is bound to the gateway's core once it is ready; supervisor and control go to the load's core, where they
compete with load and upstream.  Configuration, release and key are made before the clock starts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from bench import payloads, processes
from bench.payloads import KINDS, MODEL, SYSTEM
from bench.peers.base import GATEWAY_CORE, LOAD_CORE, NotInstalled, Peer, Route, Running
from bench.upstreams import Upstream

PROGRAM = Path(sys.executable).parent / "roadworthy"
SECRET = {"BENCH_UPSTREAM_KEY": "sk-upstream"}
NAMED_LIMIT = 10.0
"""Seconds."""
PER_MINUTE = 10_000_000
"""The per-key limit: counted for every call, never reached."""


@dataclass(frozen=True)
class Flow:
    """One workflow of the benchmark: where it is answered and how it is asked."""

    target: dict[str, object]
    """As in ``roadworthy.yaml``, beside what all targets have."""
    body: bytes
    path: str = "/v1/chat/completions"
    parameters: dict[str, object] = field(default_factory=lambda: {"temperature": 0.2, "max_tokens": 256})
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Installed(Running):
    """Worker, supervisor and control of one ``roadworthy up``."""

    data: Path

    def _worker_pids(self) -> list[int]:
        try:
            facts = json.loads((self.data / "run" / "processes.json").read_text())
        except (OSError, ValueError):
            return []
        return [p["pid"] for p in facts["processes"] if p["name"].startswith("worker") and p["pid"]]

    def gateway_pids(self) -> list[int]:
        return [pid for worker in self._worker_pids() for pid in processes.tree(worker)]

    def other_pids(self) -> list[int]:
        gateway = set(self.gateway_pids())
        return [pid for pid in super().gateway_pids() if pid not in gateway]

    def answered(self) -> None:
        """Put every process on its core.  The worker may answer before the supervisor has written down which it is."""
        limit = time.monotonic() + NAMED_LIMIT
        while not (gateway := self.gateway_pids()):
            if time.monotonic() > limit:
                raise RuntimeError(f"the supervisor named no worker within {NAMED_LIMIT:g} s of its first answer")
            time.sleep(0.02)
        for pid in gateway:
            processes.pin(pid, GATEWAY_CORE)
        for pid in self.other_pids():
            processes.pin(pid, LOAD_CORE)


class Roadworthy(Peer):
    name = "roadworthy"
    title = "Roadworthy"
    about = (
        "`roadworthy up --workers 1` with keys, a per-key limit, the frozen prompt checked, prices, journal with "
        "bodies, metrics, and control shipping the journal into the log meanwhile"
    )

    def install(self) -> str:
        if not PROGRAM.exists():
            raise NotInstalled(f"{PROGRAM} is missing; run `make setup`")
        return version("roadworthy")

    def flows(self, upstream: Upstream) -> dict[str, Flow]:
        """By name."""
        target = {"provider": "openai", "model": MODEL}
        return {kind: Flow({**target, "endpoint": upstream.base(kind)}, payloads.request(kind, kind)) for kind in KINDS}

    def prepare(self, upstream: Upstream) -> None:
        """A fresh data folder with its workflows, each frozen, and a key."""
        data, folder = self.place / "data", self.place / "configuration"
        for path in (data, folder):
            shutil.rmtree(path, ignore_errors=True)
        flows = self.flows(upstream)
        self._write(folder, flows)
        self._run("apply", folder)
        for name in flows:
            self._run("freeze", name)
        created = json.loads(self._run("keys", "create", "bench", "--rpm", str(PER_MINUTE), "--json"))
        self.token = str(created["token"])

    def start(self, upstream: Upstream) -> Running:
        port, metrics = processes.free_port(), processes.free_port()
        data, folder = self.place / "data", self.place / "configuration"
        where = [
            "--listen",
            f"127.0.0.1:{port}",
            "--metrics",
            f"127.0.0.1:{metrics}",
            "--workers",
            "1",
            "--console",
            "off",
        ]
        command = [PROGRAM, "up", folder, "--data", data, *where]
        process = processes.start(command, core=None, log=self.log(), env=SECRET)
        key = {"Authorization": f"Bearer {self.token}"}
        flows = self.flows(upstream).items()
        routes = {name: Route(port, flow.body, flow.path, {**key, **flow.headers}) for name, flow in flows}
        return Installed(process, routes, data)

    def _run(self, command: str, *arguments: str | Path) -> str:
        line = [str(part) for part in (PROGRAM, command, *arguments, "--data", self.place / "data")]
        done = subprocess.run(line, capture_output=True, text=True, env={**os.environ, **SECRET}, timeout=60)
        if done.returncode != 0:
            raise NotInstalled(f"`roadworthy {command}` failed: {(done.stdout + done.stderr).strip()[-400:]}")
        return done.stdout

    def _write(self, folder: Path, flows: dict[str, Flow]) -> None:
        served = {
            "key": "env:BENCH_UPSTREAM_KEY",
            "allow_private": True,
            "price": {"input": 0.15, "output": 0.6},
            "limits": {"concurrency": 1024},
        }
        targets = {name: {**flow.target, **served} for name, flow in flows.items()}
        workflow = {
            "owners": {"workflow": "bench", "prompt": "bench", "cost": "bench"},
            "enforcement": "observe",
            "prompt": {"mode": "app", "system": "prompt.md"},
            "bypass": "app",
            "ladder": {"unavailable": ["retry"]},
            "policy": {"limits": {"requests_per_minute_per_key": PER_MINUTE}},
        }
        files: dict[str, object] = {
            "roadworthy.yaml": {"version": 1, "targets": targets},
            "people.yaml": {"people": {"bench": {"name": "Bench", "email": "bench@example.org"}}},
        }
        for flow_name, flow in flows.items():
            own = {"target": flow_name, "parameters": flow.parameters}
            files[f"workflows/{flow_name}/workflow.yaml"] = {**workflow, **own}
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content, indent=1))  # JSON is YAML
        for flow_name in flows:
            (folder / "workflows" / flow_name / "prompt.md").write_text(SYSTEM)
