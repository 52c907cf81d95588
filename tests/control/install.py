"""A real ``up`` for tests: real processes on free ports, told apart from others by its own folder."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")

CODE = """
import json, sys
from roadworthy.wiring.supervisor import Options, up
from roadworthy.wiring.data_folder import DataFolderError
options = json.loads(sys.argv[1])
options["login"] = tuple(options.get("login", ()))
try:
    sys.exit(up(Options(**options), say=lambda text: print(text, flush=True)))
except DataFolderError as error:
    print(error, flush=True)
    sys.exit(2)
"""

FILES = {
    "roadworthy.yaml": (
        "version: 1\nlisten: 127.0.0.1:0\nmetrics: 127.0.0.1:0\ntargets:\n  main:\n    provider: simulated\n"
        "    model: sim\n    price: {input: 1, output: 2, per: 1M}\n"
    ),
    "people.yaml": "people:\n  ada: {name: Ada, email: ada@example.com}\n",
    "workflows/triage/workflow.yaml": (
        "owners: {workflow: ada, prompt: ada, cost: ada}\nprompt: {mode: managed, system: prompt.md}\ntarget: main\n"
        "canned: {text: later}\nbypass: app\nladder: {unavailable: [canned]}\n"
    ),
    "workflows/triage/prompt.md": "You are kind.\n",
}


def until(found: Callable[[], T | None], what: str, patience: float = 20.0) -> T:
    """What ``found`` returns once it is true; other processes give no other sign."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"no {what} within {patience:g} s")


def write_files(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


class Up:
    """``roadworthy up`` on ``root/data``; leaving the block stops it."""

    def __init__(self, root: Path, *, config: Path | None = None, **options: Any) -> None:
        self.data = root / "data"
        chosen = {"data": str(self.data), "config_dir": str(config) if config else None, **options}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, json.dumps(chosen)],
            stdout=subprocess.PIPE,
            stderr=(root / "stderr.log").open("ab"),
            text=True,
        )
        self.lines: list[str] = []
        self._said: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append(text.rstrip("\n"))
            self._said.put(self.lines[-1])

    def said(self, beginning: str) -> str:
        """The first line that begins so."""
        end = time.monotonic() + 30.0
        while True:
            for text in self.lines:
                if text.startswith(beginning):
                    return text
            try:
                self._said.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"never said {beginning!r}; said {self.lines}") from None

    @property
    def url(self) -> str:
        return self.said("gateway ").split()[1].removesuffix("/v1")

    def ready(self) -> Up:
        """Wait until all of it is up, the simulated target included."""
        self.said("target main")
        until(lambda: self.admin("GET", "/v1/status")["targets"][0]["url"], "published endpoint")
        return self

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        transport = httpx2.HTTPTransport(uds=str(self.data / "run" / "control.sock"))
        with httpx2.Client(transport=transport, base_url="http://control", timeout=10) as client:
            answer = client.request(method, path, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

    def token(self) -> str:
        self.admin("POST", "/v1/freeze", {"workflow": "triage"})
        token: str = self.admin("POST", "/v1/keys", {"name": "app"})["token"]
        until(lambda: self.chat(token).status_code == 200 or None, "served call")
        return token

    def chat(self, token: str, user: str = "u-1") -> httpx2.Response:
        body = {"model": "triage", "user": user, "messages": [{"role": "user", "content": "hello"}]}
        headers = {"authorization": f"Bearer {token}"}
        return httpx2.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=10, trust_env=False)

    def pid(self, name: str) -> int | None:
        """Of a live child."""
        facts = json.loads((self.data / "run" / "processes.json").read_bytes())
        for process in facts["processes"]:
            if process["name"] == name and process["pid"] is not None and alive(process["pid"]):
                return int(process["pid"])
        return None

    def other_pid(self, name: str, than: int) -> int:
        def found() -> int | None:
            pid = self.pid(name)
            return pid if pid != than else None

        return until(found, f"new {name}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=5)
        return code

    def __enter__(self) -> Up:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def alive(pid: int) -> bool:
    """Does the process run?  A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
