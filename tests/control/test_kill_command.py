"""``roadworthy kill`` stops a running gateway with control well, hung, killed, and locked out of its database."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from install import FILES, Up

from roadworthy.wiring.composed.kill_alone import withdraw
from roadworthy.wiring.folders.data_folder import DataFolder
from support.up import roadworthy
from support.waiting import until, write_files


class World:
    """``up`` with two workers, and the command line of a person's own beside it."""

    def __init__(self, root: Path) -> None:
        config = write_files(root / "config", FILES)
        self.up = Up(root, config=config, workers=2, login=["ada"])
        self.env = {"ROADWORTHY_DATA": str(self.up.data), "XDG_CONFIG_HOME": str(root / "home")}
        self.up.ready("main")
        self.token = self.up.token()

    def cli(self, *arguments: str, code: int = 0) -> str:
        done = roadworthy(*arguments, env=self.env, code=code)
        return done.stdout + done.stderr

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(roadworthy(*arguments, "--json", env=self.env, code=code).stdout)
        return found

    def status(self) -> tuple[int, str]:
        answer = self.up.chat(self.token)
        return answer.status_code, "" if answer.status_code == 200 else answer.json()["error"]["code"]

    def stand(self, workflow: str = "triage") -> dict[str, Any]:
        items = self.up.admin("GET", "/v1/kill")["items"]
        found: dict[str, Any] = next(item for item in items if item["workflow"] == workflow)
        return found

    def audited(self) -> list[str]:
        """Lines of the kill log that are in the audit trail, in its order."""
        items = self.up.admin("GET", "/v1/audit?limit=1000")["items"]
        return [item["evidence"] for item in items if item["action"].startswith("kill.")]

    def recorded(self) -> list[dict[str, Any]]:
        """Wait until the kill log is in the audit trail, each line once; returns it."""
        lines: list[dict[str, Any]] = self.up.admin("GET", "/v1/kill/log?limit=1000")["items"][::-1]
        until(lambda: self.audited() == [line["id"] for line in lines], "audit record of each line", patience=40)
        return lines

    @contextmanager
    def hung(self, name: str) -> Iterator[int]:
        """A process that neither dies nor does anything; the supervisor itself is ``up``."""
        pid = self.up.process.pid if name == "up" else self.up.pid(name)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def without_control(self) -> Iterator[None]:
        """Control is killed, and nobody starts it again meanwhile."""
        dead = self.up.pid("control")
        assert dead is not None
        with self.hung("up"):
            os.kill(dead, signal.SIGKILL)
            until(lambda: not _listens(self.up.data / "run" / "control.sock"), "dead control")
            yield
        until(lambda: _listens(self.up.data / "run" / "control.sock"), "new control")


