"""A real install with further gateways beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx2

from roadworthy.inference_log.segments import decode
from roadworthy.workflow.inference import Inference, InferenceStart
from support import up
from support.waiting import until, write_files

FILES = {
    "roadworthy.yaml": (
        "version: 1\nlisten: 127.0.0.1:0\nmetrics: 127.0.0.1:0\ntargets:\n  main:\n    provider: openai\n"
        "    model: sim\n    endpoint: URL\n    allow_private: true\n    price: {input: 1, output: 2, per: 1M}\n"
    ),
    "people.yaml": "people:\n  ada: {name: Ada, email: ada@example.com}\n",
    "workflows/triage/workflow.yaml": (
        "owners: {workflow: ada, prompt: ada, cost: ada}\nenforcement: observe\n"
        "prompt: {mode: managed, system: prompt.md}\ntarget: main\n"
        "canned: {text: later}\nbypass: app\nladder: {unavailable: [canned]}\n"
    ),
    "workflows/triage/prompt.md": "You are kind.\n",
}


def configuration(root: Path, upstream: str, workflow: str = "", output_price: float = 2) -> Path:
    """``output_price``: dollars of a million tokens."""
    files = {
        name: text.replace("URL", upstream).replace("output: 2", f"output: {output_price}")
        for name, text in FILES.items()
    }
    files["workflows/triage/workflow.yaml"] += workflow
    return write_files(root / "config", files)


class Gateway(up.Up):
    """One that is called."""

    def chat(self, token: str, content: str = "hello", **more: Any) -> httpx2.Response:
        body = {"model": "triage", "messages": [{"role": "user", "content": content}], "user": "u-1", **more}
        headers = {"authorization": f"Bearer {token}"}
        url = f"{self.base_url}/chat/completions"
        return httpx2.post(url, json=body, headers=headers, timeout=20, trust_env=False, verify=False)

    def serves(self, token: str) -> Gateway:
        """Wait until it answers this key."""
        until(lambda: self.chat(token).status_code == 200, "served call")
        return self

    def under_way(self) -> set[str]:
        """Ids of the calls that its journal has begun and not ended: what a kill now loses, by its own account."""
        begun: set[str] = set()
        ended: set[str] = set()
        for segment in (self.data / "journal").glob("*/*.jsonl"):
            whole, _, _ = segment.read_bytes().rpartition(b"\n")
            for line in map(decode, whole.splitlines()):
                if isinstance(line, InferenceStart):
                    begun.add(line.id)
                elif isinstance(line, Inference):
                    ended.add(line.id)
        return begun - ended

    def kill_all(self) -> None:
        """The whole gateway, as a machine that loses its power: supervisor and workers at once."""
        facts = json.loads((self.data / "run" / "processes.json").read_bytes())
        for pid in (self.process.pid, *(one["pid"] for one in facts["processes"] if one["pid"])):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Install(Gateway):
    """``roadworthy up`` on ``root/data``."""

    def other_pid(self, name: str, than: int) -> int:
        def found() -> int | None:
            pid = self.pid(name)
            return pid if pid != than else None

        return until(found, f"new {name}")

    def logged(self) -> set[str]:
        """Ids of the newest calls in the log; nothing while control is away."""
        try:
            return {item["id"] for item in self.admin("GET", "/v1/log?limit=1000")["items"]}
        except httpx2.TransportError:
            return set()


def all_current(install: Install) -> None:
    """Wait until every worker of every gateway that runs serves the newest snapshot."""

    def current() -> bool:
        items = install.admin("GET", "/v1/gateways")["items"]
        return all(
            item["current"] and item["answering"] == item["workers"] for item in items if item.get("ended_at") is None
        )

    until(current, "current snapshot at every gateway")


class Joined(Gateway):
    """``roadworthy gateway`` on ``root/<name>``."""

    def __init__(
        self,
        root: Path,
        control: Path,
        name: str,
        *,
        workers: int = 2,
        data: Path | None = None,
        arguments: Iterable[str] = (),
    ) -> None:
        root = root / name
        super().__init__(
            root,
            data=data or root / "data",
            workers=workers,
            verb="gateway",
            arguments=(*up.GATEWAY_PORTS, "--name", name, "--control", str(control), *arguments),
        )
