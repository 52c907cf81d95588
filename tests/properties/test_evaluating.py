"""Property 6 on a running install: gates are real calls of the real gateway, and only what a model can do passes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest
from property_install import ledger

from support.up import FREE_PORTS, ROADWORTHY, Up, clean_env, roadworthy
from support.waiting import until, write_files

TOPICS = ("delivery", "return", "product", "payment", "account", "other")
MESSAGES = resources.files("roadworthy").joinpath("templates/support-triage/messages.jsonl")
DEMO_FLOORS = "{valid_json: 0.95, topic: 0.35}"
EXAMPLES = 124


def workflow(target: str, floors: str = DEMO_FLOORS) -> str:
    return (
        f"owners: {{workflow: ada, prompt: ada, cost: ada}}\nprompt: {{mode: managed, system: prompt.md}}\n"
        f"target: {target}\nbypass: app\nrubric: rubric.md\npolicy: {{gate: {{floors: {floors}}}}}\n"
    )


def texts(*topics: str) -> str:
    return json.dumps({"answers": [json.dumps({"topic": topic}) for topic in topics], "first_token": "60ms"})


FILES = {
    "roadworthy.yaml": "version: 1\ntargets:\n"
    + "".join(
        f"  {name}: {{provider: simulated, model: m, simulation: {name}.yaml, price: {{input: 1, output: 2}}}}\n"
        for name in ("majority", "guesser")
    ),
    "majority.yaml": texts("delivery"),
    "guesser.yaml": texts(*TOPICS),
    "people.yaml": "people:\n  ada: {name: Ada, email: ada@example.com}\n",
    **{
        f"workflows/{name}/{file}": text
        for name, target, floors in (
            ("majority", "majority", DEMO_FLOORS),
            ("guesser", "guesser", DEMO_FLOORS),
            ("modest", "majority", "{valid_json: 0.95}"),
        )
        for file, text in (
            ("workflow.yaml", workflow(target, floors)), ("prompt.md", "Sort.\n"), ("rubric.md", "As labelled.\n"),
        )
    },
}  # fmt: skip


class Install:
    def __init__(self, root: Path) -> None:
        self.config = write_files(root / "config", FILES)
        self.env = {"HOME": str(root), "XDG_CONFIG_HOME": str(root / "xdg")}
        self.up = Up(root, config=self.config, env=self.env, arguments=(*FREE_PORTS, "--login", "ada"))
        self.messages = root / "messages.jsonl"
        self.messages.write_text(MESSAGES.read_text(encoding="utf-8"), encoding="utf-8")

    def cli(self, *arguments: str, code: int = 0) -> str:
        return roadworthy(*arguments, "--data", str(self.up.data), env=self.env, code=code).stdout

    def gate(self, name: str, *arguments: str, code: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.cli("evals", "gate", name, "--yes", "--json", *arguments, code=code))
        return found

    def ready(self) -> Install:
        self.up.ready("majority", "guesser").freeze("majority", "guesser", "modest")
        self.cli("login", self.up.said("login ada:").split()[4])
        self.cli("evals", "sign", "modest")
        for name in ("modest", "majority", "guesser"):
            self.cli("evals", "import", name, str(self.messages), "--expect", "topic", "--where", "half=test")
        return self


def answers(up: Up) -> bool:
    """Does control?"""
    try:
        return bool(up.admin("GET", "/v1/status"))
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    made = Install(tmp_path_factory.mktemp("evaluating"))
    with made.up:
        yield made.ready()


def test_always_saying_the_most_frequent_topic_fails_the_samples_gate(install: Install) -> None:
    status = install.gate("majority", "--concurrency", "32", code=1)
    assert status["concluded"]["verdict"] == "FAIL"
    assert status["concluded"]["judgement"]["floors_met"] is False
    assert status["concluded"]["receipt"]["verdict"] == "FAIL"  # testers only


def test_guessing_fails_the_samples_gate_and_the_exit_code_says_so(install: Install) -> None:
    status = install.gate("guesser", "--concurrency", "32", code=1)
    assert status["concluded"]["verdict"] == "FAIL"
    assert status["concluded"]["receipt"]["verdict"] == "FAIL"


def test_a_killed_control_loses_what_was_under_way_and_the_same_command_goes_on(install: Install) -> None:
    up = install.up
    before = len(ledger(up, "majority"))
    running = subprocess.Popen(
        [*ROADWORTHY, "evals", "gate", "modest", "--yes", "--concurrency", "4", "--data", str(up.data)],
        env=clean_env(install.env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: len(ledger(up, "majority")) - before > 30 or None, "thirty answers")
    killed = up.pid("control")
    assert killed is not None
    subprocess.run(["kill", "-9", str(killed)], check=True)
    assert running.wait(60) != 0
    until(lambda: answers(up), "another control")
    [open_run] = json.loads(install.cli("evals", "runs", "modest", "--json"))["items"]
    assert 0 < open_run["answered"] < EXAMPLES
    status = install.gate("modest", code=0)
    assert (status["run"]["id"], status["concluded"]["verdict"]) == (open_run["id"], "PASS")
    asked = len(ledger(up, "majority")) - before
    assert EXAMPLES <= asked <= EXAMPLES + 4  # what was under way was asked once more


def test_a_gate_is_about_the_frozen_release_whatever_the_files_say_by_now(install: Install) -> None:
    frozen = json.loads(install.cli("releases", "modest", "--json"))["items"][0]
    prompt = install.config / "workflows/modest/prompt.md"
    prompt.write_text("Sort, and be bold.\n")
    install.cli("apply", str(install.config))
    status = install.gate("modest", "--concurrency", "32", code=0)
    assert (status["run"]["release"], status["run"]["behaviour"]) == (frozen["digest"], frozen["behaviour_digest"])
    shown = json.loads(install.cli("evals", "show", status["run"]["id"], "--json"))["items"]
    record = install.up.record(shown[0]["answer"]["inference"])
    assert (record["digest"], record["traffic"], record["prompt"]) == (frozen["digest"], "eval", "Sort.")


def test_another_release_than_the_newest_is_reached_by_its_gate(install: Install) -> None:
    (install.config / "workflows/modest/prompt.md").write_text("Sort, and be quick.\n")
    install.cli("apply", str(install.config))
    install.up.freeze("modest")
    first, second = (
        install.gate("modest", "--release", number, "--concurrency", "32", code=0)["run"] for number in ("1", "2")
    )
    assert [first["number"], second["number"]] == [1, 2]
    assert first["behaviour"] != second["behaviour"]


def test_reports_are_written_for_machines_and_people(install: Install, tmp_path: Path) -> None:
    junit, page = tmp_path / "gate.xml", tmp_path / "gate.md"
    install.gate("guesser", "--junit", str(junit), "--markdown", str(page), "--concurrency", "32", code=1)
    suite = ElementTree.parse(junit).getroot()
    assert (suite.tag, suite.attrib["tests"]) == ("testsuite", str(EXAMPLES + 1))
    assert int(suite.attrib["failures"]) > EXAMPLES // 2
    assert page.read_text().startswith("# FAIL: release 1 of guesser\n")


def test_a_person_who_is_nobody_cannot_sign(install: Install) -> None:
    done = roadworthy("evals", "sign", "majority", "--data", str(install.up.data), env={"HOME": "/nowhere"}, code=1)
    assert "log in first" in done.stderr


def test_what_is_wrong_with_a_file_is_told_by_line(install: Install, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"message": "a", "topic": "other"}\n{"message": "b"}\n')
    done = roadworthy(
        "evals", "import", "majority", str(bad), "--expect", "topic", "--data", str(install.up.data), code=2
    )
    assert "line 2: has no 'topic' (--expect)" in done.stderr