def _listens(sock: Path) -> bool:
    try:
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(sock), verify=False), timeout=1) as client:
            return client.get("http://control/healthz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("kill"))
    with world.up:
        world.cli("login", world.up.said("login ada:").split()[4])
        yield world


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """Everything is on before and after."""
    assert running.status() == (200, "")
    yield running
    for path in running.up.data.glob("KILL*"):
        path.unlink()
    until(lambda: not any(hold["active"] for hold in running.stand()["sources"]), "report that the files are gone")
    if running.stand()["state"] != "on":
        running.cli("restore", "triage", "--reason", "next test")
    until(lambda: running.status()[0] == 200, "workflow that is on")


def test_a_kill_is_confirmed_by_every_worker_and_its_owner_restores(world: World) -> None:
    said = world.cli("kill", "triage", "--reason", "refunds")
    assert "triage is off on 1 gateway, 2 workers, in " in said
    assert "triage: the app gets 503 with the code ai_off, and takes its old path" in said
    assert ", by ada: roadworthy undo triage" in said
    assert {world.status() for _ in range(6)} == {(503, "ai_off")}
    shown = re.compile(r"^kill      triage is off for \d+ s, by ada \(control\): refunds$", re.MULTILINE)
    assert shown.search(world.cli("status"))
    assert "needs a reason" in " ".join(world.cli("restore", "triage", code=2).split())
    assert "triage is on on 1 gateway, 2 workers, in " in world.cli("restore", "triage", "--reason", "mended")
    assert {world.status() for _ in range(6)} == {(200, "")}


def test_whoever_pressed_takes_it_back(world: World) -> None:
    world.cli("kill", "triage", "--to", "guarded")
    assert "triage is on on" in world.cli("undo", "triage")
    assert "nothing to take back" in world.cli("undo", "triage", code=2)


def test_what_to_stop_must_be_said_and_must_exist(world: World) -> None:
    assert "--all" in world.cli("kill", code=2)
    assert "did you mean 'triage'?" in world.cli("kill", "triag", code=2)
    assert not list(world.up.data.glob("KILL*"))


def test_a_hung_worker_is_named_and_the_exit_code_tells(world: World) -> None:
    with world.hung("worker w1"):
        said = world.cli("kill", "triage", code=3)
    assert "triage is NOT off everywhere: 1 of 1 gateway has not confirmed" in said
    assert f"run there: echo off > {world.up.data}/KILL.triage" in said
    until(lambda: world.stand()["reached"]["all"], "confirmation of the worker that goes on")


def test_with_control_killed_the_command_stops_latches_and_control_records_it_later(world: World) -> None:
    with world.without_control(), closing(sqlite3.connect(world.up.data / "state.db")) as database:
        database.execute("BEGIN EXCLUSIVE")  # nothing of this needs the database
        stand = world.json("kill", "triage", "--reason", "control is gone")
        assert (stand["how"], stand["reached"]["all"], stand["reached"]["workers"], stand["files"]) == (
            "alone", True, 2, [],
        )  # fmt: skip
        assert world.status() == (503, "ai_off")
        database.rollback()
    stand = until(lambda: world.stand() if world.stand()["reached"] else None, "control's word")
    assert (stand["state"], stand["by"], [hold["source"] for hold in stand["sources"]]) == (
        "off", f"os:{os.geteuid()}", ["control"],
    )  # fmt: skip
    last = world.recorded()[-1]
    assert (last["action"], last["by"], last["reason"]) == ("press", f"os:{os.geteuid()}", "control is gone")
    assert "triage is on" in world.cli("undo", "triage"), "the same OS user pressed"


def test_with_control_hung_a_file_stops_and_control_makes_it_its_own(world: World) -> None:
    with world.hung("control"):
        stand = world.json("kill", "triage")
        assert (stand["how"], stand["reached"]["all"]) == ("file", True)
        assert stand["files"] == [f"{world.up.data}/KILL.triage"]
        assert "does not answer" in stand["why"]
        assert world.status() == (503, "ai_off")
    until(lambda: "file" in [hold["source"] for hold in world.stand()["sources"]], "latched file")
    assert "remove it there" in world.cli("restore", "triage", "--reason", "x", code=2)


def test_a_file_that_control_never_saw_is_taken_back_like_a_press(world: World) -> None:
    with world.hung("control"), world.hung("up"):
        assert world.json("kill", "triage")["how"] == "file"
        for path in world.up.data.glob("KILL*"):
            assert path.name == "KILL.triage"
            assert path.read_text().startswith(f"off by os:{os.geteuid()} at ")
        withdrawn = withdraw(DataFolder(world.up.data), "triage", time.time())
        assert withdrawn == [f"{world.up.data}/KILL.triage"]
        until(lambda: world.status() == (200, ""), "workflow that is on again")


def test_with_the_database_locked_control_stops_and_records_once_it_can(world: World) -> None:
    with closing(sqlite3.connect(world.up.data / "state.db")) as database:
        database.execute("BEGIN EXCLUSIVE")
        stand = world.json("kill", "triage")
        assert (stand["how"], stand["reached"]["all"], stand["at_risk"]) == ("control", True, "")
        assert world.status() == (503, "ai_off")
        database.rollback()
    assert world.recorded()[-1]["action"] == "press"


def test_a_file_by_hand_stops_without_anybody(world: World) -> None:
    (world.up.data / "KILL").touch()
    until(lambda: world.status() == (503, "ai_off"), "stop by file")
    until(lambda: world.stand("*")["state"] == "off", "latched file")
    (world.up.data / "KILL").unlink()
    until(lambda: not world.stand("*")["sources"][0]["active"], "report that it is gone")
    assert world.status() == (503, "ai_off"), "it stays latched"
    assert "every workflow is on" in world.cli("restore", "--all", "--reason", "it was a drill")
