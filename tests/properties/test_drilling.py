"""Property 4 on a running install: drills are real calls of the real gateway, and nobody but them feels it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from property_install import ledger

from support.inbox import Inbox
from support.up import ROADWORTHY, Up, clean_env, roadworthy
from support.waiting import until, write_files

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZXNr"
OWNERS = (
    "owners: {workflow: ada, prompt: ada, cost: cy}\nenforcement: observe\ntarget: main\n"
    "prompt: {mode: managed, system: prompt.md}\n"
)
FILES = {
    "roadworthy.yaml": (
        "version: 1\nnotify: {{url: '{notify}/hook', secret: env:NOTIFY_SECRET, allow_private: true}}\ntargets:\n"
        "  main: {{provider: simulated, model: sim-main, simulation: main.yaml, price: {{input: 3.0, output: 15.0}}}}\n"
    ),
    "main.yaml": "{}",
    "people.yaml": ("people:\n  ada: {name: Ada, email: ada@example.com}\n  cy: {name: Cy, email: cy@example.com}\n"),
    "workflows/support/workflow.yaml": (
        f"{OWNERS}bypass: app\ndeadline: 30s\nclocks: {{connect: 1s, first_token: 1s, idle: 1s, total: 20s}}\n"
        "canned: {text: We will write to you.}\nladder: {unavailable: [retry: {times: 1, backoff: 10ms}, canned]}\n"
    ),
    "workflows/support/prompt.md": "You answer customers.\n",
    "workflows/careful/workflow.yaml": (
        f"{OWNERS}bypass: app\nstream: buffered\ncanned: {{text: We will write to you.}}\n"
        "checks: {promises: {kind: forbidden, patterns: ['(?i)we (?:guarantee|promise) .{0,40}refund']}}\n"
    ),
    "workflows/careful/prompt.md": "You answer customers.\n",
    "workflows/bare/workflow.yaml": f"{OWNERS}bypass: app\nladder: {{unavailable: []}}\n",
    "workflows/bare/prompt.md": "You answer customers.\n",
}


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[Up]:
    root = tmp_path_factory.mktemp("drilling")
    files = {**FILES, "roadworthy.yaml": FILES["roadworthy.yaml"].format(notify=inbox.url)}
    with Up(root, config=write_files(root / "config", files), workers=2, env={"NOTIFY_SECRET": SECRET}) as made:
        made.ready("main").freeze("support", "careful", "bare")
        yield made


def drill(up: Up, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = roadworthy("drill", *arguments, "--json", "--data", str(up.data), code=code)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_drill_calls_the_running_gateway_and_no_target_hears_of_it(up: Up) -> None:
    run = drill(up, "support", "--fault", "server-error-once", "--fault", "connection-refused")
    assert (run["state"], run["wanted"]) == ("done", 4)
    seen = {(result["fault"], result["stream"]): result["seen"] for result in run["results"]}
    assert {result["verdict"] for result in run["results"]} == {"PASS"}
    assert seen["server-error-once", False]["outcome"] == "recovered"
    assert seen["server-error-once", False]["attempts"] == 2
    assert seen["connection-refused", True]["text"] == "We will write to you."
    assert ledger(up, "main") == []
    record = up.record(seen["server-error-once", False]["inference"])
    assert (record["traffic"], record["drill"]) == ("drill", "server-error-once")
    assert record["permit"].startswith("prm_")
    assert {row["traffic"] for row in up.records()} == {"drill"}


def test_a_workflow_without_the_guard_fails_and_the_exit_code_says_so(up: Up, tmp_path: Path) -> None:
    page = tmp_path / "drills.html"
    run = drill(up, "bare", "--fault", "persistent-503", "--html", str(page), code=1)
    [whole, stream] = run["results"]
    assert (whole["verdict"], stream["verdict"]) == ("FAIL", "FAIL")
    assert "outcome" in whole["misses"][0]
    assert "persistent-503" in page.read_text()
    assert "<script" not in page.read_text()


def test_what_customers_see_is_made_of_the_last_drills(up: Up) -> None:
    drill(up, "support", "--fault", "persistent-503")
    page = roadworthy("failures", "support", "--markdown", "--data", str(up.data)).stdout
    assert "| The provider answers 503 to every call. | both | canned | We will write to you. |" in page
    items = json.loads(roadworthy("failures", "support", "--json", "--data", str(up.data)).stdout)["items"]
    assert {(item["fault"], item["proven"]) for item in items} >= {("persistent-503", 1)}


def test_what_a_drill_gives_cause_for_is_told_to_whom_it_concerns_and_marked(up: Up, inbox: Inbox) -> None:
    run = drill(up, "careful", "--fault", "forbidden-promise", "--fault", "user-spend-spikes")
    assert {result["verdict"] for result in run["results"]} == {"PASS"}
    assert {result["seen"]["notified"] for result in run["results"]} == {True}

    def told() -> set[tuple[str, str, str]]:
        return {
            (body["data"]["title"], body["data"]["class"], body["data"]["to"][0]["person"]) for body in inbox.bodies()
        }

    wanted = {
        ("DRILL: careful: an answer was unsafe (promises)", "drill", "ada"),
        ("DRILL: careful: a user's budget of the day is used up", "drill", "cy"),
    }
    until(lambda: wanted <= told(), "what the drills gave cause for")


def test_a_fault_that_does_not_exist_is_named_with_its_neighbour(up: Up) -> None:
    done = roadworthy("drill", "support", "--fault", "persistent-50", "--data", str(up.data), code=2)
    assert "did you mean 'persistent-50" in done.stderr


def hosts(up: Up) -> list[str]:
    """Processes of misbehaving servers: control's only children."""
    tasks = Path(f"/proc/{up.pid('control')}/task")
    return [child for task in list(tasks.iterdir()) for child in (task / "children").read_text().split()]


def test_an_interrupted_run_clears_its_faults(up: Up) -> None:
    assert not hosts(up)
    running = subprocess.Popen(
        [*ROADWORTHY, "drill", "support", "--all", "--data", str(up.data)],  # long: it cannot end before the signal
        env=clean_env(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    assert "Ctrl-C stops and cleans up" in running.stderr.readline()  # from here on it does
    until(lambda: hosts(up), "the process of the misbehaving servers")
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    until(lambda: not hosts(up), "the end of the misbehaving servers")
    again = drill(up, "support", "--fault", "server-error-once")
    assert again["state"] == "done"
