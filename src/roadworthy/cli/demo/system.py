"""The running system of the demo: its folder, ``roadworthy up`` in a child process, and the admin API."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import msgspec

from roadworthy.cli.admin import Admin
from roadworthy.cli.demo.pager import PAGER, Pager
from roadworthy.cli.errors import CliError
from roadworthy.wiring.folders.config_folder import read_folder

WORKFLOW = "support-triage"
OWNER, AUTHOR, AGENT = "ines", "tom", "jo"
"""Of the sample's people: who owns the workflow, who writes its prompt and freezes its releases, and
who answers customers."""
LOGINS = (OWNER, AUTHOR, AGENT, OWNER)
"""Whose one-time codes the demo asks for; the last is for whoever tries it."""
SAMPLE = "templates/support-triage"
STARTING = 60.0
"""Seconds that the system has to come up; the model is loaded in about two."""
PREFERRED_PORT, CONSOLE_PORT = 8400, 8402


class Message(msgspec.Struct, frozen=True):
    """One hand-labelled customer message of the sample."""

    id: str
    message: str
    topic: str
    urgency: str
    half: str


class Place(msgspec.Struct, frozen=True):
    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def home(self) -> Path:
        """Where the printed commands keep their login; the person at the terminal keeps it in a home of their own."""
        return self.root / "home"

    @property
    def workflow(self) -> Path:
        """The folder of the sample workflow's files."""
        return self.config / "workflows" / WORKFLOW


def sample() -> resources.abc.Traversable:
    return resources.files("roadworthy").joinpath(SAMPLE)


def messages(half: str) -> list[Message]:
    """The sample's messages of one half, in file order."""
    text = sample().joinpath("messages.jsonl").read_text(encoding="utf-8")
    decoder = msgspec.json.Decoder(Message)
    return [found for row in text.splitlines() if row and (found := decoder.decode(row)).half == half]


def lay_out(root: Path) -> Place:
    """Make the folder, or take up the one that an earlier demo left.

    Raises ``CliError`` for a folder that holds something else: it is never overwritten.
    """
    place = Place(root)
    if root.exists() and any(root.iterdir()) and not place.config.is_dir():
        raise CliError(f"{root}: holds something that is not a demo", "name another folder with --dir")
    place.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    place.config.mkdir(exist_ok=True)
    return place


def overlay(place: Place, variant: str) -> None:
    """Write the sample's configuration in one of its variants (``first``, ``second``) over the demo's."""
    with resources.as_file(sample()) as source:
        for part in (source / "base", source / variant):
            shutil.copytree(part, place.config, dirs_exist_ok=True)


