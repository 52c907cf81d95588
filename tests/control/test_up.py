"""``roadworthy up`` with real processes: what is killed comes back, and nobody notices more than they must."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from install import FILES, Up, kill

from roadworthy.wiring.folders.data_folder import create_folder, lock_holder
from support.waiting import alive, until, write_files


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_files(tmp_path / "config", FILES)


def test_a_first_start_serves_records_measures_and_stops_in_order(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config, workers=2, login=["ada"]) as up:
        up.ready("main")
        assert " ready in " in up.said("gateway http://127.0.0.1:")
        token = up.token()
        answer = up.chat(token)
        assert answer.json()["roadworthy"]["outcome"] == "answered"
        inference = answer.headers["x-request-id"]
        metrics = httpx2.get(up.said("metrics ").split()[1], trust_env=False).text
        assert 'roadworthy_worker_up{worker="w1"} 1' in metrics
        code = up.said("login ada: roadworthy login ").split()[4]
        assert up.admin("POST", "/v1/login", {"code": code})["person"] == "ada"
        children = [up.pid(name) for name in ("worker w0", "worker w1", "control", "target main")]
        assert up.stop() == 0
        assert not any(alive(pid) for pid in children if pid)
    assert list((tmp_path / "data" / "journal").glob("*/*.jsonl")) == []  # sealed, shipped, deleted
    with Up(tmp_path, config=config) as up:
        up.said("control ")
        assert up.admin("GET", f"/v1/inferences/{inference}")["inference"]["outcome"] == "answered"


def test_the_gateway_serves_while_control_is_dead_and_nothing_is_lost(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config) as up:
        token = up.ready("main").token()
        control = up.pid("control")
        assert control is not None
        kill(control)
        served = [up.chat(token) for _ in range(5)]
        assert [answer.status_code for answer in served] == [200] * 5
        assert up.other_pid("control", control) != control
        until(lambda: (tmp_path / "data" / "run" / "control.sock").exists(), "control socket")
        wanted = {answer.headers["x-request-id"] for answer in served}

        def logged() -> bool:
            try:
                return wanted <= {item["id"] for item in up.admin("GET", "/v1/log?limit=100")["items"]}
            except httpx2.TransportError:
                return False

        until(logged, "shipped calls")
        assert up.admin("GET", "/v1/status")["control"]["epoch"] == 2


def test_a_killed_worker_is_replaced_and_the_port_refuses_nobody(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config, workers=2) as up:
        token = up.ready("main").token()
        worker = up.pid("worker w0")
        assert worker is not None
        kill(worker)
        assert up.chat(token).status_code == 200
        up.other_pid("worker w0", worker)
        until(lambda: up.chat(token).status_code == 200, "served call")
        processes = {process["name"]: process for process in up.admin("GET", "/v1/status")["processes"]}
        assert processes["worker w0"]["last_exit"] == "killed by SIGKILL"


def test_a_killed_target_is_unavailable_and_then_back_at_its_new_place(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config) as up:
        token = up.ready("main").token()
        target = up.pid("target main")
        assert target is not None
        kill(target)
        outcomes: list[str] = []

        def answered() -> bool:
            outcomes.append(up.chat(token).json()["roadworthy"]["outcome"])
            return len(outcomes) > 1 and outcomes[-1] == "answered"

        until(answered, "answer of the target")
        assert outcomes[0] == "canned"
        assert set(outcomes) == {"canned", "answered"}
        assert up.pid("target main") != target


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config) as up:
        token = up.ready("main").token()
        answer = up.chat(token)
        children = [pid for name in ("worker w0", "control", "target main") if (pid := up.pid(name)) is not None]
        assert len(children) == 3
        up.stop(signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in children), "end of the children")
    with Up(tmp_path, config=config) as up:
        up.said("control ")
        assert up.admin("GET", f"/v1/inferences/{answer.headers['x-request-id']}")


def test_a_second_up_on_one_folder_is_refused_and_names_the_first(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config) as first:
        first.said("control ")
        with Up(tmp_path, config=config) as second:
            assert second.process.wait(10) == 1
            assert f"process {first.process.pid} (roadworthy up) holds" in second.log.read_text()


def test_a_second_control_on_one_folder_is_refused(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config) as up:
        up.said("control ")
        command = [sys.executable, "-m", "roadworthy.wiring.control", "--data", str(up.data)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert second.returncode == 3
        assert json.loads(second.stderr.splitlines()[-1])["pid"] == up.pid("control")
        assert lock_holder(up.data / "control.lock") == up.pid("control")


def test_a_data_folder_of_a_newer_version_is_left_alone(tmp_path: Path, config: Path) -> None:
    folder = create_folder(tmp_path / "data")
    folder.version_file.write_text("99\n")
    with Up(tmp_path, config=config) as up:
        assert up.process.wait(20) == 2
        assert "written by a newer Roadworthy" in up.log.read_text()
    assert not folder.state_db.exists()


def test_a_first_configuration_with_errors_is_refused_with_all_of_them(tmp_path: Path) -> None:
    wrong = FILES | {
        "people.yaml": "people:\n  bo: {name: Bo}\n",
        "roadworthy.yaml": FILES["roadworthy.yaml"] + "x: 1\n",
    }
    with Up(tmp_path, config=write_files(tmp_path / "config", wrong)) as up:
        assert up.process.wait(20) == 2
        said = "\n".join(up.lines)
        assert "'ada'" in said
        assert "roadworthy.yaml:9: x" in said


def test_a_later_configuration_with_errors_leaves_the_last_good_one_serving(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config) as up:
        token = up.ready("main").token()
    write_files(config, {"workflows/triage/workflow.yaml": "nonsense: true\n"})
    with Up(tmp_path, config=config) as up:
        assert "what was applied before stays in force" in up.said("configuration /")
        up.ready("main")
        assert up.chat(token).status_code == 200
        assert up.admin("GET", "/v1/status")["configuration"]["errors_at_start"]


def test_the_gateway_serves_from_its_last_snapshot_when_control_cannot_run_at_all(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config) as up:
        token = up.ready("main").token()
    damaged = tmp_path / "data" / "state.db"
    good = damaged.read_bytes()
    damaged.write_bytes(b"damaged " * 1000)
    with Up(tmp_path) as up:
        assert "file is not a database" in up.said("control: ")
        assert up.chat(token).status_code == 200  # the simulated target has a new port: the canned answer
        assert up.chat(token).json()["roadworthy"]["outcome"] == "canned"
        damaged.write_bytes(good)
        up.said("control /")
        until(lambda: up.chat(token).json()["roadworthy"]["outcome"] == "answered", "answer of the target")


def test_a_forgotten_user_is_on_no_disk_while_the_gateway_lives_on(tmp_path: Path, config: Path) -> None:
    with Up(tmp_path, config=config) as up:
        token = up.ready("main").token()
        answer = up.chat(token, user="u-forgettable")
        kept = up.chat(token, user="u-other")
        done = up.admin("POST", "/v1/forget", {"unit": "u-forgettable"})
        assert (done["deleted"]["facts"], done["deleted"]["bodies"]) == (1, 1)
        assert done["complete"]
        assert not any(done["left"].values())
        assert done["waiting"] == {}
        for path in (tmp_path / "data" / "journal").rglob("*.jsonl"):
            assert b"u-forgettable" not in path.read_bytes()
        assert up.admin("GET", f"/v1/inferences/{kept.headers['x-request-id']}")["inference"]["unit"] == "u-other"
        found = {item["id"] for item in up.admin("GET", "/v1/log?limit=100")["items"]}
        assert answer.headers["x-request-id"] not in found
