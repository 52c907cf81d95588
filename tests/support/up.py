"""A real ``roadworthy up`` on free ports, and the real command line beside it."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from support.waiting import alive, die_with_this_process, until

ROADWORTHY = (sys.executable, "-m", "roadworthy.cli.main")
GATEWAY_PORTS = ("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
FREE_PORTS = (*GATEWAY_PORTS, "--console", "127.0.0.1:0")
_SAMPLE = re.compile(r"^roadworthy_(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def roadworthy(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end; it must exit with ``code``."""
    done = subprocess.run(
        [*ROADWORTHY, *arguments], cwd=cwd, env=clean_env(env), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, f"roadworthy {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def exported(text: str) -> dict[str, str]:
    """The ``export NAME=value`` lines that a command printed."""
    return dict(re.findall(r"^export (\w+)=(\S+)$", text, re.MULTILINE))


def clean_env(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would steer the command line or an OpenAI client."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ROADWORTHY_", "OPENAI_", "ANTHROPIC_"))
    }
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", **(more or {})}


def samples(page: str, name: str) -> dict[str, float]:
    """Labels as written → value, of one metric on a page of them."""
    return {labels: float(value) for found, labels, value in _SAMPLE.findall(page) if found == name}


class Up:
    """``roadworthy up`` on ``root/data``; leaving the block stops it."""

    def __init__(
        self,
        root: Path,
        *,
        config: Path | None = None,
        workers: int | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        data: Path | None = None,
        command: Sequence[str] = ROADWORTHY,
        arguments: Iterable[str] = FREE_PORTS,
        verb: str = "up",
    ) -> None:
        """``command`` stands in for the ``roadworthy`` script (see ``impatient.py``); ``verb``: ``up`` or
        ``gateway``."""
        root.mkdir(parents=True, exist_ok=True)
        self.data = data or root / "data"
        self.log = root / "up.log"
        chosen = [verb, *([str(config)] if config is not None else []), "--data", str(self.data), *arguments]
        if workers is not None:
            chosen += ["--workers", str(workers)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *chosen], cwd=cwd, env=clean_env(env), stdout=subprocess.PIPE, stderr=log, text=True,
                preexec_fn=die_with_this_process,
            )  # fmt: skip
        self.lines: list[str] = []
        self._said: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._metrics = httpx2.Client(trust_env=False, verify=False, timeout=20)  # plain HTTP: no certificates to load
        self._admin: httpx2.Client | None = None

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append(text.rstrip("\n"))
            self._said.put(self.lines[-1])

    def said(self, beginning: str, patience: float = 30.0) -> str:
        """The first line that begins so."""
        end = time.monotonic() + patience
        while True:
            for text in self.lines:
                if text.startswith(beginning):
                    return text
            if self.process.poll() is not None and self._said.empty():
                self._reader.join(timeout=5)
                if not any(text.startswith(beginning) for text in self.lines):
                    raise AssertionError(f"ended before {beginning!r}; said {self.lines}; log: {self.log.read_text()}")
                continue
            try:
                self._said.get(timeout=max(0.01, min(0.2, end - time.monotonic())))
            except queue.Empty:
                if time.monotonic() > end:
                    raise AssertionError(f"never said {beginning!r}; said {self.lines}") from None

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes."""
        return self.said("gateway ").split()[1]

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the gateway."""
        host, _, port = self.base_url.removesuffix("/v1").removeprefix("http://").rpartition(":")
        return host, int(port)

    @property
    def metrics_url(self) -> str:
        return self.said("metrics ").split()[1]

    def ready(self, *targets: str) -> Up:
        """Wait until control answers and these launched targets are in the snapshot that the workers serve."""
        self.said("control ")
        for name in targets:
            self.said(f"target {name} ")

        def published() -> bool:
            urls = {target["name"]: target["url"] for target in self.admin("GET", "/v1/status")["targets"]}
            return all(urls.get(name) for name in targets)

        until(published, "published endpoint")
        self.caught_up()
        return self

    def caught_up(self) -> None:
        """Wait until every worker serves the newest snapshot."""
        newest = json.loads((self.data / "snapshot" / "current.json").read_bytes())["seq"]

        def served() -> bool:
            seqs = self.metric("snapshot_seq")
            return bool(seqs) and all(seq >= newest for seq in seqs.values())

        until(served, f"worker that serves snapshot {newest}")

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        if self._admin is None:
            transport = httpx2.HTTPTransport(uds=str(self.data / "run" / "control.sock"), verify=False)
            self._admin = httpx2.Client(transport=transport, base_url="http://control", timeout=20)
        answer = self._admin.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def freeze(self, *workflows: str) -> None:
        for workflow in workflows:
            self.admin("POST", "/v1/freeze", {"workflow": workflow})
        self.caught_up()

    def prove(self, *workflows: str) -> None:
        """Everything that an enforced workflow needs to get all of its traffic (``support.proven``)."""
        from support.proven import prove

        prove(self.data, *workflows)

        def ramped() -> bool:
            told = json.loads((self.data / "snapshot" / "current.json").read_bytes())["workflows"]
            enforced = [told[name]["ramp"]["share"] for name in workflows if told[name]["enforcement"] == "enforce"]
            return all(share == 1.0 for share in enforced)

        until(ramped, "ramps at 100 %")
        self.caught_up()

    def key(self, name: str, **more: Any) -> str:
        """A new token, accepted by every worker."""
        token: str = self.admin("POST", "/v1/keys", {"name": name, **more})["token"]
        self.caught_up()
        return token

    def record(self, inference: str) -> dict[str, Any]:
        """An inference as the log has it, after shipping."""
        self.admin("POST", "/v1/journal/flush")
        found: dict[str, Any] = self.admin("GET", f"/v1/inferences/{inference}")["inference"]
        return found

    def records(self, **filters: str) -> list[dict[str, Any]]:
        """Newest first."""
        self.admin("POST", "/v1/journal/flush")
        query = "&".join(f"{name}={value}" for name, value in {"limit": "500", **filters}.items())
        found: list[dict[str, Any]] = self.admin("GET", f"/v1/log?{query}")["items"]
        return found

    def metric(self, name: str) -> dict[str, float]:
        """Labels as written (``target="main"``) → value, of one metric named without ``roadworthy_``."""
        return samples(self.page(), name)

    def page(self) -> str:
        """``/metrics``."""
        return self._metrics.get(self.metrics_url).text

    def idle(self) -> bool:
        """No call under way, no slot of a target taken, in any worker."""
        return not any(self.metric("in_flight").values()) and not any(self.metric("target_in_flight").values())

    def pid(self, name: str) -> int | None:
        """Of a live child (``worker w0``, ``control``, ``target main``)."""
        facts = json.loads((self.data / "run" / "processes.json").read_bytes())
        for process in facts["processes"]:
            if process["name"] == name and process["pid"] is not None and alive(process["pid"]):
                return int(process["pid"])
        return None

    def stop(self, number: int = signal.SIGTERM) -> int:
        self._metrics.close()
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=40)
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
