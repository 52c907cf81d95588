"""A load test on a real install: its calls are a class of their own, it stops with whoever looks, and nothing stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.up import ROADWORTHY, Up, clean_env, roadworthy
from support.waiting import until

FILES = {
    "roadworthy.yaml": (
        "version: 1\ntargets:\n  main: {provider: simulated, model: sim, simulation: sim.yaml, "
        "price: {input: 1, output: 2, per: 1M}}\n"
    ),
    "sim.yaml": "first_token: 10ms\ninter_token: 1ms\noutput_tokens: 12\n",
    "people.yaml": "people:\n  ada: {name: Ada, email: a@example.com}\n  bo: {name: Bo, email: b@example.com}\n",
    "workflows/support/workflow.yaml": (
        "owners: {workflow: ada, prompt: bo, cost: bo}\nenforcement: enforce\ntarget: main\nbypass: app\n"
        "prompt: {mode: managed, system: prompt.md}\n"
        "policy: {testers: [ada], projected_peak: 25, objective: {latency_p95: 5s}}\n"
    ),
    "workflows/support/prompt.md": "You are kind.\n",
}
QUESTIONS = '"Where is my order?"\n{"messages": [{"role": "user", "content": "I was charged twice."}]}\n'


class Install:
    def __init__(self, root: Path, up: Up) -> None:
        self.up = up
        self.env = {"ROADWORTHY_DATA": str(up.data)}
        self.questions = root / "questions.jsonl"
        self.questions.write_text(QUESTIONS)

    def arguments(self, *more: str) -> list[str]:
        return ["load", "support", "--bodies", str(self.questions), *more]

    def load(self, *more: str, code: int) -> str:
        return roadworthy(*self.arguments(*more), env=self.env, code=code).stdout

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.up.admin("GET", "/v1/loads?workflow=support")["items"]
        return found


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    root = tmp_path_factory.mktemp("load")
    for name, text in FILES.items():
        (root / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "conf" / name).write_text(text)
    with Up(root, config=root / "conf") as up:
        up.ready("main")
        up.freeze("support")
        yield Install(root, up)


def test_a_short_test_is_led_to_its_end_and_shown_for_what_it_is(install: Install, tmp_path: Path) -> None:
    page = tmp_path / "load.html"
    said = install.load("--duration", "2s", "--yes", "--max-cost", "1", "--json", "--html", str(page), code=2)
    run = json.loads(said)
    assert run["state"] == "done"
    assert run["came"]["measured"]["sent"] > 60
    assert run["came"]["judged"].startswith("INSUFFICIENT: rehearsed without a live probe"), "its target is simulated"
    assert page.read_text().startswith("<!doctype html>")
    records = install.up.records(key=run["permits"][0])
    assert {record["traffic"] for record in records} == {"load"}
    assert len(records) == run["came"]["measured"]["sent"] + 1, "one call knocked"
    assert {part["name"] for part in run["came"]["parts"]} == {"queue", "provider", "checks", "overhead"}
    kept = install.up.admin("GET", "/v1/evidence?workflow=support")["items"]
    assert run["evidence"] in json.dumps(kept)


def test_a_preflight_makes_no_call_and_yes_needs_a_cost(install: Install) -> None:
    before = len(install.runs())
    plan = json.loads(install.load("--preflight", "--json", code=0))
    assert (plan["rate"], plan["calls"]) == (50.0, 180_000)
    install.load("--duration", "2s", "--yes", code=2)
    assert len(install.runs()) == before


def test_a_test_whose_command_was_killed_is_stopped_and_leaves_nothing(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = install.arguments("--duration", "600s", "--yes", "--max-cost", "1")
    command = subprocess.Popen(
        [*ROADWORTHY, *arguments], env=clean_env(install.env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def going() -> str | None:
        newest = install.runs()[0]
        looked = install.up.admin("GET", f"/v1/loads/{newest['id']}")
        under_way = looked.get("state", "running") == "running" and looked.get("progress", {}).get("ended", 0) > 20
        return str(looked["id"]) if under_way else None

    ident = until(going, "test under way")
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    install.up.admin("POST", f"/v1/loads/{ident}/stop")  # as its lease does, ``LEASE`` seconds later
    until(lambda: install.up.admin("GET", f"/v1/loads/{ident}").get("state") == "interrupted", "the end of the test")
    assert list((install.up.data / "run" / "load").iterdir()) == []
