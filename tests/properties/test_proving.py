"""Evidence on a running install: a canary of the real gateway, drills that prove what they broke, people's word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.up import FREE_PORTS, Up, roadworthy
from support.waiting import until, write_files

FILES = {
    "roadworthy.yaml": (
        "version: 1\ntargets:\n"
        "  main: {provider: simulated, model: sim-main, simulation: main.yaml, price: {input: 3.0, output: 15.0}}\n"
    ),
    "main.yaml": "{}",
    "people.yaml": ("people:\n  ada: {name: Ada, email: ada@example.com}\n  cy: {name: Cy, email: cy@example.com}\n"),
    "workflows/support/workflow.yaml": (
        "owners: {workflow: ada, prompt: ada, cost: cy}\nprompt: {mode: managed, system: prompt.md}\ntarget: main\n"
        "bypass: app\nstream: buffered\ncanned: {text: We will write to you.}\n"
    ),
    "workflows/support/prompt.md": "You answer customers.\n",
}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    root = tmp_path_factory.mktemp("proving")
    arguments = (*FREE_PORTS, "--login", "ada")
    with Up(root, config=write_files(root / "config", FILES), arguments=arguments) as made:
        made.ready("main").freeze("support")
        yield made


def ready(up: Up) -> dict[str, Any]:
    done = roadworthy("ready", "support", "--json", "--data", str(up.data), code=1)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def item(up: Up, number: int) -> dict[str, Any]:
    return next(each for each in ready(up)["items"] if each["number"] == number)


def test_a_canary_is_a_real_call_that_is_found_wherever_calls_show(up: Up) -> None:
    answer = json.loads(roadworthy("canary", "--json", "--data", str(up.data)).stdout)
    assert answer["verdict"] == "PASS", answer
    record = up.record(answer["inference"])
    assert (record["traffic"], record["outcome"], record["attempts"][0]["target"]) == ("eval", "answered", "main")
    found = item(up, 3)
    assert (found["verdict"], found["cap"]) == ("PASS", 1.0)
    assert found["evidence"] == [answer["evidence"]["id"]]
    assert answer["evidence"]["run"] == answer["inference"]


def test_a_canary_is_nobody_s_live_traffic(up: Up) -> None:
    assert up.records(traffic="live") == []


def test_a_run_of_one_fault_is_kept_and_proves_no_failure(up: Up) -> None:
    roadworthy("drill", "support", "--fault", "persistent-503", "--data", str(up.data))

    def kept() -> dict[str, Any] | None:
        found = item(up, 4)
        return found if found["made_at"] or found["figure"] != "never shown" else None

    found = until(kept, "evidence of the drills")
    assert (found["verdict"], found["cap"]) == ("INSUFFICIENT", 0.01)
    assert found["figure"].startswith("no drill for: ")
    assert "unavailable" in found["figure"]
    assert item(up, 10)["figure"] == "never shown"


def test_an_owner_accepts_with_a_login_and_an_os_user_does_not(up: Up, tmp_path: Path) -> None:
    data = ("--data", str(up.data))
    refused = roadworthy("accept", "support", *data, env={"XDG_CONFIG_HOME": str(tmp_path)}, code=1)
    assert "log in first" in refused.stderr
    code = re.match(r"login ada: roadworthy login (\S+)", up.said("login ada"))
    assert code is not None
    person = {"XDG_CONFIG_HOME": str(tmp_path)}
    roadworthy("login", code[1], *data, env=person)
    done = roadworthy("accept", "support", *data, env=person)
    assert "ada is the workflow owner of support" in done.stdout
    assert "cost: cy has not accepted" in item(up, 5)["figure"]
    audit = up.admin("GET", "/v1/audit?limit=1000")
    assert audit["verified"]
    assert [record["outcome"] for record in audit["items"] if record["actor"] == "ada"].count("done") >= 2
    assert any(record["outcome"] == "denied" for record in audit["items"])
