"""The kill drill of a running install: real processes, two gateways, live traffic beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fleet_support import Install, Joined, all_current, configuration

from support.provider import Rehearsal
from support.up import ROADWORTHY, clean_env, roadworthy
from support.waiting import until

DRILLED = ("roadworthy-drill", "roadworthy-drill-cut")


@dataclass
class Two:
    local: Install
    b: Joined
    token: str

    def states(self) -> dict[str, str]:
        """Workflow → state, as control keeps it on disk."""
        path = self.local.data / "kill.json"
        if not path.exists():
            return {}
        kept = json.loads(path.read_bytes())
        switches = kept.get("switches", kept) if isinstance(kept, dict) else kept
        found = switches.values() if isinstance(switches, dict) else switches
        return {one["workflow"]: "off" if one.get("held") else "on" for one in found}

    def drill(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = roadworthy("drill", "kill", "--data", str(self.local.data), "--json", *arguments, code=code)
        run: dict[str, Any] = json.loads(done.stdout)
        return run


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    root = tmp_path_factory.mktemp("two")
    with (
        Rehearsal(root / "upstream", {"output_tokens": 3}) as upstream,
        Install(root, config=configuration(root, upstream.url), workers=2) as local,
    ):
        local.said("control ")
        with Joined(root, local.data / "run" / "control.sock", "b", workers=1) as b:
            b.said("gateway http")
            local.freeze("triage")
            token = local.key("app")
            all_current(local)
            yield Two(local, b, token)


def test_it_stops_every_gateway_under_traffic_and_no_live_call_feels_it(two: Two) -> None:
    over = threading.Event()
    told: list[int] = []

    def call() -> None:
        while not over.is_set():
            told.append(two.local.chat(two.token).status_code)

    caller = threading.Thread(target=call)
    caller.start()
    try:
        run = two.drill("--presses", "1")
    finally:
        over.set()
        caller.join()
    assert (run["state"], run["verdict"]) == ("done", "PASS")
    figures = run["figures"]
    assert set(figures["gateways"]) == {"local", "b"}
    assert figures["late_attempts"] == 0
    assert figures["attempts"] > 0
    assert figures["drained"] > 0
    assert figures["cut"] > 0
    assert set(told) == {200}
    assert two.states() == dict.fromkeys(DRILLED, "on")
    evidence = two.local.admin("GET", "/v1/evidence?workflow=triage")["items"]
    mine = next(each for each in evidence if each["id"] == run["evidence"])
    assert mine["figures"]["kind"] == "kill_drill", mine


def test_its_workflows_are_in_nobodys_lists_and_only_a_drill_reaches_them(two: Two) -> None:
    two.drill("--presses", "1", "--gateway", "local")
    logged = {each["workflow"] for each in two.local.records()}
    assert logged <= {"triage"}
    assert two.local.records(workflow=DRILLED[0])
    assert {row["group"]["workflow"] for row in two.local.admin("GET", "/v1/stats?by=workflow")["rows"]} <= {"triage"}
    assert {stand["workflow"] for stand in two.local.admin("GET", "/v1/kill")["items"]} == {"*", "triage"}
    assert "roadworthy-drill" not in roadworthy("status", "--data", str(two.local.data)).stdout
    assert not [each for each in two.local.admin("GET", "/v1/incidents")["items"] if "drill" in each["title"]]
    refused = roadworthy("kill", DRILLED[0], "--data", str(two.local.data), code=2)
    assert "by the kill drill only" in refused.stderr
    assert two.local.chat(two.token, model=DRILLED[0]).status_code == 404


def test_ctrl_c_restores(two: Two) -> None:
    command = [*ROADWORTHY, "drill", "kill", "--presses", "50", "--data", str(two.local.data)]
    piped = subprocess.PIPE
    with subprocess.Popen(command, env=clean_env(), stdout=piped, stderr=piped, text=True) as process:
        assert process.stderr is not None
        assert "Ctrl-C stops and restores" in process.stderr.readline()  # from here on it does
        until(lambda: "off" in two.states().values(), "press")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "what is stopped is restored" in said
    assert set(two.states().values()) == {"on"}


def test_a_control_that_dies_in_the_middle_restores_when_it_is_back(two: Two) -> None:
    run = two.local.admin("POST", "/v1/kill/drills", {"presses": 50})
    until(lambda: "off" in two.states().values(), "press")
    before = two.local.pid("control")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    two.local.other_pid("control", before)
    until(lambda: set(two.states().values()) == {"on"}, "restored workflow")
    until(lambda: _knows_nothing(two, run["id"]), "control")
    by = {line["by"] for line in two.local.admin("GET", "/v1/kill/log")["items"] if line["action"] == "restore"}
    assert by == {"engine"}


def _knows_nothing(two: Two, run: str) -> bool:
    try:
        two.local.admin("GET", f"/v1/kill/drills/{run}")
    except httpx2.TransportError:
        return False
    except AssertionError:
        return True
    return False
