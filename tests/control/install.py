"""The install that ``test_up.py`` kills and restarts: one workflow on a simulated target."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2

from support import up
from support.waiting import until

FILES = {
    "roadworthy.yaml": (
        "version: 1\nlisten: 127.0.0.1:0\nmetrics: 127.0.0.1:0\ntargets:\n  main:\n    provider: simulated\n"
        "    model: sim\n    price: {input: 1, output: 2, per: 1M}\n"
    ),
    "people.yaml": "people:\n  ada: {name: Ada, email: ada@example.com}\n",
    "workflows/triage/workflow.yaml": (
        "owners: {workflow: ada, prompt: ada, cost: ada}\nenforcement: observe\ntarget: main\n"
        "prompt: {mode: managed, system: prompt.md}\n"
        "canned: {text: later}\nbypass: app\nladder: {unavailable: [canned]}\n"
    ),
    "workflows/triage/prompt.md": "You are kind.\n",
}


class Up(up.Up):
    """``roadworthy up`` on ``root/data``, spoken to over HTTP and the admin API."""

    def __init__(
        self, root: Path, *, config: Path | None = None, workers: int | None = None, login: Sequence[str] = ()
    ) -> None:
        people = [word for person in login for word in ("--login", person)]
        super().__init__(root, config=config, workers=workers, arguments=[*up.FREE_PORTS, *people])

    def token(self) -> str:
        self.freeze("triage")
        token = self.key("app")
        until(lambda: self.chat(token).status_code == 200 or None, "served call")
        return token

    def chat(self, token: str, **more: Any) -> httpx2.Response:
        body = {"model": "triage", "messages": [{"role": "user", "content": "hello"}], "user": "u-1", **more}
        headers = {"authorization": f"Bearer {token}"}
        return httpx2.post(f"{self.base_url}/chat/completions", json=body, headers=headers, timeout=10, trust_env=False)

    def other_pid(self, name: str, than: int) -> int:
        def found() -> int | None:
            pid = self.pid(name)
            return pid if pid != than else None

        return until(found, f"new {name}")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
