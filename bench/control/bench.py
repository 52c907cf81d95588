"""An install under load, and the hands that stop it: by control's socket as the command does, or by a file."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.failures.install import Install, install

LISTENING = 0.03
"""Seconds for which it stays stopped after the confirmation; what reaches the upstream then is late."""
PATIENCE = 20.0
WORKFLOW = "answers"


class Traffic:
    """The child with upstream and callers."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "bench.control.traffic", "--fd", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()
        self._socket = ours
        self._file = ours.makefile("rwb")
        port = self._told({"do": "listen"})["port"]
        self.url = f"http://127.0.0.1:{port}/0/v1"

    def begin(self, url: str, token: str, callers: int) -> None:
        self._told({"do": "begin", "url": url, "token": token, "callers": callers})

    def attempts(self) -> list[float]:
        """Unix seconds of those since the last time."""
        found: list[float] = self._told({"do": "take"})["attempts"]
        return found

    def said(self) -> dict[str, int]:
        found: dict[str, int] = self._told({"do": "take"})["said"]
        return found

    def close(self) -> None:
        self._file.close()
        self._socket.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _told(self, order: dict[str, Any]) -> dict[str, Any]:
        self._file.write(json.dumps(order).encode() + b"\n")
        self._file.flush()
        found: dict[str, Any] = json.loads(self._file.readline())
        return found


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path, patience: float) -> None:
        super().__init__("control", timeout=patience)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def admin(data: Path, method: str, path: str, body: Any = None, patience: float = 60.0) -> Any:
    """One call of the admin API on a connection of its own, as a command makes it."""
    connection = _Unix(data / "run" / "control.sock", patience)
    try:
        raw = None if body is None else json.dumps(body).encode()
        connection.request(method, path, raw, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {said[:300].decode()}")
    return json.loads(said)


@dataclass
class Presses:
    """What a row of presses came to.  Seconds from the press."""

    told: list[float] = field(default_factory=list)
    """Until whoever pressed was told that all gateways have confirmed; of a file, until every worker says so."""
    ordered: list[float] = field(default_factory=list)
    """From the order inside control to the last confirmation."""
    last: list[float] = field(default_factory=list)
    """Until the last attempt that the upstream counted; 0: none came after the press."""
    late: int = 0
    """Attempts after the confirmation."""
    attempts: int = 0
    unconfirmed: int = 0

    @property
    def off(self) -> list[float]:
        return [max(pair) for pair in zip(self.told, self.last, strict=True)]

    def row(self, name: str) -> str:
        def both(values: list[float]) -> str:
            return f"{statistics.median(values) * 1000:.1f} | {max(values) * 1000:.0f}" if values else "– | –"

        return (
            f"| {name} | {len(self.told)} | {both(self.off)} | {both(self.ordered)} | {both(self.last)} | {self.late} |"
        )


HEAD = (
    "| | presses | off p50 ms | off max ms | order → confirmed p50 | max | last attempt p50 | max | "
    "attempts afterwards |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
)


@dataclass
class Bench:
    running: Install
    traffic: Traffic

    @property
    def data(self) -> Path:
        return self.running.data

    def settle(self, workers: int) -> None:
        """Wait until control answers, every worker does, and calls come through."""
        end = time.monotonic() + 3 * PATIENCE
        while not self._all_there(workers):
            if time.monotonic() > end:
                raise RuntimeError(f"{workers} workers were not ready in {3 * PATIENCE:.0f} s")
            time.sleep(0.1)
        self._again()

    def _all_there(self, workers: int) -> bool:
        try:
            [gateway] = admin(self.data, "GET", "/v1/gateways")["items"]
        except OSError:
            return False
        return bool(gateway["current"] and gateway["answering"] == gateway["workers"] == workers)

    def press(self, presses: Presses) -> None:
        """Stop by control, and take it back."""
        before = time.time()
        stand = admin(self.data, "POST", "/v1/kill", {"workflow": WORKFLOW, "wait": PATIENCE})
        told = time.time()
        if not stand["reached"]["all"]:
            presses.unconfirmed += 1
        presses.ordered.append(stand["reached"]["max"] or 0.0)
        time.sleep(LISTENING)
        undone = time.time()
        admin(self.data, "POST", "/v1/kill/undo", {"workflow": WORKFLOW, "wait": PATIENCE})
        self._count(presses, before, told, undone)

    def file(self, presses: Presses, confirmed: float | None = None) -> None:
        """Stop by a ``KILL`` file, and remove it.  Confirmed: every worker says that it acts on it."""
        path = self.data / f"KILL.{WORKFLOW}"
        before = time.time()
        path.touch()
        while not all(state == "off" for state in self._workers()):
            time.sleep(0.005)
        told = time.time()
        time.sleep(LISTENING)
        undone = time.time()
        path.unlink()
        while not all(state == "on" for state in self._workers()):
            time.sleep(0.005)
        self._count(presses, before, told, undone)

    def _count(self, presses: Presses, before: float, told: float, undone: float) -> None:
        """Everything that came until it was to be on again."""
        attempts = self._again()
        after = [at for at in attempts if before < at < undone]
        presses.told.append(told - before)
        presses.last.append(max((at - before for at in after), default=0.0))
        presses.late += sum(at > told for at in after)
        presses.attempts += sum(at <= before for at in attempts)

    def _again(self) -> list[float]:
        """Wait until calls come through (again).  Returns when each attempt came since this was asked last."""
        came = self.traffic.attempts()
        began, end = time.time(), time.monotonic() + PATIENCE
        while not came or came[-1] < began:
            if time.monotonic() > end:
                raise RuntimeError(f"no call came through any more; callers were told {self.traffic.said()}")
            time.sleep(0.01)
            came += self.traffic.attempts()
        time.sleep(LISTENING)
        return came

    def _workers(self) -> list[str]:
        """The state of the workflow at every worker, by their own word; asked as control asks."""
        states = []
        for path in sorted((self.data / "run").glob("worker-*.sock")):
            connection = _Unix(path, 5.0)
            try:
                connection.request("POST", "/internal/kill", b'{"epoch":0,"at":0}')
                seen = json.loads(connection.getresponse().read())
            finally:
                connection.close()
            states.append(seen.get("states", {}).get(WORKFLOW, {"state": "on"})["state"])
        return states


@contextmanager
def bench(workers: int, callers: int) -> Iterator[Bench]:
    """An install with so many workers, called without pause by so many callers."""
    traffic = Traffic()
    try:
        main: Any = traffic
        limits = {"limits": {"concurrency": 256}}
        with install({"main": main}, {}, limits, workers=workers, grace=1.0) as running:  # a backlog is not awaited
            traffic.begin(f"http://{running.origin.host}:{running.origin.port}", running.token, callers)
            made = Bench(running, traffic)
            made.settle(workers)
            yield made
    finally:
        traffic.close()