class System:
    """``with System(place, say=…)``: everything is up; on leaving, everything is down."""

    def __init__(self, place: Place, *, say: Callable[[str], None]) -> None:
        self.place = place
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._log = place.root / "up.log"
        self._admin: Admin | None = None
        self._people: dict[str, Admin] = {}
        self.code = ""
        """A one-time login code of the owner's that nobody has used yet."""
        self.url = ""
        """Base URL for OpenAI clients, with ``/v1``."""
        self.metrics_url = ""
        self.console = ""
        """Where people open the console, without a slash at the end."""
        self.pager = Pager()

    def __enter__(self) -> System:
        self.pager.start()
        self._lay_out("first")
        self._start()
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def admin(self) -> Admin:
        if self._admin is None:
            raise RuntimeError("the demo's system is not up")
        return self._admin

    @property
    def command(self) -> list[str]:
        """How to call our command line on the demo's data, in this very installation."""
        return [*_roadworthy(), "--data", str(self.place.data)]

    def person(self, name: str) -> Admin:
        """The admin API as a person of the sample who is logged in."""
        return self._people[name]

    def freeze(self, variant: str, note: str) -> dict[str, Any]:
        """Lay one variant of the sample out, and freeze it (``freeze_edited``)."""
        self._lay_out(variant)
        return self.freeze_edited(note)

    def freeze_edited(self, note: str) -> dict[str, Any]:
        """Apply the files as they are now and freeze them, both as the author; returns the answer of freeze."""
        self.apply()
        frozen: dict[str, Any] = self.person(AUTHOR).post("/v1/freeze", {"workflow": WORKFLOW, "note": note})
        self.await_served(lambda snapshot: frozen["digest"] in snapshot["releases"])
        return frozen

    def lay_out_first(self) -> None:
        """The configuration as it is before the first act, applied."""
        self._lay_out("first")
        self.apply()

    def _lay_out(self, variant: str) -> None:
        overlay(self.place, variant)
        path = self.place.config / "roadworthy.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace(PAGER, self.pager.address), encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace ``old``, which is there once, in a file of the workflow."""
        path = self.place.workflow / name
        before, found, after = path.read_text(encoding="utf-8").partition(old)
        if not found or old in after:
            raise CliError(f"{path}: expected {old!r} once")
        path.write_text(before + new + after, encoding="utf-8")

    def apply(self) -> None:
        """Apply the files as they are now, as the author."""
        self.person(AUTHOR).post("/v1/apply", {"files": read_folder(self.place.config), "dry_run": False})

    def await_served(self, served: Callable[[dict[str, Any]], bool]) -> None:
        """Until the published snapshot is so, and every worker has it: they look every 200 ms."""
        path = self.place.data / "snapshot" / "current.json"
        self._until("the snapshot", lambda: served(json.loads(path.read_text(encoding="utf-8"))))
        time.sleep(0.5)

    def served(self) -> dict[str, Any]:
        """The sample workflow in the snapshot that is published now."""
        path = self.place.data / "snapshot" / "current.json"
        flow: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["workflows"][WORKFLOW]
        return flow

    def last_task(self) -> int:
        """The model's own number of the newest call that it took up (llama.cpp's ``/slots``)."""
        base = str(json.loads((self.place.data / "run" / "endpoints.json").read_bytes())["local"]).removesuffix("/v1")
        slots = httpx2.get(f"{base}/slots", timeout=10.0, trust_env=False).json()
        return max(int(slot.get("id_task", -1)) for slot in slots)

    def stop(self) -> None:
        for admin in (self._admin, *self._people.values()):
            if admin is not None:
                admin.close()
        self._admin = None
        self._people.clear()
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=45)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.pager.stop()

    # --- starting

    def _start(self) -> None:
        listen = f"127.0.0.1:{PREFERRED_PORT if _free(PREFERRED_PORT) else 0}"
        console = f"127.0.0.1:{CONSOLE_PORT if _free(CONSOLE_PORT) else 0}"
        command = [sys.executable, "-m", "roadworthy.cli.demo.serving", str(self.place.data), str(self.place.config)]
        command += [listen, console, *LOGINS]
        (self.place.data / "run" / "processes.json").unlink(missing_ok=True)  # of an earlier run
        self._log.unlink(missing_ok=True)
        with os.fdopen(os.open(self._log, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as log:  # it holds login codes
            # A session of its own: Ctrl-C reaches the demo, which then stops the system in order.
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **self.pager.secret},
            )  # fmt: skip

    def _await_ready(self) -> None:
        facts = self._until("the gateway", self._listening)
        self.url = f"http://{facts['listen']}/v1"
        self.metrics_url = f"http://{facts['metrics']}/metrics"
        self.console = f"http://{facts['console']}"
        self._admin = self._until("control", self._connected)
        codes = self._until("the login of the sample's people", self._codes)
        self.code = codes.pop()[1]
        for name, code in codes:
            token = str(self._admin.post("/v1/login", {"code": code})["token"])
            self._people[name] = Admin(httpx2.HTTPTransport(uds=str(self._socket)), token=token)
        self._until("the local model", self._model_ready)

    @property
    def _socket(self) -> Path:
        return self.place.data / "run" / "control.sock"

    def _codes(self) -> list[tuple[str, str]] | None:
        """(person, one-time code) of every login that was asked for, once all are printed."""
        found = re.findall(r"^login (\w+): roadworthy login (\S+)", self._log.read_text(encoding="utf-8"), re.MULTILINE)
        return found if len(found) == len(LOGINS) else None

    def _until(self, what: str, probe: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + STARTING
        while True:
            if self._process is None or self._process.poll() is not None:
                raise CliError(f"the system stopped while {what} was starting:\n{self._last_words()}")
            if found := probe():
                return found
            if time.monotonic() > deadline:
                raise CliError(f"{what} was not ready within {STARTING:.0f} s:\n{self._last_words()}")
            time.sleep(0.05)

    def _listening(self) -> dict[str, Any] | None:
        try:
            facts: dict[str, Any] = json.loads((self.place.data / "run" / "processes.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return facts if facts.get("listen") and _answers(f"http://{facts['listen']}/readyz") else None

    def _connected(self) -> Admin | None:
        """Over the socket only: while ``up`` starts, nobody else may act as control."""
        if not self._socket.exists():
            return None
        admin = Admin(httpx2.HTTPTransport(uds=str(self._socket)))
        try:
            admin.get("/v1/status")
        except CliError:
            admin.close()
            return None
        return admin

    def _model_ready(self) -> bool:
        try:
            endpoints = json.loads((self.place.data / "run" / "endpoints.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return False
        return "local" in endpoints

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def _roadworthy() -> list[str]:
    """The ``roadworthy`` script beside this interpreter, as short as it can be typed."""
    script = Path(sys.executable).with_name("roadworthy")
    if not script.exists():
        return [sys.executable, "-m", "roadworthy.cli.main"]
    try:
        return [str(script.relative_to(Path.cwd()))]
    except ValueError:
        on_path = shutil.which("roadworthy")
        return ["roadworthy" if on_path and os.path.samefile(on_path, script) else str(script)]


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2.0, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False
